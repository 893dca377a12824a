import { Link } from 'wouter';
import { useIncidents, useRisk } from '../api/incidents';
import type { Entity } from '../api/model';
import { nameOf } from '../incidents/name';
import { Breakdown, formatPoints } from '../incidents/Risk';
import { Problem } from '../shared/Problem';
import { Severity } from '../shared/Severity';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './entity.module.css';

/** An entity's points now and why, and the open incidents that name it. */
export function EntityRisk({ entity }: { entity: Entity }) {
  const risk = useRisk(entity);
  const incidents = useIncidents({ entity: entity.value, entity_kind: entity.kind, state: 'open', sort: 'worst' });
  const open = incidents.data?.pages[0]!.incidents.slice(0, 12) ?? [];
  return (
    <section className="card stack" aria-label={t.risk.title}>
      <h2>
        {t.risk.title}
        {risk.data && risk.data.points > 0 && `: ${t.risk.points(formatPoints(risk.data.points))}`}
      </h2>
      {risk.isError && <Problem error={risk.error} what={t.risk.title} />}
      {risk.data && <Breakdown risk={risk.data} />}
      {open.length > 0 && (
        <>
          <h3>{t.risk.incidents}</h3>
          <ul className={s.alerts}>
            {open.map((incident) => (
              <li key={incident.id}>
                <Severity level={incident.level} />
                <Link className="grow" href={`/incidents/${incident.id}`}>
                  {nameOf(incident)}
                </Link>
                <span className="dim">
                  <Time at={incident.last} ago />
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
