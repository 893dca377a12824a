// The events of a replay: loaded once, in order, with where each plays and what is new in it.
import { useQuery } from '@tanstack/react-query';
import { stream } from '../api/search';
import type { Entity, Event } from '../api/model';
import { entityFilter } from '../shared/query';
import { absolute, type Range } from '../shared/time';
import { clause } from '../shared/query';
import { laneOf, type Lane } from './lanes';
import { firstSeen } from './player';

export const MOST = 20_000;

export interface Flag {
  at: number;
  title: string;
  level: string;
  rule: string;
}

export interface Score {
  events: Event[];
  times: Float64Array;
  lanes: Lane[];
  fresh: string[][];
  flags: Flag[];
  truncated: boolean;
}

const columns =
  '@timestamp, event.id, event.dataset, event.module, event.category, event.action, event.outcome, host.name, user.name, source.ip, destination.ip, destination.port, process.name, process.executable, process.command_line, file.path, registry.path, winlog.event_data.TargetImage, winlog.event_data.ImageLoaded, url.original, dns.question.name, cloud.account.id, message';

export const replayFilter = (entities: Entity[]): string =>
  entities.length === 1 ? entityFilter(entities[0]!) : `(${entities.map(entityFilter).join(' or ')})`;

async function all(query: string, range: Range, limit: number, signal: AbortSignal, progress?: (n: number) => void) {
  const events: Event[] = [];
  let truncated = false;
  await stream(
    { query, ...absolute(range, Date.now()), limit },
    {
      columns: () => {},
      rows: (lines) => {
        for (const line of lines) events.push(JSON.parse(line) as Event);
        progress?.(events.length);
      },
      progress: () => {},
      done: (summary) => (truncated = summary.truncated),
    },
    signal,
  );
  return { events, truncated };
}

export function useReplay(entities: Entity[], range: Range, progress: (n: number) => void) {
  return useQuery({
    queryKey: ['replay', entities, range],
    enabled: entities.length > 0,
    staleTime: Infinity,
    gcTime: 60_000,
    retry: false,
    queryFn: async ({ signal }): Promise<Score> => {
      const filter = replayFilter(entities);
      const named = entities.map((entity) => clause('vedette.finding.entities.value', entity.value)).join(' or ');
      const [found, findings] = await Promise.all([
        all(`${filter} not event.dataset:vedette.findings | project ${columns}`, range, MOST, signal, progress),
        all(`event.dataset:vedette.findings (${named}) | project @timestamp, rule.name, rule.level, rule.id`, range, 5000, signal),
      ]);
      const timed = found.events
        .map((event) => ({ event, at: Date.parse(String(event['@timestamp'])) }))
        .filter((it) => !Number.isNaN(it.at))
        .reverse()
        .sort((a, b) => a.at - b.at);
      const events = timed.map((it) => it.event);
      const flags = findings.events
        .map((it) => ({ at: Date.parse(String(it['@timestamp'])), title: String(it['rule.name']), level: String(it['rule.level']), rule: String(it['rule.id']) }))
        .sort((a, b) => a.at - b.at);
      return {
        events,
        times: Float64Array.from(timed, (it) => it.at),
        lanes: events.map(laneOf),
        fresh: firstSeen(events),
        flags,
        truncated: found.truncated,
      };
    },
  });
}
