// What a server cannot be brought to say within a test: played, in the API's words.
import type { Model } from '../src/api/model';
import { expect, test } from './test';

test('quiet sources', async ({ page }) => {
  const source = { id: 1, name: 'file:/var/log/auth.log', receiver: 'file', received: 10, stored: 7, refused: { busy: 1 }, shed: { kernel_drop: 1 }, quiet_since: '2026-11-20T00:00:00Z', expected: '2026-11-20T00:01:00Z', rate_per_minute: 12, last_seen: '2026-11-20T00:00:00Z' } satisfies Model<'SourceModel'>;
  await page.route('**/api/v1/sources', (route) => route.fulfill({ json: { sources: [source] } }));
  await page.goto('/sources');
  await expect(page.getByRole('region', { name: 'Quiet sources' })).toContainText(/quiet since .* ago, its next record was expected .* ago/);
  // 10 is not 7 + 1 + 1, and the page says so.
  await expect(page.getByRole('group', { name: 'Account of all sources' })).toContainText('Does not add up');
});

test('what this server does not offer is said', async ({ page }) => {
  await page.route(/\/api\/v1\/(exceptions|settings|notifications|searches)/, (route) =>
    route.fulfill({ status: 404, contentType: 'application/problem+json', json: { status: 404, title: 'Not Found', detail: `there is nothing at ${new URL(route.request().url()).pathname}` } }),
  );
  for (const [path, what] of [['/rules?tab=exceptions', 'exceptions'], ['/settings?tab=notifications', 'notifications'], ['/settings?tab=receivers', 'a list of its receivers']] as const) {
    await page.goto(path);
    await expect(page.getByText(`This server does not offer ${what}.`)).toBeVisible();
  }
});
