import { describe, expect, test } from 'vitest';
import { clause, entityFilter, entityKind, huntLink, narrow, quote, splitPipes } from './query';

test.each([
  ['root', 'root'],
  ['192.0.2.7', '192.0.2.7'],
  ['two words', '"two words"'],
  ['C:\\Windows\\cmd.exe', '"C:\\\\Windows\\\\cmd.exe"'],
  ['say "hi"', '"say \\"hi\\""'],
  ['a|b', '"a|b"'],
  ['x*', '"x*"'],
  ['or', '"or"'],
  ['2001:db8::7', '"2001:db8::7"'],
  ['', '""'],
])('quotes %j as %j', (value, expected) => expect(quote(value)).toBe(expected));

describe('pipes', () => {
  test.each([
    ['a b', 'a b', ''],
    ['a | take 5', 'a', '| take 5'],
    ['"a | b" c | take 5 | count', '"a | b" c', '| take 5 | count'],
    ['"a \\" | b" | count', '"a \\" | b"', '| count'],
    ['', '', ''],
  ])('splits %j', (query, filter, pipes) => expect(splitPipes(query)).toEqual({ filter, pipes }));
});

test.each([
  ['', 'a:b', 'a:b'],
  ['*', 'a:b', 'a:b'],
  ['x', 'a:b', 'x a:b'],
  ['x or y', 'a:b', '(x or y) a:b'],
  ['(x or y)', 'a:b', '(x or y) a:b'],
  ['"this or that"', 'a:b', '"this or that" a:b'],
  ['x | summarize count()', 'not a:b', 'x not a:b | summarize count()'],
])('narrows %j by %j', (query, condition, expected) => expect(narrow(query, condition)).toBe(expected));

test('an entity may stand in several fields', () => {
  expect(entityFilter({ kind: 'host', value: 'web1' })).toBe('host.name:web1');
  expect(entityFilter({ kind: 'ip', value: '192.0.2.7' })).toBe('(source.ip:192.0.2.7 or destination.ip:192.0.2.7)');
  expect(entityKind('destination.ip')).toBe('ip');
  expect(entityKind('event.action')).toBeUndefined();
});

test('a link says the whole state', () => {
  const link = new URL(huntLink({ q: clause('user.name', 'a&b'), from: 'now-1h', cols: ['x', 'y'] }), 'https://h');
  expect(Object.fromEntries(link.searchParams)).toEqual({ q: 'user.name:"a&b"', from: 'now-1h', cols: 'x,y' });
  expect(new URL(huntLink({}), 'https://h').searchParams.get('from')).toBe('all');
});
