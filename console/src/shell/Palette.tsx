// Everything by name: pages, alerts on the screen, entities, and a search for whatever was typed.
import { Modal } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useLocation } from 'wouter';
import type { AlertPages } from '../api/alerts';
import { Icon, kindIcon, type IconName } from '../shared/Icon';
import { entityLink, huntLink, quote } from '../shared/query';
import { visible } from '../shared/format';
import { t } from '../strings/en';
import { rankCommands, type Command } from './commands';
import { places } from './places';
import s from './palette.module.css';

export interface Action {
  name: string;
  icon: IconName;
  keys?: string;
  run: () => void;
}

export default function Palette({ onClose, actions }: { onClose: () => void; actions: Action[] }) {
  return (
    <Modal.Root opened onClose={onClose} size={620} lockScroll={false} transitionProps={{ duration: 0 }}>
      <Modal.Overlay />
      <Modal.Content aria-label={t.palette.title} radius="md">
        <Commands onClose={onClose} actions={actions} />
      </Modal.Content>
    </Modal.Root>
  );
}

function Commands({ onClose, actions }: { onClose: () => void; actions: Action[] }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const list = useRef<HTMLUListElement>(null);

  const standing = useMemo((): Command[] => {
    const alerts = client
      .getQueriesData<AlertPages>({ queryKey: ['alerts'] })
      .flatMap(([, pages]) => pages?.pages.flatMap((page) => page.alerts) ?? []);
    const once = [...new Map(alerts.map((alert) => [alert.id, alert])).values()];
    return [
      ...places.map((place) => ({ group: t.palette.pages, name: place.name, icon: place.icon, keys: `g ${place.key}`, to: place.to })),
      ...actions.map((action) => ({ group: t.palette.actions, ...action })),
      ...once.map((alert) => ({
        group: t.palette.alerts,
        name: `${alert.rule.title}, ${visible(alert.entity.value)}`,
        icon: 'alert' as const,
        to: `/inbox?state=${alert.state === 'closed' ? 'closed' : 'open'}&alert=${alert.id}`,
      })),
    ];
  }, [client, actions]);

  const found = useMemo(() => {
    const typed = text.trim();
    const ranked = rankCommands(standing, typed);
    if (!typed) return ranked;
    const isAddress = /^[0-9a-f.:]+$/i.test(typed) && /[.:]/.test(typed);
    const kinds = isAddress ? ['ip'] : ['host', 'user'];
    const made: Command[] = [
      { group: t.palette.search, name: t.palette.huntFor(typed), icon: 'hunt', to: huntLink({ q: typed, from: 'now-24h' }) },
      ...kinds.map((kind) => ({
        group: t.palette.search,
        name: t.palette.open(t.kinds[kind as keyof typeof t.kinds], typed),
        icon: kindIcon(kind),
        to: entityLink({ kind, value: typed }),
      })),
      { group: t.palette.search, name: t.palette.phrase(typed), icon: 'hunt', to: huntLink({ q: quote(typed), from: 'all' }) },
    ];
    return [...ranked, ...made];
  }, [standing, text]);

  useEffect(() => setAt(0), [text]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at]);

  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    if (command.to) navigate(command.to);
    else command.run?.();
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((old) => (old + step + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') run(found[at]);
    else return;
    event.preventDefault();
  };

  let group = '';
  return (
    <div className={s.palette}>
      <input
        data-autofocus
        autoFocus
        className={s.input}
        placeholder={t.palette.placeholder}
        aria-label={t.palette.placeholder}
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length ? `palette-${at}` : undefined}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKey}
        autoComplete="off"
        spellCheck={false}
      />
      <ul className={s.list} id="palette-list" role="listbox" aria-label={t.palette.title} ref={list} tabIndex={-1}>
        {found.map((command, i) => {
          const heads = command.group !== group;
          group = command.group;
          return [
            heads && (
              <li key={`group-${i}`} className={s.group} role="presentation">
                {command.group}
              </li>
            ),
            <li
              key={i}
              id={`palette-${i}`}
              role="option"
              aria-selected={i === at}
              className={s.option}
              onMouseMove={() => setAt(i)}
              onClick={() => run(command)}
            >
              <Icon name={command.icon} />
              <span className="grow clip">{command.name}</span>
              {command.keys && <kbd>{command.keys}</kbd>}
            </li>,
          ];
        })}
      </ul>
    </div>
  );
}
