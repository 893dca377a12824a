// What is written in the console is written in the server, and what is taken out of it is whole. Last of all: the others count
// what is there, and this adds to it.
import { readFileSync } from 'node:fs';
import { sshd } from './feed';
import { api, send, until } from './server';
import { expect, settled, test } from './test';

const invalid = (n: number, host: string) => Array.from({ length: n }, (_, i) => sshd(`Invalid user backup from 198.51.100.77 port ${4000 + i}`, host, 0));

test('an exception: previewed, made with a reason, hides, is counted, and is removed', async ({ page }) => {
  await send(invalid(3, 'exc1'), 'exceptions');
  await page.goto('/inbox?find=exc1');
  const mine = page.locator('[data-alert]').filter({ hasText: 'exc1' });
  await expect(mine).toContainText('×3');
  await page.keyboard.press('x');
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('Would have hidden 3 findings in 1 alert in 30 days');
  await expect(dialog).toContainText('None of them was confirmed');
  await dialog.getByLabel('Reason').fill('the backup job');
  await dialog.getByRole('button', { name: 'Make the exception' }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByText('The exception holds from now on')).toBeVisible();

  await send(invalid(2, 'exc1'), 'exceptions');
  await send(invalid(1, 'exc2'), 'exceptions');
  type Listed = { exceptions: { id: number; hidden: number }[] };
  await until('what it hides is counted', async () => (await api<Listed>('GET', '/exceptions')).exceptions[0]?.hidden === 2);
  await page.goto('/inbox?sort=newest');
  await expect(page.locator('[data-alert]').filter({ hasText: 'exc2' })).toHaveCount(1);
  await expect(mine).toContainText('×3');

  await page.goto('/rules?tab=exceptions');
  const row = page.getByRole('row').filter({ hasText: 'the backup job' });
  await expect(row).toContainText('host.name: exc1');
  await expect(row).toContainText('ada');
  // The number leads to the findings: they are not lost.
  await row.getByRole('link', { name: '2', exact: true }).click();
  await expect(page.getByText('2 events')).toBeVisible();
  await page.goBack();
  await row.getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByRole('heading', { name: 'No exceptions' })).toBeVisible();
  expect((await api<Listed>('GET', '/exceptions')).exceptions).toEqual([]);
});

