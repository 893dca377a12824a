/** Counts by reason: `{quiet_hours: 3, …}`. */
type ByReason = Record<string, number>;

export interface Counts {
  offered: number;
  sent: number;
  suppressed: ByReason;
  queued: number;
  dead: number;
}

export interface ChannelStatus {
  name: string;
  kind: string;
  last_sent?: string | null;
  last_failure?: string | null;
  error?: string | null;
  rests_until?: string | null;
}

/** Every channel, and what became of every notice: offered = sent + suppressed + queued + dead. */
export interface NotifyStatus {
  channels: ChannelStatus[];
  accounts: ({ channel: string; route: string } & Counts)[];
  total: Counts;
}

/** A notice that was given up. */
export interface Letter {
  id: number;
  channel: string;
  title: string;
  error: string;
  attempts: number;
  given_up: string;
}

export const total = (counts: ByReason): number => Object.values(counts).reduce((sum, n) => sum + n, 0);

/** The accounts of a channel's routes as one. */
export function accountOf(status: NotifyStatus, channel: string): Counts {
  const all: Counts = { offered: 0, sent: 0, suppressed: {}, queued: 0, dead: 0 };
  for (const account of status.accounts.filter((it) => it.channel === channel)) {
    all.offered += account.offered;
    all.sent += account.sent;
    all.queued += account.queued;
    all.dead += account.dead;
    for (const [reason, n] of Object.entries(account.suppressed)) {
      all.suppressed[reason] = (all.suppressed[reason] ?? 0) + n;
    }
  }
  return all;
}
