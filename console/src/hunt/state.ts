// A hunt's state is its address.
import { useMemo } from 'react';
import type { Language } from '../api/model';
import { useAddress, type Changes } from '../shared/address';
import type { Range } from '../shared/time';

export interface Hunt {
  q: string;
  lang: Language;
  range: Range;
  cols: string[] | undefined;
  event: string | undefined;
  most: number;
}

export const DEFAULT_FROM = 'now-24h';
export const STEPS = [1000, 10_000, 100_000];

export function readHunt(params: URLSearchParams): Hunt {
  const from = params.get('from') ?? DEFAULT_FROM;
  const to = params.get('to') ?? '';
  const most = Number(params.get('most'));
  return {
    q: params.get('q') ?? '',
    lang: params.get('lang') === 'sql' ? 'sql' : 'hunt',
    range: { ...(from === 'all' ? {} : { from }), ...(to ? { to } : {}) },
    cols: params.get('cols')?.split(',').filter(Boolean),
    event: params.get('event') ?? undefined,
    most: STEPS.includes(most) ? most : STEPS[0]!,
  };
}

export function useHunt() {
  const { params, set: change } = useAddress();
  const text = params.toString();
  const hunt = useMemo(() => readHunt(new URLSearchParams(text)), [text]);
  // The range is always said, so that a link means the same to whoever gets it.
  const from = params.get('from') ?? DEFAULT_FROM;
  const set = (changes: Changes, replace = false) => change({ from, ...changes }, replace);
  return { hunt, set };
}
