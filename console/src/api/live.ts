// The stream of changed alerts, and whether the server is there. After a break the stream goes on from the last
// revision seen, and what was read before is read again: nothing is lost, and nothing is shown twice because every alert
// has one place and one latest revision.
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import { useFold } from './alerts';
import type { Alert } from './model';

export type Connection = { state: 'connecting' } | { state: 'live' } | { state: 'lost'; since: number };

let connection: Connection = { state: 'connecting' };
const watchers = new Set<() => void>();

function say(next: Connection): void {
  if (next.state === connection.state) return;
  connection = next;
  watchers.forEach((watcher) => watcher());
}

export const useConnection = (): Connection =>
  useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => connection,
  );

/** Changes are gathered for so long: a storm of alerts must not be a storm of rendering. */
const GATHER_MS = 200;
/** A stream whose other end has silently gone looks like one where nothing happens; so the server is asked as often. */
const PULSE_MS = 8000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export function useAlertStream(): void {
  const client = useQueryClient();
  const put = useFold();
  useEffect(() => {
    let source: EventSource | undefined;
    let since: number | undefined;
    let tries = 0;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let gather: ReturnType<typeof setTimeout> | undefined;
    const gathered = new Map<number, Alert>();

    const flush = () => {
      gather = undefined;
      const changed = [...gathered.values()];
      gathered.clear();
      put(changed);
      void client.invalidateQueries({ queryKey: ['alert-counts'] });
      for (const alert of changed) void client.invalidateQueries({ queryKey: ['alert', alert.id] });
    };

    const open = () => {
      source = new EventSource(`/api/v1/alerts/stream${since === undefined ? '' : `?since=${since}`}`);
      const mine = source;
      const alive = () => {
        if (source !== mine || mine.readyState === EventSource.CLOSED) return;
        tries = 0;
        const back = connection.state === 'lost';
        say({ state: 'live' });
        // What changed between reading a list and the opening of the stream would otherwise be missed.
        void client.invalidateQueries({ queryKey: ['alerts'] });
        void client.invalidateQueries({ queryKey: ['alert-counts'] });
        if (back) void client.invalidateQueries({ predicate: (query) => query.state.status === 'error' });
      };
      source.onopen = alive;
      // The head of a stream may wait for its first event; that the server answers is known earlier.
      void fetch('/api/v1/health').then((response) => response.ok && alive(), () => {});
      source.addEventListener('alert', (message) => {
        const alert = JSON.parse((message as MessageEvent<string>).data) as Alert;
        since = Math.max(since ?? 0, alert.revision);
        gathered.set(alert.id, alert);
        gather ??= setTimeout(flush, GATHER_MS);
      });
      source.onerror = lost;
    };
    const lost = () => {
      // The browser's own retry gives up on some errors and does not say when it is back; ours does.
      source?.close();
      clearTimeout(retry);
      say({ state: 'lost', since: Date.now() });
      void client.invalidateQueries({ queryKey: ['session'] });
      retry = setTimeout(open, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
    };
    const pulse = setInterval(() => {
      if (connection.state !== 'live') return;
      fetch('/api/v1/health', { signal: AbortSignal.timeout(PULSE_MS - 1000) }).then(
        (response) => response.status >= 502 && lost(),
        () => connection.state === 'live' && lost(),
      );
    }, PULSE_MS);
    open();
    const online = () => {
      if (connection.state !== 'lost') return;
      clearTimeout(retry);
      open();
    };
    window.addEventListener('online', online);
    return () => {
      window.removeEventListener('online', online);
      clearInterval(pulse);
      clearTimeout(retry);
      clearTimeout(gather);
      source?.close();
      say({ state: 'connecting' });
    };
  }, [client, put]);
}
