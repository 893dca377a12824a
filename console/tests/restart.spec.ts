// The server goes and comes back while the console is open.
import { sshd } from './feed';
import { again, down, running, send } from './server';
import { expect, settled, test } from './test';

// What comes after needs the server, whatever happened here.
test.afterAll(async () => {
  await again();
});

test('it reconnects by itself; nothing is lost, nothing is shown twice', async ({ page }) => {
  test.setTimeout(180_000);
  await page.goto('/inbox?sort=newest');
  await settled(page);
  const connection = page.getByRole('banner').getByRole('status');
  await expect(connection).toHaveText('Live');
  const line = (host: string) => sshd('Failed password for root from 203.0.113.88 port 22 ssh2', host, 1);
  const mine = (host: string) => page.locator('[data-alert]').filter({ hasText: host });
  await send([line('before1')], 'restart');
  await expect(mine('before1')).toHaveCount(1);

  for (const round of [1, 2]) {
    await down(running().pid);
    await expect(connection).toContainText('Reconnecting', { timeout: 20_000 });
    // What was read stays readable.
    await expect(mine('before1')).toHaveCount(1);
    await again();
    // While the console does not yet know that the server is back.
    await send([line(`during${round}`), line('before1')], 'restart');
    await expect(connection).toHaveText('Live', { timeout: 30_000 });
    await expect(mine(`during${round}`)).toHaveCount(1, { timeout: 20_000 });
    await expect(mine('before1')).toHaveCount(1);
    await expect(mine('before1')).toContainText(`×${round + 1}`);
  }

  await send([line('after1')], 'restart');
  await expect(mine('after1')).toHaveCount(1);
  const ids = await page.locator('[data-alert]').evaluateAll((all) => all.map((it) => it.getAttribute('data-alert')));
  expect(new Set(ids).size).toBe(ids.length);
  // Still signed in, and able to act.
  await page.keyboard.press('Home');
  await page.keyboard.press('a');
  await expect(page.getByText(/^Acknowledged: /)).toBeVisible();
});
