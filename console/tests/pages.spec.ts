// Every page, in both themes, at 1280 px and on a phone: axe reports nothing, nothing sticks out, everything can be hit.
import { KNOWN } from './feed';
import { api, running, STATE } from './server';
import { accessible, expect, settled, test } from './test';

const pages: [string, string, RegExp][] = [
  ['inbox', '/inbox', /Inbox/],
  ['inbox with a panel', '/inbox?state=all&alert=1', /Inbox/],
  ['incidents', '/incidents?state=all', /Incidents/],
  ['an incident', '/incidents/INCIDENT', /Incident \d+/],
  ['cases', '/incidents?tab=cases', /Incidents/],
  ['a case', '/incidents/cases/CASE', /Case \d+/],
  // A screenful of rows would only be the same row fifty times.
  ['hunt', '/hunt?q=host.name%3Aweb2+event.dataset%3Alinux.sshd&from=now-24h', /Hunt/],
  ['hunt with an event', '/hunt?q=Accepted&from=now-24h&event=EVENT', /Hunt/],
  ['hunt with a summary', '/hunt?q=*%20%7C%20summarize%20n%3Dcount()%20by%20host.name&from=all', /Hunt/],
  ['entities', '/entity', /Entities/],
  ['entity', '/entity/host/web1', /web1/],
  ['replay', '/replay?e=host:web1&e=ip:203.0.113.1&from=now-24h', /Replay/],
  ['replay of nobody', '/replay', /Replay/],
  ['rules', '/rules', /Rules/],
  ['refused rules', '/rules?tab=refused', /Rules/],
  ['coverage', '/rules?tab=attack&technique=T1110', /Rules/],
  ['exceptions', '/rules?tab=exceptions', /Rules/],
  ['a rule', '/rules/438ca65e-765f-4bb0-874b-9bb767146fca', /SSH password refused/],
  ['a new rule', '/rules/edit', /Write a rule/],
  ['indicators', `/indicators?value=${KNOWN}`, /Indicators/],
  ['sources', '/sources', /Sources/],
  ['unparsed', '/sources?tab=unparsed', /Sources/],
  ['health', '/sources?tab=health', /Sources/],
  ...['account', 'users', 'tokens', 'notifications', 'retention', 'receivers'].map((tab): [string, string, RegExp] => [`settings ${tab}`, `/settings?tab=${tab}`, /Settings/]),
  ['nothing', '/no/such/page', /.*/],
];

/** A folder for pictures of every page, for those who want to look at them. */
const SHOTS = process.env.VEDETTE_SHOTS;

let event = '';
let exception = 0;
let incident = 0;
let case_ = 0;
test.beforeAll(async ({ playwright }) => {
  // Tables have rows.
  const { url } = running();
  const ada = await playwright.request.newContext({ baseURL: url, ignoreHTTPSErrors: true, storageState: STATE, extraHTTPHeaders: { origin: url } });
  expect((await ada.post('/api/v1/tokens', { data: { name: 'prometheus', scopes: ['read'] } })).status()).toBe(200);
  await ada.dispose();
  const about = { rule_id: '438ca65e-765f-4bb0-874b-9bb767146fca', conditions: [{ field: 'host.name', value: 'nobody1' }], reason: 'a host that is not there' };
  exception = (await api<{ id: number }>('POST', '/exceptions', about)).id;
  const { incidents } = await api<{ incidents: { id: number; steps: number }[] }>('GET', '/incidents');
  incident = incidents.sort((a, b) => b.steps - a.steps)[0]!.id;
  case_ = (await api<{ id: number }>('POST', '/cases', { title: 'Who is at the door?' })).id;
  for (const [path, body] of [
    ['incidents', { incident }],
    ['alerts', { alert: 1 }],
    ['tasks', { text: 'look' }],
    ['note', { note: 'nobody there' }],
    ['evidence', { item: { event: '1-1' }, comment: 'a knock' }],
  ] as const) {
    await api('POST', `/cases/${case_}/${path}`, body);
  }
  const answer = await api<{ rows: Record<string, string>[] }>('POST', '/search', { query: 'Accepted', limit: 1 });
  event = answer.rows[0]!['event.id']!;
});

test.afterAll(async () => {
  await api('DELETE', `/exceptions/${exception}`);
});

for (const [name, path, heading] of pages) {
  test(name, async ({ page }) => {
    const theme = page.locator('html');
    await page.goto(path.replace('EVENT', event).replace('INCIDENT', String(incident)).replace('CASE', String(case_)));
    await settled(page);
    if (name !== 'nothing') await expect(page.getByRole('heading', { level: 1 })).toHaveText(heading);
    for (const [width, height] of [[1280, 800], [390, 844]] as const) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ['dark', 'light'] as const) {
        await page.emulateMedia({ colorScheme });
        await expect(theme).toHaveAttribute('data-mantine-color-scheme', colorScheme);
        // What is drawn anew for a size or a theme is drawn a moment later.
        await page.waitForTimeout(150);
        expect(await page.evaluate(() => document.documentElement.scrollWidth), `${width} px`).toBeLessThanOrEqual(width);
        const sideways = () => [...document.querySelectorAll('.listed')].filter((it) => it.scrollWidth > it.clientWidth).map((it) => it.ariaLabel);
        if (width < 560) expect(await page.evaluate(sideways), 'tables that scroll sideways').toEqual([]);
        await accessible(page, `${width} px, ${colorScheme}`);
        if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name.replaceAll(' ', '-')}-${width}-${colorScheme}.png` });
      }
    }
  });
}

test('everything that can be pressed is at least 24 px, and can be reached by keys', async ({ page }) => {
  const paths = ['/inbox?state=all&alert=1', '/hunt?q=&from=now-24h', '/hunt?q=*%20%7C%20summarize%20n%3Dcount()%20by%20host.name&from=all', '/entity/host/web1', '/incidents?state=all', `/incidents/${incident}`, `/incidents/cases/${case_}`, '/sources', '/sources?tab=unparsed', '/rules', '/rules?tab=attack', `/indicators?value=${KNOWN}`];
  for (const path of [...paths, '/replay?e=host:web1&from=now-24h', '/settings?tab=tokens', '/settings?tab=notifications']) {
    await page.goto(path);
    await settled(page);
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('button, select, [role=slider], input:not([type=hidden])')]
        .map((it) => ({ it, box: it.getBoundingClientRect() }))
        .filter(({ it, box }) => box.width > 1 && box.height > 1 && (box.width < 24 || box.height < 24) && !it.closest('label'))
        .map(({ it, box }) => `${it.outerHTML.slice(0, 90)} ${Math.round(box.width)}x${Math.round(box.height)}`),
    );
    expect(small, path).toEqual([]);
    // Whatever looks as if it could be clicked is, is in, or has in it something that takes the focus.
    const mouseOnly = await page.evaluate(() => {
      const focusable = 'a[href], button, input, select, textarea, summary, label, [tabindex]:not([tabindex="-1"])';
      return [...document.querySelectorAll<HTMLElement>('main *, header *, nav *')]
        .filter((it) => ['pointer', 'grab', 'col-resize'].includes(getComputedStyle(it).cursor) && !it.closest(focusable) && !it.querySelector(focusable))
        .filter((it) => it.getAttribute('aria-hidden') !== 'true' && it.getBoundingClientRect().width > 1)
        .map((it) => it.outerHTML.slice(0, 120));
    });
    expect(mouseOnly, path).toEqual([]);
  }
});
