// Somebody's first minute: a fresh server, the set-up link, a real syslog daemon pointed at it, the first real alert.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from '@playwright/test';
import { down, freePort, onPorts, up } from './server';
import { expect } from './test';

const PASSWORD = 'correct horse battery';

/** What sshd writes while somebody tries many passwords. */
function storm(): string {
  let lines = '';
  for (let i = 0; i < 200; i++) {
    const from = `203.0.113.50 port ${40_000 + i} ssh2`;
    lines += `Failed password for root from ${from}\n`;
    if (i % 4 === 0) lines += `Failed password for invalid user admin from ${from}\n`;
    if (i % 6 === 5) lines += `error: maximum authentication attempts exceeded for root from ${from} [preauth]\n`;
  }
  return lines;
}

/** rsyslogd as on a host, with a log of ours as what comes in; where it goes to is what the console said. */
function rsyslog(folder: string, forward: string): ChildProcess {
  const [input, work, config] = [join(folder, 'auth.log'), join(folder, 'work'), join(folder, 'rsyslog.conf')];
  writeFileSync(input, storm());
  mkdirSync(work);
  writeFileSync(
    config,
    `global(workDirectory="${work}" net.enableDNS="off")
module(load="imfile" PollingInterval="1")
input(type="imfile" File="${input}" Tag="sshd[811]:" Severity="info" Facility="authpriv")
${forward}
`,
  );
  return spawn('/usr/sbin/rsyslogd', ['-n', '-f', config, '-i', join(folder, 'rsyslog.pid')], { stdio: 'ignore' });
}

// The bound that was set: a minute for everything.
test.setTimeout(60_000);

test('from a fresh server to the first real alert in the inbox', async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), 'vedette-newcomer-'));
  const [console_, syslog, http] = [await freePort(), await freePort(), await freePort()];
  // Without this machine's own logs, which others may fill with alerts.
  writeFileSync(join(folder, 'vedette.yml'), onPorts({ console: console_, syslog, http }));
  let server = 0;
  let shipper: ChildProcess | undefined;
  const begun = Date.now();
  const seconds = () => ((Date.now() - begun) / 1000).toFixed(1);
  try {
    const { pid, log } = await up(folder);
    server = pid;
    const ready = seconds();
    const link = /set-up (\S+)/.exec(log)![1]!;
    await page.goto(link);
    await page.getByLabel('User name').fill('newcomer');
    await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('New password, once more').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set password and sign in' }).click();
    await page.waitForURL('**/inbox');
    const signedIn = seconds();
    await expect(page.locator('[data-alert]')).toHaveCount(0);
    // What an empty inbox says to do is what is done.
    const snippet = await page.getByRole('region', { name: '/etc/rsyslog.d/60-vedette.conf' }).innerText();
    expect(snippet).toContain(`port="${syslog}"`);
    shipper = rsyslog(folder, snippet);
    const alert = page.locator('[data-alert]').filter({ hasText: /SSH/ });
    await expect(alert.first()).toBeVisible({ timeout: 50_000 });
    console.log(`a newcomer's path: ready after ${ready} s, signed in after ${signedIn} s, first alert after ${seconds()} s`);
    await alert.first().click();
    await expect(page.getByRole('region', { name: 'The original record' })).toContainText('203.0.113.50');
  } finally {
    // rsyslogd lingers a little over what it could not send.
    shipper?.kill('SIGKILL');
    if (server) await down(server);
    rmSync(folder, { recursive: true, force: true });
  }
});
