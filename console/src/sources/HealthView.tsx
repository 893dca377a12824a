import type { UseQueryResult } from '@tanstack/react-query';
import { Link } from 'wouter';
import type { Health, Source } from '../api/model';
import { Count, Waiting } from '../shared/Bits';
import { formatBytes, formatCount, visible } from '../shared/format';
import { Icon, type IconName } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { huntLink } from '../shared/query';
import { formatSeconds } from '../shared/time';
import { t } from '../strings/en';
import s from './sources.module.css';

const icons: Record<string, IconName> = { ok: 'check', warn: 'alert', fail: 'close' };

/** Where one sees more of a part. */
const pages: Record<string, string> = {
  rules: '/rules?tab=refused',
  parsers: '/sources?tab=unparsed',
  sources: '/sources',
  alerts: '/inbox',
  alert_budget: '/rules',
  notifications: '/settings?tab=notifications',
  store: huntLink({}),
};

export function HealthView({ health, sources }: { health: UseQueryResult<Health>; sources: Source[] }) {
  if (health.isPending) return <Waiting what={t.health.loading} />;
  if (!health.data) return <Problem error={health.error} />;
  const { checks, ledger, spool, store, disk, queues, version } = health.data;
  return (
    <div className={s.grid}>
      {health.isError && <Problem error={health.error} />}
      <section className="card" aria-label={t.health.parts}>
        <h2>{t.health.parts}</h2>
        <ul className={s.checks}>
          {checks.map((check) => (
            <li key={check.name} className={s.check} data-status={check.status}>
              <Icon name={icons[check.status] ?? 'alert'} />
              <span>
                <strong>{visible(check.name)}</strong> {t.health.status[check.status]}
                {check.detail && <div className="dim">{visible(check.detail)}</div>}
              </span>
              {pages[check.name] && (
                <Link className="quiet" href={pages[check.name]!} aria-label={`${t.health.look}: ${check.name}`}>
                  {t.health.look}
                </Link>
              )}
            </li>
          ))}
        </ul>
      </section>
      <section className="card" aria-label={t.health.store}>
        <h2>{t.health.store}</h2>
        <dl className={s.figures}>
          <dt>{t.health.events}</dt>
          <dd>
            <Count n={store.events + store.tail_events} to={huntLink({})} />
          </dd>
          <dt>{t.health.tail}</dt>
          <dd>{formatCount(store.tail_events)}</dd>
          <dt>{t.health.segments}</dt>
          <dd>{formatCount(store.segments)}</dd>
          <dt>{t.health.bytes}</dt>
          <dd>{formatBytes(store.bytes)}</dd>
          <dt>{t.health.original}</dt>
          <dd>{formatBytes(store.original_bytes)}</dd>
          <dt>{t.health.perEvent}</dt>
          <dd>{store.events > 0 ? formatBytes(Math.round(store.bytes / store.events)) : '–'}</dd>
          <dt>{t.health.damaged}</dt>
          <dd>{formatCount(store.damaged_segments)}</dd>
        </dl>
      </section>
      <section className="card" aria-label={t.health.disk}>
        <h2>{t.health.disk}</h2>
        <div className={s.meter} role="img" aria-label={t.health.diskUsed(formatBytes(disk.used_bytes), formatBytes(disk.total_bytes))}>
          <span style={{ width: `${(100 * disk.used_bytes) / Math.max(1, disk.used_bytes + disk.free_bytes)}%` }} />
        </div>
        <dl className={s.figures}>
          <dt>{t.health.free}</dt>
          <dd>{formatBytes(disk.free_bytes)}</dd>
          <dt>{t.health.used}</dt>
          <dd>{formatBytes(disk.used_bytes)}</dd>
          <dt>{t.health.size}</dt>
          <dd>{formatBytes(disk.total_bytes)}</dd>
          <dt>{t.health.waiting}</dt>
          <dd>{formatBytes(queues.spool_bytes)}</dd>
          <dt>{t.health.unsealed}</dt>
          <dd>{formatBytes(queues.unsealed_bytes)}</dd>
          <dt>{t.health.spoolFiles}</dt>
          <dd>{formatCount(spool.segments)}</dd>
          <dt>{t.health.searches}</dt>
          <dd>{formatCount(queues.searches)}</dd>
          <dt>{t.health.streams}</dt>
          <dd>{formatCount(queues.streams)}</dd>
        </dl>
        {spool.refusing && <Problem error={new Error(spool.refusing)} />}
      </section>
      <section className="card" aria-label={t.health.ledger}>
        <h2>{t.health.ledger}</h2>
        <dl className={s.figures}>
          <dt>{t.health.entries}</dt>
          <dd>{formatCount(ledger.entries)}</dd>
          <dt>{t.health.sealed}</dt>
          <dd>{t.health.ago(formatSeconds(ledger.sealed_seconds_ago))}</dd>
          <dt>{t.health.witnesses}</dt>
          <dd>{t.health.ofRequired(ledger.witnesses.length, ledger.required_witnesses)}</dd>
          {ledger.witnesses.map((witness) => (
            <div key={witness.name} style={{ display: 'contents' }}>
              <dt className="clip">{visible(witness.name)}</dt>
              <dd>{witness.complaint ? visible(witness.complaint) : witness.cosigned ? formatCount(witness.cosigned.entries) : t.common.never}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section className="card" aria-label={t.health.server}>
        <h2>{t.health.server}</h2>
        <dl className={s.figures}>
          <dt>{t.health.version}</dt>
          <dd>{version}</dd>
          <dt>{t.sources.tab}</dt>
          <dd>
            <Count n={sources.length} to="/sources" />
          </dd>
        </dl>
      </section>
    </div>
  );
}
