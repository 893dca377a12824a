import { expect, test } from 'vitest';
import { fit, rankCommands, type Command } from './commands';

const command = (group: string, name: string): Command => ({ group, name, icon: 'more' });

test('beginnings fit best, letters in order fit at all', () => {
  expect(fit('Inbox', 'in')).toBe(0);
  expect(fit('Sources & health', 'health')).toBe(1);
  expect(fit('Settings', 'ting')).toBe(2);
  expect(fit('CobaltStrike Named Pipe', 'cnp')).toBeUndefined();
  expect(fit('Inbox', 'ibx')).toBeGreaterThan(3);
  expect(fit('Inbox', 'zz')).toBeUndefined();
});

test('groups stay together', () => {
  const found = rankCommands([command('A', 'replay'), command('B', 'Replay all'), command('A', 'pre-play')], 'play');
  expect(found.map((it) => it.name)).toEqual(['pre-play', 'replay', 'Replay all']);
});
