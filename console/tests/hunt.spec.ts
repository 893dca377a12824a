import { readFileSync } from 'node:fs';
import { expect, settled, test } from './test';
import type { Page } from '@playwright/test';

const box = (page: Page) => page.getByRole('textbox', { name: 'Search', exact: true });
const table = (page: Page) => page.getByRole('table', { name: 'Results' });
const rows = (page: Page) => table(page).getByRole('row');
/** Searches are events too, and would find themselves: ours are for what sshd says. */
const ACCEPTED = 'Accepted event.dataset:linux.sshd';
const q = (query: string, more = '') => `/hunt?q=${encodeURIComponent(query)}&from=all${more}`;

async function ask(page: Page, query: string): Promise<void> {
  await box(page).click();
  await page.keyboard.press('Control+a');
  await page.keyboard.type(query);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+Enter');
}

test('/ goes to the box, Enter runs, the state is in the address', async ({ page }) => {
  await page.goto('/hunt');
  await settled(page);
  await page.keyboard.press('/');
  await page.keyboard.type('Accepted event.dataset:linux.sshd');
  // An offer that nobody chose is not taken.
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/q=Accepted/);
  await expect(page.getByText('2 events')).toBeVisible();
  const link = page.url();
  await page.goto('/inbox');
  await page.goto(link);
  await expect(page.getByText('2 events')).toBeVisible();
  await page.goBack();
  await expect(page).toHaveURL(/inbox/);
});

