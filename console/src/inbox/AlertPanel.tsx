// Beside the list, never instead of it: why this alert, about whom, what happened around it, and what people said of
// the same rule before.
import { Link } from 'wouter';
import { useAlert, type Step } from '../api/alerts';
import type { Alert, AlertDetail } from '../api/model';
import { Count, EntityChip, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, entityLink, findingsOf, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { History } from './History';
import { InIncident } from './InIncident';
import { Neighbours } from './Neighbours';
import { RuleCard } from './RuleCard';
import { StateMark } from './StateMark';
import { Verdicts } from './Verdicts';
import { Why } from './Why';
import s from './inbox.module.css';

export function AlertPanel({ id, known, mayWrite, me, onStep, onJudge, onExcept, onClose }: {
  id: number;
  known: Alert | undefined;
  mayWrite: boolean;
  me: string;
  onStep: (alert: Alert, step: Step) => void;
  onJudge: () => void;
  onExcept: (alert: Alert) => void;
  onClose: () => void;
}) {
  const detail = useAlert(id);
  const alert: Alert | undefined = known ?? detail.data;
  return (
    <aside className={s.panel} aria-label={t.inbox.panel}>
      {alert ? (
        <>
          <header className={s.panelHead}>
            <div className={s.panelTitle}>
              <Severity level={alert.rule.level} label />
              <h2 className="grow">{visible(alert.rule.title)}</h2>
              <button type="button" className="quiet" onClick={onClose} aria-label={t.common.close} title="Esc">
                <Icon name="close" />
              </button>
            </div>
            <div className={s.meta}>
              <StateMark state={alert.state} verdict={alert.verdict} label />
              <EntityChip entity={alert.entity} />
              <span>
                <Count
                  n={alert.count}
                  to={huntLink({ q: `${findingsOf(alert.rule.id)} ${clause('vedette.finding.entities.value', alert.entity.value)}` })}
                  label={t.inbox.findingsWord(alert.count)}
                />{' '}
                {t.inbox.findingsWord(alert.count)}
              </span>
              <span>
                <Time at={alert.first} /> – <Time at={alert.last} />
              </span>
              {alert.assignee && <span>{t.inbox.assignedTo(visible(alert.assignee))}</span>}
              <InIncident alert={alert.id} />
            </div>
            <div className={s.actions}>
              {alert.state === 'new' && (
                <button type="button" className={s.action} disabled={!mayWrite} onClick={() => onStep(alert, { do: 'acknowledge' })}>
                  {t.inbox.acknowledge} <kbd>a</kbd>
                </button>
              )}
              {alert.state !== 'closed' ? (
                <button type="button" className={s.action} disabled={!mayWrite} onClick={onJudge}>
                  {t.inbox.close} <kbd>c</kbd>
                </button>
              ) : (
                <button type="button" className={s.action} disabled={!mayWrite} onClick={() => onStep(alert, { do: 'reopen' })}>
                  {t.inbox.reopen} <kbd>r</kbd>
                </button>
              )}
              <button type="button" className={s.action} disabled={!mayWrite} onClick={() => onExcept(alert)}>
                {t.inbox.exception} <kbd>x</kbd>
              </button>
              {alert.assignee !== me && (
                <button type="button" className={s.action} disabled={!mayWrite} onClick={() => onStep(alert, { do: 'assign', to: me })}>
                  {t.inbox.take} <kbd>m</kbd>
                </button>
              )}
              <Link className={s.action} href={entityLink(alert.entity)}>
                {t.inbox.timeline}
              </Link>
              <Link className={s.action} href={replayLink(alert)}>
                {t.nav.replay}
              </Link>
            </div>
          </header>
          <div className={s.panelBody} tabIndex={0} role="region" aria-label={t.inbox.panelBody}>
            {detail.isError && <Problem error={detail.error} retry={() => void detail.refetch()} />}
            {detail.data ? <Sections detail={detail.data} mayWrite={mayWrite} onStep={onStep} /> : <Waiting what={t.inbox.loadingAlert} />}
          </div>
        </>
      ) : (
        <div className={s.pad}>
          {detail.isError ? <Problem error={detail.error} /> : <Waiting what={t.inbox.loadingAlert} />}
          <button type="button" className="quiet" onClick={onClose}>
            {t.common.close}
          </button>
        </div>
      )}
    </aside>
  );
}

function Sections({ detail, mayWrite, onStep }: { detail: AlertDetail; mayWrite: boolean; onStep: (alert: Alert, step: Step) => void }) {
  return (
    <>
      <Why alert={detail} />
      <section className={s.section} aria-label={t.inbox.entities}>
        <h3>{t.inbox.entities}</h3>
        <div className={s.chips}>
          {detail.entities.slice(0, 40).map((entity) => (
            <EntityChip key={`${entity.kind} ${entity.value}`} entity={entity} />
          ))}
          {(detail.entities.length > 40 || detail.entities_truncated) && <span className="dim">{t.inbox.andMore}</span>}
        </div>
      </section>
      <Neighbours alert={detail} />
      <RuleCard rule={detail.rule} />
      <Verdicts alert={detail} />
      <History alert={detail} mayWrite={mayWrite} onNote={(note) => onStep(detail, { do: 'note', note })} />
    </>
  );
}

/** From a minute before the first finding to a minute after the last, of whom it is about. */
function replayLink(alert: Alert): string {
  const values = new URLSearchParams();
  values.append('e', `${alert.entity.kind}:${alert.entity.value}`);
  values.set('from', new Date(Date.parse(alert.first) - 60_000).toISOString());
  values.set('to', new Date(Date.parse(alert.last) + 60_000).toISOString());
  return `/replay?${values}`;
}
