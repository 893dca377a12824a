// Every test is signed in, and fails on any script error, any violation of the page's policy, and anything loaded from
// elsewhere.
import axe from 'axe-core';
import { expect, test as base, type Page } from '@playwright/test';
import { running, STATE } from './server';

export const test = base.extend<{ quiet: void }>({
  baseURL: async ({}, use) => use(running().url),
  storageState: STATE,
  quiet: [
    async ({ page, baseURL }, use) => {
      const wrong: string[] = [];
      page.on('pageerror', (error) => wrong.push(`script error: ${error.message}`));
      page.on('console', (message) => {
        // What the server refuses is shown on the page and checked there.
        if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text())) wrong.push(`console: ${message.text()}`);
      });
      page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(baseURL!) && !url.startsWith('blob:') && !url.startsWith('data:')) wrong.push(`loaded from elsewhere: ${url}`);
      });
      await use();
      expect(wrong).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

declare global {
  interface Window {
    axe: typeof axe;
  }
}

/** What axe has to say: nothing. */
export async function accessible(page: Page, where = ''): Promise<void> {
  // Once in each page: it is half a megabyte to read.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    return (await window.axe.run({ runOnly, resultTypes: ['violations'] })).violations;
  });
  expect(violations.map((it) => `${it.id}: ${it.nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary?.replace(/\s+/g, ' ') ?? ''}`).slice(0, 4).join(' | ')}`), where).toEqual([]);
}

/** Waits until nothing says any more that it is waiting. */
export async function settled(page: Page): Promise<void> {
  await page.waitForLoadState('load');
  await expect(page.locator('main')).toBeVisible();
  // A wait is said after a quarter of a second (`Waiting`).
  await page.waitForTimeout(400);
  await expect(page.getByText(/^(Loading|Searching|Counting|Asking|Looking)/)).toHaveCount(0);
}
