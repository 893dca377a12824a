// Where the playhead goes. Pure: times in, time out.

export const speeds = [1, 2, 5, 10, 30, 60, 100, 300, 1000];

/** The speed at which the whole takes about a minute. */
export const fitting = (spanMs: number): number => speeds.find((speed) => spanMs / speed <= 60_000) ?? speeds[speeds.length - 1]!;

/** A stretch without events that would take longer than this to play is jumped over, if wished. */
export const PATIENCE_MS = 1200;

/** Index of the last event at or before the time; -1 before the first. Times ascend. */
export function indexAt(times: ArrayLike<number>, at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The playhead after so many milliseconds of watching. */
export function advance(at: number, watchedMs: number, speed: number, times: ArrayLike<number>, end: number, skip: boolean): number {
  const next = at + watchedMs * speed;
  if (!skip) return Math.min(next, end);
  const upcoming = times[indexAt(times, at) + 1];
  if (upcoming === undefined) return Math.min(next, end);
  // To just before the next event, so that it is seen to arrive.
  if (upcoming - at > PATIENCE_MS * speed) return Math.min(Math.max(next, upcoming - 200 * speed), end);
  return Math.min(next, end);
}

/** Values that appear for the first time in each event, of the fields that name someone or something. */
export function firstSeen(events: Record<string, unknown>[]): string[][] {
  const fields = ['user.name', 'source.ip', 'destination.ip', 'process.name', 'host.name'];
  const seen = new Set<string>();
  return events.map((event, i) =>
    fields.flatMap((field) => {
      const value = event[field];
      if (value == null || value === '') return [];
      const key = `${field}=${String(value)}`;
      if (seen.has(key)) return [];
      seen.add(key);
      // In the first event everything is new, which says nothing.
      return i === 0 ? [] : [String(value)];
    }),
  );
}
