// What was done, said once, with a way back.
import { useSyncExternalStore } from 'react';
import { t } from '../strings/en';
import { Icon } from './Icon';
import s from './toasts.module.css';

interface Toast {
  id: number;
  text: string;
  bad?: boolean | undefined;
  undo?: (() => void) | undefined;
}

let toasts: Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();
const change = (fresh: Toast[]) => {
  toasts = fresh;
  watchers.forEach((watcher) => watcher());
};
const drop = (id: number) => change(toasts.filter((toast) => toast.id !== id));

export function toast(text: string, options: { bad?: boolean; undo?: () => void } = {}): void {
  const id = next++;
  change([...toasts.slice(-2), { id, text, ...options }]);
  setTimeout(() => drop(id), options.bad ? 12_000 : 6000);
}

export const toastError = (error: unknown): void =>
  toast(error instanceof Error ? error.message : String(error), { bad: true });

export function Toasts() {
  const shown = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => toasts,
  );
  return (
    <div className={s.toasts} role="status" aria-live="polite">
      {shown.map(({ id, text, bad, undo }) => (
        <div key={id} className={s.toast} data-bad={bad || undefined}>
          <Icon name={bad ? 'alert' : 'check'} />
          <span className="grow">{text}</span>
          {undo && (
            <button
              type="button"
              className="quiet"
              onClick={() => {
                undo();
                drop(id);
              }}
            >
              <Icon name="undo" /> {t.common.undo}
            </button>
          )}
          <button type="button" className="quiet" aria-label={t.common.dismiss} onClick={() => drop(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
