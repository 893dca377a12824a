import { useState, type FormEvent } from 'react';
import type { AlertDetail } from '../api/model';
import { visible } from '../shared/format';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './inbox.module.css';

/** What was done, by whom, and room for a note. */
export function History({ alert, mayWrite, onNote }: { alert: AlertDetail; mayWrite: boolean; onNote: (note: string) => void }) {
  const [note, setNote] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!note.trim()) return;
    onNote(note.trim());
    setNote('');
  };
  return (
    <section className={s.section} aria-label={t.inbox.history}>
      <h3>{t.inbox.history}</h3>
      <ul className={s.history}>
        {alert.history.map((change, i) => (
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
      {mayWrite && (
        <form className={s.noteForm} onSubmit={submit}>
          <input value={note} onChange={(event) => setNote(event.currentTarget.value)} placeholder={t.inbox.note} aria-label={t.inbox.note} maxLength={4000} />
          <button type="submit" className={s.action} disabled={!note.trim()}>
            {t.inbox.addNote}
          </button>
        </form>
      )}
    </section>
  );
}
