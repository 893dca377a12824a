// How many new alerts a day people can look at: said where alerts and rules are, with the rules that make the most.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { call } from '../api/http';
import type { Model } from '../api/model';
import { formatCount, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { isWritten } from '../shared/query';
import { t } from '../strings/en';
import s from './budget.module.css';

const EVERY = 30_000;

/** Nothing without a budget. `always`: also of a day that is within it. */
export default function Budget({ always = false }: { always?: boolean }) {
  const { data } = useQuery({
    queryKey: ['alert-budget'],
    queryFn: ({ signal }) => call<Model<'AlertBudget'>>('GET', '/alerts/budget', undefined, signal),
    refetchInterval: EVERY,
  });
  if (!data || data.budget === 0) return null;
  const { budget, opened, noisiest } = data;
  if (opened > budget) {
    return (
      <section className={s.over} aria-label={t.budget.title} role="status">
        <Icon name="alert" />
        <strong>{t.budget.over(formatCount(opened), formatCount(budget))}</strong>
        {t.budget.most}
        {noisiest.map(({ id, title, alerts }) => (
          <Link key={id} className="chip" href={isWritten(id) ? `/rules/${encodeURIComponent(id)}` : `/inbox?state=all&rule=${encodeURIComponent(id)}`}>
            <span className="clip">{visible(title)}</span>
            <span className="dim num">{formatCount(alerts)}</span>
          </Link>
        ))}
        <span className={`dim ${s.todo}`}>{t.budget.todo}</span>
      </section>
    );
  }
  return always ? <p className={`dim ${s.within}`}>{t.budget.within(formatCount(opened), formatCount(budget))}</p> : null;
}
