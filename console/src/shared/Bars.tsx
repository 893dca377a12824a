// Counts over time as bars, with a brush; and the same as a table, for those who do not see bars.
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { t } from '../strings/en';
import { formatCount, formatShort } from './format';
import { Count } from './Bits';
import { Table } from './Table';
import { formatTime } from './time';
import { useZone } from './zone';
import s from './bars.module.css';

export interface BarsProps {
  buckets: { at: string; count: number }[];
  from: number;
  to: number;
  bucketMs: number;
  height?: number;
  label: string;
  onBrush?: (from: number, to: number) => void;
}

/** Every bucket of the span, also those that the answer leaves out because nothing is in them. Bounded. */
export function fill(buckets: { at: string; count: number }[], from: number, to: number, width: number): [number[], number[]] {
  const counts = new Map(buckets.map((bucket) => [Math.floor(Date.parse(bucket.at) / width), bucket.count]));
  const first = Math.min(Math.floor(from / width), ...(counts.size < 5000 ? counts.keys() : []));
  const last = Math.max(Math.floor((to - 1) / width), ...(counts.size < 5000 ? counts.keys() : []));
  const n = Math.min(2000, last - first + 1);
  const xs: number[] = [];
  const ys: number[] = [];
  for (let i = 0; i < n; i++) {
    xs.push(((first + i) * width) / 1000);
    ys.push(counts.get(first + i) ?? 0);
  }
  return [xs, ys];
}

export function Bars({ buckets, from, to, bucketMs, height = 84, label, onBrush }: BarsProps) {
  const host = useRef<HTMLDivElement>(null);
  const brush = useRef(onBrush);
  brush.current = onBrush;
  const { zone } = useZone();
  const scheme = useComputedColorScheme('dark');
  const [tip, setTip] = useState<string>();

  useEffect(() => {
    const box = host.current!;
    const colour = (name: string) => getComputedStyle(box).getPropertyValue(name).trim();
    const [xs, ys] = fill(buckets, from, to, bucketMs);
    const line = colour('--line');
    const options: uPlot.Options = {
      width: Math.max(120, box.clientWidth),
      height,
      padding: [6, 60, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => (zone === 'utc' ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000)),
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, focus: { prox: 10 } },
      scales: { x: { time: true, range: (_plot, min, max) => [min, max + bucketMs / 1000] }, y: { range: (_plot, _min, max) => [0, Math.max(1, max)] } },
      axes: [
        { stroke: colour('--dim'), grid: { show: false }, ticks: { stroke: line, size: 4 }, size: 24, font: '11px Inter, sans-serif', space: 90,
          // Twenty-four hours, whatever the browser's language.
          values: (_plot, splits) => splits.map((at) => tick(at * 1000, splits.length > 1 ? (splits[1]! - splits[0]!) * 1000 : 0, zone)) },
        { stroke: colour('--dim'), grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 44, font: '11px Inter, sans-serif',
          // The bottom and the top are always said.
          splits: (_plot, _axis, _min, max) => [0, max], values: (_plot, splits) => splits.map((n) => (Number.isInteger(n) ? formatShort(n) : '')) },
      ],
      series: [
        {},
        { fill: colour('--bar'), stroke: colour('--bar'), width: 0, paths: uPlot.paths.bars!({ size: [0.82, 64], align: 1 }), points: { show: false } },
      ],
      hooks: {
        setSelect: [
          (plot) => {
            if (plot.select.width < 4) return;
            const begin = plot.posToVal(plot.select.left, 'x') * 1000;
            const end = plot.posToVal(plot.select.left + plot.select.width, 'x') * 1000;
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            brush.current?.(Math.floor(begin / bucketMs) * bucketMs, Math.ceil(end / bucketMs) * bucketMs);
          },
        ],
        setCursor: [
          (plot) => {
            const at = plot.cursor.idx;
            setTip(at == null || plot.cursor.left! < 0 ? undefined : `${formatTime(xs[at]! * 1000, zone)}   ${formatCount(ys[at]!)}`);
          },
        ],
      },
    };
    const plot = new uPlot(options, [xs, ys], box);
    const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(120, box.clientWidth), height }));
    resize.observe(box);
    // A click on one bar is a brush of one bar.
    const click = (event: MouseEvent) => {
      const at = plot.cursor.idx;
      if (at != null && plot.select.width < 4 && event.target === plot.over) brush.current?.(xs[at]! * 1000, xs[at]! * 1000 + bucketMs);
    };
    plot.over.addEventListener('dblclick', click);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [buckets, from, to, bucketMs, height, zone, scheme]);

  return (
    <div className={s.bars}>
      <div ref={host} role="img" aria-label={label} data-brush={onBrush ? '' : undefined} />
      {tip && <div className={s.tip}>{tip}</div>}
    </div>
  );
}

function tick(at: number, step: number, zone: 'utc' | 'local'): string {
  const text = formatTime(at, zone);
  if (step >= 300 * 86_400_000) return text.slice(0, 4);
  if (step >= 86_400_000) return text.slice(0, 10);
  const midnight = text.slice(11, 16) === '00:00';
  return step >= 60_000 ? (midnight ? text.slice(5, 10) : text.slice(11, 16)) : text.slice(11);
}

export function BarsTable({ buckets, label, to }: { buckets: { at: string; count: number }[]; label: string; to: (at: string) => string }) {
  const { zone } = useZone();
  return (
    <Table label={label} className={s.table} columns={[t.chart.from, t.chart.events]}>
      {buckets.map((bucket) => (
        <tr key={bucket.at}>
          <td className="mono">{formatTime(bucket.at, zone)}</td>
          <td className="mono">
            <Count n={bucket.count} to={to(bucket.at)} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
