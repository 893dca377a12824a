import { Suspense, useState, type ReactNode } from 'react';
import { t } from '../strings/en';
import { Waiting } from './Bits';
import s from './disclosure.module.css';

/** What is neither loaded nor asked for before somebody opens it. */
export function Disclosure({ title, children }: { title: string; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <details className={s.disclosure} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{title}</summary>
      {open && <Suspense fallback={<Waiting what={t.shell.loadingPage} />}>{children}</Suspense>}
    </details>
  );
}
