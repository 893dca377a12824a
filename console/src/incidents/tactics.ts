import type { IncidentDetail } from '../api/model';

export interface Passed {
  tactic: string;
  /** When it was first seen; nothing if the findings that showed it are gone. */
  first?: string;
  findings: number;
}

/** The tactics of an incident, in the order in which they were first seen. */
export function passed({ timeline, tactics }: Pick<IncidentDetail, 'timeline' | 'tactics'>): Passed[] {
  const found = new Map<string, Passed>();
  for (const step of timeline) {
    if (step.is_void) continue;
    for (const tactic of step.rule.tactics) {
      const old = found.get(tactic);
      if (old) old.findings += step.findings;
      else found.set(tactic, { tactic, first: step.first, findings: step.findings });
    }
  }
  const gone = tactics.filter((tactic) => !found.has(tactic)).map((tactic) => ({ tactic, findings: 0 }));
  return [...found.values(), ...gone];
}
