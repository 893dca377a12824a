// What is written in the console is written in the server, and what is taken out of it is whole. Last of all: the others count
// what is there, and this adds to it.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Page } from '@playwright/test';
import { sshd } from './feed';
import { api, freePort, running, send, until } from './server';
import { accessible, expect, settled, test } from './test';

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
  // The incidents' tests send such a line, too.
  await expect(trial).toContainText(/[12] findings? among [\d,]+ events/);
  await expect(trial).toContainText('Accepted password for root from 203.0.113.1');
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

/** A text in place of what an editor holds. */
async function rewrite(page: Page, editor: string, text: string): Promise<void> {
  await page.getByRole('textbox', { name: editor }).click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(text);
}

/** A state that few ever see, as everybody may see it. */
async function lookedAt(page: Page, name: string): Promise<void> {
  for (const [width, height] of [[390, 844], [1280, 800]] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', colorScheme);
      await page.waitForTimeout(150);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), `${name}, ${width} px`).toBeLessThanOrEqual(width);
      await accessible(page, `${name}, ${width} px, ${colorScheme}`);
      if (process.env.VEDETTE_SHOTS) await page.screenshot({ path: `${process.env.VEDETTE_SHOTS}/${name.replaceAll(' ', '-')}-${width}-${colorScheme}.png` });
    }
  }
}

type Text = { text: string; changed: boolean };

test('channels are changed as a text: a wrong one is refused with its line, a right one holds at once, and goes back', async ({ page }) => {
  test.setTimeout(120_000);
  const section = () => api<Text>('GET', '/settings/sections/notifications');
  const before = await section();
  expect(before.changed).toBe(false);
  await page.goto('/settings?tab=notifications');
  const part = page.getByRole('region', { name: 'Channels and routes' });
  const editor = part.getByRole('textbox', { name: 'Channels and routes' });
  const save = part.getByRole('button', { name: 'Save' });
  const channels = page.getByRole('region', { name: 'Channels', exact: true });
  await expect(editor).toContainText('on-call');
  await expect(part).toContainText('As in the configuration file. What is saved here goes before it');
  await expect(save).toBeDisabled();

  // An address of a webhook is a secret: it is not shown, and kept where it is left as it is shown.
  expect(before.text).toContain('[secret]');
  await expect(part).toContainText('[secret] stands for a secret that is not shown');

  await rewrite(page, 'Channels and routes', before.text.replace('channels:', 'chanels:'));
  await expect(part.getByRole('status')).toContainText(/\d+:\d+ .*chanels/);
  await expect(part.locator('.cm-wrong')).toHaveCount(1);
  await expect(save).toBeDisabled();
  await lookedAt(page, 'section with a mistake');
  expect(await section()).toEqual(before);

  // What can be read but names what is not there.
  await rewrite(page, 'Channels and routes', before.text.replace('  - on-call', '  - on-kall'));
  await expect(part.getByRole('status')).toContainText(/\d+:\d+ .*no channel `on-kall`/);
  await expect(save).toBeDisabled();
  expect(await section()).toEqual(before);

  await part.getByRole('button', { name: 'Revert' }).click();
  await expect(part.getByRole('status')).toBeEmpty();
  await expect(part.getByRole('button', { name: 'Revert' })).toHaveCount(0);

  // What is typed stays when the server's text is read again, and is asked for before it is left.
  const added = before.text.replace('channels:\n', `channels:\n- name: second\n  webhook:\n    url: http://127.0.0.1:9/never\n`);
  await rewrite(page, 'Channels and routes', added);
  await expect(save).toBeEnabled();
  await page.evaluate(() => window.dispatchEvent(new Event('visibilitychange')));
  await expect(editor).toContainText('second');
  expect((await section()).text).toBe(before.text);
  await save.click();
  await expect(page.getByText('In force')).toBeVisible();
  await expect(channels.getByRole('row').filter({ hasText: 'second' })).toContainText('webhook');
  await expect(save).toBeDisabled();
  // Secrets are not shown any more, but it is the same editor: what was typed can be had again.
  await expect(editor).not.toContainText('/never');
  await editor.click();
  await page.keyboard.press('Control+z');
  await expect(editor).toContainText('/never');
  await part.getByRole('button', { name: 'Revert' }).click();
  await expect(editor).not.toContainText('/never');
  expect((await section()).changed).toBe(true);
  await expect(part).toContainText('This was changed here and goes before the configuration file');

  await part.getByRole('button', { name: 'As in the configuration file again' }).click();
  await expect(part.getByText('Drop what was changed here?')).toBeVisible();
  await lookedAt(page, 'section asked to restore');
  await part.getByRole('button', { name: 'No' }).click();
  expect((await section()).changed).toBe(true);
  await part.getByRole('button', { name: 'As in the configuration file again' }).click();
  await part.getByRole('button', { name: 'Yes' }).click();
  await expect(channels.getByRole('row').filter({ hasText: 'second' })).toHaveCount(0);
  await expect(channels.getByRole('row').filter({ hasText: 'on-call' })).toHaveCount(1);
  await expect(editor).not.toContainText('second');
  expect(await section()).toEqual(before);
});

