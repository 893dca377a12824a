import { useCallback } from 'react';
import { useInfiniteQuery, useMutation, useQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { fold, type InboxFilter } from '../inbox/fold';
import { call, params } from './http';
import type { Alert, AlertDetail, AlertPage, Verdict } from './model';

const PAGE = 200;

export type AlertPages = InfiniteData<AlertPage, number>;

/** The inbox, page after page. The stream of changes keeps it true. */
export function useAlerts(filter: InboxFilter) {
  return useInfiniteQuery({
    queryKey: ['alerts', filter],
    initialPageParam: 0,
    queryFn: ({ pageParam, signal }) =>
      call<AlertPage>(
        'GET',
        `/alerts${params({ ...filter, offset: pageParam || undefined, limit: PAGE })}`,
        undefined,
        signal,
      ),
    getNextPageParam: (_last, pages) => {
      const loaded = pages.reduce((sum, page) => sum + page.alerts.length, 0);
      return loaded < (pages[0]?.total ?? 0) && pages[pages.length - 1]!.alerts.length > 0 ? loaded : undefined;
    },
  });
}

export function useCounts() {
  return useQuery({
    queryKey: ['alert-counts'],
    queryFn: () => call<Record<string, Record<string, number>>>('GET', '/alerts/counts'),
  });
}

export function useAlert(id: number | undefined) {
  return useQuery({
    queryKey: ['alert', id],
    queryFn: ({ signal }) => call<AlertDetail>('GET', `/alerts/${id}`, undefined, signal),
    enabled: id !== undefined,
    placeholderData: (previous) => (previous?.id === id ? previous : undefined),
  });
}

/** Alerts of one rule that people have judged. */
export function useVerdicts(rule: string | undefined) {
  return useQuery({
    queryKey: ['verdicts', rule],
    queryFn: ({ signal }) =>
      call<AlertPage>('GET', `/alerts${params({ rule, state: 'closed', limit: 50 })}`, undefined, signal),
    enabled: rule !== undefined,
  });
}

export type Step =
  | { do: 'acknowledge' }
  | { do: 'reopen' }
  | { do: 'close'; verdict: Verdict; note?: string }
  | { do: 'assign'; to: string | null }
  | { do: 'note'; note: string };

const bodyOf = (step: Step): unknown => {
  const { do: _, ...rest } = step;
  return Object.keys(rest).length ? rest : undefined;
};

/** How an alert looks when the server will have done this: shown at once, put right by its answer. */
export function foresee(alert: Alert, step: Step): Alert {
  switch (step.do) {
    case 'acknowledge':
      return { ...alert, state: 'acknowledged' };
    case 'reopen':
      return { ...alert, state: 'new', verdict: null };
    case 'close':
      return { ...alert, state: 'closed', verdict: step.verdict };
    case 'assign':
      return { ...alert, assignee: step.to };
    case 'note':
      return { ...alert, note: step.note };
  }
}

/** Puts changed alerts into everything that shows alerts. */
export function useFold() {
  const client = useQueryClient();
  return useCallback(
    (changed: Alert[], sure = true) => {
      for (const [key, pages] of client.getQueriesData<AlertPages>({ queryKey: ['alerts'] })) {
        if (pages) client.setQueryData(key, fold(pages, changed, key[1] as InboxFilter, sure));
      }
      for (const alert of changed) {
        client.setQueryData<AlertDetail>(['alert', alert.id], (old) => (old ? { ...old, ...alert } : old));
      }
    },
    [client],
  );
}

export function useStep() {
  const client = useQueryClient();
  const put = useFold();
  return useMutation({
    mutationFn: ({ alert, step }: { alert: Alert; step: Step }) =>
      call<Alert>('POST', `/alerts/${alert.id}/${step.do}`, bodyOf(step)),
    onMutate: ({ alert, step }) => put([foresee(alert, step)], false),
    onSuccess: (answer, { alert }) => {
      if (typeof answer?.revision === 'number') put([answer]);
      void client.invalidateQueries({ queryKey: ['alert', alert.id] });
      void client.invalidateQueries({ queryKey: ['verdicts', alert.rule.id] });
      void client.invalidateQueries({ queryKey: ['alert-counts'] });
    },
    onError: (_error, { alert }) => {
      put([alert], false);
      void client.invalidateQueries({ queryKey: ['alerts'] });
      void client.invalidateQueries({ queryKey: ['alert', alert.id] });
    },
  });
}
