// Events newest first, with alerts as flags between them.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Alert } from '../api/model';
import { useRun } from '../hunt/useRun';
import { Waiting } from '../shared/Bits';
import { formatCount, formatValue, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { Problem } from '../shared/Problem';
import { clause, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { summaryOf } from '../shared/summary';
import { absolute, formatTime, type Range } from '../shared/time';
import { useZone } from '../shared/zone';
import { laneOf } from '../replay/lanes';
import { t } from '../strings/en';
import s from './entity.module.css';

const STEPS = [500, 10_000];

type Line = { flag: Alert } | { row: number };

export function Timeline({ filter, range, alerts }: { filter: string; range: Range; alerts: Alert[] }) {
  const { zone } = useZone();
  const { run, start } = useRun();
  const [most, setMost] = useState(STEPS[0]!);
  const { from, to } = range;
  useEffect(() => start({ query: filter, ...absolute({ from, to }, Date.now()), limit: most }), [filter, from, to, most, start]);
  const lines = useMemo(() => merge(run.rows.length, (i) => Date.parse(formatValue(run.rows.at(i)?.['@timestamp'])), alerts, run.summary?.truncated ?? false), [run.rows, alerts, run.summary]);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 28, overscan: 20 });
  if (run.error !== undefined) return <Problem error={run.error} />;
  if (lines.length === 0) return run.running ? <Waiting what={t.hunt.searching} /> : <p className="dim">{t.hunt.none}</p>;
  let day = '';
  return (
    <>
      <div className={s.lines} ref={scroller} tabIndex={0} role="region" aria-label={t.entity.lines}>
        <ul style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const line = lines[item.index]!;
            if ('flag' in line) {
              return (
                <li key={`flag ${line.flag.id}`} className={s.flag} style={{ transform: `translateY(${item.start}px)` }}>
                  <span className="mono dim">
                    <span className={s.day}>{formatTime(line.flag.last, zone).slice(0, 11)}</span>
                    {formatTime(line.flag.last, zone).slice(11)}
                  </span>
                  <Severity level={line.flag.rule.level} />
                  <Link className="clip" href={`/inbox?state=all&alert=${line.flag.id}`}>
                    <Icon name="flag" size={12} /> {visible(line.flag.rule.title)}
                  </Link>
                </li>
              );
            }
            const event = run.rows.at(line.row)!;
            const at = formatTime(formatValue(event['@timestamp']), zone);
            const newDay = at.slice(0, 10) !== day;
            day = at.slice(0, 10);
            const id = formatValue(event['event.id']);
            const lane = laneOf(event);
            return (
              <li key={id} style={{ transform: `translateY(${item.start}px)` }}>
                <Link className={s.line} href={huntLink({ q: clause('event.id', id), event: id })}>
                  <span className="mono dim">{newDay ? at : <><span className={s.sameDay}>{at.slice(0, 10)}</span>{at.slice(10)}</>}</span>
                  <span className={s.lane} data-lane={lane} title={t.lanes[lane]}>
                    <span className="hidden">{t.lanes[lane]}</span>
                  </span>
                  <span className="clip dim">{visible(formatValue(event['event.dataset']))}</span>
                  <span className="clip">{visible(summaryOf(event))}</span>
                </Link>
              </li>
            );
          })}
        </ul>
      </div>
      <p className="dim" style={{ marginTop: 8 }} role="status">
        {run.running ? t.hunt.searching : t.entity.shown(formatCount(run.rows.length), run.summary?.truncated ?? false)}{' '}
        {run.summary?.truncated && most < STEPS[1]! && (
          <button type="button" className="chip" onClick={() => setMost(STEPS[1]!)}>
            {t.hunt.more(formatCount(STEPS[1]!))}
          </button>
        )}
      </p>
    </>
  );
}

/** Rows and alerts by time, newest first. Alerts older than the last row wait for more rows. */
export function merge(count: number, timeOf: (row: number) => number, alerts: Alert[], truncated: boolean): Line[] {
  const flags = [...alerts].sort((a, b) => (a.last < b.last ? 1 : -1));
  const lines: Line[] = [];
  let next = 0;
  for (let row = 0; row < count; row++) {
    while (next < flags.length && Date.parse(flags[next]!.last) >= timeOf(row)) lines.push({ flag: flags[next++]! });
    lines.push({ row });
  }
  if (!truncated) while (next < flags.length) lines.push({ flag: flags[next++]! });
  return lines;
}
