import { expect, test } from 'vitest';
import { drill } from './drill';

const q = (link: string | undefined) => link && Object.fromEntries(new URL(link, 'https://h').searchParams);

test('a line of a summary leads to its events', () => {
  expect(q(drill('failed | summarize n = count() by user.name, host.name | top 5 by n', { 'user.name': 'root', 'host.name': null, n: 3 }, {}))).toEqual({
    q: 'failed user.name:root not host.name:*',
    from: 'all',
  });
});

test('a bucket of time is a range', () => {
  expect(q(drill('* | summarize count() by bin(@timestamp, 5m)', { '@timestamp': '2026-11-21T04:10:00.000000Z', count_: 7 }, {}))).toEqual({
    from: '2026-11-21T04:10:00.000Z',
    to: '2026-11-21T04:15:00.000Z',
  });
});

test.each([
  'a | extend x = 1 | summarize n = count() by x',
  'a | summarize n = count() by tolower(user.name)',
  'a | summarize n = count() by user.name | project n',
])('nothing is claimed of %j', (query) => expect(drill(query, { n: 1, x: 1, 'user.name': 'a' }, {})).toBeUndefined());
