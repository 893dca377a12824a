// Events as a company has them: a million of them, the same each time, packed as they are made so that they need little disk.
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** A small generator of numbers that are the same in each run (mulberry32). */
function numbers(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const DAYS = 7;

/** NDJSON: log-ins, processes, connections and requests of the last week, oldest first. */
function* lines(count, now) {
  const random = numbers(4);
  const upTo = (n) => Math.floor(random() * n);
  // A few do most of it, as everywhere.
  const some = (n) => Math.floor(random() ** 2 * n);
  const step = (DAYS * 86_400_000) / count;
  for (let i = 0; i < count; i++) {
    const host = `host${some(400)}`;
    const user = `user${some(3000)}`;
    const address = `198.51.${some(200)}.${upTo(250)}`;
    const common = { '@timestamp': new Date(now - (count - i) * step).toISOString(), 'host.name': host };
    const kind = random();
    let event;
    if (kind < 0.25) {
      const outcome = random() < 0.1 ? 'failure' : 'success';
      event = { 'event.category': 'authentication', 'event.action': 'log-in', 'event.outcome': outcome, 'user.name': user, 'source.ip': address, message: `log-in of ${user} from ${address}: ${outcome}` };
    } else if (kind < 0.5) {
      const program = ['bash', 'python3', 'curl', 'git', 'cargo', 'systemctl', 'psql'][some(7)];
      event = { 'event.category': 'process', 'event.action': 'start', 'user.name': user, 'process.name': program, 'process.pid': upTo(60_000), message: `${user} started ${program} in session ${upTo(100_000)}` };
    } else if (kind < 0.75) {
      const port = [443, 53, 80, 22, 5432, 8080][some(6)];
      event = { 'event.category': 'network', 'event.action': 'connection', 'source.ip': address, 'destination.ip': `192.0.2.${upTo(250)}`, 'destination.port': port, message: `connection ${address} to port ${port}, ${upTo(90_000)} bytes` };
    } else {
      const status = [200, 304, 404, 403, 500][some(5)];
      event = { 'event.category': 'web', 'source.ip': address, 'url.path': `/item/${upTo(20_000)}`, 'http.response.status_code': status, message: `GET /item/${upTo(20_000)} ${status} for ${address}` };
    }
    yield `${JSON.stringify({ ...common, ...event })}\n`;
  }
}

/** Many lines at a time: a stream of a million small pieces is slow. */
function* pieces(count, now) {
  let piece = [];
  for (const line of lines(count, now)) {
    if (piece.push(line) < 1000) continue;
    yield piece.join('');
    piece = [];
  }
  yield piece.join('');
}

/** Writes them to `path`, gzipped. */
export const writeEvents = (path, count, now) => pipeline(Readable.from(pieces(count, now)), createGzip({ level: 1 }), createWriteStream(path));
