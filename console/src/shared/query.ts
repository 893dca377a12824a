// Text of queries: quoting, joining and splitting. The language itself is the server's.
import type { Entity } from '../api/model';

/** A value as the search box wants it. */
export function quote(value: string): string {
  const plain = /^[A-Za-z0-9_][A-Za-z0-9_.@/-]*$/.test(value) && !/^(and|or|not|to)$/i.test(value) && !value.includes('//');
  return plain ? value : inQuotes(value);
}

/** A value in quotes, whatever it is. */
const inQuotes = (value: string): string => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** A field's name as the search box wants it. */
export const clause = (field: string, value: string): string => `${field}:${quote(value)}`;

/** The search and what follows the first pipe outside quotes. */
export function splitPipes(query: string): { filter: string; pipes: string } {
  let quoted = '';
  for (let i = 0; i < query.length; i++) {
    const c = query[i]!;
    if (quoted) {
      if (c === '\\' && quoted === '"') i++;
      else if (c === quoted) quoted = '';
    } else if (c === '"') quoted = c;
    else if (c === '|') return { filter: query.slice(0, i).trim(), pipes: query.slice(i).trim() };
  }
  return { filter: query.trim(), pipes: '' };
}

/** The query with one more condition on its search. */
export function narrow(query: string, condition: string): string {
  const { filter, pipes } = splitPipes(query);
  const found = filter && filter !== '*' && filter !== 'events' ? filter : '';
  const needsParens = /(^|\s)or(\s|$)/i.test(found.replace(/"(\\.|[^"\\])*"/g, '""')) && !/^\(.*\)$/.test(found);
  const head = found ? `${needsParens ? `(${found})` : found} ${condition}` : condition;
  return pipes ? `${head} ${pipes}` : head;
}

/** The fields in which an entity's name may stand. */
const fields: Record<string, string[]> = {
  host: ['host.name'],
  user: ['user.name', 'user.target.name'],
  ip: ['source.ip', 'destination.ip'],
  process: ['process.name'],
  file: ['file.path', 'file.name'],
  domain: ['destination.domain', 'url.domain', 'dns.question.name', 'tls.client.server_name'],
  source: ['vedette.source_name'],
};
export const entityKinds = Object.keys(fields);

/** The search for everything about an entity. */
export function entityFilter(entity: Entity): string {
  const names = fields[entity.kind] ?? [`${entity.kind}.name`];
  const parts = names.map((name) => clause(name, entity.value));
  return parts.length === 1 ? parts[0]! : `(${parts.join(' or ')})`;
}

/** The kind of entity that a field names, if it names one. */
export function entityKind(field: string): string | undefined {
  if (field === 'host.ip' || field === 'client.ip' || field === 'server.ip') return 'ip';
  return entityKinds.find((kind) => fields[kind]!.includes(field));
}

/** The search for the findings of a rule; with conditions, for those that an exception of these would hide. */
export function findingsOf(rule: string, conditions: { value: string }[] = []): string {
  const each = conditions.map(({ value }) => `(${clause('vedette.finding.entities.value', value)} or ${clause('vedette.finding.matched.value', value)})`);
  return ['event.dataset:vedette.findings', clause('rule.id', rule), ...each].join(' ');
}

/** Findings of indicators and of Vedette itself are not by a rule that is written down. */
export const isIndicator = (rule: string): boolean => rule.startsWith('indicator:');
export const isWritten = (rule: string): boolean => !isIndicator(rule) && !rule.startsWith('vedette');

/** The search for the sightings of an indicator's value, as the server counts them. */
export const sightingsOf = (value: string): string =>
  `event.dataset:vedette.findings rule.id:indicator* ${inQuotes(value)} | where threat.indicator.name == ${inQuotes(value)}`;

export const indicatorLink = (value: string): string => `/indicators?${new URLSearchParams({ value })}`;

export interface HuntState {
  q?: string;
  lang?: 'hunt' | 'sql';
  from?: string;
  to?: string;
  cols?: string[];
  event?: string;
}

/** The address of a hunt: every number links to one. */
export function huntLink(state: HuntState): string {
  const values = new URLSearchParams();
  if (state.q) values.set('q', state.q);
  if (state.lang === 'sql') values.set('lang', 'sql');
  values.set('from', state.from ?? 'all');
  if (state.to) values.set('to', state.to);
  if (state.cols?.length) values.set('cols', state.cols.join(','));
  if (state.event) values.set('event', state.event);
  return `/hunt?${values}`;
}

export const entityLink = (entity: Entity): string =>
  `/entity/${encodeURIComponent(entity.kind)}/${encodeURIComponent(entity.value)}`;
