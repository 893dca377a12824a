import { expect, test } from 'vitest';
import { Rows } from './rows';

const line = (i: number) => JSON.stringify({ 'event.id': `1-${i}`, n: i });

test('rows are values: more rows are another value, and the old one does not grow', () => {
  const first = Rows.begin().with([line(0), line(1)]);
  const more = first.with([line(2)]);
  expect([first.length, more.length]).toEqual([2, 3]);
  expect(first.at(2)).toBeUndefined();
  expect(first.find('1-2')).toBe(-1);
  expect(more.at(2)).toEqual({ 'event.id': '1-2', n: 2 });
  expect(more.find('1-2')).toBe(2);
});

test('a sample is of all the rows, not of the first ones', () => {
  const rows = Rows.begin().with(Array.from({ length: 1000 }, (_, i) => line(i)));
  const sample = rows.sample(10).map((row) => row['n'] as number);
  expect(sample).toHaveLength(10);
  expect(Math.max(...sample)).toBe(900);
});
