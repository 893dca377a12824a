// A threshold is a correlation that the server wrote over a rule; this is what of it people set.
import type { Model, Rule } from '../api/model';

export type Threshold = Model<'Threshold'> & { group_by: string[] };
export type Part = 'count' | 'timespan' | 'group_by';

export const isThreshold = (rule: Rule): boolean => /^threshold-[0-9a-f]{8}\.yml$/.test(rule.own_file ?? '');

/** The threshold of a rule, if it has one. */
export const thresholdOf = (rules: Rule[], id: string): Rule | undefined =>
  rules.find((rule) => isThreshold(rule) && rule.correlation?.rules.includes(id));

/** What the server wrote (`threshold.rs`); nothing if somebody has changed its form since. */
export function readThreshold(text: string): Threshold | undefined {
  const after = (key: string) => new RegExp(`^ *${key}: *(.+)$`, 'm').exec(text)?.[1];
  const count = /^\{gte: (\d+)\}$/.exec(after('condition') ?? '')?.[1];
  try {
    const [timespan, fields, reason] = ['timespan', 'group-by', 'description'].map((key) => JSON.parse(after(key) ?? '') as unknown);
    if (!count || typeof timespan !== 'string' || !Array.isArray(fields) || typeof reason !== 'string') return undefined;
    return { count: Number(count), timespan, group_by: fields.map(String), reason };
  } catch {
    return undefined;
  }
}

/** `host.name, source.ip` as fields. */
export const fieldsOf = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** What cannot be a threshold. */
export function wrongWith({ count, timespan, group_by }: Omit<Threshold, 'reason'>): Part[] {
  return [
    ...(Number.isInteger(count) && count >= 2 && count <= 1_000_000 ? [] : ['count' as const]),
    ...(/^[1-9]\d*[smhdwM]$/.test(timespan) ? [] : ['timespan' as const]),
    ...(group_by.length >= 1 && group_by.length <= 8 ? [] : ['group_by' as const]),
  ];
}

/** Which part a refusal is about. Its line is one of a text that nobody sees here. */
export function partOf(message: string): Part | undefined {
  if (/time ?span/.test(message)) return 'timespan';
  if (/group-by|fields/.test(message)) return 'group_by';
  return /threshold (is|above)/.test(message) ? 'count' : undefined;
}
