// Where in a query the cursor stands, so that the right names are offered there.

export type Place =
  | { kind: 'field'; from: number; prefix: string }
  | { kind: 'value'; from: number; field: string; prefix: string; quoted: boolean }
  | { kind: 'stage'; from: number; prefix: string }
  | { kind: 'expression'; from: number; prefix: string };

/** Cuts at pipes outside quotes; each piece with where it begins. */
export function stages(text: string): { from: number; text: string }[] {
  const found: { from: number; text: string }[] = [];
  let from = 0;
  let quoted = '';
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (i === text.length || (c === '|' && !quoted)) {
      found.push({ from, text: text.slice(from, i) });
      from = i + 1;
    } else if (quoted) {
      if (c === '\\' && quoted === '"') i++;
      else if (c === quoted) quoted = '';
    } else if (c === '"' || (c === "'" && found.length > 0)) quoted = c!;
  }
  return found;
}

export function place(text: string, cursor: number): Place | undefined {
  const before = text.slice(0, cursor);
  const all = stages(before);
  const last = all[all.length - 1]!;
  if (all.length > 1) {
    const stage = /^\s*([\w-]*)$/.exec(last.text);
    if (stage) return { kind: 'stage', from: cursor - stage[1]!.length, prefix: stage[1]! };
    if (!/^\s*search\s/.test(last.text)) {
      if (/"[^"]*$/.test(last.text.replace(/"[^"]*"/g, ''))) return undefined;
      const word = /[\w@.-]*$/.exec(last.text)![0];
      return { kind: 'expression', from: cursor - word.length, prefix: word };
    }
  }
  const value = /(?:^|[\s(])-?([\w@][\w@.[\]-]*)(?::\(?|>=?|<=?)\s*(?:"((?:\\.|[^"\\])*)|([^\s"()|]*))$/.exec(last.text);
  if (value) {
    const [, field, inQuotes, bare] = value;
    const prefix = inQuotes ?? bare ?? '';
    const quoted = inQuotes !== undefined;
    return { kind: 'value', from: cursor - prefix.length - (quoted ? 1 : 0), field: field!, prefix, quoted };
  }
  if (/"[^"]*$/.test(last.text.replace(/"(\\.|[^"\\])*"/g, ''))) return undefined;
  const word = /[\w@.]*$/.exec(last.text)![0];
  return { kind: 'field', from: cursor - word.length, prefix: word };
}
