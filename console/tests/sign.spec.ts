import { PASSWORD } from './setup';
import { api } from './server';
import { accessible, expect, settled, test } from './test';

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
