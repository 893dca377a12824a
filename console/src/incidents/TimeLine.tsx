// What happened, oldest first, day by day; each row leads to its alert.
import { useState } from 'react';
import { Link } from 'wouter';
import type { TimelineStep } from '../api/model';
import { EntityChip } from '../shared/Bits';
import { formatCount, formatShort, visible } from '../shared/format';
import { Severity } from '../shared/Severity';
import { formatTime } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import s from './incidents.module.css';
import { Tactic } from './Tactic';

const SHOWN = 200;
const NAMED = 4;

export function TimeLine({ steps }: { steps: TimelineStep[] }) {
  const { zone } = useZone();
  const [all, setAll] = useState(false);
  const shown = all ? steps : steps.slice(0, SHOWN);
  const dayOf = (step: TimelineStep | undefined) => (step ? formatTime(step.first, zone).slice(0, 10) : '');
  return (
    <>
      <ol className={s.steps}>
        {shown.map((step, i) => (
          <Step key={`${step.alert} ${step.first} ${i}`} step={step} day={dayOf(step) === dayOf(shown[i - 1]) ? undefined : dayOf(step)} />
        ))}
      </ol>
      {shown.length < steps.length && (
        <button type="button" className="chip" onClick={() => setAll(true)}>
          {t.incidents.steps(formatCount(steps.length))}
        </button>
      )}
    </>
  );
}

function Step({ step, day }: { step: TimelineStep; day: string | undefined }) {
  const { zone } = useZone();
  const at = formatTime(step.first, zone);
  const more = step.entities.length - NAMED;
  return (
    <li className={s.step} data-void={step.is_void || undefined}>
      {day && <h3 className={s.day}>{day}</h3>}
      <time className={`mono dim ${s.at}`} dateTime={step.first} title={at}>
        {at.slice(11, 19)}
      </time>
      <span className={s.mark}>
        <Severity level={step.rule.level} />
      </span>
      <div className={s.what}>
        <div className={s.headline}>
          <Link href={`/inbox?state=all&alert=${step.alert}`}>{visible(step.rule.title)}</Link>
          <span className="dim num" title={t.inbox.findings(step.findings)}>
            ×{formatShort(step.findings)}
          </span>
          {step.is_void && <span className="dim">{t.incidents.void}</span>}
          {step.rule.tactics.map((tactic) => (
            <Tactic key={tactic} name={tactic} />
          ))}
        </div>
        <div className={s.chips}>
          {step.entities.slice(0, NAMED).map((entity) => (
            <EntityChip key={`${entity.kind} ${entity.value}`} entity={entity} />
          ))}
          {more > 0 && <span className="dim">{t.incidents.others(more, false)}</span>}
        </div>
      </div>
    </li>
  );
}
