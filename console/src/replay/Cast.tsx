// Who takes part in the replay. Where nobody does yet, the page asks in its middle: `/` goes there.
import { Button, Popover, TextInput } from '@mantine/core';
import { useRef, useState, type FormEvent } from 'react';
import type { Entity } from '../api/model';
import { visible } from '../shared/format';
import { Icon, kindIcon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { entityKinds } from '../shared/query';
import { t } from '../strings/en';
import s from './replay.module.css';

export function Cast({ entities, onChange }: { entities: Entity[]; onChange: (entities: Entity[]) => void }) {
  const [open, setOpen] = useState(false);
  const add = (entity: Entity) => {
    setOpen(false);
    if (!entities.some((it) => it.kind === entity.kind && it.value === entity.value)) onChange([...entities, entity]);
  };
  if (entities.length === 0) return null;
  return (
    <div className="row wrap">
      {entities.map((entity) => (
        <button
          key={`${entity.kind}:${entity.value}`}
          type="button"
          className="chip"
          aria-label={t.replay.remove(entity.value)}
          title={t.replay.remove(entity.value)}
          onClick={() => onChange(entities.filter((it) => it !== entity))}
        >
          <Icon name={kindIcon(entity.kind)} size={14} />
          <span className="clip">{visible(entity.value)}</span>
          <Icon name="close" size={12} />
        </button>
      ))}
      <Popover opened={open} onChange={setOpen} position="bottom-start" trapFocus withinPortal>
        <Popover.Target>
          <button type="button" className="chip" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
            <Icon name="plus" size={14} /> {t.replay.add}
          </button>
        </Popover.Target>
        <Popover.Dropdown aria-label={t.replay.add}>
          <Chooser onChoose={add} />
        </Popover.Dropdown>
      </Popover>
    </div>
  );
}

export function Chooser({ onChoose }: { onChoose: (entity: Entity) => void }) {
  const [kind, setKind] = useState('host');
  const [value, setValue] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => input.current?.focus() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim()) onChoose({ kind, value: value.trim() });
  };
  return (
    <form className={s.cast} onSubmit={submit}>
      <select className={s.select} aria-label={t.entity.kind} value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
        {entityKinds.map((it) => (
          <option key={it} value={it}>
            {t.kinds[it as keyof typeof t.kinds]}
          </option>
        ))}
      </select>
      <TextInput ref={input} data-autofocus aria-label={t.entity.name} placeholder={t.entity.name} value={value} onChange={(event) => setValue(event.currentTarget.value)} />
      <Button type="submit">{t.replay.add}</Button>
    </form>
  );
}
