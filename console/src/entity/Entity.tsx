// One page for a host, a user, an address: what happened to it and by it, across all sources.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link, useParams, useSearchParams } from 'wouter';
import { fieldValues } from '../api/fields';
import { call, params } from '../api/http';
import type { AlertPage } from '../api/model';
import { hasRisk } from '../api/incidents';
import { search } from '../api/search';
import { Bars } from '../shared/Bars';
import { Count, CopyButton, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Icon, kindIcon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, entityFilter, entityKind, entityLink, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { absolute, type Range } from '../shared/time';
import { Time } from '../shared/zone';
import { StateMark } from '../inbox/StateMark';
import { TimeRange } from '../hunt/TimeRange';
import { t } from '../strings/en';
import { byDay } from './days';
import { EntityRisk } from './EntityRisk';
import { Timeline } from './Timeline';
import s from './entity.module.css';

const facets = ['event.dataset', 'event.action', 'user.name', 'host.name', 'source.ip', 'process.name'];

export default function Entity() {
  const { kind = '', value = '' } = useParams<{ kind: string; value: string }>();
  const entity = useMemo(() => ({ kind: decode(kind), value: decode(value) }), [kind, value]);
  const [search_, setSearch] = useSearchParams();
  const range: Range = useMemo(() => {
    const [from, to] = [search_.get('from'), search_.get('to')];
    return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
  }, [search_]);
  const setRange = (next: Range) => setSearch(Object.entries(next).filter((it): it is [string, string] => !!it[1]));
  const filter = `${entityFilter(entity)} not event.dataset:vedette.findings`;
  const link = (q: string) => huntLink({ q, ...range });

  const overall = useQuery({
    queryKey: ['entity', entity],
    queryFn: ({ signal }) =>
      search({ query: `${filter} | summarize n = count(), first = min(@timestamp), last = max(@timestamp), sources = dcount(vedette.source_name)`, limit: 1 }, signal),
    staleTime: 30_000,
  });
  const days = useQuery({
    queryKey: ['entity-days', entity, range],
    queryFn: ({ signal }) => search({ query: `${filter} | summarize n = count() by bin(@timestamp, 1d)`, ...absolute(range, Date.now()), limit: 20_000 }, signal),
    staleTime: 30_000,
  });
  const alerts = useQuery({
    queryKey: ['entity-alerts', entity, range],
    queryFn: ({ signal }) =>
      call<AlertPage>('GET', `/alerts${params({ entity: entity.value, entity_kind: entity.kind, ...absolute(range, Date.now()), sort: 'worst', limit: 200 })}`, undefined, signal),
  });
  const first = overall.data?.rows[0];
  const bars = useMemo(() => (days.data ? byDay(days.data.rows) : undefined), [days.data]);
  const replay = new URLSearchParams({ e: `${entity.kind}:${entity.value}`, ...(range.from ? { from: range.from } : {}), ...(range.to ? { to: range.to } : {}) });
  return (
    <div className="page">
      <div className="page-head">
        <Icon name={kindIcon(entity.kind)} />
        <h1 className="clip">{visible(entity.value)}</h1>
        <span className="dim">{t.kinds[entity.kind as keyof typeof t.kinds] ?? entity.kind}</span>
        <CopyButton text={entity.value} />
        <span className="grow" />
        <TimeRange range={range} onChange={setRange} />
        <Link className="chip" href={link(entityFilter(entity))}>
          <Icon name="hunt" size={14} /> {t.nav.hunt}
        </Link>
        <Link className="chip" href={`/replay?${replay}`}>
          <Icon name="replay" size={14} /> {t.nav.replay}
        </Link>
      </div>
      <div className={`page-body ${s.body}`}>
        <div className={s.figures}>
          {overall.isError && <Problem error={overall.error} />}
          <Figure name={t.entity.events}>{first ? <Count n={Number(first['n'])} to={huntLink({ q: filter })} /> : '…'}</Figure>
          <Figure name={t.entity.alerts}>
            {alerts.data ? <Count n={alerts.data.total} to={`/inbox?state=all&entity=${encodeURIComponent(entity.value)}&entity_kind=${encodeURIComponent(entity.kind)}`} /> : '…'}
          </Figure>
          <Figure name={t.entity.sources}>{first ? <Count n={Number(first['sources'])} to={huntLink({ q: `${filter} | summarize n = count() by vedette.source_name` })} /> : '…'}</Figure>
          <Figure name={t.entity.first}>{first?.['first'] ? <Time at={String(first['first'])} /> : '–'}</Figure>
          <Figure name={t.entity.last}>{first?.['last'] ? <Time at={String(first['last'])} /> : '–'}</Figure>
        </div>
        {bars && bars.buckets.length > 0 && (
          <section className="card" aria-label={t.entity.days}>
            <h2>{bars.width > 86_400_000 ? t.entity.weeks : t.entity.days}</h2>
            <Bars
              buckets={bars.buckets}
              from={bars.from}
              to={bars.to}
              bucketMs={bars.width}
              height={96}
              label={t.entity.daysLabel(bars.buckets.length)}
              onBrush={(from, to) => setRange({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })}
            />
          </section>
        )}
        <div className={s.columns}>
          <section className={`card ${s.timeline}`} aria-label={t.entity.timeline}>
            <h2>{t.entity.timeline}</h2>
            <Timeline filter={filter} range={range} alerts={alerts.data?.alerts ?? []} />
          </section>
          <div className="stack">
            {hasRisk(entity) && <EntityRisk entity={entity} />}
            <section className="card" aria-label={t.entity.alerts}>
              <h2>{t.entity.alerts}</h2>
              {alerts.isError && <Problem error={alerts.error} />}
              {alerts.data?.total === 0 && <p className="dim">{t.entity.noAlerts}</p>}
              <ul className={s.alerts}>
                {alerts.data?.alerts.slice(0, 12).map((alert) => (
                  <li key={alert.id}>
                    <Severity level={alert.rule.level} />
                    <Link className="grow" href={`/inbox?state=all&alert=${alert.id}`}>
                      {visible(alert.rule.title)}
                    </Link>
                    <StateMark state={alert.state} verdict={alert.verdict} />
                    <span className="dim">
                      <Time at={alert.last} ago />
                    </span>
                  </li>
                ))}
              </ul>
            </section>
            {facets
              .filter((field) => entityKind(field) !== entity.kind || entity.kind === 'ip')
              .map((field) => (
                <Facet key={field} field={field} filter={filter} range={range} />
              ))}
          </div>
        </div>
      </div>
    </div>
  );
}

/** The router has decoded once; a name may hold a percent sign of its own. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function Figure({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className={s.figure}>
      <span className="dim">{name}</span>
      <strong>{children}</strong>
    </div>
  );
}

function Facet({ field, filter, range }: { field: string; filter: string; range: Range }) {
  const values = useQuery({
    queryKey: ['values', field, filter, range, 6],
    queryFn: ({ signal }) => fieldValues(field, filter, range, { limit: 6, signal }),
    staleTime: 30_000,
  });
  if (values.data?.values.length === 0) return null;
  const most = values.data?.values[0]?.count ?? 1;
  const kind = entityKind(field);
  return (
    <section className="card" aria-label={field}>
      <h2 className="mono">{field}</h2>
      {values.isPending && <Waiting what={t.hunt.countingValues} />}
      {values.isError && <Problem error={values.error} />}
      {values.data?.values.map(({ value, count }) => (
        <div key={value} className={s.value}>
          <span className={s.bar} style={{ width: `${(100 * count) / most}%` }} aria-hidden="true" />
          {kind ? (
            <Link className="clip" href={entityLink({ kind, value })}>
              {visible(value)}
            </Link>
          ) : (
            <span className="clip">{visible(value)}</span>
          )}
          <Count n={count} short to={huntLink({ q: `${filter} ${clause(field, value)}`, ...range })} label={t.common.showThese} />
        </div>
      ))}
    </section>
  );
}
