import { expect, test } from 'vitest';
import type { AlertPages } from '../api/alerts';
import type { Alert, Level } from '../api/model';
import { belongs, fold, order, type InboxFilter } from './fold';

const alert = (id: number, level: Level, last: string, more: Partial<Alert> = {}): Alert => ({
  id,
  revision: id,
  rule: { id: `r${id}`, title: `Rule ${id}`, level, author: null, techniques: [], tactics: [] },
  entity: { kind: 'host', value: 'web1' },
  entities: [{ kind: 'host', value: 'web1' }],
  entities_truncated: false,
  count: 1,
  first: last,
  last,
  state: 'new',
  verdict: null,
  assignee: null,
  note: null,
  opened: last,
  changed: last,
  ...more,
});
const day = (n: number) => `2026-11-${String(n).padStart(2, '0')}T00:00:00.000000Z`;
const pages = (...alerts: Alert[]): AlertPages => ({ pages: [{ alerts, total: alerts.length }], pageParams: [0] });
const ids = (it: AlertPages) => it.pages.flatMap((page) => page.alerts.map((a) => a.id));
const open: InboxFilter = { state: 'open', sort: 'worst' };

test('worst and newest first', () => {
  const found = [alert(1, 'low', day(9)), alert(2, 'critical', day(1)), alert(3, 'critical', day(2))];
  expect([...found].sort((a, b) => order(a, b, 'worst')).map((a) => a.id)).toEqual([3, 2, 1]);
  expect([...found].sort((a, b) => order(a, b, 'newest')).map((a) => a.id)).toEqual([1, 3, 2]);
});

test('a new alert comes into its place and is counted', () => {
  const before = pages(alert(1, 'critical', day(1)), alert(2, 'low', day(1)));
  const after = fold(before, [alert(3, 'high', day(1))], open);
  expect(ids(after)).toEqual([1, 3, 2]);
  expect(after.pages[0]!.total).toBe(3);
});

test('the same change twice shows nothing twice', () => {
  const change = alert(3, 'high', day(1));
  const once = fold(pages(alert(1, 'critical', day(1))), [change], open);
  const twice = fold(once, [change], open);
  expect(ids(twice)).toEqual([1, 3]);
  expect(twice.pages[0]!.total).toBe(2);
});

test('an older revision does not undo a newer one', () => {
  const newer = alert(1, 'high', day(2), { revision: 9, state: 'acknowledged' });
  const older = alert(1, 'high', day(2), { revision: 5 });
  expect(fold(pages(newer), [older], open).pages[0]!.alerts[0]!.state).toBe('acknowledged');
});

test('a closed alert leaves the open list', () => {
  const after = fold(pages(alert(1, 'high', day(1)), alert(2, 'low', day(1))), [alert(1, 'high', day(1), { revision: 7, state: 'closed' })], open);
  expect(ids(after)).toEqual([2]);
  expect(after.pages[0]!.total).toBe(1);
});

test('an alert with newer findings moves up', () => {
  const before = pages(alert(2, 'high', day(5)), alert(1, 'high', day(1)));
  expect(ids(fold(before, [alert(1, 'high', day(9), { revision: 8 })], open))).toEqual([1, 2]);
});

test('what belongs behind the loaded pages is counted, not shown', () => {
  const before: AlertPages = { pages: [{ alerts: [alert(1, 'critical', day(1))], total: 500 }], pageParams: [0] };
  const after = fold(before, [alert(2, 'low', day(1))], open);
  expect(ids(after)).toEqual([1]);
  expect(after.pages[0]!.total).toBe(501);
});

test('filters', () => {
  const it = alert(1, 'medium', day(1));
  expect(belongs(it, { sort: 'worst', level: 'medium' })).toBe(true);
  expect(belongs(it, { sort: 'worst', level: 'high' })).toBe(false);
  expect(belongs(it, { sort: 'worst', entity: 'web1', entity_kind: 'host' })).toBe(true);
  expect(belongs(it, { sort: 'worst', entity: 'web1', entity_kind: 'user' })).toBe(false);
  expect(belongs(it, { sort: 'worst', state: 'acknowledged,closed' })).toBe(false);
});
