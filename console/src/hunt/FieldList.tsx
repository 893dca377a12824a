// The fields of the rows: dragged or clicked into columns, opened for their most frequent values.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { fieldValues } from '../api/fields';
import { Count, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, huntLink, narrow } from '../shared/query';
import type { Range } from '../shared/time';
import { t } from '../strings/en';
import type { Rows } from './rows';
import s from './fields.module.css';

const SAMPLE = 300;
export const COLUMN_TYPE = 'application/x-vedette-column';

export function FieldList({ rows, query, range, columns, onColumn, onRemove, onNarrow, onClose }: {
  rows: Rows;
  query: string;
  range: Range;
  columns: string[];
  onColumn: (name: string) => void;
  onRemove: (name: string) => void;
  onNarrow: (condition: string) => void;
  onClose: () => void;
}) {
  const [find, setFind] = useState('');
  const [open, setOpen] = useState<string>();
  const size = Math.min(rows.length, SAMPLE);
  const shares = useMemo(() => {
    const seen = new Map<string, number>();
    const sample = rows.sample(SAMPLE);
    for (const row of sample) for (const name of Object.keys(row)) seen.set(name, (seen.get(name) ?? 0) + 1);
    return [...seen].map(([name, n]) => ({ name, share: n / sample.length })).sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1));
  }, [rows]);
  const found = shares.filter(({ name }) => name.toLowerCase().includes(find.trim().toLowerCase()));
  useEffect(() => {
    if (open && !shares.some(({ name }) => name === open)) setOpen(undefined);
  }, [open, shares]);
  return (
    <aside className={s.fields} aria-label={t.hunt.fieldList}>
      <div className="row" style={{ padding: '8px 8px 4px' }}>
        <input className={s.find} type="search" value={find} onChange={(event) => setFind(event.currentTarget.value)} placeholder={t.hunt.findField} aria-label={t.hunt.findField} />
        <button type="button" className={`quiet ${s.close}`} onClick={onClose} aria-label={t.common.close}>
          <Icon name="close" />
        </button>
      </div>
      <p className={s.basis}>{t.hunt.basis(formatCount(size))}</p>
      <ul className={s.list}>
        {found.map(({ name, share }) => {
          const shown = columns.includes(name);
          return (
            <li key={name} draggable onDragStart={(event) => event.dataTransfer.setData(COLUMN_TYPE, name)}>
              <div className={s.field} data-shown={shown || undefined}>
                <button type="button" className={s.name} aria-expanded={open === name} onClick={() => setOpen(open === name ? undefined : name)}>
                  <Icon name={open === name ? 'down' : 'right'} size={12} />
                  <span className="clip">{visible(name)}</span>
                  <span className={s.share}>{Math.round(share * 100)}%</span>
                </button>
                <button
                  type="button"
                  className="quiet"
                  aria-label={shown ? t.hunt.removeColumn(name) : t.hunt.addColumn(name)}
                  title={shown ? t.hunt.removeColumn(name) : t.hunt.addColumn(name)}
                  onClick={() => (shown ? onRemove(name) : onColumn(name))}
                >
                  <Icon name={shown ? 'minus' : 'plus'} size={14} />
                </button>
              </div>
              {open === name && <Values name={name} query={query} range={range} onNarrow={onNarrow} />}
            </li>
          );
        })}
      </ul>
    </aside>
  );
}

function Values({ name, query, range, onNarrow }: { name: string; query: string; range: Range; onNarrow: (condition: string) => void }) {
  const values = useQuery({
    queryKey: ['values', name, query, range],
    queryFn: ({ signal }) => fieldValues(name, query, range, { limit: 10, signal }),
    staleTime: 30_000,
    retry: false,
  });
  if (values.isPending) return <Waiting what={t.hunt.countingValues} />;
  if (values.isError) return <Problem error={values.error} />;
  const most = values.data.values[0]?.count ?? 1;
  if (values.data.values.length === 0) return <p className={s.basis}>{t.hunt.noValues}</p>;
  return (
    <div className={s.values}>
      {values.data.values.map(({ value, count }) => (
        <div key={value} className={s.value}>
          <span className={s.bar} style={{ width: `${(100 * count) / most}%` }} aria-hidden="true" />
          <span className="clip mono" title={visible(value)}>
            {visible(value) || '""'}
          </span>
          <Count n={count} short to={huntLink({ q: narrow(query, clause(name, value)), ...range })} label={t.common.showThese} />
          <span className={s.tools}>
            <button type="button" className="quiet" aria-label={t.hunt.only(`${name} ${visible(value)}`)} title={t.hunt.only(name)} onClick={() => onNarrow(clause(name, value))}>
              <Icon name="plus" size={12} />
            </button>
            <button type="button" className="quiet" aria-label={t.hunt.without(`${name} ${visible(value)}`)} title={t.hunt.without(name)} onClick={() => onNarrow(`not ${clause(name, value)}`)}>
              <Icon name="minus" size={12} />
            </button>
          </span>
        </div>
      ))}
      {!values.data.complete && <p className={s.basis}>{t.hunt.moreValues}</p>}
    </div>
  );
}
