// One incident: who is in it and why, what happened in which order, and what people did about it.
import { useQueryClient } from '@tanstack/react-query';
import { useParams, Link } from 'wouter';
import { hasRisk, useCases, useIncident, useIncidentStep, useRisk } from '../api/incidents';
import type { Entity, IncidentDetail, Session } from '../api/model';
import { may } from '../api/session';
import { Changes, LineForm } from '../inbox/History';
import { StateMark } from '../inbox/StateMark';
import { EntityChip, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { Severity } from '../shared/Severity';
import { toast } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { Actions, assigning, Judge } from './Actions';
import { nameOf } from './name';
import s from './incidents.module.css';
import { Breakdown, formatPoints } from './Risk';
import { Tactic } from './Tactic';
import { passed } from './tactics';
import { TimeLine } from './TimeLine';
import { ToCase } from './ToCase';

/** Of so many entities the points are asked for; the others are only named. */
const EXPLAINED = 8;

export default function IncidentPage() {
  const id = Number(useParams<{ id: string }>().id);
  const found = useIncident(id);
  if (found.data) return <Page key={id} incident={found.data} />;
  return <div className="page-body">{found.isError ? <Problem error={found.error} what={t.incidents.tabs.incidents} retry={() => void found.refetch()} /> : <Waiting what={t.incidents.loadingOne} />}</div>;
}

function Page({ incident }: { incident: IncidentDetail }) {
  const session = useQueryClient().getQueryData<Session>(['session']);
  const mayWrite = may(session, 'write');
  const step = useIncidentStep(incident.id);
  const cases = useCases({ incident: incident.id });
  // What is closed is spent: it explains no points any more.
  const explained = incident.state !== 'open' ? [] : incident.entities.filter(hasRisk).slice(0, EXPLAINED);
  const others = incident.entities.filter((entity) => !explained.includes(entity));
  const tactics = passed(incident);
  return (
    <div className="page">
      <div className="page-head">
        <Severity level={incident.level} label />
        <h1 className="clip">{nameOf(incident)}</h1>
        <StateMark state={incident.state} verdict={incident.verdict} label />
      </div>
      <div className={`page-body ${s.body}`}>
        <div className={s.meta}>
          <span>{t.inbox.findings(incident.findings)}</span>
          <span>
            <Time at={incident.first} /> – <Time at={incident.last} />
          </span>
          {incident.assignee && <span>{t.inbox.assignedTo(visible(incident.assignee))}</span>}
          {cases.data?.pages[0]!.cases.map((it) => (
            <Link key={it.id} className="chip" href={`/incidents/cases/${it.id}`}>
              <Icon name="note" size={14} /> {t.incidents.inCase(it.id)}: <span className="clip">{visible(it.title)}</span>
            </Link>
          ))}
          {typeof incident.merged_into === 'number' && (
            <span>
              {t.incidents.mergedInto} <Link href={`/incidents/${incident.merged_into}`}>{t.inbox.incident(incident.merged_into)}</Link>
            </span>
          )}
          {incident.is_full && <span>{t.incidents.full}</span>}
          {incident.pruned > 0 && <span>{t.incidents.pruned(incident.pruned)}</span>}
        </div>
        {mayWrite && (
          <Actions
            actions={[
              ...(incident.state === 'open' ? assigning(incident.assignee, session?.name ?? '', (to) => step.mutate({ do: 'assign', to })) : []),
              ...(incident.state === 'open'
                ? [
                    {
                      name: t.incidents.close,
                      form: (done: () => void) => (
                        <Judge
                          label={t.incidents.why}
                          onVerdict={(verdict, note) =>
                            step.mutate(
                              { do: 'close', verdict, ...(note ? { note } : {}) },
                              { onSuccess: () => (done(), toast(t.incidents.closed(t.verdicts[verdict]))) },
                            )
                          }
                        />
                      ),
                    },
                  ]
                : []),
              ...(incident.state === 'merged' ? [] : [{ name: t.incidents.toCase, form: (done: () => void) => <ToCase incident={incident} onDone={done} /> }]),
            ]}
          />
        )}
        <div className={s.columns}>
          <section className="card" aria-label={t.incidents.timeline}>
            <h2>{t.incidents.timeline}</h2>
            <TimeLine steps={incident.timeline} />
          </section>
          <div className={`stack ${s.beside}`}>
            <section className="card" aria-label={t.incidents.entities}>
              <h2>{t.incidents.entities}</h2>
              {incident.state === 'open' && (
                <p className={`dim ${s.lead}`}>
                  {t.incidents.at}, <Time at={incident.last} />
                </p>
              )}
              {incident.state === 'closed' && <p className={`dim ${s.lead}`}>{t.incidents.spent}</p>}
              {explained.map((entity) => (
                <Explained key={`${entity.kind} ${entity.value}`} entity={entity} at={incident.last} />
              ))}
              {others.length > 0 && (
                <div className={s.chips}>
                  {explained.length > 0 && <span className="dim">{t.incidents.alsoNamed}</span>}
                  {others.map((entity) => (
                    <EntityChip key={`${entity.kind} ${entity.value}`} entity={entity} />
                  ))}
                  {incident.entities_truncated && <span className="dim">{t.inbox.andMore}</span>}
                </div>
              )}
            </section>
            <section className="card" aria-label={t.incidents.tactics}>
              <h2>{t.incidents.tactics}</h2>
              {tactics.length === 0 && <p className="dim">{t.incidents.noTactics}</p>}
              <ol className={s.passed}>
                {tactics.map(({ tactic, first, findings }) => (
                  <li key={tactic}>
                    <Tactic name={tactic} />
                    <span className="dim">{first && <Time at={first} />}</span>
                    <span className="num">{findings > 0 && `×${findings}`}</span>
                  </li>
                ))}
              </ol>
            </section>
            <section className="card" aria-label={t.inbox.history}>
              <h2>{t.inbox.history}</h2>
              <Changes history={incident.history} />
              {mayWrite && <LineForm label={t.inbox.note} button={t.inbox.addNote} onAdd={(note) => step.mutate({ do: 'note', note })} />}
            </section>
          </div>
        </div>
      </div>
    </div>
  );
}

/** An entity with its points; opened, why it has them. */
function Explained({ entity, at }: { entity: Entity; at: string }) {
  const risk = useRisk(entity, at);
  return (
    <details className={s.explained}>
      <summary>
        <span className={`grow clip ${s.name}`}>
          <span className="dim">{t.kinds[entity.kind as keyof typeof t.kinds] ?? visible(entity.kind)}</span> {visible(entity.value)}
        </span>
        <strong className="num">{risk.data && t.risk.points(formatPoints(risk.data.points))}</strong>
      </summary>
      <div className={s.chips}>
        <EntityChip entity={entity} />
      </div>
      {risk.isError && <Problem error={risk.error} />}
      {risk.data && <Breakdown risk={risk.data} />}
    </details>
  );
}
