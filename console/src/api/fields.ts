// Names and values of fields, for completion and statistics; and counts over time. Servers that do not offer these are
// asked the same as ordinary queries.
import { absolute, bucketWidth, resolve, span, type Range } from '../shared/time';
import { quote, splitPipes } from '../shared/query';
import { call, notOffered, params } from './http';
import type { FieldModel, FieldValues, Histogram } from './model';
import { search } from './search';

let known: Promise<FieldModel[]> | undefined;

/** Every field there is to name; the core alone where the server has no list. */
export function fieldNames(): Promise<FieldModel[]> {
  known ??= call<{ fields: FieldModel[] }>('GET', '/fields')
    .then(({ fields }) => {
      // New names are seen as events come.
      setTimeout(() => (known = undefined), 60_000);
      return fields;
    })
    .catch((error: unknown) => {
      if (!notOffered(error)) known = undefined;
      return core.map((name) => ({ name, type: 'text', core: true }));
    });
  return known;
}

const core =
  '@timestamp event.original message event.id event.kind event.category event.type event.action event.outcome event.code event.dataset event.module event.provider event.severity log.level host.name observer.name user.name user.id user.domain user.target.name source.ip source.port source.bytes destination.ip destination.port destination.domain destination.bytes network.transport network.protocol process.name process.pid process.executable process.command_line process.parent.pid process.parent.name process.parent.executable process.parent.command_line process.hash.sha256 file.path file.name file.hash.sha256 registry.path service.name dns.question.name tls.client.server_name url.domain url.path url.original http.request.method http.response.status_code user_agent.original cloud.account.id cloud.region rule.id rule.name rule.level threat.technique.id vedette.source vedette.source_name vedette.received vedette.parser'.split(
    ' ',
  );

/** The most frequent values of a field among what the search finds. */
export async function fieldValues(
  field: string,
  query: string,
  range: Range,
  options: { prefix?: string; limit?: number; signal?: AbortSignal } = {},
): Promise<FieldValues> {
  const { filter } = splitPipes(query);
  const { from, to } = absolute(range, Date.now());
  const limit = options.limit ?? 20;
  try {
    const asked = params({ field, prefix: options.prefix, query: filter, from, to, limit });
    return await call<FieldValues>('GET', `/fields/values${asked}`, undefined, options.signal);
  } catch (error) {
    if (!notOffered(error)) throw error;
  }
  const name = /^[\w.@]+$/.test(field) ? field : `['${field}']`;
  const begins = options.prefix ? ` ${field}:${quote(options.prefix)}*` : '';
  const head = `${filter || '*'}${begins}`;
  const answer = await search(
    { query: `${head} | where isnotempty(${name}) | summarize n = count() by ${name} | top ${limit + 1} by n`, from, to, limit: limit + 1 },
    options.signal,
  );
  const column = answer.columns.find((it) => it !== 'n') ?? field;
  const values = answer.rows.map((row) => ({ value: String(row[column] ?? ''), count: Number(row['n']) }));
  return { values: values.slice(0, limit), complete: values.length <= limit };
}

/** Counts over time of what the search finds. */
export async function histogram(query: string, range: Range, buckets: number, signal?: AbortSignal): Promise<Histogram> {
  const { filter } = splitPipes(query);
  const now = Date.now();
  const { from, to } = absolute(range, now);
  try {
    return await call<Histogram>('POST', '/search/histogram', { query: filter, from, to, buckets }, signal);
  } catch (error) {
    if (!notOffered(error)) throw error;
  }
  return counted(filter || '*', from, to ?? (range.to === 'now' || from ? new Date(now).toISOString() : undefined), buckets, signal);
}

async function counted(filter: string, from: string | undefined, to: string | undefined, buckets: number, signal?: AbortSignal): Promise<Histogram> {
  let [begin, end] = [from, to];
  if (!begin || !end) {
    const bounds = await search(
      { query: `${filter} | summarize a = min(@timestamp), b = max(@timestamp)`, from, to, limit: 1 },
      signal,
    );
    const row = bounds.rows[0];
    begin ??= (row?.['a'] as string | null) ?? undefined;
    end ??= (row?.['b'] as string | null) ?? undefined;
  }
  const [first, last] = [resolve(begin, 0), resolve(end, 0)];
  if (first === undefined || last === undefined) {
    return { from: begin ?? '', to: end ?? '', bucket_ms: 1000, total: 0, buckets: [], partial: false };
  }
  const width = bucketWidth(Math.max(1, last - first), buckets);
  const answer = await search(
    { query: `${filter} | summarize n = count() by bin(@timestamp, ${span(width)})`, from, to, limit: 5000 },
    signal,
  );
  const found = answer.rows
    .filter((row) => row['@timestamp'])
    .map((row) => ({ at: String(row['@timestamp']), count: Number(row['n']) }));
  const total = found.reduce((sum, bucket) => sum + bucket.count, 0);
  return { from: begin!, to: end!, bucket_ms: width, total, buckets: found, partial: answer.summary.truncated };
}
