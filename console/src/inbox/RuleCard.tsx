import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { notOffered } from '../api/http';
import type { Alert } from '../api/model';
import { getRule } from '../api/rules';
import { visible } from '../shared/format';
import { t } from '../strings/en';
import s from './inbox.module.css';

/** The rule: what it looks for, in its author's words where the server has them. */
export function RuleCard({ rule }: { rule: Alert['rule'] }) {
  const detail = useQuery({
    queryKey: ['rule', rule.id],
    queryFn: ({ signal }) => getRule(rule.id, signal),
    staleTime: 60_000,
  });
  return (
    <section className={s.section} aria-label={t.inbox.rule}>
      <h3>{t.inbox.rule}</h3>
      <div className="stack" style={{ gap: 8 }}>
        <div className="row wrap">
          <Link href={`/rules/${encodeURIComponent(rule.id)}`}>{visible(rule.title)}</Link>
          {rule.author && <span className="dim">{t.inbox.by(visible(rule.author))}</span>}
          {rule.techniques.map((technique) => (
            <Link key={technique} className="chip" href={`/rules?tab=attack&technique=${encodeURIComponent(technique)}`}>
              {visible(technique)}
            </Link>
          ))}
        </div>
        {detail.data?.description && <p className="dim">{visible(detail.data.description)}</p>}
        {detail.data?.falsepositives?.length ? (
          <p className="dim">
            {t.inbox.knownFalse}: {detail.data.falsepositives.map(visible).join('; ')}
          </p>
        ) : null}
        {detail.isError && !notOffered(detail.error) && <p className="dim">{detail.error.message}</p>}
      </div>
    </section>
  );
}
