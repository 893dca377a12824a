const DAY = 86_400_000;
const WEEK = 7 * DAY;

/** Counts by day; over more than two years by week, so that bars stay wide enough to be seen. */
export function byDay(rows: Record<string, unknown>[]): { buckets: { at: string; count: number }[]; from: number; to: number; width: number } {
  const days = rows
    .map((row) => ({ at: Date.parse(String(row['@timestamp'])), count: Number(row['n']) }))
    .filter((day) => !Number.isNaN(day.at))
    .sort((a, b) => a.at - b.at);
  const first = days[0]?.at ?? 0;
  const last = (days.at(-1)?.at ?? 0) + DAY;
  const width = last - first > 730 * DAY ? WEEK : DAY;
  // A single day is a bar among others, not one as wide as the page; what is to come has no bars.
  const counts = new Map<number, number>();
  for (const day of days) {
    const at = Math.floor(day.at / width) * width;
    counts.set(at, (counts.get(at) ?? 0) + day.count);
  }
  const buckets = [...counts].map(([at, count]) => ({ at: new Date(at).toISOString(), count }));
  return { buckets, from: Math.floor(Math.min(first, last - 14 * width) / width) * width, to: last, width };
}
