import { expect, test } from 'vitest';
import { laneOf } from './lanes';
import { advance, firstSeen, fitting, indexAt } from './player';

test.each([
  [{ 'event.dataset': 'aws.cloudtrail', 'event.category': ['iam'] }, 'cloud'],
  [{ 'event.dataset': 'linux.sshd', 'event.category': 'authentication' }, 'identity'],
  [{ 'event.dataset': 'windows.security', 'event.category': ['authentication', 'session'] }, 'identity'],
  [{ 'event.dataset': 'nginx.access', 'event.category': 'web' }, 'network'],
  [{ 'event.dataset': 'zeek.conn' }, 'network'],
  [{ 'event.dataset': 'windows.sysmon_operational', 'event.category': ['process'] }, 'host'],
  [{}, 'host'],
])('%j is of the lane %s', (event, lane) => expect(laneOf(event)).toBe(lane));

test('the event at a time', () => {
  const times = [10, 20, 20, 30];
  expect([5, 10, 15, 20, 30, 99].map((at) => indexAt(times, at))).toEqual([-1, 0, 0, 2, 3, 3]);
  expect(indexAt([], 1)).toBe(-1);
});

test('the playhead keeps its speed, jumps over what is quiet, and stops at the end', () => {
  const times = [0, 1000, 3_600_000];
  expect(advance(0, 100, 5, times, 3_600_000, false)).toBe(500);
  expect(advance(1000, 100, 5, times, 3_600_000, true)).toBe(3_600_000 - 1000);
  expect(advance(1000, 100, 1000, times, 3_600_000, false)).toBe(101_000);
  expect(advance(3_599_999, 100, 1000, times, 3_600_000, true)).toBe(3_600_000);
  // The jump never goes back.
  expect(advance(3_599_900, 10, 1, times, 3_600_000, true)).toBeGreaterThan(3_599_900);
});

test('the whole takes about a minute', () => {
  expect([1000, 120_000, 3_600_000, 1e12].map(fitting)).toEqual([1, 2, 60, 1000]);
});

test('what is new in an event', () => {
  const events = [{ 'user.name': 'ada' }, { 'user.name': 'ada', 'source.ip': '192.0.2.7' }, { 'source.ip': '192.0.2.7' }];
  expect(firstSeen(events)).toEqual([[], ['192.0.2.7'], []]);
});
