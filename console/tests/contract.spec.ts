// Parts of the API that a server may not have yet: played by the test, word for word as the contract has them.
import { expect, settled, test } from './test';
import type { Page } from '@playwright/test';

type Body = Record<string, unknown> | unknown[];

/** Answers a route and remembers what was asked. */
async function play(page: Page, method: string, path: string | RegExp, answer: Body, asked: { method: string; url: string; body: unknown }[] = []) {
  await page.route(path, async (route) => {
    const request = route.request();
    if (request.method() !== method) return route.fallback();
    asked.push({ method, url: request.url(), body: request.postDataJSON() as unknown });
    await route.fulfill({ json: answer });
  });
  return asked;
}

test('exceptions: previewed, made with a reason, listed, removed', async ({ page }) => {
  await play(page, 'POST', '**/api/v1/exceptions/preview', { findings: 37, alerts: 3, true_positives: 1, days: 30 });
  const made = await play(page, 'POST', '**/api/v1/exceptions', { id: 1 });
  await page.goto('/inbox');
  await settled(page);
  await page.keyboard.press('x');
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('Would have hidden 37 findings in 3 alerts in 30 days');
  await expect(dialog).toContainText('1 of them was confirmed');
  await dialog.getByLabel('Reason').fill('the backup job');
  await dialog.getByRole('button', { name: 'Make the exception' }).click();
  await expect(dialog).toHaveCount(0);
  expect(made[0]!.body).toMatchObject({ reason: 'the backup job', conditions: [{ field: expect.any(String), value: expect.any(String) }] as unknown[] });

  const listed = { id: 1, rule_id: 'x', conditions: [{ field: 'host.name', value: 'web1' }], reason: 'the backup job', author: 'ada', created: '2026-11-21T00:00:00Z', expires: null, hidden: 12 };
  await play(page, 'GET', '**/api/v1/exceptions', { exceptions: [listed] });
  const removed = await play(page, 'DELETE', '**/api/v1/exceptions/1', { done: true });
  await page.goto('/rules?tab=exceptions');
  await expect(page.getByRole('row').filter({ hasText: 'the backup job' })).toContainText('host.name: web1');
  await page.getByRole('button', { name: 'Remove' }).click();
  await expect.poll(() => removed.length).toBe(1);
});

