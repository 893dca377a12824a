// What a browser loads to show the shell and the inbox, gzipped: fails beyond the budget.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';

const BUDGET = 200_000;
const dist = new URL('../dist/', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));

/** A chunk with what it imports at once; not what it imports later. */
function loaded(name, seen = new Set()) {
  const chunk = manifest[name];
  for (const file of [chunk.file, ...(chunk.css ?? [])]) seen.add(file);
  for (const next of chunk.imports ?? []) if (!seen.has(manifest[next].file)) loaded(next, seen);
  return seen;
}

const gzip = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;
const files = ['index.html', ...loaded('index.html')];
let total = 0;
for (const file of files) {
  const bytes = gzip(file);
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${file}`);
}
const fonts = Object.values(manifest).flatMap((chunk) => chunk.assets ?? []).filter((file) => file.endsWith('.woff2'));
for (const file of new Set(fonts)) console.log(`${String(readFileSync(join(dist, file)).length).padStart(8)}  ${file} (font, kept by the browser, not waited for)`);
console.log(`${String(total).padStart(8)}  shell and inbox, gzip; at most ${BUDGET}`);
if (total > BUDGET) process.exit(1);
