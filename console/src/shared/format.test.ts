import { expect, test } from 'vitest';
import { formatBytes, formatShort, formatValue, visible } from './format';
import { mark, needles } from './marks';

test('numbers', () => {
  expect([0, 999, 1234, 12_345, 1_500_000].map(formatShort)).toEqual(['0', '999', '1.2k', '12k', '1.5M']);
  expect([12, 1500, 2_000_000, 3.2e9].map(formatBytes)).toEqual(['12 B', '1.5 kB', '2 MB', '3.2 GB']);
});

test('values are one line of text', () => {
  expect(formatValue(['a', 1, null])).toBe('a, 1, ');
  expect(formatValue({ a: 1 })).toBe('{"a":1}');
  expect(formatValue(undefined)).toBe('');
});

test('what is invisible is shown', () => {
  expect(visible('a\u0000b\u001b[31m')).toBe('a␀b␛[31m');
  expect(visible('abc\u202etxt.exe')).toBe('abc\\u202etxt.exe');
  expect(visible('line\nnext\ttab')).toBe('line\nnext\ttab');
});

test('marks what matched, whatever its case, and joins what overlaps', () => {
  const shown = (text: string, values: string[]) =>
    mark(text, values).map((piece) => (piece.marked ? `[${piece.text}]` : piece.text)).join('');
  expect(shown('Failed password for ROOT', ['root', 'failed'])).toBe('[Failed] password for [ROOT]');
  expect(shown('abcdef', ['bcd', 'cde'])).toBe('a[bcde]f');
  expect(shown('{"p":"C:\\\\Tmp\\\\x"}', ['C:\\Tmp\\x'])).toBe('{"p":"[C:\\\\Tmp\\\\x]"}');
  expect(shown('nothing', [''])).toBe('nothing');
  expect(shown('a.b(c', ['.b('])).toBe('a[.b(]c');
  expect(mark('x'.repeat(100_000), ['x'])).toHaveLength(2);
});

test('patterns are marked by their pieces', () => {
  expect(needles(['*mimikatz*sekurlsa'])).toEqual(['*mimikatz*sekurlsa', 'mimikatz', 'sekurlsa']);
});
