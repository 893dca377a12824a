import type { Model } from '../api/model';

export type Counts = Model<'CountsModel'>;

export const total = (counts: Record<string, number>): number => Object.values(counts).reduce((sum, n) => sum + n, 0);

/** The accounts of a channel's routes as one. */
export function accountOf(status: Model<'Notifications'>, channel: string): Counts {
  const all: Counts = { offered: 0, sent: 0, suppressed: {}, queued: 0, dead: 0, held: {} };
  for (const account of status.accounts.filter((it) => it.channel === channel)) {
    all.offered += account.offered;
    all.sent += account.sent;
    all.queued += account.queued;
    all.dead += account.dead;
    for (const kind of ['suppressed', 'held'] as const) {
      for (const [reason, n] of Object.entries(account[kind])) all[kind][reason] = (all[kind][reason] ?? 0) + n;
    }
  }
  return all;
}
