// UTC or local: one choice for every time on every page, always visible in the shell.
import { createContext, useContext, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { formatAgo, formatTime, type Zone } from './time';

const Context = createContext<{ zone: Zone; toggle: () => void }>({ zone: 'utc', toggle: () => {} });
const KEY = 'vedette.zone';

export function ZoneProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useState<Zone>(() => (localStorage.getItem(KEY) === 'local' ? 'local' : 'utc'));
  useEffect(() => localStorage.setItem(KEY, zone), [zone]);
  const toggle = () => setZone((old) => (old === 'utc' ? 'local' : 'utc'));
  return <Context value={{ zone, toggle }}>{children}</Context>;
}

export const useZone = () => useContext(Context);

// One clock for every relative time.
let now = Date.now();
const watchers = new Set<() => void>();
setInterval(() => {
  now = Date.now();
  watchers.forEach((watcher) => watcher());
}, 10_000);

export const useNow = (): number =>
  useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => now,
  );

/** A time; the other way of saying it on hover and focus. */
export function Time({ at, ago = false, millis = false }: { at: string | number; ago?: boolean; millis?: boolean }) {
  const { zone } = useZone();
  const current = useNow();
  const exact = formatTime(at, zone, millis);
  const relative = formatAgo(at, current);
  const date = new Date(at);
  return (
    <time dateTime={Number.isNaN(date.getTime()) ? undefined : date.toISOString()} title={ago ? `${exact} ${zone === 'utc' ? 'UTC' : ''}` : relative}>
      {ago ? relative : exact}
    </time>
  );
}

