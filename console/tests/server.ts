// A `vedette up` of our own: its data, its ports, its end. What is running is written down in a file, because the set-up,
// the tests and the tear-down are different processes.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostileRule } from './hostile';

const here = dirname(fileURLToPath(import.meta.url));
// A folder for each run: two at once do not meet. The tests' processes inherit its name.
const HOME = (process.env.VEDETTE_CONSOLE_TESTS ??= mkdtempSync(join(tmpdir(), 'vedette-console-')));
const NOTE = join(HOME, 'running.json');
export const STATE = join(HOME, 'session.json');

export interface Running {
  folder: string;
  pid: number;
  /** Of `vite preview`; 0 if the server itself serves the console. */
  preview: number;
  /** Where the console is. */
  url: string;
  /** Where records go. */
  ingest: string;
  setup: string;
}

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address ? done(address.port) : failed(new Error('no port'))));
    });
  });
}

function binary(): string {
  const path = process.env.VEDETTE_BIN;
  if (!path || !existsSync(path)) throw new Error('VEDETTE_BIN must name a built `vedette`, such as ../target/debug/vedette');
  return path;
}

/** True if this binary serves a built console itself. */
const servesConsole = (): boolean => execFileSync(binary(), ['up', '--help'], { encoding: 'utf8' }).includes('--console-dir');

async function ready(log: string, child: ChildProcess): Promise<string> {
  for (let i = 0; i < 1200; i++) {
    if (child.exitCode !== null) throw new Error(`the server ended:\n${readFileSync(log, 'utf8')}`);
    const text = readFileSync(log, 'utf8');
    if (/^ready$/m.test(text)) return text;
    await sleep(50);
  }
  throw new Error(`the server was not ready in a minute:\n${readFileSync(log, 'utf8')}`);
}

export async function up(folder: string): Promise<{ pid: number; log: string }> {
  const log = join(folder, 'up.log');
  writeFileSync(log, '');
  const out = openSync(log, 'a');
  const served = servesConsole() ? ['--console-dir', join(here, '../dist')] : [];
  const args = ['up', '--data', join(folder, 'data'), '--config', join(folder, 'vedette.yml'), ...served];
  const child = spawn(binary(), args, { stdio: ['ignore', out, out], detached: true });
  child.unref();
  return { pid: child.pid!, log: await ready(log, child) };
}

/** The beginning of a configuration: as without one, but for the ports, and for this machine's own logs. */
export const onPorts = (ports: { console: number; syslog: number; http: number }): string => `console: {listen: "127.0.0.1:${ports.console}"}
receivers:
  journald: off
  local_files: false
  syslog: [{transport: tcp, listen: "127.0.0.1:${ports.syslog}"}]
  http: [{listen: "127.0.0.1:${ports.http}"}]
`;

/** `webhook`: a port where somebody takes notifications. */
export async function start(webhook: number): Promise<Running> {
  const folder = HOME;
  const [console_, syslog, http] = [await freePort(), await freePort(), await freePort()];
  mkdirSync(join(folder, 'rules'));
  writeFileSync(join(folder, 'rules/hostile.yml'), hostileRule);
  writeFileSync(join(folder, 'rules/refused.yml'), 'title: Refused <b>rule</b>\nlogsource: {product: linux}\ndetection: {a: {x|nonsense: 1}, condition: a}\nlevel: low\n');
  writeFileSync(
    join(folder, 'vedette.yml'),
    `${onPorts({ console: console_, syslog, http })}detection: {rules: ["${join(folder, 'rules')}"]}
notifications:
  channels:
    - {name: on-call, webhook: {url: "http://127.0.0.1:${webhook}/good"}}
    - {name: broken, webhook: {url: "http://127.0.0.1:${webhook}/bad"}}
  routes:
    - {name: worst, match: {level: critical}, channels: [on-call, broken]}
`,
  );
  const { pid, log } = await up(folder);
  const server = `https://127.0.0.1:${console_}`;
  const setup = /set-up (\S+)/.exec(log)?.[1] ?? '';
  const running: Running = { folder, pid, preview: 0, url: server, ingest: `http://127.0.0.1:${http}/ingest`, setup: new URL(setup).pathname + new URL(setup).search };
  if (!servesConsole()) {
    const port = await freePort();
    const vite = spawn(process.execPath, [join(here, '../node_modules/vite/bin/vite.js'), 'preview', '--port', String(port), '--strictPort', '--host', '127.0.0.1'], {
      cwd: join(here, '..'),
      env: { ...process.env, VEDETTE_URL: server, VEDETTE_DATA: join(folder, 'data') },
      stdio: 'ignore',
      detached: true,
    });
    vite.unref();
    running.preview = vite.pid!;
    running.url = `https://127.0.0.1:${port}`;
    await sleep(2500);
  }
  writeFileSync(NOTE, JSON.stringify(running));
  return running;
}

export const running = (): Running => JSON.parse(readFileSync(NOTE, 'utf8')) as Running;

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A child of ours that ended is still listed until it is waited for.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

export async function down(pid: number): Promise<void> {
  if (!alive(pid)) return;
  process.kill(pid, 'SIGTERM');
  for (let i = 0; i < 300 && alive(pid); i++) await sleep(100);
  if (alive(pid)) process.kill(pid, 'SIGKILL');
}

/** Starts the server again over the same data and ports, unless it runs. */
export async function again(): Promise<void> {
  const old = running();
  if (alive(old.pid)) return;
  const { pid } = await up(old.folder);
  writeFileSync(NOTE, JSON.stringify({ ...old, pid }));
}

export async function stop(): Promise<void> {
  const { pid, preview, folder } = running();
  await down(pid);
  if (preview) await down(preview);
  rmSync(folder, { recursive: true, force: true });
}

/** Lines as records; answered when they are on the disk. */
export async function send(lines: string[], source = 'test', type = 'text/plain'): Promise<void> {
  const response = await fetch(`${running().ingest}?source=${source}`, { method: 'POST', headers: { 'content-type': type }, body: lines.join('\n') });
  const answer = (await response.json()) as { stored: number };
  if (answer.stored !== lines.length) throw new Error(`of ${lines.length} records ${answer.stored} were stored`);
}

/** The API over the local socket: no account needed. */
export function api<T>(method: string, path: string, body?: unknown): Promise<T> {
  const socketPath = join(running().folder, 'data/vedette.sock');
  return new Promise((done, failed) => {
    const call = httpRequest({ socketPath, method, path: `/api/v1${path}`, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => ((response.statusCode ?? 500) < 300 ? done(JSON.parse(text) as T) : failed(new Error(text))));
    });
    call.on('error', failed);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Asks until the answer is yes. */
export async function until(what: string, yes: () => Promise<boolean>, tries = 200): Promise<void> {
  for (let i = 0; i < tries; i++) {
    if (await yes()) return;
    await sleep(100);
  }
  throw new Error(`waited in vain: ${what}`);
}
