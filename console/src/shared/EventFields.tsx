// An event's fields as a table: each value narrows or widens the search, entities lead to their page.
import { Link } from 'wouter';
import type { Event } from '../api/model';
import { t } from '../strings/en';
import { CopyButton } from './Bits';
import { formatValue, visible } from './format';
import { Icon } from './Icon';
import { clause, entityKind, entityLink, huntLink } from './query';
import { sortedFields } from './summary';
import s from './eventfields.module.css';

export function EventFields({ event, matched = [], onNarrow }: {
  event: Event;
  matched?: string[];
  /** Adds a condition to the present search; without it conditions lead to a new one. */
  onNarrow?: (condition: string) => void;
}) {
  const narrow = (condition: string, label: string, icon: 'plus' | 'minus') =>
    onNarrow ? (
      <button type="button" className="quiet" aria-label={label} title={label} onClick={() => onNarrow(condition)}>
        <Icon name={icon} size={14} />
      </button>
    ) : null;
  return (
    <div className={s.fields}>
      {sortedFields(event, matched).filter(([name]) => name !== 'event.original').map(([name, value]) => {
        const text = formatValue(value);
        const kind = entityKind(name);
        const single = Array.isArray(value) ? formatValue(value[0]) : text;
        return (
          <div key={name} className={s.field} data-matched={matched.includes(name) || undefined}>
            <span className={s.name}>{visible(name)}</span>
            <span className={s.value}>
              {kind ? <Link href={entityLink({ kind, value: single })}>{visible(text)}</Link> : visible(text)}
              {matched.includes(name) && <span className={s.why}>{t.inbox.matched}</span>}
            </span>
            <span className={s.tools}>
              {narrow(clause(name, single), t.hunt.only(name), 'plus')}
              {narrow(`not ${clause(name, single)}`, t.hunt.without(name), 'minus')}
              {!onNarrow && (
                <Link className="quiet" href={huntLink({ q: clause(name, single) })} aria-label={t.hunt.only(name)} title={t.hunt.only(name)}>
                  <Icon name="hunt" size={14} />
                </Link>
              )}
              <CopyButton text={text} label={t.common.copyValue(name)} />
            </span>
          </div>
        );
      })}
    </div>
  );
}
