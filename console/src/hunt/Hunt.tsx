// Asking: the query, when, what came of it, and how often over time.
import { useEffect, useMemo, useState } from 'react';
import { Link } from 'wouter';
import { histogram } from '../api/fields';
import { Refusal } from '../api/http';
import { useMediaQuery } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Empty, Waiting } from '../shared/Bits';
import { Icon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { Problem } from '../shared/Problem';
import { entityKind, narrow } from '../shared/query';
import { Snippets } from '../shared/Snippets';
import { absolute } from '../shared/time';
import { t } from '../strings/en';
import { EventPanel } from './EventPanel';
import { FieldList } from './FieldList';
import { Histogram } from './Histogram';
import { HuntBar } from './HuntBar';
import { Mistakes } from './Mistakes';
import { ResultTable } from './ResultTable';
import { RunState } from './RunState';
import { useHunt } from './state';
import { useRun } from './useRun';
import s from './hunt.module.css';

const COLUMNS = ['@timestamp', 'event.dataset', 'host.name', 'message'];
/** Where there is room for two. */
const FEW_COLUMNS = ['@timestamp', 'message'];

export default function Hunt() {
  const { hunt, set } = useHunt();
  const [draft, setDraft] = useState(hunt.q);
  const [again, setAgain] = useState(0);
  const { run, start, cancel } = useRun();
  const { q, lang, range, most } = hunt;
  const { from, to } = range;
  const [cursor, setCursor] = useState(0);

  useEffect(() => setDraft(q), [q]);
  // One search for each state of the address, and one for each time that is asked for again.
  useEffect(() => {
    setCursor(0);
    start({ query: q, language: lang, ...absolute({ from, to }, Date.now()), limit: most });
  }, [q, lang, from, to, most, again, start]);

  const counts = useQuery({
    queryKey: ['histogram', q, range, again],
    queryFn: ({ signal }) => histogram(q, range, 120, signal),
    enabled: lang === 'hunt',
    retry: false,
    placeholderData: (old) => old,
  });

  const roomy = useMediaQuery('(min-width: 901px)', undefined, { getInitialValueInEffect: false });
  const whole = run.columns !== undefined && run.columns.length === 0;
  const columns = useMemo(() => (whole || run.columns === undefined ? (hunt.cols ?? (roomy ? COLUMNS : FEW_COLUMNS)) : run.columns), [whole, run.columns, hunt.cols, roomy]);
  const setColumns = (cols: string[]) => set({ cols: cols.join(',') }, true);
  const addColumn = (name: string, before?: string) => {
    const rest = columns.filter((column) => column !== name);
    const at = before ? rest.indexOf(before) : -1;
    setColumns(at < 0 ? [...rest, name] : [...rest.slice(0, at), name, ...rest.slice(at)]);
  };
  const onNarrow = (condition: string) => set({ q: narrow(q, condition), event: undefined });
  const runNow = (query = draft) => {
    if (query === q) setAgain((n) => n + 1);
    else set({ q: query, event: undefined });
  };

  const [focus, setFocus] = useState(0);
  // The field list is beside the table where there is room for both, unless somebody said otherwise.
  const [wanted, setFieldsOpen] = useState<boolean>();
  const fieldsOpen = wanted ?? roomy;
  const openRow = (index: number) => {
    const id = run.rows.at(index)?.['event.id'];
    setCursor(index);
    if (typeof id === 'string') set({ event: id }, hunt.event !== undefined);
  };
  const move = (to: number) => {
    const index = Math.max(0, Math.min(run.rows.length - 1, to));
    setCursor(index);
    if (hunt.event) openRow(index);
  };
  useKeys({
    j: () => move(cursor + 1),
    k: () => move(cursor - 1),
    Enter: (event) => {
      const target = event.composedPath()[0];
      if (target instanceof HTMLElement && target.closest('a, button, summary')) return false;
      return run.rows.length > 0 ? openRow(cursor) : false;
    },
    Escape: () => (hunt.event ? set({ event: undefined }, true) : run.running ? cancel() : false),
    '/': () => setFocus((n) => n + 1),
    f: () => setFieldsOpen(!fieldsOpen),
  });

  // Looked for among all rows: only when it is another one, or when there are more.
  const known = useMemo(() => {
    const at = hunt.event ? run.rows.find(hunt.event) : -1;
    return at >= 0 ? run.rows.at(at) : undefined;
  }, [hunt.event, run.rows]);
  const refused = run.error instanceof Refusal && run.error.diagnostics.length > 0 ? run.error : undefined;
  const done = !run.running && run.columns !== undefined;
  return (
    <div className={s.hunt}>
      <h1 className="hidden">{t.nav.hunt}</h1>
      <HuntBar
        hunt={hunt}
        draft={draft}
        columns={whole ? columns : []}
        diagnostics={draft === q ? refused?.diagnostics : undefined}
        running={run.running}
        focusKey={focus}
        onDraft={setDraft}
        onRun={runNow}
        onCancel={cancel}
        set={set}
      />
      {refused && <Mistakes query={q} refusal={refused} />}
      {lang === 'hunt' && !refused && (
        <Histogram
          query={q}
          data={counts.data}
          error={counts.error}
          loading={counts.isFetching}
          onBrush={(from, to) => set({ from: new Date(from).toISOString(), to: new Date(to).toISOString() })}
          open={hunt.range}
          onReset={() => set({ from: 'all', to: undefined })}
        />
      )}
      <RunState run={run} most={most} onMore={(n) => set({ most: String(n) }, true)} onCancel={cancel} fieldsOpen={fieldsOpen} onFields={whole ? () => setFieldsOpen(!fieldsOpen) : undefined} matched={counts.data?.total} />
      {run.error !== undefined && !refused && (
        <div className={s.pad}>
          <Problem error={run.error} retry={() => runNow()} />
        </div>
      )}
      <div className={s.results}>
        {fieldsOpen && whole && run.rows.length > 0 && (
          <FieldList rows={run.rows} query={q} range={range} columns={columns} onColumn={addColumn} onRemove={(name) => setColumns(columns.filter((it) => it !== name))} onNarrow={onNarrow} onClose={() => setFieldsOpen(false)} />
        )}
        {run.rows.length > 0 ? (
          <ResultTable
            run={run}
            query={q}
            range={absolute(range, Date.now())}
            columns={columns}
            whole={whole}
            cursor={cursor}
            onColumns={setColumns}
            onColumn={addColumn}
            onOpen={openRow}
            openId={hunt.event}
          />
        ) : done && run.error === undefined ? (
          <NoResults query={q} all={!range.from && !range.to} onAll={() => set({ from: 'all', to: undefined })} cancelled={run.cancelled} />
        ) : (
          run.running && <Waiting what={t.hunt.searching} />
        )}
        {hunt.event && (
          <EventPanel id={hunt.event} known={known} onNarrow={onNarrow} onClose={() => set({ event: undefined }, true)} />
        )}
      </div>
    </div>
  );
}

function NoResults({ query, all, onAll, cancelled }: { query: string; all: boolean; onAll: () => void; cancelled: boolean }) {
  const entity = /^([\w.]+):"?([^\s"]+)"?$/.exec(query.trim());
  const kind = entity && entityKind(entity[1]!);
  if (cancelled) return <Empty title={t.hunt.cancelled} />;
  return (
    <div className={s.none}>
      <Empty title={t.hunt.none}>
        <p>{all ? t.hunt.noneAll : t.hunt.noneHere}</p>
        <div className="row wrap" style={{ justifyContent: 'center' }}>
          {!all && (
            <button type="button" className="chip" onClick={onAll}>
              <Icon name="clock" size={14} /> {t.hunt.allTime}
            </button>
          )}
          {kind && (
            <Link className="chip" href={`/entity/${kind}/${encodeURIComponent(entity[2]!)}`}>
              {t.hunt.openEntity}
            </Link>
          )}
        </div>
      </Empty>
      {all && !query && <Snippets />}
    </div>
  );
}
