// Where matched values stand in the original record.

export interface Piece {
  text: string;
  marked: boolean;
}

/** The spellings under which a value may stand in a record: as it is, and as JSON escapes it. */
function spellings(value: string): string[] {
  const escaped = JSON.stringify(value).slice(1, -1);
  return escaped === value ? [value] : [value, escaped];
}

/** The text cut into pieces, those that spell one of the values marked. Case does not count; values are text, never
 * patterns. Bounded: of each value the first thousand places. */
export function mark(text: string, values: string[]): Piece[] {
  const lower = text.toLowerCase();
  // Where lower case has another length, places would be off; then only equal case is found.
  const hay = lower.length === text.length ? lower : text;
  const spans: [number, number][] = [];
  for (const value of values) {
    for (const spelling of spellings(value)) {
      const needle = hay === lower ? spelling.toLowerCase() : spelling;
      if (!needle || needle.length > text.length) continue;
      let at = hay.indexOf(needle);
      for (let n = 0; at >= 0 && n < 1000; n++) {
        spans.push([at, at + needle.length]);
        at = hay.indexOf(needle, at + needle.length);
      }
    }
  }
  spans.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const pieces: Piece[] = [];
  let done = 0;
  for (const [from, to] of spans) {
    if (to <= done) continue;
    const start = Math.max(from, done);
    if (start > done) pieces.push({ text: text.slice(done, start), marked: false });
    const last = pieces[pieces.length - 1];
    if (last?.marked && start === done) last.text += text.slice(start, to);
    else pieces.push({ text: text.slice(start, to), marked: true });
    done = to;
  }
  if (done < text.length) pieces.push({ text: text.slice(done), marked: false });
  return pieces;
}

/** A keyword or wildcard pattern of a rule without its stars; too short pieces would mark everything. */
export function needles(values: string[]): string[] {
  return values.flatMap((value) => [value, ...(value.includes('*') ? value.split('*') : [])]).filter((v) => v.length > 1 || values.includes(v));
}
