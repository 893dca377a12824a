import { expect, test } from 'vitest';
import { nextPoll } from './next';

test('when a server is asked again', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  const server = { name: 'a', url: 'https://taxii.example/', every_minutes: 60, last: '2026-11-21T11:30:00Z', failure: null };
  expect(nextPoll(server, now)).toBe(Date.parse('2026-11-21T12:30:00Z'));
  expect(nextPoll({ ...server, last: '2026-11-21T10:30:00Z' }, now)).toBe('soon');
  expect(nextPoll({ ...server, last: null }, now)).toBe('soon');
  expect(nextPoll({ ...server, failure: 'cannot connect' }, now)).toBe('again');
});
