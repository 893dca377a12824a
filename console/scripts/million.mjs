// How quickly the console answers with a million events stored: `VEDETTE_BIN=../target/debug/vedette npm run million`.
// Every key and click is a real one, and its time is the browser's own (Event Timing): from the press to the next paint.
// A folder named in MILLION is kept, and used again without importing.
import { chromium } from '@playwright/test';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeEvents } from './events.mjs';

const EVENTS = 1_000_000;
/** The least duration that the browser reports; what is quicker counts as much. */
const LEAST_MS = 16;
const PASSWORD = 'correct horse battery';

const binary = process.env.VEDETTE_BIN;
if (!binary || !existsSync(binary)) throw new Error('VEDETTE_BIN must name a built `vedette`, such as ../target/debug/vedette');
const dist = fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(join(dist, 'index.html'))) throw new Error('no built console: run `npm run build` first');
const browserPath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((it) => it && existsSync(it));
if (!browserPath) throw new Error('no Chromium: install it, or name one in CHROMIUM');

const keep = process.env.MILLION;
const folder = keep ?? mkdtempSync(join(tmpdir(), 'vedette-million-'));
const data = join(folder, 'data');
const config = join(folder, 'vedette.yml');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const freePort = () =>
  new Promise((done, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });

/** The API over the local socket: no account needed. */
function api(method, path, body) {
  return new Promise((done, failed) => {
    const call = request({ socketPath: join(data, 'vedette.sock'), method, path: `/api/v1${path}`, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => (response.statusCode < 300 ? done(JSON.parse(text)) : failed(new Error(text))));
    });
    call.on('error', failed);
    call.end(body && JSON.stringify(body));
  });
}

async function until(what, yes, tries = 6000) {
  for (let i = 0; i < tries; i++) {
    if (await yes()) return;
    await sleep(100);
  }
  throw new Error(`waited in vain: ${what}`);
}

/** Kept in the page: the interactions since the last look, and what the main thread did in long frames. */
function watch() {
  window.seen = [];
  window.frames_ = [];
  new PerformanceObserver((list) => {
    for (const it of list.getEntries()) if (it.interactionId > 0) window.seen.push({ name: it.name, duration: it.duration, before: it.processingStart - it.startTime, ours: it.processingEnd - it.processingStart });
  }).observe({ type: 'event', durationThreshold: 16 });
  new PerformanceObserver((list) => {
    for (const it of list.getEntries()) {
      const end = it.startTime + it.duration;
      const scripts = it.scripts.reduce((sum, script) => sum + script.duration, 0);
      const layout = it.styleAndLayoutStart ? end - it.styleAndLayoutStart : 0;
      window.frames_.push({ duration: it.duration, scripts, layout });
    }
  }).observe({ type: 'long-animation-frame' });
}

const results = new Map();
const note = (what, entry) => results.set(what, [...(results.get(what) ?? []), entry]);
const searches = [];
const frames = [];

async function collect(page, what) {
  // The entry comes after the paint that it tells of.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 40))));
  await sleep(60);
  const { seen, long } = await page.evaluate(() => ({ seen: window.seen.splice(0), long: window.frames_.splice(0) }));
  frames.push(...long.map((it) => ({ ...it, what })));
  const worst = seen.sort((a, b) => b.duration - a.duration)[0];
  note(what, worst ?? { duration: LEAST_MS, before: 0, ours: 0 });
}

const press = async (page, what, key) => (await page.keyboard.press(key), collect(page, what));
const click = async (page, what, locator) => (await locator.click(), collect(page, what));
async function type(page, what, text) {
  for (const letter of text) await press(page, what, letter);
}

/** Runs what stands in the box: from the key to the first row of the answer. */
async function run(page, what) {
  const rows = page.evaluate(
    () =>
      new Promise((done) => {
        const first = () => document.querySelector('[role=table][aria-label=Results] [role=row][aria-rowindex="2"]')?.textContent;
        const before = first();
        let pressed = 0;
        addEventListener('keydown', (event) => (pressed = event.timeStamp), { capture: true, once: true });
        const look = (now) => (pressed && first() && first() !== before ? done(now - pressed) : now > pressed + 60_000 && pressed ? done(Number.NaN) : requestAnimationFrame(look));
        requestAnimationFrame(look);
      }),
  );
  await sleep(50);
  await page.keyboard.press('Enter');
  searches.push({ what, ms: await rows });
  await collect(page, 'hunt: run a search');
}

async function scroll(page, name) {
  return page.evaluate(async (label) => {
    const box = document.querySelector(`[role=region][aria-label="${label}"]`);
    const times = [];
    for (let i = 0; i < 60; i++) {
      const begun = performance.now();
      box.scrollTop = (box.scrollHeight * i) / 60;
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      times.push((performance.now() - begun) / 2);
    }
    return times;
  }, name);
}

