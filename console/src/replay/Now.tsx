// The events around the playhead, each in its lane; what is new in one is said.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef } from 'react';
import { Link } from 'wouter';
import { formatValue, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { clause, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { summaryOf } from '../shared/summary';
import { formatTime } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import { indexAt } from './player';
import type { Flag, Score } from './useReplay';
import { lanes } from './lanes';
import s from './replay.module.css';

export function Now({ score, index, playing, onPick }: { score: Score; index: number; playing: boolean; onPick: (index: number) => void }) {
  const { zone } = useZone();
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: score.events.length, getScrollElement: () => scroller.current, estimateSize: () => 30, overscan: 12 });
  useEffect(() => {
    if (index >= 0) rows.scrollToIndex(index, { align: playing ? 'center' : 'auto' });
  }, [index, playing, rows]);
  // Each alert flies at the last event before it.
  const flags = useMemo(() => {
    const found = new Map<number, Flag[]>();
    for (const flag of score.flags) {
      const at = Math.max(0, indexAt(score.times, flag.at));
      const here = found.get(at) ?? [];
      if (!here.some((it) => it.rule === flag.rule) && here.length < 3) here.push(flag);
      found.set(at, here);
    }
    return found;
  }, [score]);
  return (
    <div className={s.now}>
      <div className={s.laneHeads} aria-hidden="true">
        <span />
        {lanes.map((lane) => (
          <span key={lane} className={s.laneHead} data-lane={lane}>
            {t.lanes[lane]}
          </span>
        ))}
      </div>
      <div className={s.list} ref={scroller} tabIndex={0} role="region" aria-label={t.replay.events}>
        <ol style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((item) => {
            const event = score.events[item.index]!;
            const lane = score.lanes[item.index]!;
            const id = formatValue(event['event.id']);
            const fresh = score.fresh[item.index]!;
            return (
              <li
                key={item.index}
                className={s.event}
                style={{ transform: `translateY(${item.start}px)` }}
                data-now={item.index === index || undefined}
                data-future={item.index > index || undefined}
                aria-current={item.index === index || undefined}
              >
                <button type="button" className={s.when} onClick={() => onPick(item.index)} title={t.replay.goTo}>
                  {formatTime(score.times[item.index]!, zone, true).slice(5)}
                </button>
                <span className={s.what} data-lane={lane} style={{ gridColumn: `${2 + lanes.indexOf(lane)} / span ${Math.max(1, 4 - lanes.indexOf(lane))}` }}>
                  <span className={s.laneName}>{t.lanes[lane]}</span>
                  {(flags.get(item.index) ?? []).map((flag) => (
                    <Link key={flag.rule} className={s.flag} href={`/inbox?state=all&rule=${encodeURIComponent(flag.rule)}`} title={visible(flag.title)}>
                      <Severity level={flag.level} />
                      <Icon name="flag" size={11} /> <span className="clip">{visible(flag.title)}</span>
                    </Link>
                  ))}
                  <Link className={`clip ${s.text}`} href={huntLink({ q: clause('event.id', id), event: id })}>
                    {visible(summaryOf(event))}
                  </Link>
                  {fresh.length > 0 && (
                    <span className={s.fresh} title={fresh.map(visible).join(', ')}>
                      {t.replay.firstSeen} {visible(fresh[0]!).slice(0, 32)}
                      {fresh.length > 1 && ` +${fresh.length - 1}`}
                    </span>
                  )}
                </span>
              </li>
            );
          })}
        </ol>
      </div>
    </div>
  );
}
