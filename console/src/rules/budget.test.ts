import { expect, test } from 'vitest';
import { readBudget } from './budget';

test('the check’s sentence is taken apart', () => {
  const detail = '107 new alerts today, 100 are the budget; most by SSH password refused (5 in 10m) (60), Network known to a: b, c (40): give them a threshold or an exception';
  expect(readBudget(detail)).toEqual({
    opened: 107,
    budget: 100,
    noisiest: [
      { title: 'SSH password refused (5 in 10m)', alerts: 60 },
      { title: 'Network known to a: b, c', alerts: 40 },
    ],
  });
});

test('another sentence is not', () => {
  expect(readBudget('too many alerts')).toBeUndefined();
});
