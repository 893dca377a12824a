// Risk, incidents and cases.
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { toastError } from '../shared/toasts';
import { call, params } from './http';
import type { CaseDetail, Entity, EntityRisk, IncidentDetail, Model, Verdict } from './model';

const PAGE = 100;
/** Incidents grow while one looks; no stream tells of them. */
const LOOK_AGAIN_MS = 15_000;

export interface IncidentFilter {
  state?: string;
  level?: string;
  entity?: string;
  entity_kind?: string;
  sort?: 'newest' | 'worst';
}

/** The beginning of the page after these; nothing after the last. */
const nextOffset = (counts: number[], total: number): number | undefined => {
  const loaded = counts.reduce((sum, n) => sum + n, 0);
  return loaded < total && counts.at(-1)! > 0 ? loaded : undefined;
};

export function useIncidents(filter: IncidentFilter, enabled = true) {
  return useInfiniteQuery({
    queryKey: ['incidents', filter],
    initialPageParam: 0,
    queryFn: ({ pageParam, signal }) =>
      call<Model<'IncidentPage'>>('GET', `/incidents${params({ ...filter, offset: pageParam || undefined, limit: PAGE })}`, undefined, signal),
    getNextPageParam: (last, pages) => nextOffset(pages.map((page) => page.incidents.length), last.total),
    refetchInterval: LOOK_AGAIN_MS,
    enabled,
  });
}

export function useIncident(id: number) {
  return useQuery({
    queryKey: ['incident', id],
    queryFn: ({ signal }) => call<IncidentDetail>('GET', `/incidents/${id}`, undefined, signal),
    refetchInterval: LOOK_AGAIN_MS,
  });
}

export type IncidentStep = { do: 'assign'; to: string | null } | { do: 'note'; note: string } | { do: 'close'; verdict: Verdict; note?: string };

export function useIncidentStep(id: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ do: what, ...body }: IncidentStep) => call<IncidentDetail>('POST', `/incidents/${id}/${what}`, body),
    onSuccess: (answer) => {
      client.setQueryData(['incident', id], answer);
      void client.invalidateQueries({ queryKey: ['incidents'] });
      void client.invalidateQueries({ queryKey: ['risk'] });
    },
    onError: toastError,
  });
}

/** One entity's points, now or at a time. */
export function useRisk(entity: Entity, at?: string) {
  return useQuery({
    queryKey: ['risk', entity, at],
    queryFn: ({ signal }) => call<EntityRisk>('GET', `/risk/entity${params({ kind: entity.kind, value: entity.value, at })}`, undefined, signal),
    staleTime: 15_000,
    enabled: hasRisk(entity),
  });
}

/** At how many points an incident opens. */
export function useThreshold() {
  return useQuery({
    queryKey: ['risk-threshold'],
    queryFn: ({ signal }) => call<Model<'RiskPage'>>('GET', '/risk?limit=1', undefined, signal),
    select: (page) => page.threshold,
    staleTime: 600_000,
  });
}

export const hasRisk = (entity: Entity): boolean => ['user', 'host', 'ip'].includes(entity.kind);

export function useCases(filter: { state?: string; incident?: number }, enabled = true) {
  return useInfiniteQuery({
    queryKey: ['cases', filter],
    initialPageParam: 0,
    queryFn: ({ pageParam, signal }) =>
      call<Model<'CasePage'>>('GET', `/cases${params({ ...filter, offset: pageParam || undefined, limit: PAGE })}`, undefined, signal),
    getNextPageParam: (last, pages) => nextOffset(pages.map((page) => page.cases.length), last.total),
    enabled,
  });
}

export function useCase(id: number) {
  return useQuery({ queryKey: ['case', id], queryFn: ({ signal }) => call<CaseDetail>('GET', `/cases/${id}`, undefined, signal) });
}

/** A change to a case: what is under its address, and what is sent there. */
export interface CaseChange {
  method?: 'POST' | 'PUT' | 'DELETE';
  path: string;
  body?: unknown;
}

const changeCase = (id: number, { method = 'POST', path, body }: CaseChange) => call<CaseDetail>(method, `/cases/${id}/${path}`, body);

export function useCaseChange(id: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (change: CaseChange) => changeCase(id, change),
    onSuccess: (answer, { path }) => {
      client.setQueryData(['case', id], answer);
      void client.invalidateQueries({ queryKey: ['cases'] });
      // Closing a case closes its incidents.
      if (path === 'close') for (const key of ['incident', 'incidents', 'risk']) void client.invalidateQueries({ queryKey: [key] });
    },
    onError: toastError,
  });
}

/** Opens a case, or takes one that is there, and puts the incident into it, if any. */
export function useToCase() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async ({ into, incident }: { into: { title: string } | { id: number }; incident?: number }) => {
      const id = 'id' in into ? into.id : (await call<CaseDetail>('POST', '/cases', into)).id;
      if (incident !== undefined) await changeCase(id, { path: 'incidents', body: { incident } });
      return id;
    },
    onSettled: () => {
      void client.invalidateQueries({ queryKey: ['cases'] });
      void client.invalidateQueries({ queryKey: ['case'] });
    },
    onError: toastError,
  });
}
