// One search at a time: a new one cancels the old one, here and in the server.
import { useCallback, useEffect, useRef, useState } from 'react';
import type { Language, Summary } from '../api/model';
import { stream, type Ask, type Progress } from '../api/search';
import { Rows } from './rows';

export interface Run {
  rows: Rows;
  /** Columns of a table; none if the rows are whole events; unknown before the first piece. */
  columns: string[] | undefined;
  progress: Progress | undefined;
  summary: Summary | undefined;
  error: unknown;
  running: boolean;
  cancelled: boolean;
  began: number;
  elapsed: number;
  language: Language;
}

const idle: Run = {
  rows: Rows.begin(),
  columns: undefined,
  progress: undefined,
  summary: undefined,
  error: undefined,
  running: false,
  cancelled: false,
  began: 0,
  elapsed: 0,
  language: 'hunt',
};

/** The screen is drawn anew at most so often while rows come in. */
const DRAW_MS = 80;

export function useRun(): { run: Run; start: (ask: Ask) => void; cancel: () => void } {
  const [run, setRun] = useState(idle);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);

  const start = useCallback((ask: Ask) => {
    abort.current?.abort();
    const control = new AbortController();
    abort.current = control;
    const state: Run = { ...idle, rows: Rows.begin(), running: true, began: performance.now(), language: ask.language ?? 'hunt' };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const draw = () => {
      clearTimeout(timer);
      timer = undefined;
      if (abort.current === control) setRun({ ...state, elapsed: performance.now() - state.began });
    };
    const soon = () => (timer ??= setTimeout(draw, DRAW_MS));
    setRun((old) => ({ ...state, columns: old.columns }));
    stream(
      ask,
      {
        columns: (columns) => ((state.columns = columns), soon()),
        rows: (lines) => ((state.rows = state.rows.with(lines)), soon()),
        progress: (progress) => ((state.progress = progress), soon()),
        done: (summary) => (state.summary = summary),
      },
      control.signal,
    )
      .catch((error: unknown) => {
        if (control.signal.aborted) state.cancelled = true;
        else state.error = error;
      })
      .finally(() => {
        state.running = false;
        state.columns ??= [];
        draw();
      });
  }, []);
  const cancel = useCallback(() => abort.current?.abort(), []);
  return { run, start, cancel };
}
