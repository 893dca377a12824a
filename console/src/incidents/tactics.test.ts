import { expect, test } from 'vitest';
import type { TimelineStep } from '../api/model';
import { passed } from './tactics';

const step = (minute: number, findings: number, tactics: string[], is_void = false): TimelineStep => {
  const at = `2026-11-21T04:${minute}:00Z`;
  return { first: at, last: at, alert: minute, rule: { id: 'r', title: 'Rule', level: 'high', techniques: [], tactics }, entities: [], findings, is_void };
};

test('tactics in the order of their first finding, with the number of findings', () => {
  const timeline = [step(10, 3, ['persistence']), step(11, 1, ['discovery', 'persistence']), step(12, 2, ['discovery'])];
  expect(passed({ timeline, tactics: ['discovery', 'persistence'] })).toEqual([
    { tactic: 'persistence', first: '2026-11-21T04:10:00Z', findings: 4 },
    { tactic: 'discovery', first: '2026-11-21T04:11:00Z', findings: 3 },
  ]);
});

test('what was judged to be no risk is not counted, and what is gone has no time', () => {
  expect(passed({ timeline: [step(10, 3, ['impact'], true)], tactics: ['impact', 'execution'] })).toEqual([
    { tactic: 'impact', findings: 0 },
    { tactic: 'execution', findings: 0 },
  ]);
});
