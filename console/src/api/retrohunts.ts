// Rules over stored history, in the background.
import { useQuery } from '@tanstack/react-query';
import { call } from './http';
import type { Model, Retrohunt } from './model';

/** True if more of it is to come. */
export const goesOn = (hunt: Retrohunt): boolean => hunt.state === 'waiting' || hunt.state === 'running';

/** The newest retro-hunt that has a rule; looked for again now and then, because some begin by themselves. */
export function useNewestOf(rule: string | undefined) {
  return useQuery({
    queryKey: ['retrohunts'],
    queryFn: ({ signal }) => call<Model<'RetrohuntList'>>('GET', '/retrohunts', undefined, signal),
    select: ({ retrohunts }) => retrohunts.find((hunt) => hunt.rules.some(({ id }) => id === rule)) ?? null,
    enabled: rule !== undefined,
    refetchInterval: 15_000,
    retry: false,
  });
}

/** One retro-hunt, asked for every second until it has ended. */
export function useRetrohunt(id: number | undefined) {
  return useQuery({
    queryKey: ['retrohunt', id],
    queryFn: ({ signal }) => call<Retrohunt>('GET', `/retrohunts/${id}`, undefined, signal),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.data && goesOn(state.data) ? 1000 : false),
    retry: false,
  });
}

export const beginRetrohunt = (text: string, days: number) => call<Retrohunt>('POST', '/retrohunts', { text, days });
export const cancelRetrohunt = (id: number) => call<Retrohunt>('DELETE', `/retrohunts/${id}`);
