// The other pages at work: entity, replay, rules, sources, settings.
import { readFileSync } from 'node:fs';
import { expect, settled, test } from './test';

test('an entity: figures, days, alerts, and a time line across sources', async ({ page }) => {
  await page.goto('/entity/ip/203.0.113.1');
  await settled(page);
  // Eight failures and a log-in by sshd, three calls in the cloud.
  const figures = page.locator('main');
  await expect(figures.getByText('Sources', { exact: true }).locator('..')).toContainText('2');
  await expect(page.getByRole('img', { name: /Events by day/ })).toBeVisible();
  const line = page.getByRole('region', { name: 'Events and alerts, newest first' });
  await expect(line).toContainText('aws.cloudtrail');
  await expect(line).toContainText('Accepted password for root');
  await page.goto('/entity/host/web1');
  await settled(page);
  await expect(page.getByRole('region', { name: 'Alerts', exact: true }).getByRole('link', { name: 'SSH password refused' })).toBeVisible();
  await page.getByRole('link', { name: /^41$/ }).first().click();
  await expect(page).toHaveURL(/\/hunt\?q=host\.name%3Aweb1/);
});

test('replay: plays in order, by keys, at speeds, with flags; the address leads back', async ({ page }) => {
  await page.goto('/replay?e=host:web1&e=ip:203.0.113.1');
  await settled(page);
  const position = page.getByText(/^\d+ of \d+$/);
  await expect(position).toHaveText(/^1 of 4\d$/);
  await page.keyboard.press('ArrowRight');
  await expect(position).toHaveText(/^2 of/);
  await page.keyboard.press('ArrowLeft');
  await expect(position).toHaveText(/^1 of/);
  await expect(page.getByRole('region', { name: 'Events in order' }).getByRole('link', { name: /SSH password refused/ }).first()).toBeVisible();
  await page.keyboard.press(']');
  await page.getByLabel('Speed').selectOption('1000');
  await expect(page).toHaveURL(/speed=1000/);
  await page.keyboard.press(' ');
  await expect(page.getByRole('button', { name: 'Play' })).toBeVisible({ timeout: 15_000 });
  await expect(position).toHaveText(/^(\d+) of \1$/);
  await expect(page).toHaveURL(/at=20/);
  const lanes = page.getByRole('region', { name: 'Events in order' });
  await expect(lanes).toContainText('Cloud');
  await expect(lanes).toContainText('Identity');
  // The address follows a moment after the playhead stops.
  await page.waitForTimeout(800);
  await page.reload();
  await settled(page);
  await expect(position).toHaveText(/^(\d+) of \1$/);
  await page.keyboard.press('Home');
  await expect(position).toHaveText(/^1 of/);
  const slider = page.getByRole('slider', { name: 'Playhead' });
  const box = (await slider.boundingBox())!;
  await page.mouse.click(box.x + box.width - 14, box.y + 60);
  await expect(position).not.toHaveText(/^1 of/);
  await page.getByRole('button', { name: 'Export' }).click();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: /JSON/ }).click()]);
  expect(readFileSync(await file.path(), 'utf8').trim().split('\n').length).toBeGreaterThan(40);
});

test('replay: who is chosen on the page', async ({ page }) => {
  // Where nobody is chosen, it asks in the middle of the page; but keys stay keys until one goes there.
  await page.goto('/replay');
  await page.getByLabel('Name or address').waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await expect(page).toHaveURL(/inbox/);
  await page.goBack();
  await page.getByLabel('Name or address').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('db1');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/e=host%3Adb1/);
  await expect(page.getByText(/of 1$/)).toBeVisible();
  await page.getByRole('button', { name: 'Remove db1' }).click();
  await expect(page.getByRole('heading', { name: 'Who and when?' })).toBeVisible();
});

test('rules: found, sorted, and leading to their findings; coverage of ATT&CK', async ({ page }) => {
  await page.goto('/rules');
  await settled(page);
  await expect(page.getByRole('region', { name: 'Loaded' }).getByRole('listitem').first()).toContainText('SSH');
  await page.keyboard.press('/');
  await page.keyboard.type('T1110');
  await expect(page.getByRole('status').filter({ hasText: /of \d+ rules/ })).not.toHaveText(/^(\d+) of \1/);
  await page.getByRole('button', { name: 'Only with hits' }).click();
  await page.getByRole('link', { name: /\d+ hits/ }).first().click();
  await expect(page).toHaveURL(/vedette\.findings/);
  await page.goto('/rules?tab=attack');
  await settled(page);
  await expect(page.getByText(/\d+ techniques with rules/)).toBeVisible();
  await page.getByRole('region', { name: 'credential-access' }).getByRole('button', { name: /^T1110\b/ }).click();
  await expect(page.getByRole('complementary', { name: 'T1110', exact: true })).toContainText('SSH password refused');
  await page.goto('/rules?tab=refused');
  await expect(page.getByRole('cell', { name: /nonsense/ })).toBeVisible();
});

test('sources: the account adds up, and its numbers lead to events', async ({ page }) => {
  await page.goto('/sources');
  await settled(page);
  await expect(page.getByRole('group', { name: 'Account of all sources' })).toContainText('Adds up');
  const row = page.getByRole('row').filter({ hasText: 'http:ssh' });
  await expect(row).toContainText('54');
  // What was received and what is stored of it are the same events.
  await expect(row.getByRole('link', { name: '54', exact: true })).toHaveCount(2);
  await row.getByRole('link', { name: '54', exact: true }).last().click();
  await expect(page.getByText('54 events')).toBeVisible();
  await page.goto('/sources');
  for (const [shipper, text] of [['Filebeat', 'output.elasticsearch'], ['OpenTelemetry', 'otlphttp'], ['rsyslog', 'omfwd']] as const) {
    await page.getByRole('button', { name: shipper }).click();
    await expect(page.getByText(text)).toContainText('127.0.0.1');
  }
  await page.goto('/sources?tab=health');
  await expect(page.getByRole('region', { name: 'Parts' })).toContainText('ledger is well');
});

test('settings: users and tokens come and go; the look is remembered', async ({ page }) => {
  await page.goto('/settings?tab=users');
  await page.getByLabel('User name').fill('linus');
  await page.getByRole('button', { name: 'Invite' }).click();
  await expect(page.getByText(/\/setup\?token=/)).toBeVisible();
  await page.goto('/settings?tab=tokens');
  await page.getByLabel('For').fill('grafana');
  await page.getByRole('button', { name: 'Make a token' }).click();
  await expect(page.getByText(/^vdt_/)).toBeVisible();
  const row = page.getByRole('row').filter({ hasText: 'grafana' });
  await row.getByRole('button', { name: 'Revoke' }).click();
  await row.getByRole('button', { name: 'yes' }).click();
  await expect(row).toHaveCount(0);
  await page.goto('/settings');
  await page.getByRole('button', { name: 'Light', exact: true }).click();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'light');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'light');
  await page.getByRole('button', { name: 'As the system' }).click();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
  // What was done here is an event.
  await page.goto(`/hunt?from=all&q=${encodeURIComponent('event.dataset:vedette.audit event.action:token.revoke')}`);
  await expect(page.getByText('1 events')).toBeVisible();
});
