// Rules beyond their text: what they would have found in history, why they match or not, and whether they can fire at all.
import { readFileSync } from 'node:fs';
import type { Model } from '../src/api/model';
import { api } from './server';
import { accessible, expect, settled, test } from './test';

const REFUSED_PASSWORD = '438ca65e-765f-4bb0-874b-9bb767146fca';

test('a rule is run over history before it is saved, and what it would have found leads to events', async ({ page }) => {
  await page.goto(`/rules/${REFUSED_PASSWORD}`);
  await settled(page);
  await page.getByLabel('How far back').selectOption('7');
  await page.getByRole('button', { name: 'Run over history' }).click();
  const history = page.getByRole('region', { name: 'In history' });
  await expect(history.getByRole('status')).toHaveText('Done', { timeout: 30_000 });
  await expect(history).toContainText(/\d+ findings, would have been \d+ alerts?/);
  await expect(history).toContainText('asked for by ada');
  await expect(history.getByRole('link', { name: /host: *web1/ })).toHaveAttribute('href', '/entity/host/web1');
  await accessible(page, 'in history');
  // It is the newest of this rule, also for who comes later.
  await page.reload();
  await expect(history).toContainText(/\d+ findings/);
  await history.getByRole('list', { name: 'Latest findings' }).getByRole('link').first().click();
  await expect(page).toHaveURL(/\/hunt\?q=event\.id/);
  await expect(page.getByRole('complementary', { name: 'Event' })).toBeVisible();
});

test('a text that is refused is not run, and it is said why', async ({ page }) => {
  await page.goto('/rules/edit');
  const editor = page.getByRole('textbox', { name: 'The rule, as Sigma YAML' });
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.insertText('\nlogsource: 3\n');
  await page.getByRole('button', { name: 'Run over history' }).click();
  await expect(page.getByRole('main').getByRole('alert')).toBeVisible();
  await expect(page.getByRole('main').getByText(/^\d+:\d+$/).first()).toBeVisible();
});

test('a retro-hunt that runs says how far it is, and is cancelled', async ({ page }) => {
  const hostile = '\u202egnp.<b>exe</b>';
  let hunt = {
    id: 900, state: 'running', automatic: true, by: 'vedette', begun: new Date().toISOString(), from: '2026-10-22T00:00:00Z', done: 3, total: 12, events_read: 4321, elapsed_ms: 800,
    rules: [{ id: REFUSED_PASSWORD, title: 'SSH password refused', level: 'medium', findings: 2, alerts: 1, first: '2026-11-01T00:00:00Z', last: '2026-11-02T00:00:00Z', entities: [{ kind: 'host', value: hostile, findings: 2 }], samples: [{ event_id: '1-1', time: '2026-11-02T00:00:00Z', matched: [{ field: 'message', value: hostile }] }] }],
  } as Model<'Retrohunt'>;
  await page.route(/\/api\/v1\/retrohunts\?/, (route) => route.fulfill({ json: { retrohunts: [hunt] } }));
  await page.route(/\/api\/v1\/retrohunts\/900/, (route) => {
    if (route.request().method() === 'DELETE') hunt = { ...hunt, state: 'cancelled' };
    return route.fulfill({ json: hunt });
  });
  await page.goto(`/rules/${REFUSED_PASSWORD}`);
  const history = page.getByRole('region', { name: 'In history' });
  await expect(history.getByRole('status')).toHaveText('Running');
  await expect(history.getByRole('progressbar')).toHaveAttribute('value', '3');
  await expect(history).toContainText('by itself, since the rule is new or changed');
  await expect(history).toContainText('\\u202egnp.<b>exe</b>');
  await accessible(page, 'running');
  hunt = { ...hunt, done: 6 };
  await expect(history).toContainText('50 %');
  await history.getByRole('button', { name: 'Cancel the retro-hunt' }).click();
  await expect(history.getByRole('status')).toHaveText('Cancelled');
  await expect(history.getByRole('progressbar')).toHaveCount(0);
});

