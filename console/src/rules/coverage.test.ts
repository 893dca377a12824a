import { expect, test } from 'vitest';
import type { Rule } from '../api/model';
import { coverage } from './coverage';

const rule = (id: string, techniques: string[], tactics: string[], hits = 0, source_seen: string | null = null): Rule => ({ id, title: id, level: 'low', techniques, tactics, hits, source_seen }) as unknown as Rule;

test('techniques stand below the tactics that rules name', () => {
  const found = coverage([
    rule('a', ['T1110'], ['credential-access'], 2, '2026-11-21T04:00:00Z'),
    rule('b', ['t1110.001'], ['credential_access', 'initial-access'], 1),
    rule('c', ['T9999'], []),
    rule('d', ['T1000'], ['of our own']),
  ]);
  const below = (tactic: string) => found.columns.find((it) => it.tactic === tactic)?.techniques.map((it) => it.id);
  expect(below('credential-access')).toEqual(['T1110']);
  expect(below('initial-access')).toEqual(['T1110']);
  expect(below('of-our-own')).toEqual(['T1000']);
  expect(below('impact')).toEqual([]);
  expect(found.others.map((it) => it.id)).toEqual(['T9999']);
  const brute = found.byId.get('T1110')!;
  expect([brute.allRules, brute.allFed, brute.allHits, brute.subs.length, found.techniques]).toEqual([2, 1, 3, 1, 3]);
  expect(found.byId.get('T1110.001')!.allFed).toBe(0);
});