test('saved searches', async ({ page }) => {
  const found = { id: 7, name: 'Root log-ins', query: 'user.name:root', language: 'hunt', columns: ['@timestamp', 'user.name'], owner: 'ada', changed: '2026-11-21T00:00:00Z' };
  await play(page, 'GET', '**/api/v1/searches', { searches: [found] });
  const saved = await play(page, 'POST', '**/api/v1/searches', { id: 8 });
  await page.goto('/hunt?q=Accepted&from=all');
  await settled(page);
  await page.getByRole('button', { name: 'Saved' }).click();
  await page.getByRole('menuitem', { name: 'Save this search…' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('Log-ins');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText('Saved as Log-ins')).toBeVisible();
  expect(saved[0]!.body).toEqual({ name: 'Log-ins', query: 'Accepted', language: 'hunt', columns: ['@timestamp', 'event.dataset', 'host.name', 'message'] });
  await page.getByRole('button', { name: 'Saved', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Root log-ins ada' }).click();
  await expect(page).toHaveURL(/q=user\.name%3Aroot/);
  await expect(page.getByRole('columnheader')).toHaveText(['@timestamp', 'user.name']);
});

test('a rule: live validation with line, a trial, saving', async ({ page }) => {
  await page.route('**/api/v1/rules/check', async (route) => {
    const { text } = route.request().postDataJSON() as { text: string };
    const wrong = text.includes('nonsense');
    await route.fulfill({
      json: wrong
        ? { loads: false, rules: [], diagnostics: [{ line: 2, column: 5, message: 'unknown modifier `nonsense`', hint: 'did you mean `contains`?' }] }
        : { loads: true, rules: [{ id: 'r1', title: 'x', level: 'low' }], diagnostics: [] },
    });
  });
  const finding = { rule_id: 'r1', event_id: '3-1', time: '2026-11-21T04:11:52Z', summary: { message: 'Accepted password' } };
  await play(page, 'POST', '**/api/v1/rules/test', { events_read: 1234, findings: [finding], truncated: false, elapsed_ms: 12 });
  const saved = await play(page, 'PUT', '**/api/v1/rules/files/my-rule', { file: 'my-rule.yml', rules: [] });
  await page.goto('/rules/edit');
  await expect(page.getByText('1 rule would load')).toBeVisible();
  const editor = page.getByRole('textbox', { name: 'The rule, as Sigma YAML' });
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type('nonsense: 1');
  await expect(page.getByText('Would be refused')).toBeVisible();
  await expect(page.getByText('unknown modifier `nonsense`')).toBeVisible();
  await expect(page.locator('.cm-wrong')).toHaveCount(1);
  await expect(page.getByRole('button', { name: 'Save', exact: true })).toBeDisabled();
  await page.getByRole('button', { name: 'Revert' }).click();
  await page.getByRole('button', { name: 'Test on the last hour' }).click();
  await expect(page.getByText('1 findings')).toBeVisible();
  await expect(page.getByText('among 1,234 events')).toBeVisible();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect.poll(() => saved.length).toBe(1);
  expect((saved[0]!.body as { text: string }).text).toContain('title: Log-in as root');
});

test('a parser from unparsed lines', async ({ page }) => {
  const asked = await play(page, 'POST', '**/api/v1/parsers/check', { loads: true, diagnostics: [], results: [{ line: 'l', parser: 'mine@1', fields: { 'shop.ticket': 'T-42' } }] });
  const saved = await play(page, 'PUT', '**/api/v1/parsers/files/shop', { restart: true });
  await page.goto('/sources?tab=unparsed');
  await settled(page);
  await page.getByRole('checkbox').nth(0).check();
  await page.getByRole('checkbox').nth(1).check();
  await page.getByRole('button', { name: 'Write a parser from 2 lines' }).click();
  await expect(page.getByText('understood by mine@1')).toBeVisible();
  await expect(page.getByText('T-42')).toBeVisible();
  expect((asked[0]!.body as { lines: string[] }).lines).toHaveLength(2);
  await page.getByLabel('File').fill('shop');
  await page.getByRole('button', { name: 'Save the parser' }).click();
  await expect(page.getByText(/takes effect when the server is restarted/)).toBeVisible();
  expect((saved[0]!.body as { text: string }).text).toContain('parser: mine');
});

test('retention and receivers', async ({ page }) => {
  await play(page, 'GET', '**/api/v1/settings', {
    retention: { max_age_days: 90, max_bytes: null, max_disk_percent: 80 },
    receivers: [{ kind: 'syslog-tcp', address: '0.0.0.0:1514', tls: true }],
    config_file: '/etc/vedette.yml',
  });
  const saved = await play(page, 'PUT', '**/api/v1/settings/retention', {});
  await page.goto('/settings?tab=retention');
  await expect(page.getByLabel('Days')).toHaveValue('90');
  await page.getByLabel('Days').fill('x');
  await expect(page.getByText('A whole number')).toBeVisible();
  await page.getByLabel('Days').fill('30');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Retention is changed')).toBeVisible();
  expect(saved[0]!.body).toEqual({ max_age_days: 30, max_bytes: null, max_disk_percent: 80 });
  await page.goto('/settings?tab=receivers');
  await expect(page.getByRole('cell', { name: '0.0.0.0:1514' })).toBeVisible();
  await expect(page.getByText('port="1514"')).toBeVisible();
});

test('notifications: accounts, a test, letters that were given up', async ({ page }) => {
  const counts = { offered: 10, sent: 6, suppressed: { quiet_hours: 3 }, queued: 0, dead: 1 };
  await play(page, 'GET', '**/api/v1/notifications', { channels: [{ name: 'on-call', kind: 'ntfy', queued: 0, dead: 1 }], accounts: [{ channel: 'on-call', route: 'bad', ...counts }], total: counts });
  await play(page, 'GET', '**/api/v1/notifications/dead-letters', { dead_letters: [{ id: 4, channel: 'on-call', title: 'Brute force', error: '502 Bad Gateway', attempts: 9, given_up: '2026-11-21T00:00:00Z' }] });
  const tested = await play(page, 'POST', '**/api/v1/notifications/channels/on-call/test', { sent: true, status: 200, answer: 'ok', error: null, millis: 3 });
  const retried = await play(page, 'POST', '**/api/v1/notifications/dead-letters/4/retry', {});
  await page.goto('/settings?tab=notifications');
  await expect(page.getByRole('row').filter({ hasText: 'on-call' }).getByRole('cell')).toHaveText(['on-call ntfy', '10', '6', '3', '0', '1', 'Send a test']);
  await page.getByRole('button', { name: 'Send a test' }).click();
  await expect(page.getByText('Sent to on-call')).toBeVisible();
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.poll(() => [tested.length, retried.length]).toEqual([1, 1]);
});

test('quiet sources', async ({ page }) => {
  const source = { id: 1, name: 'file:/var/log/auth.log', receiver: 'file', received: 10, stored: 7, refused: { busy: 1 }, shed: { kernel_drop: 1 }, quiet_since: '2026-11-20T00:00:00Z', expected_every_seconds: 60, rate_per_minute: 12, last_seen: '2026-11-20T00:00:00Z' };
  await play(page, 'GET', '**/api/v1/sources', { sources: [source] });
  await page.goto('/sources');
  await expect(page.getByRole('region', { name: 'Quiet sources' })).toContainText('usually heard every 1 min');
  // 10 is not 7 + 1 + 1, and the page says so.
  await expect(page.getByRole('group', { name: 'Account of all sources' })).toContainText('Does not add up');
});

test('export as CSV and Parquet asks for the columns on the screen', async ({ page }) => {
  for (const format of ['csv', 'parquet']) {
    const asked: unknown[] = [];
    await page.route(`**/api/v1/search?format=${format}`, async (route) => {
      asked.push(route.request().postDataJSON());
      await route.fulfill({ body: 'a,b\n', headers: { 'content-type': 'application/octet-stream' } });
    });
    await page.goto('/hunt?q=Accepted&from=all&cols=@timestamp,user.name');
    await settled(page);
    await page.getByRole('button', { name: 'Export' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: new RegExp(format, 'i') }).click()]);
    expect(file.suggestedFilename()).toBe(`events.${format}`);
    expect(asked).toEqual([{ query: 'Accepted', language: 'hunt', columns: ['@timestamp', 'user.name'] }]);
  }
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
