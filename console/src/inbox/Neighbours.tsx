// What else happened to whom the alert is about, just before and after.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { AlertDetail } from '../api/model';
import { search } from '../api/search';
import { Tabs, Waiting } from '../shared/Bits';
import { formatValue, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { entityFilter, huntLink } from '../shared/query';
import { summaryOf } from '../shared/summary';
import { formatTime } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import s from './inbox.module.css';

const spans = { '30': 30_000, '300': 300_000, '3600': 3_600_000 };
type Span = keyof typeof spans;
const EACH = 10;

export function Neighbours({ alert }: { alert: AlertDetail }) {
  const { zone } = useZone();
  const [span, setSpan] = useState<Span>('300');
  const hit = alert.findings[0];
  const at = Date.parse(hit?.time ?? alert.last);
  const from = new Date(at - spans[span]).toISOString();
  const to = new Date(at + spans[span]).toISOString();
  const here = new Date(at + 1).toISOString();
  const filter = `${entityFilter(alert.entity)} not event.dataset:vedette.findings`;
  const found = useQuery({
    queryKey: ['neighbours', alert.entity, at, span],
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const [before, after] = await Promise.all([
        search({ query: filter, from, to: here, limit: EACH + (hit?.events.length ?? 1) }, signal),
        search({ query: `${filter} | sort @timestamp asc | take ${EACH}`, from: here, to, limit: EACH }, signal),
      ]);
      return { rows: [...after.rows.reverse(), ...before.rows], more: before.summary.truncated || after.rows.length === EACH };
    },
  });
  return (
    <section className={s.section} aria-label={t.inbox.neighbours}>
      <h3>
        {t.inbox.neighbours}
        <span className="grow" />
        <Tabs
          label={t.inbox.around}
          value={span}
          onChange={setSpan}
          tabs={[
            { value: '30', label: '±30 s' },
            { value: '300', label: '±5 min' },
            { value: '3600', label: '±1 h' },
          ]}
        />
      </h3>
      {found.isPending && <Waiting what={t.inbox.loadingNeighbours} />}
      {found.isError && <Problem error={found.error} />}
      {found.data?.rows.length === 0 && <p className="dim">{t.inbox.noNeighbours}</p>}
      {found.data && found.data.rows.length > 0 && (
        <ul className={s.events}>
          {found.data.rows.map((row) => {
            const id = formatValue(row['event.id']);
            return (
              <li key={id}>
                <Link
                  className={s.event}
                  href={huntLink({ q: filter, from, to, event: id })}
                  data-self={hit?.events.includes(id) || undefined}
                >
                  <time>{formatTime(formatValue(row['@timestamp']), zone).slice(11)}</time>
                  <span className="clip dim">{visible(formatValue(row['event.dataset']))}</span>
                  <span className="clip">
                    {hit?.events.includes(id) && <span className="hidden">{t.inbox.thisEvent}: </span>}
                    {visible(summaryOf(row))}
                  </span>
                </Link>
              </li>
            );
          })}
        </ul>
      )}
      {found.data?.more && (
        <p style={{ marginTop: 8 }}>
          <Link href={huntLink({ q: filter, from, to })}>{t.inbox.allAround}</Link>
        </p>
      )}
    </section>
  );
}
