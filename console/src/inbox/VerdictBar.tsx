// `c`, then one letter: a verdict in two keystrokes.
import { useEffect, useRef } from 'react';
import type { Alert, Verdict } from '../api/model';
import { visible } from '../shared/format';
import { useKeys } from '../shared/keys';
import { t } from '../strings/en';
import { StateMark } from './StateMark';
import s from './verdict.module.css';

const choices: { key: string; verdict: Verdict }[] = [
  { key: 't', verdict: 'true_positive' },
  { key: 'f', verdict: 'false_positive' },
  { key: 'b', verdict: 'benign' },
];

export function VerdictBar({ alert, onVerdict }: { alert: Alert; onVerdict: (verdict: Verdict | undefined) => void }) {
  useKeys({
    ...Object.fromEntries(choices.map(({ key, verdict }) => [key, () => onVerdict(verdict)])),
    Escape: () => onVerdict(undefined),
  });
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const outside = (event: PointerEvent) => {
      if (!bar.current?.contains(event.target as Node)) onVerdict(undefined);
    };
    window.addEventListener('pointerdown', outside);
    return () => window.removeEventListener('pointerdown', outside);
  }, [onVerdict]);
  return (
    <div className={s.bar} role="group" aria-label={t.inbox.judge(alert.rule.title)} ref={bar}>
      <div className="clip">
        {t.inbox.closeAs} <strong>{visible(alert.rule.title)}</strong>
      </div>
      <div className={s.choices}>
        {choices.map(({ key, verdict }) => (
          <button key={key} type="button" className={s.choice} onClick={() => onVerdict(verdict)}>
            <kbd>{key}</kbd>
            <StateMark state="closed" verdict={verdict} label />
          </button>
        ))}
        <button type="button" className={s.choice} onClick={() => onVerdict(undefined)}>
          <kbd>Esc</kbd> {t.common.cancel}
        </button>
      </div>
    </div>
  );
}