/** So that somebody can look at what was measured. */
const shot = (page, name) => process.env.VEDETTE_SHOTS && page.screenshot({ path: join(process.env.VEDETTE_SHOTS, `million-${name}.png`) });

async function work(page) {
  await page.locator('[data-alert]').first().waitFor();
  await sleep(1000);
  for (let i = 0; i < 20; i++) await press(page, 'inbox: j', 'j');
  await shot(page, 'inbox');
  for (let i = 0; i < 8; i++) {
    await press(page, 'inbox: Enter, open why', 'Enter');
    await sleep(700);
    await press(page, 'inbox: next with the panel open', 'j');
    await sleep(700);
    await press(page, 'inbox: Escape', 'Escape');
  }
  await press(page, 'inbox: /', '/');
  await type(page, 'inbox: type in the filter', 'ssh web12');
  await press(page, 'inbox: Escape', 'Escape');

  await page.getByRole('navigation').getByRole('link', { name: 'Hunt' }).first().click();
  const box = page.getByRole('main').locator('.cm-content').first();
  await box.waitFor();
  await page.goto(`${page.url().split('/hunt')[0]}/hunt?q=&from=all&most=10000`);
  await page.locator('[role=row][aria-rowindex="2"]').waitFor({ timeout: 120_000 });
  await sleep(3000);
  for (const query of ['user.name:user7', 'event.category:web http.response.status_code:500', 'host.name:host0 and event.outcome:failure', 'psql']) {
    await box.click();
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Backspace');
    await type(page, 'hunt: type in the box', query);
    await page.keyboard.press('Escape');
    await box.click();
    await run(page, query);
    await sleep(2500);
  }
  const row = (n) => page.locator(`[role=table][aria-label=Results] [role=row][aria-rowindex="${n}"]`);
  for (let n = 2; n < 12; n++) {
    await click(page, 'hunt: open an event', row(n).getByRole('cell').nth(1));
    await sleep(400);
  }
  for (let i = 0; i < 10; i++) {
    await press(page, 'hunt: j, next event', 'j');
    await sleep(250);
  }
  await press(page, 'hunt: Escape', 'Escape');
  const smooth = await scroll(page, 'Results');
  await shot(page, 'hunt');
  await press(page, 'hunt: f, list of fields', 'f');
  const fields = page.getByRole('complementary', { name: 'Fields' });
  if (!(await fields.isVisible())) await press(page, 'hunt: f, list of fields', 'f');
  for (const name of ['host.name', 'user.name', 'event.category']) {
    await click(page, 'hunt: open a field', fields.getByRole('button', { name: new RegExp(`^${name.replace('.', '\\.')}\\s*\\d`) }));
    await sleep(1200);
  }
  for (let i = 0; i < 3; i++) {
    // A chart that is counted anew is drawn anew, and a brush over the old one leads nowhere.
    await page.locator('section:has(.u-over):not([data-loading])').waitFor({ timeout: 60_000 });
    const chart = await page.locator('.u-over').first().boundingBox();
    const before = page.url();
    await page.mouse.move(chart.x + chart.width * 0.1, chart.y + 15);
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width * 0.7, chart.y + 15, { steps: 5 });
    await page.mouse.up();
    await collect(page, 'hunt: brush the histogram');
    await shot(page, `brush-${i}`);
    await page.waitForURL((url) => url.href !== before, { timeout: 3000 }).catch(() => {
      throw new Error(`brush ${i + 1} did not narrow the time`);
    });
    await sleep(3000);
  }

  const origin = new URL(page.url()).origin;
  await page.goto(`${origin}/entity/host/host0`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await sleep(5000);
  await shot(page, 'entity');
  const days = page.getByRole('main').getByRole('button').filter({ visible: true });
  for (let i = 0; i < Math.min(6, await days.count()); i++) {
    const label = (await days.nth(i).innerText()) || (await days.nth(i).getAttribute('title'));
    await click(page, `entity: press "${label.replace(/\s+/g, ' ').trim()}"`, days.nth(i));
    await page.keyboard.press('Escape');
    await sleep(500);
  }
  await page.evaluate(() => window.seen.splice(0));
  for (let i = 0; i < 6; i++) await press(page, 'entity: Tab', 'Tab');

  await page.goto(`${origin}/rules`);
  await page.getByRole('region', { name: 'Loaded' }).or(page.getByRole('listitem').first()).first().waitFor();
  await sleep(1000);
  await press(page, 'rules: /', '/');
  await type(page, 'rules: type in the filter', 'ssh password');
  await page.goto(`${origin}/rules?tab=loaded`);
  await sleep(800);
  for (const name of ['ATT&CK', 'Refused', 'Loaded']) {
    await click(page, 'rules: another tab', page.getByRole('main').getByText(name, { exact: false }).first());
    await sleep(500);
  }
  return smooth;
}

const at = (all, share) => [...all].sort((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * share))];
const ms = (n) => (n <= LEAST_MS ? `≤ ${LEAST_MS}` : n.toFixed(0));

