// An entity's points, and what makes them.
import { Link } from 'wouter';
import { useThreshold } from '../api/incidents';
import type { EntityRisk } from '../api/model';
import { Count } from '../shared/Bits';
import { visible } from '../shared/format';
import { clause, findingsOf, huntLink } from '../shared/query';
import { t } from '../strings/en';
import s from './incidents.module.css';
import { Tactic } from './Tactic';

export const formatPoints = (points: number): string => points.toLocaleString('en-US', { maximumFractionDigits: 1 });

export function Breakdown({ risk }: { risk: EntityRisk }) {
  const threshold = useThreshold();
  if (risk.points === 0) return <p className="dim">{t.risk.none}</p>;
  const sum = risk.rules.reduce((all, rule) => all + rule.points, 0);
  return (
    <div className={s.breakdown}>
      <p className="dim">
        {t.risk.sum(formatPoints(sum), risk.factor.toLocaleString('en-US'), risk.tactics.length)}
        {threshold.data !== undefined && `; ${t.risk.of(threshold.data)}`}
      </p>
      {risk.is_hub && <p className="dim">{t.risk.hub}</p>}
      <ul className={s.rules}>
        {risk.rules.map((rule) => (
          <li key={rule.rule_id}>
            <Link className="clip" href={`/rules/${encodeURIComponent(rule.rule_id)}`}>
              {visible(rule.title)}
            </Link>
            <span className="dim">
              <Count
                n={rule.findings}
                to={huntLink({ q: `${findingsOf(rule.rule_id)} ${clause('vedette.finding.entities.value', risk.entity.value)}` })}
                text={t.inbox.findings(rule.findings)}
              />
            </span>
            <strong className="num">{formatPoints(rule.points)}</strong>
          </li>
        ))}
      </ul>
      {risk.tactics.length > 0 && (
        <div className={s.chips}>
          {risk.tactics.map((tactic) => (
            <Tactic key={tactic} name={tactic} />
          ))}
        </div>
      )}
    </div>
  );
}
