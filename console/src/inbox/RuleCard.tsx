import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'wouter';
import { notOffered } from '../api/http';
import type { Alert, Session } from '../api/model';
import { getRule } from '../api/rules';
import { may } from '../api/session';
import { visible } from '../shared/format';
import { isIndicator, isWritten } from '../shared/query';
import { t } from '../strings/en';
import s from './inbox.module.css';

/** The rule: what it looks for, in its author's words where the server has them. */
export function RuleCard({ rule }: { rule: Alert['rule'] }) {
  const detail = useQuery({
    queryKey: ['rule', rule.id],
    queryFn: ({ signal }) => getRule(rule.id, signal),
    staleTime: 60_000,
    enabled: isWritten(rule.id),
  });
  const admin = may(useQueryClient().getQueryData<Session>(['session']), 'admin');
  const page = isIndicator(rule.id) ? '/indicators' : `/rules/${encodeURIComponent(rule.id)}`;
  return (
    <section className={s.section} aria-label={t.inbox.rule}>
      <h3>{t.inbox.rule}</h3>
      <div className="stack" style={{ gap: 8 }}>
        <div className="row wrap">
          <Link href={page}>{visible(rule.title)}</Link>
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
        {admin && detail.data && <Link href={`${page}#threshold`}>{t.threshold.title}…</Link>}
        {detail.isError && !notOffered(detail.error) && <p className="dim">{detail.error.message}</p>}
      </div>
    </section>
  );
}
