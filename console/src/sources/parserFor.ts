// The beginning of a parser, made from lines that none understood.

/** The longest beginning and the pieces that all lines share; what differs becomes a capture. */
export function parserFor(lines: string[]): string {
  const sample = (lines[0] ?? '').slice(0, 500);
  const shared = sharedWord(lines);
  const yaml = (text: string) => `'${text.replaceAll("'", "''")}'`;
  return `parser: mine
version: 1
about: say here whose lines these are
module: mine
dataset: mine.log
select:
  contains: [${yaml(shared || sample.slice(0, 20))}]
steps:
  - grok:
      match: [${yaml(grok(sample))}]
samples:
  - raw: ${yaml(sample)}
    fields: {}
`;
}

/** The longest word that every line has. */
export function sharedWord(lines: string[]): string {
  const words = (lines[0] ?? '').split(/[^A-Za-z_-]+/).filter((word) => word.length >= 3);
  return words.filter((word) => lines.every((line) => line.includes(word))).sort((a, b) => b.length - a.length)[0] ?? '';
}

/** A pattern for one line: addresses and numbers become captures, the rest stays text. */
export function grok(line: string): string {
  let numbers = 0;
  let addresses = 0;
  const escaped = line.replace(/[\\^$.*+?()[\]{}|%]/g, '\\$&');
  return escaped
    .replace(/\b\d{1,3}\\\.\d{1,3}\\\.\d{1,3}\\\.\d{1,3}\b/g, () => (addresses++ === 0 ? '%{IPV4:source.ip}' : `%{IPV4:mine.ip${addresses}}`))
    .replace(/(?<![\w.{:])\d{2,}(?![\w}])/g, () => `%{INT:mine.n${++numbers}}`);
}
