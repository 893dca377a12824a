// Triage without the mouse.
import { sshd } from './feed';
import { api, send } from './server';
import { expect, settled, test } from './test';
import type { Page } from '@playwright/test';

const current = (page: Page) => page.locator('[data-here]');
const title = (page: Page) => current(page).locator('[class*=title]').innerText();
const closedCount = async () => (await api<{ total: number }>('GET', '/alerts?state=closed')).total;

test.beforeEach(async ({ page }) => {
  await page.goto('/inbox');
  await settled(page);
});

test('j, k and the arrows move, Enter opens why, Escape closes', async ({ page }) => {
  const first = await current(page).getAttribute('data-alert');
  await page.keyboard.press('j');
  const second = await current(page).getAttribute('data-alert');
  expect(second).not.toBe(first);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('k');
  expect(await current(page).getAttribute('data-alert')).toBe(first);
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary', { name: 'Alert' });
  await expect(panel).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`alert=${first}`));
  await page.keyboard.press('j');
  await expect(page).toHaveURL(new RegExp(`alert=${second}`));
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
});

test('worst first, and severity has a name', async ({ page }) => {
  const levels = await page.locator('[data-alert] span[class*="level-"]').evaluateAll((all) => all.map((it) => it.textContent ?? ''));
  const order = ['Critical', 'High', 'Medium', 'Low', 'Informational'];
  expect(levels.length).toBeGreaterThan(3);
  expect(levels.map((it) => order.indexOf(it))).toEqual([...levels.map((it) => order.indexOf(it))].sort((a, b) => a - b));
});

test('the panel says why: matched fields are marked in the original record', async ({ page }) => {
  const { alerts } = await api<{ alerts: { id: number }[] }>('GET', '/alerts?rule=SSH%20password%20refused');
  await page.goto(`/inbox?alert=${alerts[0]!.id}`);
  const record = page.getByRole('region', { name: 'The original record' });
  await expect(record).toContainText('Failed password for root');
  await expect(record.locator('mark').first()).toContainText('Failed password for root from 203.0.113.');
  await expect(page.getByRole('region', { name: 'Around it' }).getByRole('listitem').first()).toBeVisible();
  await expect(page.getByRole('region', { name: 'Earlier verdicts on this rule' })).toBeVisible();
  await page.getByRole('button', { name: 'Fields', exact: true }).click();
  await expect(page.getByText('matched', { exact: true }).first()).toBeVisible();
  await page.getByRole('link', { name: /finding/ }).first().click();
  await expect(page).toHaveURL(/\/hunt\?q=event\.dataset%3Avedette\.findings/);
  await expect(page.getByRole('table', { name: 'Results' }).getByRole('row')).not.toHaveCount(1);
});

test('a acknowledges, m takes', async ({ page }) => {
  const id = await current(page).getAttribute('data-alert');
  await page.keyboard.press('a');
  await expect(page.getByText(/^Acknowledged: /)).toBeVisible();
  await page.keyboard.press('m');
  await expect(page.getByText(/^Assigned: /)).toBeVisible();
  const alert = await api<{ state: string; assignee: string }>('GET', `/alerts/${id}`);
  expect(alert).toMatchObject({ state: 'acknowledged', assignee: 'ada' });
});

for (const [key, verdict] of [['t', 'true_positive'], ['f', 'false_positive'], ['b', 'benign']] as const) {
  test(`c ${key} closes as ${verdict}; the cursor goes on; undo reopens`, async ({ page }) => {
    const id = await current(page).getAttribute('data-alert');
    const before = await closedCount();
    await page.keyboard.press('c');
    await expect(page.getByRole('group', { name: /Verdict on/ })).toBeVisible();
    await page.keyboard.press(key);
    await expect(page.locator(`[data-alert="${id}"]`)).toHaveCount(0);
    await expect(current(page)).toHaveCount(1);
    await expect.poll(closedCount).toBe(before + 1);
    expect((await api<{ verdict: string }>('GET', `/alerts/${id}`)).verdict).toBe(verdict);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect(page.locator(`[data-alert="${id}"]`)).toHaveCount(1);
    await expect.poll(closedCount).toBe(before);
  });
}

test('c and Escape does nothing', async ({ page }) => {
  const before = await closedCount();
  await page.keyboard.press('c');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('group', { name: /Verdict on/ })).toHaveCount(0);
  expect(await closedCount()).toBe(before);
});

test('x opens the exception dialog', async ({ page }) => {
  await page.keyboard.press('x');
  await expect(page.getByRole('dialog', { name: 'Make an exception' })).toBeVisible();
  await expect(page.getByLabel('Reason')).toBeFocused();
  // In a dialog letters are letters.
  await page.keyboard.type('ajk');
  await expect(page.getByLabel('Reason')).toHaveValue('ajk');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('/ filters', async ({ page }) => {
  await page.keyboard.press('/');
  await page.keyboard.type('audit log');
  await expect(page.locator('[data-alert]')).toHaveCount(1);
  await expect(page).toHaveURL(/find=audit/);
  await page.keyboard.press('Escape');
  await expect(page).not.toHaveURL(/find=/);
});

test('the palette finds pages, alerts and entities', async ({ page }) => {
  await page.keyboard.press('Control+k');
  const palette = page.getByRole('dialog', { name: 'Command palette' });
  await expect(palette).toBeVisible();
  await page.keyboard.type('SSH password');
  await expect(palette.getByRole('option', { selected: true })).toContainText('SSH password refused');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('203.0.113.1');
  await palette.getByRole('option', { name: 'Open address 203.0.113.1' }).click();
  await expect(page).toHaveURL(/\/entity\/ip\/203\.0\.113\.1/);
});

test('g and a letter go to pages, ? shows the keys, u switches the zone', async ({ page }) => {
  for (const [key, path] of [['h', 'hunt'], ['e', 'entity'], ['p', 'replay'], ['r', 'rules'], ['s', 'sources'], [',', 'settings'], ['i', 'inbox']] as const) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await expect(page).toHaveURL(new RegExp(`/${path}`));
  }
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('button', { name: /^UTC/ })).toBeVisible();
  await page.keyboard.press('u');
  await expect(page.getByRole('button', { name: /^Local/ })).toBeVisible();
  await page.keyboard.press('u');
});

test('a new alert appears by itself, once', async ({ page }) => {
  await page.goto('/inbox?sort=newest');
  await settled(page);
  const before = await page.locator('[data-alert]').count();
  await send([sshd('Failed password for root from 203.0.113.77 port 22 ssh2', 'fresh1', 1)], 'live');
  const mine = page.locator('[data-alert]').filter({ hasText: 'fresh1' });
  await expect(mine).toHaveCount(1);
  expect(await page.locator('[data-alert]').count()).toBe(before + 1);
  await send([sshd('Failed password for root from 203.0.113.77 port 23 ssh2', 'fresh1', 0)], 'live');
  await expect(mine).toContainText('×2');
  await expect(mine).toHaveCount(1);
});

test('on a phone the panel covers the list and gives it back', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const name = await title(page);
  await current(page).click();
  await expect(page.getByRole('complementary', { name: 'Alert' }).getByRole('heading', { level: 2 })).toHaveText(name);
  await page.getByRole('complementary').getByRole('button', { name: 'Close', exact: true }).first().click();
  await expect(current(page)).toBeVisible();
});