test('completion of fields, values and stages', async ({ page }) => {
  await page.goto('/hunt?from=all');
  await settled(page);
  await page.keyboard.press('/');
  await page.keyboard.type('user.na');
  const offers = page.locator('.cm-tooltip-autocomplete li');
  await expect(offers.filter({ hasText: 'user.name' }).first()).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(box(page)).toHaveText('user.name:');
  await page.keyboard.type('ad', { delay: 80 });
  await expect(offers.filter({ hasText: /^ada/ })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(box(page)).toHaveText('user.name:ada');
  await page.keyboard.type(' | summ');
  await expect(offers.filter({ hasText: 'summarize' })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(box(page)).toHaveText('user.name:ada | summarize');
});

test('a mistake has a caret and the way out', async ({ page }) => {
  await page.goto('/hunt?from=all');
  await settled(page);
  await ask(page, 'failed | wehre a == 1');
  const mistake = page.getByRole('alert').filter({ hasText: 'wehre' });
  await expect(mistake).toContainText('unknown stage');
  await expect(mistake).toContainText('did you mean');
  const [line, caret] = (await mistake.locator('pre').innerText()).split('\n');
  expect(line!.indexOf('wehre')).toBe(caret!.indexOf('^'));
  await expect(page.locator('.cm-wrong')).toHaveText('wehre');
});

test('numbers of a summary lead to their events', async ({ page }) => {
  await page.goto(q('message:Failed* event.dataset:linux.sshd | summarize n = count() by host.name'));
  await rows(page).filter({ hasText: 'web1' }).getByRole('link').last().click();
  await expect(page).toHaveURL(/host\.name%3Aweb1/);
  await expect(page.getByText('40 events')).toBeVisible();
});

test('SQL in the same editor', async ({ page }) => {
  await page.goto(`/hunt?lang=sql&from=all&q=${encodeURIComponent('SELECT host.name, count(*) AS n FROM events GROUP BY host.name ORDER BY n DESC')}`);
  await expect(rows(page).filter({ hasText: 'web1' })).toBeVisible();
  await page.goto(`/hunt?lang=sql&from=all&q=${encodeURIComponent('DROP TABLE events')}`);
  await expect(page.getByRole('alert').filter({ hasText: 'DROP' }).first()).toBeVisible();
});

test('the histogram: brush narrows, its table says the same', async ({ page }) => {
  await page.goto(q('Failed event.dataset:linux.sshd'));
  await settled(page);
  const chart = page.getByRole('img', { name: /Events over time/ });
  await page.getByRole('button', { name: 'As a table' }).click();
  const counts = await page.getByRole('region', { name: 'Events over time' }).getByRole('cell').allInnerTexts();
  const sum = counts.filter((_, i) => i % 2 === 1).reduce((total, text) => total + Number(text.replaceAll(',', '')), 0);
  await expect(page.getByText(`${sum} events`)).toBeVisible();
  const area = (await chart.locator('.u-over').boundingBox())!;
  await page.mouse.move(area.x + area.width * 0.02, area.y + 20);
  await page.mouse.down();
  await page.mouse.move(area.x + area.width * 0.5, area.y + 20, { steps: 5 });
  await page.mouse.up();
  await expect(page).toHaveURL(/from=20\d\d-.*to=20\d\d-/);
  await page.getByRole('button', { name: 'All time', exact: true }).first().click();
  await expect(page).toHaveURL(/from=all/);
});

test('j, k and Enter walk through events; parsed and original; narrowing', async ({ page }) => {
  await page.goto(q(ACCEPTED));
  await settled(page);
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Event' });
  await expect(panel).toContainText('ada');
  await page.keyboard.press('j');
  await expect(panel).toContainText('203.0.113.1');
  await page.keyboard.press('k');
  await panel.getByRole('button', { name: 'Original', exact: true }).click();
  await expect(panel.locator('pre')).toContainText('Accepted publickey for ada');
  await panel.getByRole('button', { name: 'Fields', exact: true }).click();
  await panel.getByRole('button', { name: 'Only events with this user.name', exact: true }).click();
  await expect(page).toHaveURL(/q=Accepted\+event\.dataset%3Alinux\.sshd\+user\.name%3Aada/);
  await expect(page.getByText('1 events')).toBeVisible();
  await page.goto(q(ACCEPTED, '&event=1-0'));
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
});

test('columns: from the field list, by drag, by menu; kept in the address', async ({ page }) => {
  await page.setViewportSize({ width: 2000, height: 900 });
  await page.goto(q(ACCEPTED));
  await settled(page);
  const heads = () => table(page).getByRole('columnheader').allInnerTexts();
  await page.getByRole('button', { name: 'Show user.name as column' }).click();
  await expect.poll(heads).toEqual(['@timestamp', 'event.dataset', 'host.name', 'message', 'user.name']);
  const head = (name: string) => table(page).getByRole('columnheader', { name });
  await head('user.name').dragTo(head('event.dataset'));
  await expect.poll(heads).toEqual(['@timestamp', 'user.name', 'event.dataset', 'host.name', 'message']);
  await page.locator('li').filter({ has: page.getByRole('button', { name: /^source\.ip/ }) }).dragTo(head('host.name'));
  await expect.poll(heads).toEqual(['@timestamp', 'user.name', 'event.dataset', 'source.ip', 'host.name', 'message']);
  await head('message').getByRole('button').click();
  await page.getByRole('menuitem', { name: 'Move left' }).click();
  await head('host.name').getByRole('button').click();
  await page.getByRole('menuitem', { name: /Remove column/ }).click();
  await expect.poll(heads).toEqual(['@timestamp', 'user.name', 'event.dataset', 'source.ip', 'message']);
  await page.reload();
  await expect.poll(heads).toEqual(['@timestamp', 'user.name', 'event.dataset', 'source.ip', 'message']);
  const box_ = (await head('user.name').boundingBox())!;
  await page.mouse.move(box_.x + box_.width - 1, box_.y + 10);
  await page.mouse.down();
  await page.mouse.move(box_.x + box_.width + 99, box_.y + 10, { steps: 4 });
  await page.mouse.up();
  expect((await head('user.name').boundingBox())!.width).toBeGreaterThan(box_.width + 80);
});

test('statistics of a field', async ({ page }) => {
  await page.goto(q('Failed event.dataset:linux.sshd host.name:web1'));
  await settled(page);
  await page.getByRole('button', { name: /^source\.ip/ }).click();
  await expect(page.getByRole('link', { name: /^8 / })).toHaveCount(5);
  await page.getByRole('button', { name: 'Without events with this source.ip 203.0.113.0' }).click();
  await expect(page).toHaveURL(/not\+source\.ip%3A203\.0\.113\.0/);
  await expect(page.getByText('32 events')).toBeVisible();
});

test('a search is cancelled with Escape', async ({ page }) => {
  // An answer that takes its time.
  await page.route('**/api/v1/search?format=pieces', async (route) => {
    await new Promise((done) => setTimeout(done, 8000));
    await route.abort().catch(() => {});
  });
  await page.goto(q('anything'));
  await expect(page.getByRole('button', { name: 'Cancel' }).first()).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('heading', { name: 'Cancelled' })).toBeVisible();
});

test('export as JSON', async ({ page }) => {
  await page.goto(q(ACCEPTED));
  await settled(page);
  await page.getByRole('button', { name: 'Export' }).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: /JSON/ }).click()]);
  const lines = readFileSync(await file.path(), 'utf8').trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(JSON.parse(lines[0]!)).toMatchObject({ 'host.name': 'db1' });
});

test('a time range by preset and by hand', async ({ page }) => {
  await page.goto(`/hunt?q=${encodeURIComponent(ACCEPTED)}`);
  await settled(page);
  await page.getByRole('button', { name: /Time range/ }).click();
  await page.getByRole('button', { name: 'Last 7 days' }).click();
  await expect(page).toHaveURL(/from=now-7d/);
  await page.getByRole('button', { name: /Time range/ }).click();
  await page.getByLabel('From (UTC)').fill('nonsense');
  await page.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByText('Not a time')).toBeVisible();
  await page.getByLabel('From (UTC)').fill('2001-01-01');
  await page.getByLabel('To (UTC)').fill('2001-01-02');
  await page.getByRole('button', { name: 'Apply' }).click();
  await expect(page.getByRole('heading', { name: 'Nothing found' })).toBeVisible();
  await page.getByRole('button', { name: 'Search all time' }).click();
  await expect(page.getByText('2 events')).toBeVisible();
});
