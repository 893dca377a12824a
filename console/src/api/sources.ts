import { useQuery } from '@tanstack/react-query';
import { call, params } from './http';
import type { Answer, Health, Model } from './model';

const EVERY = 5000;

/** Sources with their accounts. */
export const useSources = () =>
  useQuery({
    queryKey: ['sources'],
    queryFn: async ({ signal }) => (await call<Model<'Sources'>>('GET', '/sources', undefined, signal)).sources,
    refetchInterval: EVERY,
  });

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
  call<Model<'ParserCheck'>>('POST', '/parsers/check', { text, lines }, signal);
export const saveParser = (name: string, text: string) =>
  call<Model<'SavedParser'>>('PUT', `/parsers/files/${encodeURIComponent(name)}`, { text });