test('saved searches: kept with columns, opened, removed', async ({ page }) => {
  await api('POST', '/searches', { name: 'Root log-ins', query: 'user.name:root', language: 'hunt', columns: ['@timestamp', 'user.name'] });
  await page.goto('/hunt?q=Accepted&from=all');
  await settled(page);
  await page.getByRole('button', { name: 'Saved' }).click();
  await page.getByRole('menuitem', { name: 'Save this search…' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('Log-ins');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText('Saved as Log-ins')).toBeVisible();
  type Saved = { searches: { name: string; query: string; columns: string[] }[] };
  const { searches } = await api<Saved>('GET', '/searches');
  expect(searches.find((it) => it.name === 'Log-ins')).toMatchObject({ query: 'Accepted', columns: ['@timestamp', 'event.dataset', 'host.name', 'message'] });
  await page.getByRole('button', { name: 'Saved', exact: true }).click();
  await page.getByRole('menuitem', { name: /^Root log-ins / }).click();
  await expect(page).toHaveURL(/q=user\.name%3Aroot/);
  await expect(page.getByRole('columnheader')).toHaveText(['@timestamp', 'user.name']);
  for (const name of ['Root log-ins', 'Log-ins']) {
    await page.getByRole('button', { name: 'Saved', exact: true }).click();
    await page.getByRole('menuitem', { name, exact: true }).click();
    await expect.poll(async () => (await api<Saved>('GET', '/searches')).searches.map((it) => it.name)).not.toContain(name);
  }
});

test('a rule: live validation with the line, a trial, saved and in force at once, removed', async ({ page }) => {
  await page.goto('/rules/edit');
  await expect(page.getByText('1 rule would load')).toBeVisible();
  const editor = page.getByRole('textbox', { name: 'The rule, as Sigma YAML' });
  await editor.click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText('title: Wrong\nlogsource: {product: linux}\ndetection: {a: {message|nonsense: 1}, condition: a}\nlevel: low\n');
  await expect(page.getByText('Would be refused')).toBeVisible();
  await expect(page.getByText(/unknown modifier `nonsense`/)).toBeVisible();
  await expect(page.getByRole('status', { name: 'Validation' })).toContainText('3:');
  await expect(page.locator('.cm-wrong')).toHaveCount(1);
  await expect(page.getByRole('button', { name: 'Save', exact: true })).toBeDisabled();
  await page.getByRole('button', { name: 'Revert' }).click();
  await expect(page.getByText('1 rule would load')).toBeVisible();
  await page.getByRole('button', { name: 'Test on the last hour' }).click();
  const trial = page.getByRole('status', { name: 'Test' });
  await expect(trial).toContainText(/1 finding among [\d,]+ events/);
  await expect(trial).toContainText('Accepted password for root');
  await page.getByLabel('File').fill('console-test');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await expect(page.getByText('The rule is in force')).toBeVisible();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Log-in as root over SSH');
  await send([sshd('Accepted password for root from 203.0.113.5 port 1 ssh2', 'rule1', 0)], 'rules');
  await until('its first alert', async () => (await api<{ total: number }>('GET', '/alerts?rule=Log-in%20as%20root%20over%20SSH')).total === 1);
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await expect(page.getByText('The file was removed')).toBeVisible();
  const { rules } = await api<{ rules: { title: string }[] }>('GET', '/rules');
  expect(rules.map((it) => it.title)).not.toContain('Log-in as root over SSH');
});

test('a parser from unparsed lines: made of them, tried on them, saved', async ({ page }) => {
  await send(['widget 4711 sold to 192.0.2.44 for 12 coins', 'widget 815 sold to 192.0.2.45 for 20 coins'], 'widgets');
  await page.goto('/sources?tab=unparsed');
  await settled(page);
  for (const line of ['widget 4711', 'widget 815']) await page.getByRole('listitem').filter({ hasText: line }).getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Write a parser from 2 lines' }).click();
  await expect(page.getByText('understood by mine@1')).toHaveCount(2);
  await expect(page.getByText('192.0.2.44', { exact: true })).toBeVisible();
  await page.getByLabel('File').fill('widgets');
  await page.getByRole('button', { name: 'Save the parser' }).click();
  await expect(page.getByRole('status').filter({ hasText: /restart|now on/ }).first()).toBeVisible();
});

test('retention is changed within its limits; receivers are listed with what to send there', async ({ page }) => {
  type Settings = { retention: { max_age_days: number; max_bytes: number | null; max_disk_percent: number }; receivers: { kind: string; address: string }[] };
  const before = await api<Settings>('GET', '/settings');
  await page.goto('/settings?tab=retention');
  const days = page.getByLabel('Days');
  await expect(days).toHaveValue(String(before.retention.max_age_days));
  await days.fill('x');
  await expect(page.getByText('A whole number')).toBeVisible();
  await days.fill('');
  await expect(page.getByText('This limit is always there')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Save' })).toBeDisabled();
  await days.fill('45');
  await page.getByLabel('Bytes').fill('50000000000');
  await expect(page.getByText('50 GB')).toBeVisible();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Retention is changed')).toBeVisible();
  expect((await api<Settings>('GET', '/settings')).retention).toEqual({ ...before.retention, max_age_days: 45, max_bytes: 50_000_000_000 });
  await page.getByLabel('Bytes').fill('');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect.poll(async () => (await api<Settings>('GET', '/settings')).retention.max_bytes).toBeNull();
  await page.goto('/settings?tab=receivers');
  const syslog = before.receivers.find((it) => it.kind === 'syslog-tcp')!.address;
  await expect(page.getByRole('cell', { name: syslog })).toBeVisible();
  await expect(page.getByText(`port="${syslog.split(':').at(-1)}"`)).toBeVisible();
});

test('notifications: accounts that add up, a test of a channel, what was held back, what was given up', async ({ page }) => {
  type Status = { total: { offered: number; sent: number; dead: number } };
  await until('the other side was told', async () => {
    const { total } = await api<Status>('GET', '/notifications');
    return total.sent >= 1 && total.dead >= 1;
  });
  await page.goto('/settings?tab=notifications');
  const row = (name: string) => page.getByRole('region', { name: 'Channels' }).getByRole('row').filter({ hasText: name });
  await expect(row('on-call')).toContainText('webhook');
  await row('on-call').getByRole('button', { name: 'Send a test' }).click();
  await expect(page.getByText('Sent to on-call')).toBeVisible();
  await row('broken').getByRole('button', { name: 'Send a test' }).click();
  await expect(page.getByText(/broken did not take it: .*400/)).toBeVisible();
  const held = page.getByRole('region', { name: 'Not sent, and why' });
  await expect(held.getByRole('row').filter({ hasText: 'SSH password refused' }).first()).toContainText('no route');
  const dead = page.getByRole('region', { name: 'Could not be delivered' });
  // Every number of the table adds up, with what went nowhere.
  for (const line of await page.getByRole('region', { name: 'Channels' }).getByRole('row').all()) {
    const [offered, ...rest] = (await line.locator('td.num').allInnerTexts()).map(Number);
    if (offered !== undefined) expect(rest.reduce((a, b) => a + b, 0)).toBe(offered);
  }
  await expect(dead).toContainText('not for me');
  const newest = async () => (await api<{ dead_letters: { given_up: string }[] }>('GET', '/notifications/dead-letters')).dead_letters.map((it) => it.given_up).sort().at(-1) ?? '';
  const before = await newest();
  await dead.getByRole('button', { name: 'Try again' }).first().click();
  await until('it is refused again, and not lost on the way', async () => (await newest()) > before);
  await page.reload();
  await expect(dead).toContainText('not for me');
  for (let left = await dead.getByRole('button', { name: 'Discard' }).count(); left > 0; left--) {
    await expect(dead.getByRole('button', { name: 'Discard' })).toHaveCount(left);
    await dead.getByRole('button', { name: 'Discard' }).first().click();
  }
  await expect(dead).toHaveCount(0);
});

test('export: CSV and Parquet with the columns on the screen, and a bundle with proofs', async ({ page }) => {
  await page.goto(`/hunt?q=${encodeURIComponent('Accepted event.dataset:linux.sshd host.name:db1')}&from=all&cols=@timestamp,user.name`);
  await settled(page);
  const files: Record<string, Buffer> = {};
  for (const form of ['CSV', 'Parquet', 'Evidence']) {
    await page.getByRole('button', { name: 'Export' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: new RegExp(form) }).click()]);
    files[file.suggestedFilename()] = readFileSync(await file.path());
  }
  const [head, line, ...more] = files['events.csv']!.toString().trim().split(/\r?\n/);
  expect(head).toBe('@timestamp,user.name');
  expect(line).toMatch(/^20\d\d-.*,ada$/);
  expect(more).toEqual([]);
  expect(files['events.parquet']!.subarray(0, 4).toString()).toBe('PAR1');
  expect(files['events.parquet']!.subarray(-4).toString()).toBe('PAR1');
  expect(files['evidence.vev']!.length).toBeGreaterThan(500);
});
