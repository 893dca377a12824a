import type { Alert } from '../api/model';
import { formatShort, visible } from '../shared/format';
import { Icon, kindIcon } from '../shared/Icon';
import { Severity } from '../shared/Severity';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { StateMark } from './StateMark';
import s from './inbox.module.css';

export function AlertRow({ alert, top, here, shown, onOpen }: {
  alert: Alert;
  top: number;
  here: boolean;
  shown: boolean;
  onOpen: () => void;
}) {
  const others = alert.entities.length - 1;
  return (
    <li className={s.item} style={{ transform: `translateY(${top}px)` }}>
      <button
        type="button"
        className={s.row}
        data-alert={alert.id}
        data-here={here || undefined}
        aria-current={shown || undefined}
        onClick={onOpen}
      >
        <Severity level={alert.rule.level} />
        <span className={s.what}>
          <span className={`${s.title} clip`}>{visible(alert.rule.title)}</span>
          <span className={s.who}>
            <Icon name={kindIcon(alert.entity.kind)} size={13} />
            <span className="clip">{visible(alert.entity.value)}</span>
            {others > 0 && <span className={s.others}>{t.inbox.others(others, alert.entities_truncated)}</span>}
          </span>
        </span>
        <span className={s.tactics}>
          {alert.rule.tactics.slice(0, 2).map((tactic) => (
            <span key={tactic} className={s.tactic}>
              {visible(tactic.replaceAll('-', ' '))}
            </span>
          ))}
        </span>
        {alert.assignee && (
          <span className={s.assignee} title={t.inbox.assignedTo(alert.assignee)}>
            {visible(alert.assignee).slice(0, 2).toUpperCase()}
            <span className="hidden">{t.inbox.assignedTo(alert.assignee)}</span>
          </span>
        )}
        <span className={s.hits} title={t.inbox.findings(alert.count)}>
          ×{formatShort(alert.count)}
        </span>
        <StateMark state={alert.state} verdict={alert.verdict} />
        <span className={s.when}>
          <Time at={alert.last} ago />
        </span>
      </button>
    </li>
  );
}
