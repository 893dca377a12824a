/** What the health check `alert_budget` says. */
export interface OverBudget {
  opened: number;
  budget: number;
  noisiest: { title: string; alerts: number }[];
}

/** Its sentence taken apart; nothing if it is another sentence than the one that is known here (`budget.rs`). */
export function readBudget(detail: string): OverBudget | undefined {
  const found = /^(\d+) new alerts today, (\d+) are the budget; most by (.*): give them a threshold or an exception$/s.exec(detail);
  if (!found) return undefined;
  const noisiest = [...found[3]!.matchAll(/(.+?) \((\d+)\)(?:, |$)/gs)].map(([, title, alerts]) => ({ title: title!, alerts: Number(alerts) }));
  return { opened: Number(found[1]), budget: Number(found[2]), noisiest };
}
