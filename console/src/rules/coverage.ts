// Which techniques of ATT&CK the rules look for.
import type { Rule } from '../api/model';

export interface Technique {
  /** ATT&CK's id. Its names are not shipped. */
  id: string;
  rules: Rule[];
  hits: number;
  subs: Technique[];
  /** With its sub-techniques. */
  allRules: number;
  /** Of these, those that a source feeds: the others cannot fire. */
  allFed: number;
  allHits: number;
}

export interface Column {
  tactic: string;
  techniques: Technique[];
}

/** An event that it reads was received once. */
export const isFed = (rule: Rule): boolean => rule.source_seen != null;

/** The tactics of the Enterprise matrix, in its order; what rules name beside them comes behind. */
const TACTICS = [
  'reconnaissance',
  'resource-development',
  'initial-access',
  'execution',
  'persistence',
  'privilege-escalation',
  'defense-evasion',
  'credential-access',
  'discovery',
  'lateral-movement',
  'collection',
  'command-and-control',
  'exfiltration',
  'impact',
];

const slug = (tactic: string): string => tactic.toLowerCase().replaceAll('_', '-').replaceAll(' ', '-');

/** A technique stands below every tactic that a rule names together with it. */
export function coverage(rules: Rule[]): { columns: Column[]; others: Technique[]; techniques: number; byId: Map<string, Technique> } {
  const byId = new Map<string, Technique>();
  const technique = (id: string): Technique => {
    const known = byId.get(id);
    if (known) return known;
    const made: Technique = { id, rules: [], hits: 0, subs: [], allRules: 0, allFed: 0, allHits: 0 };
    byId.set(id, made);
    return made;
  };
  const tactics = new Map<string, Set<string>>(TACTICS.map((tactic) => [tactic, new Set()]));
  for (const rule of rules) {
    for (const id of new Set(rule.techniques.map((it) => it.toUpperCase()))) {
      const found = technique(id);
      found.rules.push(rule);
      found.hits += rule.hits;
      const parent = id.split('.')[0]!;
      technique(parent);
      for (const tactic of new Set(rule.tactics.map(slug))) {
        if (!tactics.has(tactic)) tactics.set(tactic, new Set());
        tactics.get(tactic)!.add(parent);
      }
    }
  }
  for (const found of byId.values()) {
    if (found.id.includes('.')) byId.get(found.id.split('.')[0]!)!.subs.push(found);
  }
  for (const found of byId.values()) {
    const all = new Set([found, ...found.subs].flatMap((it) => it.rules));
    found.allRules = all.size;
    found.allFed = [...all].filter(isFed).length;
    found.allHits = [...all].reduce((sum, rule) => sum + rule.hits, 0);
  }
  const byName = (one: Technique, other: Technique) => one.id.localeCompare(other.id);
  const columns = [...tactics].map(([tactic, ids]) => ({ tactic, techniques: [...ids].map((id) => byId.get(id)!).sort(byName) }));
  const placed = new Set(columns.flatMap((column) => column.techniques));
  const parents = [...byId.values()].filter((it) => !it.id.includes('.'));
  const others = parents.filter((it) => !placed.has(it)).sort(byName);
  return { columns, others, techniques: parents.length, byId };
}
