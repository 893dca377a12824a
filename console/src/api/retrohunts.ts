// Rules over stored history, in the background.
import { useQuery } from '@tanstack/react-query';
import { call, params } from './http';
import type { Model, Retrohunt } from './model';

/** True if more of it is to come. */
export const goesOn = (hunt: Retrohunt): boolean => hunt.state === 'waiting' || hunt.state === 'running';

/** The newest retro-hunt that has a rule; looked for again now and then, because some begin by themselves. */
export function useNewestOf(rule: string | undefined) {
  return useQuery({
    queryKey: ['retrohunts', rule],
    queryFn: ({ signal }) => call<Model<'RetrohuntList'>>('GET', `/retrohunts${params({ rule })}`, undefined, signal),
    select: ({ retrohunts }) => retrohunts[0] ?? null,
    enabled: rule !== undefined,
    refetchInterval: 15_000,
    retry: false,
  });
}

/** One retro-hunt, asked for every second until it has ended; of its rules only `rule`, or all. */
export function useRetrohunt(id: number | undefined, rule: string | undefined) {
  return useQuery({
    queryKey: ['retrohunt', id, rule],
    queryFn: ({ signal }) => call<Retrohunt>('GET', `/retrohunts/${id}${params({ rule })}`, undefined, signal),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.data && goesOn(state.data) ? 1000 : false),
    retry: false,
  });
}

export const beginRetrohunt = (text: string, days: number) => call<Retrohunt>('POST', '/retrohunts', { text, days });
export const cancelRetrohunt = (id: number) => call<Retrohunt>('DELETE', `/retrohunts/${id}`);
