// An alert's state by shape and word: an empty, half and full circle; a closed one says its verdict.
import { t } from '../strings/en';
import s from './state.module.css';

export function StateMark({ state, verdict, label = false }: { state: string; verdict?: string | null | undefined; label?: boolean }) {
  const name = verdict ? t.verdicts[verdict as keyof typeof t.verdicts] : (t.states[state as keyof typeof t.states] ?? state);
  return (
    <span className={s.state} data-state={state} data-verdict={verdict ?? undefined} title={name}>
      <svg width="15" height="15" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.6" aria-hidden="true">
        <circle cx="8" cy="8" r="6" strokeDasharray={state === 'new' ? undefined : 'none'} />
        {state === 'acknowledged' && <path d="M8 4.500a3.500 3.500 0 0 1 0 7z" fill="currentColor" stroke="none" />}
        {state === 'closed' && verdict === 'true_positive' && <path d="M8 4.700v4M8 11v.300" strokeWidth="2" strokeLinecap="round" />}
        {state === 'closed' && verdict === 'false_positive' && <path d="M5.700 5.700l4.600 4.600M10.300 5.700l-4.600 4.600" strokeLinecap="round" />}
        {state === 'closed' && verdict === 'benign' && <path d="M5.300 8.300l2 2 3.500-4" strokeLinecap="round" strokeLinejoin="round" />}
      </svg>
      <span className={label ? undefined : 'hidden'}>{name}</span>
    </span>
  );
}
