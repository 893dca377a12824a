// Times as people read and write them. The API speaks RFC 3339 in UTC.

export type Zone = 'utc' | 'local';

const two = (n: number): string => String(n).padStart(2, '0');

/** `2026-11-21 04:11:52.123` in the zone; without milliseconds unless asked for. */
export function formatTime(at: string | number | Date, zone: Zone, millis = false): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  const utc = zone === 'utc';
  const [y, mo, d] = utc
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
    : [date.getFullYear(), date.getMonth(), date.getDate()];
  const [h, mi, s] = utc
    ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
    : [date.getHours(), date.getMinutes(), date.getSeconds()];
  const ms = millis ? `.${String(date.getUTCMilliseconds()).padStart(3, '0')}` : '';
  return `${y}-${two(mo + 1)}-${two(d)} ${two(h)}:${two(mi)}:${two(s)}${ms}`;
}

/** `3 min ago`, `in 5 d`. */
export function formatAgo(at: string | number | Date, now: number): string {
  const seconds = Math.round((now - new Date(at).getTime()) / 1000);
  const text = formatSeconds(Math.abs(seconds));
  if (Math.abs(seconds) < 5) return 'now';
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

/** The largest whole unit: `42 s`, `3 min`, `5 h`, `12 d`, `4 y`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  if (seconds < 2 * 365 * 86_400) return `${Math.floor(seconds / 86_400)} d`;
  return `${Math.floor(seconds / (365 * 86_400))} y`;
}

/** What a range in the address says: `now-24h`, an RFC 3339 time, or nothing for open. */
export interface Range {
  from?: string;
  to?: string;
}

const units: Record<string, number> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8 };

/** The moment in milliseconds that an end of a range means, if it means one. */
export function resolve(end: string | undefined, now: number): number | undefined {
  if (!end) return undefined;
  const relative = /^now(?:-(\d+)([smhdw]))?$/.exec(end.trim());
  if (relative) {
    const [, count, unit] = relative;
    return count && unit ? now - Number(count) * (units[unit] ?? 0) : now;
  }
  const text = end.trim();
  // Without a zone a time is UTC, as in the query language.
  const zoned = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$/.test(text)
    ? `${text.replace(' ', 'T')}${text.length > 10 ? 'Z' : ''}`
    : text;
  const at = Date.parse(zoned);
  return Number.isNaN(at) ? undefined : at;
}

/** The range with both ends as the API wants them. */
export function absolute(range: Range, now: number): Range {
  const from = resolve(range.from, now);
  // An open or present end stays open: events of this very moment belong to the answer.
  const to = range.to === 'now' ? undefined : resolve(range.to, now);
  return {
    ...(from === undefined ? {} : { from: new Date(from).toISOString() }),
    ...(to === undefined ? {} : { to: new Date(to).toISOString() }),
  };
}

export const presets = ['now-15m', 'now-1h', 'now-6h', 'now-24h', 'now-7d', 'now-30d', 'now-90d'] as const;
