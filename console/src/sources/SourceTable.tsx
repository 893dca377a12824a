// The loss ledger: for every source, received = stored + refused + shed. The sum always adds up, and is shown to.
import type { UseQueryResult } from '@tanstack/react-query';
import { useState } from 'react';
import type { Source } from '../api/model';
import { Count, Empty, Waiting } from '../shared/Bits';
import { formatCount, formatShort, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, huntLink } from '../shared/query';
import { Snippets } from '../shared/Snippets';
import { Table } from '../shared/Table';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { account, addUp } from './ledger';
import s from './sources.module.css';

/** Vedette's own reports of what was refused or lost. */
const LOSSES = 'event.dataset:vedette.audit event.action:losses.report';

export function SourceTable({ sources }: { sources: UseQueryResult<Source[]> }) {
  const [find, setFind] = useState('');
  if (sources.isPending) return <Waiting what={t.sources.loading} />;
  if (!sources.data) return <Problem error={sources.error} />;
  const real = sources.data.filter((source) => !source.name.startsWith('vedette:'));
  const shown = sources.data.filter((source) => source.name.toLowerCase().includes(find.trim().toLowerCase()));
  const all = addUp(sources.data);
  const quiet = sources.data.filter((source) => source.quiet_since);
  return (
    <div className="stack">
      {sources.isError && <Problem error={sources.error} />}
      <div className={s.equation} role="group" aria-label={t.sources.account}>
        <Figure n={all.received} name={t.sources.received} to={huntLink({})} />
        <span aria-hidden="true">=</span>
        <Figure n={all.stored} name={t.sources.stored} to={huntLink({})} />
        <span aria-hidden="true">+</span>
        <Figure n={all.refused} name={t.sources.refused} to={huntLink({ q: LOSSES })} bad={all.refused > 0} />
        <span aria-hidden="true">+</span>
        <Figure n={all.shed} name={t.sources.shed} to={huntLink({ q: LOSSES })} bad={all.shed > 0} />
        <span className={s.verdict} data-even={all.even || undefined}>
          <Icon name={all.even ? 'check' : 'alert'} /> {all.even ? t.sources.even : t.sources.uneven}
        </span>
      </div>
      {quiet.length > 0 && (
        <section className="card" aria-label={t.sources.quiet}>
          <h2>{t.sources.quiet}</h2>
          {quiet.map((source) => (
            <div key={source.id} className="row">
              <Icon name="alert" /> {visible(source.name)}
              <span className="dim">
                {t.sources.quietSince} <Time at={source.quiet_since!} ago />
                {source.expected && (
                  <>
                    , {t.sources.expected} <Time at={source.expected} ago />
                  </>
                )}
              </span>
            </div>
          ))}
        </section>
      )}
      {real.length === 0 ? (
        <Empty title={t.sources.none}>
          <p>{t.sources.noneLead}</p>
        </Empty>
      ) : (
        <>
          <input className={s.find} type="search" value={find} onChange={(event) => setFind(event.currentTarget.value)} placeholder={t.sources.find} aria-label={t.sources.find} />
          <Table label={t.sources.tab} columns={[t.sources.source, { name: t.sources.rate, num: true }, t.sources.lastSeen, { name: t.sources.received, num: true }, { name: t.sources.stored, num: true }, { name: t.sources.refused, num: true }, { name: t.sources.shed, num: true }, t.sources.addsUp]}>
            {shown.map((source) => (
              <Row key={source.id} source={source} />
            ))}
          </Table>
        </>
      )}
      <Snippets />
    </div>
  );
}

function Row({ source }: { source: Source }) {
  const { refused, shed, even } = account(source);
  const q = clause('vedette.source_name', source.name);
  return (
    <tr>
      <td>
        <span className={s.name}>{visible(source.name)}</span>
        <span className="dim"> {visible(source.receiver)}</span>
      </td>
      <td className="num">
        <Count n={source.rate_per_minute} text={t.sources.perMinute(formatShort(source.rate_per_minute))} to={huntLink({ q, from: 'now-5m' })} />
      </td>
      <td className="dim">{source.last_seen ? <Time at={source.last_seen} ago /> : '–'}</td>
      <td className="num">
        <Count n={source.received} to={huntLink({ q })} />
      </td>
      <td className="num">
        <Count n={source.stored} to={huntLink({ q })} />
      </td>
      <td className="num" data-bad={refused > 0 || undefined}>
        <Reasons total={refused} reasons={source.refused} source={source.name} />
      </td>
      <td className="num" data-bad={shed > 0 || undefined}>
        <Reasons total={shed} reasons={source.shed} source={source.name} />
      </td>
      <td>
        <span className={s.verdict} data-even={even || undefined}>
          <Icon name={even ? 'check' : 'alert'} />
          <span className="hidden">{even ? t.sources.even : t.sources.uneven}</span>
        </span>
      </td>
    </tr>
  );
}

function Reasons({ total, reasons, source }: { total: number; reasons: Record<string, number>; source: string }) {
  if (total === 0) return <span className="dim">0</span>;
  return (
    <details className={s.reasons}>
      <summary>{formatCount(total)}</summary>
      {Object.entries(reasons).map(([reason, n]) => (
        <div key={reason}>
          <Count n={n} to={huntLink({ q: `${LOSSES} ${clause('vedette.target', source)}` })} label={reason} /> {t.reasons[reason as keyof typeof t.reasons] ?? reason}
        </div>
      ))}
    </details>
  );
}

function Figure({ n, name, to, bad = false }: { n: number; name: string; to: string; bad?: boolean }) {
  return (
    <span className={s.figure} data-bad={bad || undefined}>
      <strong>
        <Count n={n} to={to} label={name} />
      </strong>
      <span className="dim">{name}</span>
    </span>
  );
}
