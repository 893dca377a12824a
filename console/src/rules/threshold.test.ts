import { expect, test } from 'vitest';
import type { Rule } from '../api/model';
import { fieldsOf, partOf, readThreshold, thresholdOf, wrongWith } from './threshold';

const WRITTEN = `title: "SSH password refused (50 in 10m)"
id: 27ff8eff-a0b0-8ce3-8bf5-ce13feb46e43
level: informational
description: "one alone is a \\"typing\\" error\\nsays ada"
tags: ["attack.t1110.001"]
correlation: 
  type: event_count
  rules: ["438ca65e-765f-4bb0-874b-9bb767146fca"]
  group-by: ["host.name", "source.ip"]
  timespan: "10m"
  condition: {gte: 50}
`;

test('what the server wrote is read', () => {
  expect(readThreshold(WRITTEN)).toEqual({ count: 50, timespan: '10m', group_by: ['host.name', 'source.ip'], reason: 'one alone is a "typing" error\nsays ada' });
});

test('what somebody changed is not guessed at', () => {
  expect(readThreshold(WRITTEN.replace('{gte: 50}', '{gt: 50}'))).toBeUndefined();
  expect(readThreshold(WRITTEN.replace('"10m"', '10m'))).toBeUndefined();
  expect(readThreshold('')).toBeUndefined();
});

test('a rule’s threshold is the correlation that was written for it', () => {
  const rule = (own_file: string | null, rules: string[]) => ({ own_file, correlation: { rules } }) as unknown as Rule;
  const mine = rule('threshold-27ff8eff.yml', ['a']);
  expect(thresholdOf([rule(null, ['a']), rule('mine.yml', ['a']), rule('threshold-00000000.yml', ['b']), mine], 'a')).toBe(mine);
  expect(thresholdOf([mine], 'b')).toBeUndefined();
});

test('what cannot be one is said before it is sent', () => {
  const good = { count: 2, timespan: '7d', group_by: ['host.name'] };
  expect(wrongWith(good)).toEqual([]);
  expect(wrongWith({ count: 1, timespan: 'soon', group_by: fieldsOf(' , ') })).toEqual(['count', 'timespan', 'group_by']);
  expect(wrongWith({ ...good, count: 2.5, timespan: '1.5h' })).toEqual(['count', 'timespan']);
});

test('a refusal is put beside what it is about', () => {
  for (const [message, part] of [
    ['`soon` is not a time span: a number and one of s, m, h, d, w, M, for example 90m', 'timespan'],
    ['a time span of more than ten years', 'timespan'],
    ['a threshold above 1000000', 'count'],
    ['a threshold is at least 2: a rule makes an alert of one match by itself', 'count'],
    ['`group-by` has a value where a field is expected', 'group_by'],
    ['at most 8 fields', 'group_by'],
    ['there is no rule `x`', undefined],
  ] as const) {
    expect(partOf(message), message).toBe(part);
  }
});
