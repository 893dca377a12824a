type Counted = number | [string, number][] | Record<string, number> | undefined;

/** A channel with its account: offered = sent + suppressed + queued + dead. */
export interface Channel {
  name: string;
  kind?: string;
  offered?: Counted;
  sent?: Counted;
  suppressed?: Counted;
  queued?: Counted;
  dead?: Counted;
}

/** A notice that was given up. */
export interface Letter {
  id: number;
  channel: string;
  title?: string;
  error?: string;
  reason?: string;
  time?: string;
}

/** The sum of a count, or of counts by reason. */
export function counted(counts: Counted): number {
  if (counts === undefined) return 0;
  if (typeof counts === 'number') return counts;
  const entries = Array.isArray(counts) ? counts : Object.entries(counts);
  return entries.reduce((sum, [, n]) => sum + n, 0);
}
