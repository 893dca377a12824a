// Against noise, and what others know: thresholds of rules, the budget of alerts, indicators.
import type { Model } from '../src/api/model';
import { KNOWN, sshd } from './feed';
import { api, send, until } from './server';
import { accessible, expect, settled, test } from './test';

const REFUSED_PASSWORD = '438ca65e-765f-4bb0-874b-9bb767146fca';
type Alerts = { alerts: { id: number; rule: { id: string; title: string } }[] };

test('a noisy alert leads to a threshold of its rule, which is set, changed and taken away', async ({ page }) => {
  const rule = () => api<{ silent: boolean }>('GET', `/rules/${REFUSED_PASSWORD}`);
  const { alerts } = await api<Alerts>('GET', `/alerts?rule=${REFUSED_PASSWORD}&limit=1`);
  await page.goto(`/inbox?state=all&alert=${alerts[0]!.id}`);
  await settled(page);
  await page.getByRole('link', { name: 'Alert only when it matches often…' }).click();
  await expect(page).toHaveURL(new RegExp(`/rules/${REFUSED_PASSWORD}#threshold$`));
  const card = page.getByRole('region', { name: 'Alert only when it matches often' });
  await expect(card.getByLabel('Matches')).toBeFocused();
  await expect(card).toBeInViewport();
  await expect(card.getByLabel('Of the same')).toHaveValue('host.name');
  const save = card.getByRole('button', { name: 'Save' });

  // What is wrong is said beside it: at once, or when the server has said so.
  await card.getByLabel('Reason').fill('one alone is a typing error');
  await card.getByLabel('Matches').fill('1');
  await expect(card).toContainText('A whole number from 2 to 1,000,000');
  await expect(save).toBeDisabled();
  await accessible(page, 'a wrong threshold');
  await card.getByLabel('Matches').fill('500');
  await card.getByLabel('Within').fill('999999d');
  await save.click();
  await expect(card.getByLabel('Within')).toHaveAccessibleDescription(/a time span of more than ten years/);
  await card.getByLabel('Within').fill('10m');
  await card.getByLabel('Of the same').fill('host.name, source.ip');
  await save.click();
  await expect(card).toContainText('500 matches within 10m of the same host.name, source.ip');
  await expect(card).toContainText('one alone is a typing error');
  expect((await rule()).silent).toBe(true);
  await accessible(page, 'a threshold');

  // It is a rule like others, without a threshold of its own.
  await card.getByRole('link', { name: 'SSH password refused (500 in 10m)' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('SSH password refused (500 in 10m)');
  await expect(page.getByRole('region', { name: 'Rule', exact: true })).toContainText('Correlates');
  await expect(card).toHaveCount(0);
  await page.getByRole('region', { name: 'Rule', exact: true }).getByRole('link', { name: 'SSH password refused', exact: true }).click();

  await card.getByRole('button', { name: 'Change' }).click();
  await expect(card.getByLabel('Reason')).toHaveValue('one alone is a typing error');
  await card.getByLabel('Matches').fill('600');
  await save.click();
  await expect(card).toContainText('600 matches within 10m');
  await card.getByRole('button', { name: 'Take it away' }).click();
  await expect(card.getByRole('button', { name: 'Set a threshold' })).toBeVisible();
  expect((await rule()).silent).toBe(false);
});

test('a day over its budget of alerts is said, with the rules that make the most', async ({ page }) => {
  const noisiest = [
    { id: REFUSED_PASSWORD, title: 'SSH password refused', alerts: 60 },
    { id: 'indicator:odd', title: '<b>odd</b>\u202e rule', alerts: 40 },
  ];
  let told: Model<'AlertBudget'> = { budget: 100, opened: 107, noisiest };
  await page.route('**/api/v1/alerts/budget', (route) => route.fulfill({ json: told }));
  const budget = page.getByRole('status', { name: 'Alert budget' });
  for (const path of ['/inbox', '/rules']) {
    await page.goto(path);
    await settled(page);
    await expect(budget).toContainText('107 new alerts today (UTC), 100 are the budget.');
    await expect(budget).toContainText('<b>odd</b>\\u202e rule');
    await accessible(page, path);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await budget.getByRole('link', { name: /SSH password refused/ }).click();
  await expect(page).toHaveURL(new RegExp(`/rules/${REFUSED_PASSWORD}$`));
  told = { ...told, opened: 87 };
  for (const path of ['/inbox', '/rules']) {
    await page.goto(path);
    await settled(page);
    await expect(budget).toHaveCount(0);
  }
  await expect(page.getByText('87 of 100 new alerts today (UTC).')).toBeVisible();
});

test('indicators: what is known of a value, how often it was seen, and how the feeds are doing', async ({ page }) => {
  await send([sshd(`Failed password for nobody from ${KNOWN} port 4711 ssh2`, 'noise1', 30)], 'noise');
  const find = () => api<{ indicators: { sightings: number }[] }>('GET', `/indicators/find?value=${KNOWN}`);
  // Another finding is about the network around it.
  await until('sightings', async () => (await find()).indicators[0]!.sightings === 1);

  await page.goto('/inbox');
  await settled(page);
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await expect(page).toHaveURL(/\/indicators$/);
  await expect(page.getByRole('status').filter({ hasText: '2 indicators in force' })).toBeVisible();
  const feeds = page.getByRole('region', { name: 'Files', exact: true });
  await feeds.getByText('1', { exact: true }).click();
  await expect(feeds).toContainText('`not a thing`: not a domain');

  await page.keyboard.press('/');
  await page.keyboard.type('192[.]0[.]2[.]250');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/value=192/);
  const known = page.getByRole('region', { name: /^What is known of/ });
  const row = known.getByRole('row').filter({ hasText: 'Guessing <b>botnet</b>' });
  await expect(row).toContainText('brute-force, T1110');
  await expect(row).toContainText('90');
  await expect(known.getByRole('row').filter({ hasText: '192.0.2.248/29' })).toContainText('blocklist');
  await row.getByRole('link', { name: '1 sighting' }).click();
  await expect(page).toHaveURL(/\/hunt\?q=event\.dataset/);
  await expect(page.getByRole('row', { name: /vedette\.findings/ })).toHaveCount(1);

  await page.goto('/indicators?value=never.example');
  await expect(page.getByText('No feed knows never.example.')).toBeVisible();
  await page.goto('/indicators?value=no%20such%20thing');
  await expect(page.getByRole('main').getByRole('alert')).toContainText('neither address');
});

test('an alert of an indicator leads to what is known', async ({ page }) => {
  const { alerts } = await api<Alerts>('GET', '/alerts?rule=indicator:blocklist&limit=1');
  const asked: string[] = [];
  page.on('request', (request) => void (request.url().includes('/rules/indicator') && asked.push(request.url())));
  await page.goto(`/inbox?state=all&alert=${alerts[0]!.id}`);
  await settled(page);
  await page.getByRole('region', { name: 'Why' }).getByRole('link', { name: 'What is known of it' }).click();
  await expect(page).toHaveURL(`/indicators?value=${KNOWN}`);
  await expect(page.getByRole('region', { name: /^What is known of/ })).toContainText('Guessing <b>botnet</b>');
  // There is no rule to ask for.
  expect(asked).toEqual([]);
});

test('servers of indicators: when they were asked, when they will be, and why it failed', async ({ page }) => {
  const well = { name: 'partners', url: 'https://taxii.example/taxii2/', every_minutes: 60, last: new Date(Date.now() - 600_000).toISOString(), failure: null };
  const ill = { name: 'others', url: 'https://other.example/', every_minutes: 1, last: null, failure: 'the certificate is of <b>somebody</b> else' };
  const cut = { name: 'cut', file: '/feeds/cut.json', taken: 3, withdrawn: 1, refused: 0, refusals: [], failure: 'cut.json:2: not JSON: ends too early' };
  const status: Model<'IndicatorStatus'> = { indicators: 3, values: 3, bytes: 340, left_out: 12, feeds: [cut], servers: [well, ill] };
  await page.route('**/api/v1/indicators', (route) => route.fulfill({ json: status }));
  await page.goto('/indicators');
  await settled(page);
  const row = (name: string) => page.getByRole('row').filter({ hasText: name });
  await expect(row('partners')).toContainText('fetched');
  await expect(row('partners')).toContainText(/in (49|50) min/);
  await expect(row('others')).toContainText('failed: the certificate is of <b>somebody</b> else');
  await expect(row('others')).toContainText('within 5 minutes');
  await expect(row('cut.json')).toContainText('cut off: cut.json:2: not JSON: ends too early');
  await expect(page.getByText('12 left out')).toBeVisible();
  await accessible(page, 'servers');
  await row('others').getByRole('link', { name: 'its polls' }).click();
  await expect(page).toHaveURL(/indicators\.fetch/);
  // Nothing yet: how to begin.
  await page.unroute('**/api/v1/indicators');
  await page.route('**/api/v1/indicators', (route) => route.fulfill({ json: { ...status, feeds: [], servers: [] } }));
  await page.goto('/indicators');
  await expect(page.getByRole('heading', { name: 'No indicators' })).toBeVisible();
  await accessible(page, 'no indicators');
});
