import { useQuery } from '@tanstack/react-query';
import { useRef } from 'react';
import { call, params } from './http';
import type { Answer, Health, ParserChecked, Source } from './model';

const EVERY = 5000;

/** Sources with their accounts; where the server does not say a rate, it is measured between two looks. */
export function useSources() {
  const before = useRef<{ at: number; received: Map<number, number> }>(undefined);
  return useQuery({
    queryKey: ['sources'],
    queryFn: async ({ signal }) => {
      const { sources } = await call<{ sources: Source[] }>('GET', '/sources', undefined, signal);
      const at = Date.now();
      const last = before.current;
      const minutes = last ? (at - last.at) / 60_000 : 0;
      const rated = sources.map((source) => {
        const old = last?.received.get(source.id);
        if (source.rate_per_minute != null || old === undefined || minutes <= 0) return source;
        return { ...source, rate_per_minute: (source.received - old) / minutes };
      });
      before.current = { at, received: new Map(sources.map((source) => [source.id, source.received])) };
      return rated;
    },
    refetchInterval: EVERY,
  });
}

export const useHealth = () =>
  useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => call<Health>('GET', '/health/detail', undefined, signal),
    refetchInterval: EVERY,
  });

export const useUnparsed = () =>
  useQuery({
    queryKey: ['unparsed'],
    queryFn: ({ signal }) => call<Answer>('GET', `/unparsed${params({ limit: 500 })}`, undefined, signal),
  });

export const checkParser = (text: string, lines: string[], signal?: AbortSignal) =>
  call<ParserChecked>('POST', '/parsers/check', { text, lines }, signal);
export const saveParser = (name: string, text: string) =>
  call<{ restart?: boolean; note?: string }>('PUT', `/parsers/files/${encodeURIComponent(name)}`, { text });