function report(smooth, seconds) {
  const line = (what, all) => {
    const durations = all.map((it) => it.duration);
    const slow = [...all].sort((a, b) => b.duration - a.duration).slice(0, Math.max(1, Math.ceil(all.length * 0.05)));
    const mean = (pick) => slow.reduce((sum, it) => sum + pick(it), 0) / slow.length;
    console.log(`| ${what} | ${all.length} | ${ms(at(durations, 0.5))} | ${ms(at(durations, 0.95))} | ${ms(Math.max(...durations))} | ${mean((it) => it.before).toFixed(0)} + ${mean((it) => it.ours).toFixed(0)} + ${mean((it) => Math.max(0, it.duration - it.before - it.ours)).toFixed(0)} |`);
  };
  console.log(`\nLoad ${loadavg().map((it) => it.toFixed(1)).join(', ')} on ${cpus().length} cores; ${seconds}\n`);
  console.log('| key or click to next paint, ms | count | p50 | p95 | most | the slowest 5 %: waiting + our handlers + drawing |\n| --- | --- | --- | --- | --- | --- |');
  for (const [what, all] of results) line(what, all);
  line('**all**', [...results.values()].flat());
  console.log('\n| search, from Enter to the first row | ms |\n| --- | --- |');
  for (const { what, ms: time } of searches) console.log(`| \`${what}\` | ${time.toFixed(0)} |`);
  console.log(`\nA frame while scrolling results: p50 ${at(smooth, 0.5).toFixed(0)} ms, p95 ${at(smooth, 0.95).toFixed(0)} ms.`);
  const total = (pick) => frames.reduce((sum, it) => sum + pick(it), 0);
  console.log(`Frames of over 50 ms: ${frames.length}, ${total((it) => it.duration).toFixed(0)} ms in all, of which scripts ${total((it) => it.scripts).toFixed(0)} ms, style, layout and paint ${total((it) => it.layout).toFixed(0)} ms.`);
  for (const it of frames.sort((a, b) => b.duration - a.duration).slice(0, 8)) console.log(`  ${it.what}: ${it.duration.toFixed(0)} ms, scripts ${it.scripts.toFixed(0)}, style, layout and paint ${it.layout.toFixed(0)}`);
}

mkdirSync(folder, { recursive: true });
const [port, http] = [await freePort(), await freePort()];
writeFileSync(config, `console: {listen: "127.0.0.1:${port}"}\nreceivers: {journald: off, local_files: false, syslog: [], http: [{listen: "127.0.0.1:${http}"}]}\n`);
let server;
let browser;
try {
  if (!existsSync(data)) {
    const packed = join(folder, 'events.ndjson.gz');
    await writeEvents(packed, EVENTS, Date.now());
    execFileSync(binary, ['import', '--data', data, '--config', config, '--job', 'million', packed], { stdio: 'inherit' });
    rmSync(packed);
  }
  const log = join(folder, 'up.log');
  const out = openSync(log, 'w');
  server = spawn(binary, ['up', '--data', data, '--config', config, '--console-dir', dist], { stdio: ['ignore', out, out] });
  await until('the server is ready', () => {
    if (server.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
    return /^ready$/m.test(readFileSync(log, 'utf8'));
  });
  // Vedette's own events are not among them.
  const imported = async () => (await api('POST', '/search', { query: 'host.name:host* | summarize n = count()' })).rows[0]?.n ?? 0;
  await until('all events can be searched', async () => (await imported()) === EVENTS);
  console.log(`${EVENTS} imported events can be searched`);
  // Something to triage: each host its own alert.
  const lines = Array.from({ length: 300 }, (_, i) => `<38>1 ${new Date().toISOString()} web${i} sshd 811 - - Failed password for root from 203.0.113.${i % 200} port ${40_000 + i} ssh2`);
  await fetch(`http://127.0.0.1:${http}/ingest?source=ssh`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: lines.join('\n') });
  await until('alerts', async () => (await api('GET', '/alerts')).total >= 300);

  browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } })).newPage();
  await page.addInitScript(watch);
  const link = /set-up (\S+)/.exec(readFileSync(log, 'utf8'))?.[1];
  if (link) {
    await page.goto(link);
    await page.getByLabel('User name').fill('ada');
    await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('New password, once more').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set password and sign in' }).click();
  } else {
    await page.goto(`https://127.0.0.1:${port}/`);
    await page.getByLabel('User name').fill('ada');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  await page.waitForURL('**/inbox');
  await page.evaluate(() => window.seen.splice(0));
  const begun = Date.now();
  const smooth = await work(page);
  report(smooth, `${((Date.now() - begun) / 1000).toFixed(0)} s of work`);
} finally {
  await browser?.close();
  if (server && server.exitCode === null) {
    server.kill('SIGTERM');
    await new Promise((done) => server.once('exit', done));
  }
  if (!keep) rmSync(folder, { recursive: true, force: true });
}
