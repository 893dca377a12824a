import type { Model } from '../api/model';

/** When a server is asked again: a time; `again` after a failure, which is repeated before the next poll is due; or `soon`. */
export function nextPoll({ last, failure, every_minutes }: Model<'IndicatorServer'>, now: number): number | 'again' | 'soon' {
  if (failure) return 'again';
  const due = last ? Date.parse(last) + every_minutes * 60_000 : now;
  return due > now ? due : 'soon';
}
