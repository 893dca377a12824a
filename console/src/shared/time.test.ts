import { expect, test } from 'vitest';
import { absolute, formatAgo, formatSeconds, formatTime, resolve } from './time';

const now = Date.parse('2026-11-21T12:00:00Z');

test.each([
  ['now', now],
  ['now-15m', now - 900_000],
  ['now-2d', now - 172_800_000],
  ['2026-11-21', Date.parse('2026-11-21T00:00:00Z')],
  ['2026-11-21 04:11', Date.parse('2026-11-21T04:11:00Z')],
  ['2026-11-21T04:11:52.5Z', Date.parse('2026-11-21T04:11:52.500Z')],
  ['2026-11-21T04:11:52+02:00', Date.parse('2026-11-21T02:11:52Z')],
  ['yesterday', undefined],
  ['now-5x', undefined],
  ['', undefined],
])('%j means %j', (text, expected) => expect(resolve(text, now)).toBe(expected));

test('the present end stays open', () => {
  expect(absolute({ from: 'now-1h', to: 'now' }, now)).toEqual({ from: '2026-11-21T11:00:00.000Z' });
  expect(absolute({}, now)).toEqual({});
});

test('as people read them', () => {
  expect(formatTime('2026-11-21T04:11:52.123456Z', 'utc', true)).toBe('2026-11-21 04:11:52.123');
  expect(formatTime('not a time', 'utc')).toBe('not a time');
  expect(formatAgo(now - 3_700_000, now)).toBe('1 h ago');
  expect(formatAgo(now + 86_400_000 * 5, now)).toBe('in 5 d');
  expect(formatAgo(now - 1000, now)).toBe('now');
  expect([59, 61, 7200, 200_000, 1e8].map(formatSeconds)).toEqual(['59 s', '1 min', '2 h', '2 d', '3 y']);
});
