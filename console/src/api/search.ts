// Searching: answers come in pieces, so that rows show while the rest is still being read.
import { call, refusal, Refusal, request } from './http';
import type { Answer, Diagnostic, Event, Language, Summary } from './model';

export interface Ask {
  query: string;
  language?: Language | undefined;
  from?: string | undefined;
  to?: string | undefined;
  limit?: number | undefined;
}

export interface Progress {
  done: number;
  total: number;
  matched: number;
}

export interface Pieces {
  columns(columns: string[]): void;
  /** Rows as JSON text: of 100,000 only those on the screen are ever parsed. */
  rows(lines: string[]): void;
  progress(progress: Progress): void;
  done(summary: Summary): void;
}

const body = (ask: Ask): Record<string, unknown> =>
  Object.fromEntries(Object.entries(ask).filter(([, value]) => value !== undefined));

/** A small answer as a whole. */
export const search = (ask: Ask, signal?: AbortSignal): Promise<Answer> =>
  call<Answer>('POST', '/search', body(ask), signal);

/** Runs a search to its end; aborting the signal cancels it in the server too. */
export async function stream(ask: Ask, into: Pieces, signal: AbortSignal): Promise<void> {
  const response = await request('POST', '/search?format=pieces', body(ask), signal);
  if (!response.body) throw new Refusal(0, 'the answer has no body');
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let ended = false;
  for (;;) {
    const { done, value } = await reader.read();
    const text = rest + (done ? decoder.decode() : decoder.decode(value, { stream: true }));
    const lines = text.split('\n');
    rest = done ? '' : (lines.pop() ?? '');
    const rows: string[] = [];
    for (const line of lines) {
      if (line.startsWith('{"row":')) rows.push(line.slice(7, -1));
      else if (line) ended = piece(line, into) || ended;
    }
    if (rows.length) into.rows(rows);
    if (done) break;
  }
  if (!ended) throw new Refusal(0, 'the answer broke off', 'the server may have been restarted; run the search again');
}

/** True if it was the last. */
function piece(line: string, into: Pieces): boolean {
  const found = JSON.parse(line) as {
    columns?: string[];
    progress?: Progress;
    done?: Summary;
    error?: { status?: number; detail: string; hint?: string; diagnostics?: Diagnostic[] };
  };
  if (found.columns) into.columns(found.columns);
  if (found.progress) into.progress(found.progress);
  if (found.error) {
    const { status, detail, hint, diagnostics } = found.error;
    throw new Refusal(status ?? 500, detail, hint, diagnostics);
  }
  if (found.done) into.done(found.done);
  return found.done !== undefined;
}

export const event = (id: string, signal?: AbortSignal): Promise<Event> =>
  call<Event>('GET', `/events/${encodeURIComponent(id)}`, undefined, signal);

/** An export as a file: `lines` is JSON, one event a line. */
export async function download(
  ask: Ask & { columns?: string[] | undefined },
  format: 'lines' | 'csv' | 'parquet',
  name: string,
  signal: AbortSignal,
  progress: (bytes: number) => void,
): Promise<void> {
  const response = await request('POST', `/search?format=${format}`, body(ask), signal);
  if (!response.ok || !response.body) throw await refusal(response);
  const parts: BlobPart[] = [];
  let bytes = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    progress((bytes += value.byteLength));
  }
  save(new Blob(parts), name);
}

/** Hands a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
