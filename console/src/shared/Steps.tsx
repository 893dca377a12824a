// Why a rule matches an event, or which part of it failed and what the event had instead. Loaded when somebody asks.
import { useQuery } from '@tanstack/react-query';
import type { Model } from '../api/model';
import { explain } from '../api/rules';
import { t } from '../strings/en';
import { Waiting } from './Bits';
import { visible } from './format';
import { Problem } from './Problem';
import s from './steps.module.css';

export default function Steps({ event, rule }: { event: string; rule: string }) {
  const found = useQuery({
    queryKey: ['rule-why', rule, event],
    queryFn: ({ signal }) => explain(event, rule, signal),
    // Who asks is written down: once is enough.
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    retry: false,
  });
  if (found.isPending) return <Waiting what={t.steps.loading} />;
  if (found.isError) return <Problem error={found.error} what={t.steps.what} />;
  if (found.data.explanations.length === 0) return <p className="dim">{t.steps.none}</p>;
  return found.data.explanations.map((it) => (
    <ul key={it.rule.id} className={s.steps} tabIndex={0} aria-label={t.steps.label(visible(it.rule.title))}>
      {it.lines.map((line, i) => (
        <Line key={i} line={line} />
      ))}
    </ul>
  ));
}

/** Beyond this a phone has no room left for the text. */
const DEEPEST = 8;

function Line({ line: { depth, passed, text } }: { line: Model<'ExplainedLine'> }) {
  return (
    <li style={{ paddingInlineStart: Math.min(depth, DEEPEST) * 14 }}>
      <span className={s.mark} data-passed={passed ?? undefined} aria-hidden="true">
        {passed == null ? '' : passed ? '✓' : '✗'}
      </span>
      <span>
        {passed != null && <span className="hidden">{passed ? t.steps.yes : t.steps.no} </span>}
        {visible(text)}
      </span>
    </li>
  );
}
