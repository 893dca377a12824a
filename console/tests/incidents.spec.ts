// Incidents and cases: what hangs together, why, and what people do about it.
import { at, sshd } from './feed';
import { api, send, until } from './server';
import { expect, settled, test } from './test';

interface Found {
  incidents: { id: number; entity: { value: string } }[];
}
let id = 0;
let event = '';

test.beforeAll(async () => {
  const failures = Array.from({ length: 8 }, (_, i) => sshd(`Failed password for root from 192.0.2.77 port ${41_000 + i} ssh2`, 'shop1', 300 - i));
  await send(
    [
      ...failures,
      sshd('Accepted password for root from 192.0.2.77 port 41100 ssh2', 'shop1', 200),
      `<86>1 ${at(190)} shop1 useradd 900 - - new user: name=eve, UID=0, GID=0, home=/home/eve, shell=/bin/bash, from=/dev/pts/0`,
      `<86>1 ${at(180)} shop1 usermod 901 - - add 'eve' to group 'sudo'`,
    ],
    'shop',
  );
  await until('the incident', async () => {
    const { incidents } = await api<Found>('GET', '/incidents?entity=shop1&state=open');
    id = incidents[0]?.id ?? 0;
    return id > 0;
  });
  const answer = await api<{ rows: Record<string, string>[] }>('POST', '/search', { query: 'Accepted host.name:shop1', limit: 1 });
  event = answer.rows[0]!['event.id']!;
});

test('an incident: found in the list, explained, worked on, and closed by way of a case', async ({ page }) => {
  await page.goto('/inbox');
  await settled(page);
  await page.keyboard.press('g');
  await page.keyboard.press('n');
  await expect(page).toHaveURL(/\/incidents$/);
  await page.getByLabel('Host, user or address').fill('shop1');
  const row = page.getByRole('row').filter({ hasText: `Incident ${id}:` });
  await expect(row).toContainText('Open');
  await row.getByRole('link').click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText(`Incident ${id}:`);

  // Why: points, by rule. When: rows that lead to alerts.
  const why = page.getByRole('region', { name: 'Who, and why' });
  await why.locator('summary').filter({ hasText: 'shop1' }).click();
  await expect(why).toContainText(/from rules × .* an incident opens at 100/);
  await expect(page.getByRole('region', { name: 'Tactics passed through' }).getByRole('listitem').first()).toBeVisible();
  const line = page.getByRole('region', { name: 'Time line' });
  await expect(line.getByRole('listitem').filter({ hasText: '192.0.2.77' }).first()).toBeVisible();
  const [first, last] = [line.getByRole('listitem').first(), line.getByRole('listitem').last()].map((it) => it.locator('time').getAttribute('datetime'));
  expect((await first)! < (await last)!).toBe(true);

  await page.getByRole('button', { name: 'Take' }).click();
  await expect(page.getByText('Assigned to ada')).toBeVisible();
  await page.getByLabel('Add a note').fill('called the shop');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: 'History' })).toContainText('called the shop');

  await page.getByRole('button', { name: 'Add to a case…' }).click();
  await page.getByLabel('Title').fill('Eve in the shop');
  await page.getByRole('button', { name: 'Add', exact: true }).first().click();
  await expect(page).toHaveURL(/\/incidents\/cases\/\d+/);
  await expect(page.getByRole('heading', { level: 1 })).toContainText('Eve in the shop');
  await expect(page.getByRole('region', { name: 'Incidents' })).toContainText(`Incident ${id}:`);

  await page.getByLabel('Number of an alert').fill('1');
  await page.keyboard.press('Enter');
  const alerts = page.getByRole('region', { name: 'Alerts' });
  await alerts.getByRole('button', { name: 'Take out: Alert 1' }).click();
  await expect(alerts).toContainText('None yet.');
  await page.getByLabel('Add a task').fill('remove the account');
  await page.keyboard.press('Enter');
  await page.getByLabel('remove the account').click();
  await expect(page.getByRole('region', { name: 'Tasks' })).toContainText('done by ada');
  await page.getByLabel('Add a note').fill('by the front door');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: 'Notes' })).toContainText('by the front door');
  await page.getByLabel(/^Event id/).fill(event);
  await page.getByLabel('What it shows').fill('the log-in');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: 'Evidence' }).getByRole('link', { name: event })).toBeVisible();

  await page.getByRole('button', { name: 'Close…' }).click();
  await expect(page.getByRole('button', { name: 'True positive' })).toBeDisabled();
  await page.getByLabel(/^Summary/).fill('Eve was in; the account is gone');
  await page.getByRole('button', { name: 'True positive' }).click();
  await expect(page.getByText('Eve was in; the account is gone').first()).toBeVisible();
  await expect(page.getByLabel('Add a task')).toHaveCount(0);
  await page.getByRole('region', { name: 'Incidents' }).getByRole('link').click();
  await expect(page.locator('.page-head')).toContainText('True positive');
  await expect(why).toContainText('its findings add no points any more');
  await expect(page.getByRole('link', { name: /Case \d+: Eve in the shop/ })).toBeVisible();

  await page.goto('/incidents?tab=cases&state=closed');
  await page.getByRole('link', { name: /Eve in the shop/ }).click();
  await page.getByRole('button', { name: 'Reopen' }).click();
  await expect(page.getByLabel('Add a task')).toBeVisible();
});

test('an alert and an entity lead to their incident', async ({ page }) => {
  const { timeline } = await api<{ timeline: { alert: number }[] }>('GET', `/incidents/${id}`);
  await page.goto(`/inbox?state=all&alert=${timeline[0]!.alert}`);
  await page.getByRole('link', { name: `Incident ${id}`, exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/incidents/${id}$`));
  await page.goto('/entity/host/shop1');
  await expect(page.getByRole('region', { name: 'Risk' })).toBeVisible();
});