test('an alert is taken apart step by step, only when somebody asks', async ({ page }) => {
  const asked: string[] = [];
  page.on('request', (request) => void (request.url().endsWith('/rules/why') && asked.push(request.postData() ?? '')));
  const { alerts } = await api<{ alerts: { id: number; rule: { id: string } }[] }>('GET', '/alerts?limit=100');
  const alert = alerts.find(({ rule }) => rule.id === REFUSED_PASSWORD)!;
  await page.goto(`/inbox?state=all&alert=${alert.id}`);
  await settled(page);
  expect(asked).toEqual([]);
  await page.getByRole('region', { name: 'Why' }).getByText('Step by step').first().click();
  const steps = page.getByRole('list', { name: 'SSH password refused, step by step' });
  await expect(steps.getByRole('listitem').first()).toContainText('matches event');
  await expect(steps.getByText('true:').first()).toBeAttached();
  expect(asked.map((it) => JSON.parse(it) as { rule: string })).toMatchObject([{ rule: REFUSED_PASSWORD }]);
  await accessible(page, 'step by step');
});

test('an event says why a rule does not match it', async ({ page }) => {
  const { rows } = await api<{ rows: Record<string, string>[] }>('POST', '/search', { query: 'Accepted', limit: 1 });
  await page.goto(`/hunt?q=Accepted&from=now-24h&event=${rows[0]!['event.id']}`);
  await settled(page);
  await page.getByText('Why does a rule match, or not?').click();
  await page.getByLabel('Title or id of a rule').fill('password refused');
  await accessible(page, 'rules that fit');
  await page.getByRole('list', { name: 'Rules that fit' }).getByRole('button', { name: /SSH password refused/ }).click();
  const steps = page.getByRole('list', { name: 'SSH password refused, step by step' });
  await expect(steps.getByRole('listitem').first()).toContainText('does not match');
  await expect(steps.getByText('false:').first()).toBeAttached();
  await accessible(page, 'why not');
  await page.getByRole('button', { name: 'Another rule' }).click();
  await expect(page.getByLabel('Title or id of a rule')).toBeVisible();
});

test('what no source feeds is marked, in the list and in the matrix; the layer is a file', async ({ page }) => {
  const { rules } = await api<Model<'LoadedRules'>>('GET', '/rules');
  const unfed = rules.filter((rule) => rule.source_seen == null).length;
  await page.goto('/rules');
  await settled(page);
  await page.getByRole('button', { name: 'Cannot fire' }).click();
  await expect(page.getByRole('status').filter({ hasText: /of [\d,]+ rules/ })).toContainText(unfed.toLocaleString('en-US'));
  await expect(page.getByRole('region', { name: 'Loaded' }).getByRole('listitem').first()).toContainText('No source feeds it');
  await page.goto('/rules?tab=attack');
  await settled(page);
  const access = page.getByRole('region', { name: 'credential-access' });
  await expect(access.getByRole('button', { name: /^T1110\b/ })).toContainText(/[1-9]\d* of \d+ rules can fire/);
  await page.getByRole('button', { name: 'Cannot fire' }).click();
  await expect(access.getByRole('button', { name: /^T1110\b/ })).toHaveCount(0);
  await expect(access.getByRole('button').first()).toContainText(/0 of \d+ rules? can fire/);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Navigator layer' }).click()]);
  expect(file.suggestedFilename()).toBe('vedette-navigator-layer.json');
  const layer = JSON.parse(readFileSync(await file.path(), 'utf8')) as { versions: { layer: string }; techniques: { techniqueID: string; score: number }[] };
  expect(layer.versions.layer).toBe('4.5');
  expect(layer.techniques.some(({ techniqueID, score }) => techniqueID.startsWith('T1110') && score > 0)).toBe(true);
});
