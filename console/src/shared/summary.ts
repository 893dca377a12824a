// An event in one line, and the fields people look at first.
import type { Event } from '../api/model';
import { formatValue } from './format';

/** What an event says, in one line. */
export function summaryOf(event: Event): string {
  const message = formatValue(event['message']);
  const text = message && !message.startsWith('{') ? message : said(event) || message || formatValue(event['event.original']);
  const line = text.replace(/\s+/g, ' ').trim();
  // Windows' messages are forms with every field filled in; what was done, by what, and to what is enough.
  const form = /^([A-Z][\w ()]{3,80}?)(?:: RuleName:|: EventType:|\. (?:Subject|Application Information|Creator Subject) ?:)/.exec(line);
  if (form) {
    const parts = actors.map((names) => names.map((name) => formatValue(event[name])).find(Boolean)).filter(Boolean);
    if (parts.length > 0) return `${form[1]}: ${parts.join(' → ')}`;
  }
  return line.length > 500 ? `${line.slice(0, 500)}…` : line;
}

/** By what, and to what: of each the first that is there. */
const actors = [
  ['process.command_line', 'process.executable', 'process.name', 'winlog.event_data.SourceImage'],
  ['winlog.event_data.TargetImage', 'winlog.event_data.ImageLoaded', 'winlog.event_data.PipeName', 'file.path', 'registry.path', 'dns.question.name', 'destination.domain', 'destination.ip', 'winlog.event_data.ObjectName'],
];

const words = ['event.action', 'event.outcome', 'user.name', 'process.name', 'source.ip', 'destination.ip', 'dns.question.name', 'http.request.method', 'url.original', 'url.path', 'http.response.status_code', 'rule.name', 'event.reason'];

/** A record of fields without a line for people: its fields make one. */
function said(event: Event): string {
  const found = words.filter((name) => event[name] !== undefined).map((name) => formatValue(event[name]));
  return found.length > 1 ? found.join(' · ') : '';
}

const first = ['@timestamp', 'event.dataset', 'event.action', 'event.outcome', 'host.name', 'user.name', 'source.ip'];

/** An event's fields: those that matter first, the rest by name, the original last. */
export function sortedFields(event: Event, matched: string[] = []): [string, unknown][] {
  const weight = (name: string) => {
    if (matched.includes(name)) return -1;
    const at = first.indexOf(name);
    if (at >= 0) return at;
    return name === 'event.original' ? 1000 : 100;
  };
  return Object.entries(event).sort(([a], [b]) => weight(a) - weight(b) || (a < b ? -1 : 1));
}
