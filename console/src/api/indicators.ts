// Indicators of compromise: what is looked for, and where it is from.
import { useQuery } from '@tanstack/react-query';
import { call, params } from './http';
import type { Model } from './model';

export const useIndicators = () =>
  useQuery({
    queryKey: ['indicators'],
    queryFn: ({ signal }) => call<Model<'IndicatorStatus'>>('GET', '/indicators', undefined, signal),
    refetchInterval: 15_000,
  });

/** What is known of a value. */
export function useKnown(value: string) {
  return useQuery({
    queryKey: ['indicators', 'of', value],
    queryFn: ({ signal }) => call<Model<'FoundIndicators'>>('GET', `/indicators/find${params({ value })}`, undefined, signal),
    enabled: value !== '',
    retry: false,
  });
}
