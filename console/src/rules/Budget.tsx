// More new alerts today than people can look at: said where alerts and rules are, with the rules that make the most.
import { useQueries } from '@tanstack/react-query';
import { Link } from 'wouter';
import { newestOf } from '../api/alerts';
import { useHealth } from '../api/sources';
import { formatCount, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { isWritten } from '../shared/query';
import { t } from '../strings/en';
import s from './budget.module.css';
import { readBudget, type OverBudget } from './budget';

const EVERY = 30_000;

/** Nothing as long as the day is within its budget: the server tells no more of it. */
export default function Budget() {
  const check = useHealth(EVERY).data?.checks.find(({ name }) => name === 'alert_budget');
  if (!check?.detail) return null;
  const over = readBudget(check.detail);
  return (
    <section className={s.over} aria-label={t.budget.title} role="status">
      <Icon name="alert" />
      {over ? <Noisiest over={over} /> : <span>{visible(check.detail)}</span>}
    </section>
  );
}

function Noisiest({ over: { opened, budget, noisiest } }: { over: OverBudget }) {
  // Only their titles are said; their newest alerts know their ids.
  const alerts = useQueries({
    queries: noisiest.map(({ title }) => ({ queryKey: ['newest-of', title], queryFn: () => newestOf(title), staleTime: Infinity })),
  });
  return (
    <>
      <strong>{t.budget.over(formatCount(opened), formatCount(budget))}</strong>
      {t.budget.most}
      {noisiest.map(({ title, alerts: n }, i) => {
        const id = alerts[i]?.data?.rule.id;
        const page = id && isWritten(id) ? `/rules/${encodeURIComponent(id)}` : `/inbox?state=all&rule=${encodeURIComponent(id ?? title)}`;
        return (
          <Link key={title} className="chip" href={page}>
            <span className="clip">{visible(title)}</span>
            <span className="dim num">{formatCount(n)}</span>
          </Link>
        );
      })}
      <span className={`dim ${s.todo}`}>{t.budget.todo}</span>
    </>
  );
}
