import { expect, test } from 'vitest';
import { place } from './context';

/** The cursor is where the bar is. */
const at = (text: string) => {
  const cursor = text.indexOf('¦');
  return place(text.replace('¦', ''), cursor);
};

test.each([
  ['us¦', { kind: 'field', from: 0, prefix: 'us' }],
  ['failed us¦', { kind: 'field', from: 7, prefix: 'us' }],
  ['user.name:ro¦', { kind: 'value', from: 10, field: 'user.name', prefix: 'ro', quoted: false }],
  ['user.name:¦', { kind: 'value', from: 10, field: 'user.name', prefix: '', quoted: false }],
  ['-user.name:"New O¦', { kind: 'value', from: 11, field: 'user.name', prefix: 'New O', quoted: true }],
  ['(user.name:a¦', { kind: 'value', from: 11, field: 'user.name', prefix: 'a', quoted: false }],
  ['a | su¦', { kind: 'stage', from: 4, prefix: 'su' }],
  ['a | summarize n = count() by user.¦', { kind: 'expression', from: 29, prefix: 'user.' }],
  ['a | where x == "y |¦', undefined],
  ['"a phra¦', undefined],
  ['a | search user.name:x¦', { kind: 'value', from: 21, field: 'user.name', prefix: 'x', quoted: false }],
])('%j', (text, expected) => expect(at(text)).toEqual(expected));
