// Why: the fields that made the rule match, and where they stand in the original record.
import { useQueries } from '@tanstack/react-query';
import { lazy, useState } from 'react';
import { Link } from 'wouter';
import { event as getEvent } from '../api/search';
import type { AlertDetail } from '../api/model';
import { CopyButton, Marked, Tabs, Waiting } from '../shared/Bits';
import { Disclosure } from '../shared/Disclosure';
import { EventFields } from '../shared/EventFields';
import { formatValue, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { needles } from '../shared/marks';
import { Problem } from '../shared/Problem';
import { clause, huntLink, indicatorLink, isIndicator, isWritten, quote } from '../shared/query';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './inbox.module.css';

const Steps = lazy(() => import('../shared/Steps'));

export function Why({ alert }: { alert: AlertDetail }) {
  const [at, setAt] = useState(0);
  const [form, setForm] = useState<'raw' | 'fields'>('raw');
  const hit = alert.findings[Math.min(at, alert.findings.length - 1)];
  const ids = hit?.events.slice(0, 5) ?? [];
  const events = useQueries({
    queries: ids.map((id) => ({
      queryKey: ['event', id],
      queryFn: ({ signal }: { signal: AbortSignal }) => getEvent(id, signal),
      staleTime: Infinity,
    })),
  });
  if (!hit) return null;
  const values = needles(hit.matched.map((match) => match.value));
  const names = hit.matched.map((match) => match.field).filter(Boolean);
  return (
    <section className={s.section} aria-label={t.inbox.why}>
      <h3>
        {t.inbox.why}
        <span className="grow" />
        {alert.findings.length > 1 && (
          <>
            <button type="button" className="quiet" disabled={at === 0} onClick={() => setAt(at - 1)} aria-label={t.inbox.newerFinding}>
              <Icon name="left" />
            </button>
            <span className="dim num">{t.inbox.findingOf(at + 1, alert.findings.length, alert.count)}</span>
            <button
              type="button"
              className="quiet"
              disabled={at >= alert.findings.length - 1}
              onClick={() => setAt(at + 1)}
              aria-label={t.inbox.olderFinding}
            >
              <Icon name="right" />
            </button>
          </>
        )}
        <Tabs
          label={t.inbox.form}
          value={form}
          onChange={setForm}
          tabs={[
            { value: 'raw', label: t.hunt.raw },
            { value: 'fields', label: t.hunt.fields },
          ]}
        />
      </h3>
      <div className={s.matches}>
        {hit.matched.map((match, i) => (
          <div key={i} className={s.match}>
            <code className="dim">{match.field ? visible(match.field) : t.inbox.keyword}</code>
            <code>
              <Link href={huntLink({ q: match.field ? clause(match.field, match.value) : quote(match.value) })} title={t.common.showThese}>
                <mark>{visible(match.value)}</mark>
              </Link>
            </code>
          </div>
        ))}
        {isIndicator(alert.rule.id) && hit.matched[0] && <Link href={indicatorLink(hit.matched[0].value)}>{t.inbox.known}</Link>}
      </div>
      {events.map((event, i) => (
        <div key={ids[i]} className="stack" style={{ gap: 6, marginBottom: 10 }}>
          <div className="row dim">
            <Time at={hit.time} millis />
            <Link href={huntLink({ q: clause('event.id', ids[i]!), event: ids[i]! })}>
              {t.inbox.eventId} <span className="mono">{ids[i]}</span>
            </Link>
            <span className="grow" />
            {event.data && <CopyButton text={formatValue(event.data['event.original'])} label={t.common.copyRecord} />}
          </div>
          {event.isError && <Problem error={event.error} />}
          {event.isPending && <Waiting what={t.inbox.loadingRecord} />}
          {event.data &&
            (form === 'raw' ? (
              <pre className="record" tabIndex={0} role="region" aria-label={t.inbox.record}>
                <Marked text={formatValue(event.data['event.original'])} values={values} />
              </pre>
            ) : (
              <EventFields event={event.data} matched={names} />
            ))}
          {isWritten(alert.rule.id) && (
            <Disclosure title={t.steps.open}>
              <Steps event={ids[i]!} rule={alert.rule.id} />
            </Disclosure>
          )}
        </div>
      ))}
      {hit.events.length > ids.length && <p className="dim">{t.inbox.moreEvents(hit.events.length - ids.length)}</p>}
    </section>
  );
}
