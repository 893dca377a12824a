// Hostile log lines in every view: they show as text, and nothing of them runs.
import { hostiles } from './hostile';
import { api } from './server';
import { expect, settled, test } from './test';
import type { Page } from '@playwright/test';

async function harmless(page: Page): Promise<void> {
  expect(await page.evaluate(() => (window as unknown as { pwned?: number }).pwned)).toBeUndefined();
  expect(await page.locator('main img, main iframe, main script, main style, main [onerror], main [onload], main a[href^="javascript:" i]').count()).toBe(0);
}

const first = hostiles[0]!;
const all = '&from=all';
const title = '<img src=x onerror="window.pwned=1"> title';

test('the inbox and its panel', async ({ page }) => {
  await page.goto('/inbox?state=all');
  await settled(page);
  await page.locator('[data-alert]').filter({ hasText: title }).click();
  await expect(page.getByRole('heading', { level: 2, name: title })).toBeVisible();
  await expect(page.getByRole('region', { name: 'The original record' })).toContainText('<style>*{display:none}</style>');
  await page.getByRole('button', { name: 'Newer finding' }).or(page.getByRole('button', { name: 'Older finding' })).last().click();
  await page.getByRole('button', { name: 'Fields', exact: true }).click();
  await page.keyboard.press('x');
  await expect(page.getByRole('dialog')).toContainText(title);
  await page.keyboard.press('Escape');
  await page.keyboard.press('c');
  await expect(page.getByRole('group', { name: /Verdict on/ })).toContainText(title);
  await page.keyboard.press('Escape');
  await harmless(page);
  await page.keyboard.press('Control+k');
  await page.keyboard.type('title');
  await expect(page.getByRole('option').filter({ hasText: title }).first()).toBeVisible();
  await harmless(page);
});

test('hunt: rows, fields, values, columns, an event, completion', async ({ page }) => {
  await page.goto(`/hunt?q=${encodeURIComponent('pwned not event.dataset:vedette*')}${all}`);
  await settled(page);
  const results = page.getByRole('table', { name: 'Results' });
  await expect(results).toContainText('<script>window.pwned=1</script>');
  // What would turn text around is shown, not obeyed.
  await expect(results).toContainText('\\u202egnp.exe');
  await page.getByRole('button', { name: /^user\.name/ }).click();
  await expect(page.getByText(first, { exact: true }).first()).toBeVisible();
  await page.getByRole('button', { name: `Show odd ${first} as column` }).click();
  await expect(results.getByRole('columnheader').filter({ hasText: `odd ${first}` })).toBeVisible();
  for (let i = 0; i < 12; i++) {
    if (i === 0) await results.getByRole('row').nth(1).getByRole('button').first().click();
    else await page.keyboard.press('j');
    await expect(page.getByRole('complementary', { name: 'Event' })).toBeVisible();
  }
  await page.getByRole('button', { name: 'Original', exact: true }).click();
  await harmless(page);
  await page.keyboard.press('/');
  await page.keyboard.press('End');
  await page.keyboard.type(' user.name:');
  await expect(page.locator('.cm-tooltip-autocomplete li').filter({ hasText: '<' }).first()).toBeVisible();
  await harmless(page);
});

test('hunt: hostile queries and summaries', async ({ page }) => {
  await page.goto(`/hunt?q=${encodeURIComponent(`${first} | wehre "${first}"`)}${all}`);
  await expect(page.getByRole('alert').first()).toBeVisible();
  await harmless(page);
  await page.goto(`/hunt?q=${encodeURIComponent('pwned | summarize n = count() by user.name, message')}${all}`);
  await expect(page.getByRole('table', { name: 'Results' })).toContainText(first);
  await harmless(page);
});

test('an entity of that name, its replay, and the list of entities', async ({ page }) => {
  for (const text of hostiles.slice(0, 6)) {
    await page.goto(`/entity/user/${encodeURIComponent(text)}`);
    await settled(page);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(text);
    await harmless(page);
  }
  await page.goto('/entity');
  await settled(page);
  await harmless(page);
  await page.goto(`/replay?e=${encodeURIComponent(`user:${first}`)}&e=host:evil1`);
  await settled(page);
  await expect(page.getByRole('region', { name: 'Events in order' })).toContainText('pwned');
  await page.keyboard.press('ArrowRight');
  await harmless(page);
});

test('rules: listed, refused, read', async ({ page }) => {
  await page.goto('/rules?find=title');
  await settled(page);
  await expect(page.getByRole('link', { name: title })).toBeVisible();
  await harmless(page);
  await page.goto('/rules?tab=refused');
  await expect(page.getByText('Refused <b>rule</b>')).toBeVisible();
  await page.goto('/rules/5d5cd0de-0d8c-4b54-9c0a-3ddc2a2f6a10');
  await settled(page);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(title);
  await harmless(page);
});

test('what no parser understood', async ({ page }) => {
  await page.goto('/sources?tab=unparsed');
  await settled(page);
  await expect(page.getByText(`no parser knows ${first}`)).toBeVisible();
  await page.getByRole('checkbox').first().check();
  await page.getByRole('button', { name: 'Write a parser from 1 line' }).click();
  await harmless(page);
});

test('notes and tokens', async ({ page }) => {
  const { alerts } = await api<{ alerts: { id: number }[] }>('GET', '/alerts?limit=1');
  await api('POST', `/alerts/${alerts[0]!.id}/note`, { note: first });
  await page.goto(`/inbox?state=all&alert=${alerts[0]!.id}`);
  await settled(page);
  await expect(page.getByRole('region', { name: 'History' })).toContainText(first);
  await harmless(page);
  await page.goto('/settings?tab=tokens');
  await page.getByLabel('For').fill(first);
  await page.getByRole('button', { name: 'Make a token' }).click();
  await expect(page.getByRole('cell', { name: first })).toBeVisible();
  await harmless(page);
});

test('the address is hostile too', async ({ page }) => {
  for (const path of [`/hunt?cols=${encodeURIComponent(first)}&event=${encodeURIComponent(first)}&q=pwned${all}`, `/inbox?find=${encodeURIComponent(first)}&rule=${encodeURIComponent(first)}`, `/rules/${encodeURIComponent(first)}`, `/replay?e=${encodeURIComponent(first)}`, `/settings?tab=${encodeURIComponent(first)}`, '/entity/%3Cb%3E/%25E0%25A4%25A']) {
    await page.goto(path);
    await page.waitForTimeout(800);
    await harmless(page);
  }
});
