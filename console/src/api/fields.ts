// Names and values of fields, for completion and statistics; and counts over time.
import { splitPipes } from '../shared/query';
import { absolute, type Range } from '../shared/time';
import { call, params } from './http';
import type { Histogram, Model } from './model';

type Field = Model<'FieldModel'>;
let known: Promise<Field[]> | undefined;

/** Every field there is to name. */
export function fieldNames(): Promise<Field[]> {
  known ??= call<Model<'Fields'>>('GET', '/fields').then(
    ({ fields }) => {
      // New names are seen as events come.
      setTimeout(() => (known = undefined), 60_000);
      return fields;
    },
    (error: unknown) => {
      known = undefined;
      throw error;
    },
  );
  return known;
}

/** The most frequent values of a field among what the search finds. */
export function fieldValues(
  field: string,
  query: string,
  range: Range,
  options: { prefix?: string; limit?: number; signal?: AbortSignal } = {},
): Promise<Model<'Values'>> {
  const asked = { field, prefix: options.prefix, query: splitPipes(query).filter, ...absolute(range, Date.now()), limit: options.limit ?? 20 };
  return call('GET', `/fields/values${params(asked)}`, undefined, options.signal);
}

/** Counts over time of what the search finds. */
export function histogram(query: string, range: Range, buckets: number, signal?: AbortSignal): Promise<Histogram> {
  return call('POST', '/search/histogram', { query: splitPipes(query).filter, ...absolute(range, Date.now()), buckets }, signal);
}
