// A server, the first account through its one-time link in a browser, and something to look at.
import { chromium } from '@playwright/test';
import { existsSync } from 'node:fs';
import { chromiumPath } from './chromium';
import { feed } from './feed';
import { start, STATE, stop } from './server';
import { openWebhook } from './webhook';

export const PASSWORD = 'correct horse battery';

export default async function setup(): Promise<void> {
  if (!existsSync(new URL('../dist/index.html', import.meta.url))) throw new Error('no built console: run `npm run build` first');
  const { url, setup: link } = await start(await openWebhook());
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(url + link);
    await page.getByLabel('User name').fill('ada');
    await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('New password, once more').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set password and sign in' }).click();
    await page.waitForURL('**/inbox');
    // The link is a secret: it is gone from the address.
    if (page.url().includes('token=')) throw new Error('the one-time link is still in the address');
    await context.storageState({ path: STATE });
    await feed();
  } catch (error) {
    await browser.close();
    await stop();
    throw error;
  }
  await browser.close();
}
