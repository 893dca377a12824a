// What people said of this rule's alerts before: the quickest hint there is.
import { Link } from 'wouter';
import { useVerdicts } from '../api/alerts';
import type { AlertDetail, Verdict } from '../api/model';
import { visible } from '../shared/format';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { StateMark } from './StateMark';
import s from './inbox.module.css';

export function Verdicts({ alert }: { alert: AlertDetail }) {
  const page = useVerdicts(alert.rule.id);
  const earlier = page.data?.alerts.filter((other) => other.id !== alert.id) ?? [];
  const tally = (['true_positive', 'false_positive', 'benign'] satisfies Verdict[]).map((verdict) => ({
    verdict,
    n: earlier.filter((other) => other.verdict === verdict).length,
  }));
  return (
    <section className={s.section} aria-label={t.inbox.earlier}>
      <h3>{t.inbox.earlier}</h3>
      {page.isSuccess && earlier.length === 0 && <p className="dim">{t.inbox.noEarlier}</p>}
      {earlier.length > 0 && (
        <>
          <div className={s.tally}>
            {tally
              .filter(({ n }) => n > 0)
              .map(({ verdict, n }) => (
                <Link key={verdict} href={`/inbox?state=closed&rule=${encodeURIComponent(alert.rule.id)}`} className="row">
                  <strong>{n}</strong> <StateMark state="closed" verdict={verdict} label />
                </Link>
              ))}
          </div>
          <ul className={s.history}>
            {earlier.slice(0, 5).map((other) => (
              <li key={other.id}>
                <StateMark state="closed" verdict={other.verdict} />
                <Link href={`/inbox?state=closed&alert=${other.id}`} className="clip">
                  {visible(other.entity.value)}
                </Link>
                {other.note && <span className="clip dim">“{visible(other.note)}”</span>}
                <span className="grow" />
                <span className="dim">
                  <Time at={other.changed} ago />
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
