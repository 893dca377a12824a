import { Button, Popover, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { Icon } from '../shared/Icon';
import { formatTime, presets, resolve, type Range } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import s from './hunt.module.css';

/** What a range is called. */
export function rangeName(range: Range, zone: 'utc' | 'local'): string {
  if (!range.from && !range.to) return t.range.all;
  const preset = presets.find((it) => it === range.from);
  if (preset && (!range.to || range.to === 'now')) return t.range.presets[preset];
  const end = (text: string | undefined) => (!text ? '…' : text.startsWith('now') ? text : formatTime(text, zone));
  return `${end(range.from)} – ${end(range.to)}`;
}

export function TimeRange({ range, onChange, compact = false }: { range: Range; onChange: (range: Range) => void; compact?: boolean }) {
  const { zone } = useZone();
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const wrong = (text: string) => text !== '' && resolve(text, 0) === undefined;
  const show = () => {
    const text = (end: string | undefined) => (!end || end.startsWith('now') ? (end ?? '') : formatTime(end, 'utc'));
    setFrom(text(range.from));
    setTo(text(range.to));
    setOpen(!open);
  };
  const choose = (next: Range) => {
    setOpen(false);
    onChange(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (wrong(from) || wrong(to)) return;
    const end = (text: string) => (text.startsWith('now') || !text ? text : new Date(resolve(text, 0)!).toISOString());
    choose({ ...(from ? { from: end(from) } : {}), ...(to ? { to: end(to) } : {}) });
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus withinPortal>
      <Popover.Target>
        <button type="button" className={s.rangeButton} onClick={show} aria-expanded={open} aria-haspopup="dialog">
          <Icon name="clock" size={14} />
          <span className="hidden">{t.range.label}: </span>
          <span className="clip">{rangeName(range, zone)}</span>
          {!compact && <Icon name="down" size={12} />}
        </button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t.range.label}>
        <div className={s.range}>
          <div className={s.presets}>
            {presets.map((preset) => (
              <button key={preset} type="button" className="quiet" aria-pressed={range.from === preset && !range.to} onClick={() => choose({ from: preset })}>
                {t.range.presets[preset]}
              </button>
            ))}
            <button type="button" className="quiet" aria-pressed={!range.from && !range.to} onClick={() => choose({})}>
              {t.range.all}
            </button>
          </div>
          <form className="stack" onSubmit={submit}>
            <TextInput label={t.range.from} value={from} onChange={(event) => setFrom(event.currentTarget.value)} error={wrong(from) && t.range.wrong} placeholder="now-2h" spellCheck={false} />
            <TextInput label={t.range.to} value={to} onChange={(event) => setTo(event.currentTarget.value)} error={wrong(to) && t.range.wrong} placeholder="now" spellCheck={false} />
            <p className="dim">{t.range.hint}</p>
            <Button type="submit">{t.range.apply}</Button>
          </form>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
