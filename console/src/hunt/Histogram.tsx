import { useState } from 'react';
import { notOffered } from '../api/http';
import type { Histogram as Counts } from '../api/model';
import { Bars, BarsTable } from '../shared/Bars';
import { formatCount } from '../shared/format';
import { Icon } from '../shared/Icon';
import { huntLink } from '../shared/query';
import { resolve, type Range } from '../shared/time';
import { t } from '../strings/en';
import s from './hunt.module.css';

/** When the events happened. Brushing narrows the time range. */
export function Histogram({ query, data, error, loading, open, onBrush, onReset }: {
  query: string;
  data: Counts | undefined;
  error: unknown;
  loading: boolean;
  open: Range;
  onBrush: (from: number, to: number) => void;
  onReset: () => void;
}) {
  const [table, setTable] = useState(false);
  if (error && !notOffered(error)) return null;
  if (!data || data.buckets.length === 0) return <div className={s.noHistogram} data-loading={loading || undefined} />;
  const from = resolve(data.from, 0) ?? Date.parse(data.buckets[0]!.at);
  const to = resolve(data.to, 0) ?? Date.now();
  const label = t.chart.label(formatCount(data.total));
  return (
    <section className={s.histogram} aria-label={t.chart.title} data-loading={loading || undefined}>
      <div className={s.chart}>
      <Bars buckets={data.buckets} from={from} to={to} bucketMs={data.bucket_ms} label={label} onBrush={onBrush} />
      <div className={s.histogramTools}>
        {data.partial && <span className="dim">{t.chart.partial}</span>}
        {(open.from || open.to) && (
          <button type="button" className="quiet" onClick={onReset} title={t.chart.reset}>
            <Icon name="undo" size={14} />
            <span className="hidden">{t.chart.reset}</span>
          </button>
        )}
        <button type="button" className="quiet" aria-pressed={table} onClick={() => setTable(!table)} title={t.chart.asTable}>
          <Icon name="table" size={14} />
          <span className="hidden">{t.chart.asTable}</span>
        </button>
      </div>
      </div>
      {table && <BarsTable buckets={data.buckets} label={t.chart.title} to={(at) => huntLink({ q: query, from: at, to: new Date(Date.parse(at) + data.bucket_ms).toISOString() })} />}
    </section>
  );
}
