// One event: parsed and raw, with ways on from it.
import { useQuery } from '@tanstack/react-query';
import { lazy, useState } from 'react';
import { Link } from 'wouter';
import type { Event } from '../api/model';
import { event as getEvent } from '../api/search';
import { CopyButton, EntityChip, Tabs, Waiting } from '../shared/Bits';
import { Disclosure } from '../shared/Disclosure';
import { EventFields } from '../shared/EventFields';
import { formatValue, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, entityKind, huntLink } from '../shared/query';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './event.module.css';

const WhyRule = lazy(() => import('./WhyRule'));

export function EventPanel({ id, known, onNarrow, onClose }: {
  id: string;
  known: Event | undefined;
  onNarrow: (condition: string) => void;
  onClose: () => void;
}) {
  const [form, setForm] = useState<'fields' | 'raw'>('fields');
  const found = useQuery({
    queryKey: ['event', id],
    queryFn: ({ signal }) => getEvent(id, signal),
    ...(known ? { initialData: known } : {}),
    staleTime: Infinity,
    retry: false,
  });
  const event = found.data;
  const at = event ? Date.parse(formatValue(event['@timestamp'])) : NaN;
  const around = (ms: number) => ({ from: new Date(at - ms).toISOString(), to: new Date(at + ms).toISOString() });
  const host = event && formatValue(event['host.name']);
  return (
    <aside className={s.panel} aria-label={t.hunt.event}>
      <header className={s.head}>
        <div className="row">
          <h2 className="grow clip">
            {t.hunt.event} <span className="mono dim">{visible(id)}</span>
          </h2>
          <button type="button" className="quiet" onClick={onClose} aria-label={t.common.close} title="Esc">
            <Icon name="close" />
          </button>
        </div>
        {event && !Number.isNaN(at) && (
          <div className="row wrap">
            <Time at={at} millis />
            <span className="dim">
              <Time at={at} ago />
            </span>
          </div>
        )}
        {event && (
          <div className="row wrap">
            {entitiesOf(event).map((entity) => (
              <EntityChip key={`${entity.kind} ${entity.value}`} entity={entity} />
            ))}
          </div>
        )}
        {event && !Number.isNaN(at) && (
          <div className="row wrap">
            <Link className="chip" href={huntLink({ ...around(60_000), event: id })}>
              {t.hunt.aroundAll}
            </Link>
            {host && (
              <Link className="chip" href={huntLink({ q: clause('host.name', host), ...around(60_000), event: id })}>
                {t.hunt.aroundHost}
              </Link>
            )}
            <CopyButton text={new URL(huntLink({ q: clause('event.id', id), event: id }), window.location.href).href} label={t.hunt.permalink} />
          </div>
        )}
        <Tabs
          label={t.inbox.form}
          value={form}
          onChange={setForm}
          tabs={[
            { value: 'fields', label: t.hunt.fields },
            { value: 'raw', label: t.hunt.raw },
          ]}
        />
      </header>
      <div className={s.body} tabIndex={0} role="region" aria-label={t.hunt.event}>
        {found.isError && <Problem error={found.error} />}
        {!event && !found.isError && <Waiting what={t.inbox.loadingRecord} />}
        {event && (
          <div className={s.why}>
            <Disclosure key={id} title={t.steps.question}>
              <WhyRule event={id} />
            </Disclosure>
          </div>
        )}
        {event && form === 'fields' && <EventFields event={event} onNarrow={onNarrow} />}
        {event && form === 'raw' && (
          <>
            <div className="row" style={{ justifyContent: 'flex-end' }}>
              <CopyButton text={formatValue(event['event.original'])} label={t.common.copyRecord} />
            </div>
            <pre className="record" style={{ maxHeight: 'none' }}>
              {visible(formatValue(event['event.original']))}
            </pre>
          </>
        )}
      </div>
    </aside>
  );
}

function entitiesOf(event: Event): { kind: string; value: string }[] {
  const found = Object.entries(event).flatMap(([name, value]) => {
    const kind = entityKind(name);
    const text = formatValue(Array.isArray(value) ? value[0] : value);
    return kind && text && kind !== 'source' && kind !== 'file' ? [{ kind, value: text }] : [];
  });
  return [...new Map(found.map((entity) => [`${entity.kind} ${entity.value}`, entity])).values()].slice(0, 8);
}
