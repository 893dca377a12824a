// What no parser understood, and the way from there: choose lines, write a parser, see at once what it makes of them.
import { Button } from '@mantine/core';
import { yaml } from '@codemirror/lang-yaml';
import { useMutation, useQuery, type UseQueryResult } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { Answer, Session } from '../api/model';
import { checkParser, saveParser } from '../api/sources';
import { may } from '../api/session';
import { useQueryClient } from '@tanstack/react-query';
import { Empty, Waiting } from '../shared/Bits';
import { Editor } from '../shared/Editor';
import { formatValue, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { clause, huntLink } from '../shared/query';
import { toast } from '../shared/toasts';
import { useSettled } from '../shared/useSettled';
import { formatTime } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import { parserFor } from './parserFor';
import s from './sources.module.css';

export function Unparsed({ found }: { found: UseQueryResult<Answer> }) {
  const { zone } = useZone();
  const [chosen, setChosen] = useState<string[]>([]);
  const [writing, setWriting] = useState(false);
  if (found.isPending) return <Waiting what={t.unparsed.loading} />;
  if (!found.data) return <Problem error={found.error} />;
  const rows = found.data.rows;
  if (rows.length === 0) return <Empty title={t.unparsed.none}><p>{t.unparsed.noneLead}</p></Empty>;
  const lines = rows.filter((row) => chosen.includes(formatValue(row['event.id']))).map((row) => formatValue(row['event.original']));
  if (writing) return <Workshop lines={lines} onClose={() => setWriting(false)} />;
  const toggle = (id: string) => setChosen(chosen.includes(id) ? chosen.filter((it) => it !== id) : [...chosen, id].slice(-50));
  return (
    <div className="stack">
      <div className="row wrap">
        <p className="dim grow">{t.unparsed.lead}</p>
        <Button disabled={chosen.length === 0} onClick={() => setWriting(true)}>
          {t.unparsed.write(chosen.length)}
        </Button>
      </div>
      <div className="table-wrap" tabIndex={0} role="region" aria-label={t.sources.unparsed}>
        <ul className={s.lines}>
          {rows.map((row) => {
            const id = formatValue(row['event.id']);
            return (
              <li key={id} className="row">
                <label className="grow">
                  <input type="checkbox" checked={chosen.includes(id)} onChange={() => toggle(id)} />
                  <span className="mono dim">{formatTime(formatValue(row['@timestamp']), zone)}</span>
                  <span className="mono clip">{visible(formatValue(row['event.original'])) || t.unparsed.empty}</span>
                </label>
                <Link className="quiet" href={huntLink({ q: clause('event.id', id), event: id })}>
                  {t.hunt.event}
                </Link>
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

const language = yaml();

function Workshop({ lines, onClose }: { lines: string[]; onClose: () => void }) {
  const [text, setText] = useState(() => parserFor(lines));
  const [name, setName] = useState('mine');
  const settled = useSettled(text, 300);
  const admin = may(useQueryClient().getQueryData<Session>(['session']), 'admin');
  const checked = useQuery({
    queryKey: ['parser-check', settled, lines],
    queryFn: ({ signal }) => checkParser(settled, lines, signal),
    retry: false,
    placeholderData: (old) => old,
  });
  const saving = useMutation({
    mutationFn: () => saveParser(name.trim(), text),
    onSuccess: (answer) => toast(answer.note ?? (answer.restart ? t.unparsed.restart : t.unparsed.saved)),
  });
  const extension = useMemo(() => language, []);
  return (
    <div className="stack">
      <div className="row wrap">
        <h2 className="grow">{t.unparsed.write(lines.length)}</h2>
        <label className="row">
          {t.unparsed.file}
          <input className={s.find} style={{ width: 160 }} value={name} onChange={(event) => setName(event.currentTarget.value)} pattern="[a-z0-9_-]+" />
        </label>
        <Button variant="default" onClick={onClose}>
          {t.common.cancel}
        </Button>
        <Button disabled={!admin || !checked.data?.loads || !/^[a-z0-9_-]+$/.test(name) || saving.isPending} onClick={() => saving.mutate()}>
          {t.unparsed.save}
        </Button>
      </div>
      {saving.isError && <Problem error={saving.error} what={t.unparsed.what} />}
      <div className={s.workshop}>
        <div className="stack">
          <div className={s.editor}>
            <Editor value={text} onChange={setText} label={t.unparsed.editor} language={extension} lines height="420px" diagnostics={checked.data?.diagnostics} />
          </div>
          {checked.data?.diagnostics.map((it, i) => (
            <Problem key={i} error={new Error(`${it.line}:${it.column} ${it.message}${it.hint ? ` (${it.hint})` : ''}`)} />
          ))}
        </div>
        <div className="stack" role="status">
          {checked.isError && <Problem error={checked.error} what={t.unparsed.what} />}
          {(checked.data?.results ?? lines.map((line) => ({ line, parser: null, fields: {} }))).map((result, i) => (
            <div key={i} className="card">
              <pre className="record">{visible(result.line)}</pre>
              {checked.data && <p className="dim" style={{ margin: '8px 0 4px' }}>{result.parser ? t.unparsed.by(result.parser) : t.unparsed.nobody}</p>}
              <dl className={s.figures}>
                {Object.entries(result.fields)
                  .filter(([field]) => field !== 'event.original')
                  .map(([field, value]) => (
                    <div key={field} style={{ display: 'contents' }}>
                      <dt className="mono">{visible(field)}</dt>
                      <dd className="mono" style={{ overflowWrap: 'anywhere' }}>{visible(formatValue(value))}</dd>
                    </div>
                  ))}
              </dl>
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
