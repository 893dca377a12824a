// The events behind a line of a summary.
import { clause, huntLink, splitPipes } from './query';

/** The link to the events that a row of `… | summarize … by a, b` counts; nothing where that cannot be said. */
export function drill(query: string, row: Record<string, unknown>, range: { from?: string | undefined; to?: string | undefined }): string | undefined {
  const { filter, pipes } = splitPipes(query);
  const stages = pipes.split('|').map((stage) => stage.trim()).filter(Boolean);
  const summarize = stages.find((stage) => /^(summarize|stats)\b/.test(stage));
  // Stages before it may have changed what is counted; after it, only order and number of rows may change.
  if (!summarize || stages[0] !== summarize) return undefined;
  if (stages.slice(1).some((stage) => !/^(sort|order|top|take|limit|head|where|filter)\b/.test(stage))) return undefined;
  const by = /\bby\s+(.+)$/.exec(summarize)?.[1];
  const conditions: string[] = [];
  let { from, to } = range;
  for (const part of splitCommas(by ?? '')) {
    const bin = /^bin\(\s*@timestamp\s*,\s*(\d+)([smhd])\s*\)$/.exec(part);
    if (bin) {
      const at = Date.parse(String(row['@timestamp']));
      if (Number.isNaN(at)) return undefined;
      const width = Number(bin[1]) * { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 }[bin[2] as 's' | 'm' | 'h' | 'd'];
      from = new Date(at).toISOString();
      to = new Date(at + width).toISOString();
    } else if (/^[\w@.-]+$/.test(part) && part in row) {
      const value = row[part];
      conditions.push(value === null || value === '' ? `not ${part}:*` : clause(part, String(value)));
    } else return undefined;
  }
  const q = [filter === '*' ? '' : filter, ...conditions].filter(Boolean).join(' ');
  return huntLink({ q, ...(from ? { from } : {}), ...(to ? { to } : {}) });
}

function splitCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    if (i === text.length || (c === ',' && depth === 0)) {
      const part = text.slice(from, i).trim();
      if (part) parts.push(part);
      from = i + 1;
    }
  }
  return parts;
}
