import { useState, type FormEvent } from 'react';
import { useLocation } from 'wouter';
import { useCases, useToCase } from '../api/incidents';
import type { Incident } from '../api/model';
import { visible } from '../shared/format';
import { toast } from '../shared/toasts';
import { t } from '../strings/en';
import { nameOf } from './name';
import s from './incidents.module.css';

/** Puts an incident into a case that is open, or into a new one and goes there. */
export function ToCase({ incident, onDone }: { incident: Incident; onDone: () => void }) {
  const cases = useCases({ state: 'open' });
  const [chosen, setChosen] = useState('');
  const [title, setTitle] = useState(nameOf(incident));
  const [, navigate] = useLocation();
  const adding = useToCase();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const into = chosen ? { id: Number(chosen) } : { title: title.trim() };
    adding.mutate(
      { into, incident: incident.id },
      {
        onSuccess: (id) => {
          onDone();
          toast(t.incidents.added(id));
          if (!chosen) navigate(`/incidents/cases/${id}`);
        },
      },
    );
  };
  return (
    <form className={s.inline} onSubmit={submit}>
      <select className={s.select} aria-label={t.incidents.whichCase} value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
        <option value="">{t.incidents.newCase}</option>
        {cases.data?.pages.flatMap((page) => page.cases).map((it) => (
          <option key={it.id} value={it.id}>
            {it.id}: {visible(it.title)}
          </option>
        ))}
      </select>
      {!chosen && <input className={s.text} value={title} onChange={(event) => setTitle(event.currentTarget.value)} aria-label={t.incidents.caseTitle} />}
      <button type="submit" className={s.action} disabled={adding.isPending || (!chosen && !title.trim())}>
        {t.incidents.add}
      </button>
    </form>
  );
}