test('receivers are changed as a text: one is added and listens, a taken port is refused with the reason', async ({ page }) => {
  test.setTimeout(120_000);
  const section = () => api<Text>('GET', '/settings/sections/receivers');
  const listens = (port: number) =>
    new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => (socket.destroy(), done(true))).once('error', () => done(false));
    });
  const before = await section();
  const more = (port: number) => before.text.replace(/syslog:\n/, `syslog:\n- transport: tcp\n  listen: 127.0.0.1:${port}\n`);
  await page.goto('/settings?tab=receivers');
  const part = page.getByRole('region', { name: 'What is received' });
  await expect(part.getByRole('textbox')).toContainText('syslog');

  const taken = Number(new URL(running().url).port);
  await rewrite(page, 'What is received', more(taken));
  await part.getByRole('button', { name: 'Save' }).click();
  await expect(part.getByRole('alert')).toContainText(String(taken));
  await expect(part.getByRole('alert')).toContainText(/in use/i);
  await lookedAt(page, 'section refused');
  expect(await section()).toEqual(before);
  // What was typed is still there to be mended, and the refusal goes with the first change.
  await expect(part.getByRole('textbox')).toContainText(String(taken));

  const port = await freePort();
  expect(await listens(port)).toBe(false);
  await rewrite(page, 'What is received', more(port));
  await expect(part.getByRole('alert')).toHaveCount(0);
  await part.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('cell', { name: `127.0.0.1:${port}` })).toBeVisible();
  expect(await listens(port)).toBe(true);
  // Those that were there go on.
  await send([sshd('Connection closed by 192.0.2.9 port 9 [preauth]', 'still1', 0)], 'receivers');

  await part.getByRole('button', { name: 'As in the configuration file again' }).click();
  await part.getByRole('button', { name: 'Yes' }).click();
  await expect(page.getByRole('cell', { name: `127.0.0.1:${port}` })).toHaveCount(0);
  expect(await listens(port)).toBe(false);
  expect(await section()).toEqual(before);
});

test('a rule is turned off with a reason, finds nothing meanwhile, and is turned on again', async ({ page }) => {
  test.setTimeout(120_000);
  type Listed = { rules: { id: string; title: string; enabled: boolean }[] };
  const { rules } = await api<Listed>('GET', '/rules');
  const { id, title } = rules.find((it) => it.title === 'SSH password refused')!;
  const alerts = async (host: string) => (await api<{ total: number }>('GET', `/alerts?rule=${id}&entity=${host}`)).total;
  const stored = async (host: string) => (await api<{ rows: { n: number }[] }>('POST', '/search', { query: `host.name:${host} NOT event.dataset:vedette.* | summarize n = count()` })).rows[0]?.n ?? 0;
  const refused = (host: string) => sshd('Failed password for root from 203.0.113.9 port 22 ssh2', host, 0);

  await send([refused('switch1')], 'switch');
  await until('it finds what it looks for', async () => (await alerts('switch1')) === 1);

  await page.goto(`/rules/${id}`);
  const off = page.getByRole('button', { name: 'Turn off' });
  await expect(off).toBeDisabled();
  await page.getByLabel('Why it is turned off').fill('the scanner knocks here every night');
  await off.click();
  await expect(page.getByText('The rule finds nothing any more')).toBeVisible();
  const said = page.getByRole('status').filter({ hasText: 'Turned off by ada' });
  await expect(said).toContainText('the scanner knocks here every night');
  await lookedAt(page, 'a rule turned off');
  await page.goto(`/rules?find=${encodeURIComponent(title)}`);
  const row = page.getByRole('listitem').filter({ hasText: title });
  await expect(row).toContainText('Off');
  await expect(row).toContainText('Turned off by ada: the scanner knocks here every night');
  await lookedAt(page, 'rules with one turned off');

  await send([refused('switch2')], 'switch');
  await until('it is stored', async () => (await stored('switch2')) === 1);
  // A rule that is not turned off has seen what came after it.
  await send([sshd('Invalid user backup from 198.51.100.77 port 1', 'switch3', 0)], 'switch');
  await until('others go on', async () => (await api<{ total: number }>('GET', '/alerts?entity=switch3')).total > 0);
  expect(await alerts('switch2')).toBe(0);

  await row.getByRole('link', { name: title }).click();
  await page.getByRole('button', { name: 'Turn on again' }).click();
  await expect(page.getByText('The rule is matched again')).toBeVisible();
  await expect(said).toHaveCount(0);
  await send([refused('switch4')], 'switch');
  await until('it finds again', async () => (await alerts('switch4')) === 1);
  expect(await alerts('switch2')).toBe(0);
  // Both changes are events, with who made them.
  const { rows } = await api<{ rows: { a: string; n: number }[] }>('POST', '/search', { query: `event.action:rules.* user.name:ada | summarize n = count() by a = event.action` });
  expect(rows.map((it) => it.a)).toEqual(expect.arrayContaining(['rules.disable', 'rules.enable']));
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
