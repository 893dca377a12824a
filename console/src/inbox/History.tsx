import { useState, type FormEvent } from 'react';
import type { AlertDetail, Change } from '../api/model';
import { visible } from '../shared/format';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './inbox.module.css';

/** What was done, by whom, and room for a note. */
export function History({ alert, mayWrite, onNote }: { alert: AlertDetail; mayWrite: boolean; onNote: (note: string) => void }) {
  return (
    <section className={s.section} aria-label={t.inbox.history}>
      <h3>{t.inbox.history}</h3>
      <Changes history={alert.history} />
      {mayWrite && <LineForm label={t.inbox.note} button={t.inbox.addNote} onAdd={onNote} />}
    </section>
  );
}

export function Changes({ history }: { history: Change[] }) {
  return (
    <ul className={s.history}>
      {history.map((change, i) => (
        <li key={i}>
          <span className="dim">
            <Time at={change.time} />
          </span>
          <span>
            <strong>{visible(change.who)}</strong> {visible(change.what)}
            {change.detail && <span className="dim"> {visible(change.detail)}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** One line of text to add to something. */
export function LineForm({ label, button, onAdd }: { label: string; button: string; onAdd: (text: string) => void }) {
  const [text, setText] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    onAdd(text.trim());
    setText('');
  };
  return (
    <form className={s.noteForm} onSubmit={submit}>
      <input value={text} onChange={(event) => setText(event.currentTarget.value)} placeholder={label} aria-label={label} maxLength={4000} />
      <button type="submit" className={s.action} disabled={!text.trim()}>
        {button}
      </button>
    </form>
  );
}
