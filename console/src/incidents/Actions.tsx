// What can be done to an incident or a case: a row of buttons, and below it the form of the one that was pressed.
import { useState, type ReactNode } from 'react';
import type { Verdict } from '../api/model';
import { LineForm } from '../inbox/History';
import { StateMark } from '../inbox/StateMark';
import { t } from '../strings/en';
import s from './incidents.module.css';

export interface Action {
  name: string;
  /** What it does at once; or */
  run?: () => void;
  /** the form that it opens. `done` closes it. */
  form?: (done: () => void) => ReactNode;
}

export function Actions({ actions }: { actions: Action[] }) {
  const [open, setOpen] = useState<string>();
  const done = () => setOpen(undefined);
  const form = actions.find((it) => it.name === open)?.form;
  return (
    <>
      <div className={s.actions}>
        {actions.map(({ name, run, form }) => (
          <button
            key={name}
            type="button"
            className={s.action}
            aria-expanded={form ? name === open : undefined}
            onClick={() => (run ? run() : setOpen(name === open ? undefined : name))}
          >
            {name}
          </button>
        ))}
      </div>
      {form && (
        <section className={`card ${s.form}`} aria-label={open}>
          {form(done)}
        </section>
      )}
    </>
  );
}

/** Whose it is: take it, let go of it, give it away. */
export function assigning(assignee: string | null | undefined, me: string, onAssign: (to: string | null) => void): Action[] {
  return [
    ...(assignee === me ? [] : [{ name: t.incidents.take, run: () => onAssign(me) }]),
    ...(assignee ? [{ name: t.incidents.letGo, run: () => onAssign(null) }] : []),
    { name: t.incidents.give, form: (done) => <LineForm label={t.incidents.giveTo} button={t.incidents.add} onAdd={(to) => (onAssign(to), done())} /> },
  ];
}

const verdicts: Verdict[] = ['true_positive', 'false_positive', 'benign'];

/** A verdict with its reason in words. */
export function Judge({ label, required = false, onVerdict }: {
  label: string;
  /** Nothing can be judged without words. */
  required?: boolean;
  onVerdict: (verdict: Verdict, words: string) => void;
}) {
  const [words, setWords] = useState('');
  return (
    <div className={s.judge}>
      <textarea className={s.words} rows={2} value={words} onChange={(event) => setWords(event.currentTarget.value)} placeholder={label} aria-label={label} maxLength={4000} />
      <div className={s.actions} role="group" aria-label={t.incidents.closeAs}>
        <span className="dim">{t.incidents.closeAs}</span>
        {verdicts.map((verdict) => (
          <button key={verdict} type="button" className={s.action} disabled={required && !words.trim()} onClick={() => onVerdict(verdict, words.trim())}>
            <StateMark state="closed" verdict={verdict} label />
          </button>
        ))}
      </div>
    </div>
  );
}
