import type { Page } from '@playwright/test';
import { PASSWORD } from './setup';
import { api, running } from './server';
import { accessible, expect, settled, test } from './test';

const SESSION = '__Host-vedette';
const LONG = 'a long enough password';

async function signIn(page: Page, name: string, password: string): Promise<void> {
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** An account with a password, without a browser. */
async function invite(name: string): Promise<void> {
  const { link } = await api<{ link: string }>('POST', '/users', { name, scopes: ['read'] });
  await api('POST', '/links', { link: new URL(link, running().url).searchParams.get('token'), name, password: LONG });
}

test.describe('at the door', () => {
  test.use({ storageState: { cookies: [], origins: [] } });

  test('a wrong password is refused in the server’s words, a right one leads to where one wanted', async ({ page }) => {
    await page.goto('/hunt?q=event.outcome%3Afailure&from=all');
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await accessible(page);
    await page.getByLabel('User name').fill('ada');
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page.getByRole('alert')).toBeVisible();
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await expect(page).toHaveURL(/\/hunt\?q=event\.outcome/);
    await expect(page.getByRole('table', { name: 'Results' })).toBeVisible();
  });

  test('an invitation sets a password, once', async ({ page }) => {
    const { link } = await api<{ link: string }>('POST', '/users', { name: 'grace', scopes: ['read'] });
    await page.goto(link);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await accessible(page);
    const set = async (again: string) => {
      await page.getByLabel('New password', { exact: true }).fill('a long enough password');
      await page.getByLabel('New password, once more').fill(again);
      await page.getByRole('button', { name: 'Set password and sign in' }).click();
    };
    await set('another password');
    await expect(page.getByText('The two are not the same')).toBeVisible();
    await set('a long enough password');
    await expect(page).toHaveURL(/\/inbox/);
    // Who may only read can change nothing.
    await settled(page);
    await page.keyboard.press('Enter');
    await expect(page.getByRole('button', { name: 'Close c' })).toBeDisabled();
    await page.keyboard.press('m');
    await expect(page.getByText('You may look, but not change alerts.')).toBeVisible();

    await page.goto(link);
    await set('a long enough password');
    await expect(page.getByRole('alert')).toContainText(/link/);
  });

  test('signing in begins a session of its own: what was planted before is not taken over, and ends', async ({ page, context, playwright, baseURL }) => {
    const url = baseURL!;
    await invite('mallory');
    // The attacker's own session, which works...
    const attacker = await playwright.request.newContext({ baseURL: url, ignoreHTTPSErrors: true, extraHTTPHeaders: { origin: url } });
    expect((await attacker.post('/api/v1/session', { data: { name: 'mallory', password: LONG } })).status()).toBe(200);
    const planted = (await attacker.storageState()).cookies.find((it) => it.name === SESSION)!.value;
    expect((await attacker.get('/api/v1/session')).status()).toBe(200);
    // ...and one he made up, put into the victim's browser before the victim signs in.
    for (const value of ['0123456789abcdef0123456789abcdef', planted]) {
      await context.clearCookies();
      await context.addCookies([{ name: SESSION, value, domain: new URL(url).hostname, path: '/', secure: true, httpOnly: true, sameSite: 'Strict' }]);
      await page.goto('/inbox');
      if (value === planted) {
        // The victim notices nothing of the attacker's session but its name; she signs in over it.
        await page.getByRole('button', { name: /Account of mallory/ }).waitFor();
        await page.evaluate(async ({ name, password }) => {
          const answer = await fetch('/api/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, password }) });
          if (!answer.ok) throw new Error(await answer.text());
        }, { name: 'ada', password: PASSWORD });
        await page.reload();
      } else {
        await signIn(page, 'ada', PASSWORD);
      }
      await page.getByRole('button', { name: /Account of ada/ }).waitFor();
      const mine = (await context.cookies()).filter((it) => it.name === SESSION);
      expect(mine).toHaveLength(1);
      expect(mine[0]!.value).not.toBe(value);
      expect(mine[0]!.value.length).toBeGreaterThan(30);
      expect(mine[0]).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/' });
      // What was planted opens nothing: neither the victim's account nor, any more, the attacker's own.
      const late = await playwright.request.newContext({ baseURL: url, ignoreHTTPSErrors: true, extraHTTPHeaders: { cookie: `${SESSION}=${value}` } });
      expect((await late.get('/api/v1/session')).status()).toBe(401);
      await late.dispose();
    }
    // Every signing in is another session.
    const before = (await context.cookies()).find((it) => it.name === SESSION)!.value;
    await page.getByRole('button', { name: /Account of ada/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await signIn(page, 'ada', PASSWORD);
    await page.getByRole('button', { name: /Account of ada/ }).waitFor();
    expect((await context.cookies()).find((it) => it.name === SESSION)!.value).not.toBe(before);
    await attacker.dispose();
  });

  test('guessing passwords is stopped, said, and ends; others are not locked out', async ({ page, playwright, baseURL }) => {
    test.setTimeout(120_000);
    await invite('edsger');
    await page.goto('/inbox');
    for (let i = 0; i < 5; i++) {
      const [answer] = await Promise.all([page.waitForResponse('**/api/v1/session'), signIn(page, 'edsger', `guess number ${i}`)]);
      expect(answer.status()).toBe(401);
      await expect(page.getByRole('alert')).toHaveText('user name or password are wrong');
    }
    // From here on even the right one is not looked at.
    const [answer] = await Promise.all([page.waitForResponse('**/api/v1/session'), signIn(page, 'edsger', LONG)]);
    expect(answer.status()).toBe(429);
    const seconds = Number(answer.headers()['retry-after']);
    expect(seconds).toBeGreaterThan(20);
    const began = Date.now();
    await expect(page.getByRole('alert')).toContainText(/too many failed attempts; try again in \d+ s/);
    const button = page.getByRole('button', { name: /^Try again in \d+ s$/ });
    await expect(button).toBeDisabled();
    await accessible(page);
    // In parallel and past the page is no way around it; who is somebody else is not kept out.
    const direct = await playwright.request.newContext({ baseURL: baseURL!, ignoreHTTPSErrors: true, extraHTTPHeaders: { origin: baseURL! } });
    const statuses = await Promise.all(['Edsger', 'edsger', 'EDSGER'].map(async (name) => (await direct.post('/api/v1/session', { data: { name, password: LONG } })).status()));
    expect(statuses).toEqual([429, 429, 429]);
    expect((await direct.post('/api/v1/session', { data: { name: 'ada', password: PASSWORD } })).status()).toBe(200);
    await direct.dispose();
    // The page says when it is over, and the right password leads in.
    await expect(page.getByRole('button', { name: 'Sign in' })).toBeEnabled({ timeout: 1000 * seconds + 5000 });
    expect(Date.now() - began).toBeGreaterThan(1000 * (seconds - 2));
    await expect(page.getByRole('alert')).toHaveText(/You can try again now/);
    await signIn(page, 'edsger', LONG);
    await expect(page.getByRole('button', { name: /Account of edsger/ })).toBeVisible();
  });

  test('a link without its secret says what it is', async ({ page }) => {
    await page.goto('/setup');
    await expect(page.getByText(/needs a one-time link/)).toBeVisible();
  });
});

test('signing out ends the session', async ({ page, browser, baseURL }) => {
  // In a session of its own, so that the others go on.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: baseURL!, storageState: { cookies: [], origins: [] } });
  const mine = await context.newPage();
  await mine.goto('/inbox');
  await mine.getByLabel('User name').fill('ada');
  await mine.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await mine.getByRole('button', { name: 'Sign in' }).click();
  await mine.getByRole('button', { name: /Account of ada/ }).click();
  await mine.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(mine.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await mine.reload();
  await expect(mine.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await context.close();
  await page.goto('/inbox');
  await expect(page.getByRole('heading', { name: 'Inbox' })).toBeVisible();
});

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false });

  test('there is a way to the pages that need none', async ({ page }) => {
    await page.goto('/inbox');
    await page.getByRole('link', { name: 'The plain pages' }).click();
    await expect(page).toHaveURL(/\/plain$/);
    await expect(page.getByRole('heading').first()).toBeVisible();
    await expect(page.getByText('SSH password refused').first()).toBeVisible();
  });
});
