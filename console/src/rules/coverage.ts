// Which techniques of ATT&CK have rules.
import type { Rule } from '../api/model';
import attack from './attack.json';

export interface Technique {
  id: string;
  name: string;
  rules: Rule[];
  hits: number;
  subs: Technique[];
  /** With its sub-techniques. */
  allRules: number;
  allHits: number;
}

export interface Column {
  tactic: string;
  techniques: Technique[];
  covered: number;
}

type Row = [string, string, number[]];

export function coverage(rules: Rule[]): { columns: Column[]; others: Technique[]; covered: number; total: number; byId: Map<string, Technique> } {
  const byId = new Map<string, Technique>();
  const make = (id: string, name: string): Technique => ({ id, name, rules: [], hits: 0, subs: [], allRules: 0, allHits: 0 });
  const rows = attack.techniques as Row[];
  for (const [id, name] of rows) byId.set(id, make(id, name));
  const known = new Set(byId.keys());
  for (const rule of rules) {
    for (const id of new Set(rule.techniques.map((it) => it.toUpperCase()))) {
      const technique = byId.get(id) ?? make(id, id);
      byId.set(id, technique);
      technique.rules.push(rule);
      technique.hits += rule.hits;
    }
  }
  for (const technique of byId.values()) {
    const parent = technique.id.includes('.') ? byId.get(technique.id.split('.')[0]!) : undefined;
    parent?.subs.push(technique);
  }
  for (const technique of byId.values()) {
    const all = new Set([technique, ...technique.subs].flatMap((it) => it.rules));
    technique.allRules = all.size;
    technique.allHits = [...all].reduce((sum, rule) => sum + rule.hits, 0);
  }
  const parents = rows.filter(([id]) => !id.includes('.'));
  const columns = attack.tactics.map((tactic, i) => {
    const techniques = parents.filter(([, , tactics]) => tactics.includes(i)).map(([id]) => byId.get(id)!);
    return { tactic, techniques, covered: techniques.filter((it) => it.allRules > 0).length };
  });
  const others = [...byId.values()].filter((it) => !known.has(it.id) && it.rules.length > 0);
  const covered = parents.filter(([id]) => byId.get(id)!.allRules > 0).length;
  return { columns, others, covered, total: parents.length, byId };
}

export const notice: string = attack.notice;
