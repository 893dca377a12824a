// What happened, played back: choose who and when; a scrubber plays the events in order, with alerts as flags.
import { useEffect, useRef, useState } from 'react';
import type { Entity } from '../api/model';
import { useAddress } from '../shared/address';
import { Empty, Waiting } from '../shared/Bits';
import { formatCount } from '../shared/format';
import { Icon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { Problem } from '../shared/Problem';
import { formatTime, resolve, type Range } from '../shared/time';
import { useZone } from '../shared/zone';
import { TimeRange } from '../hunt/TimeRange';
import { t } from '../strings/en';
import { Cast, Chooser } from './Cast';
import { Now } from './Now';
import { advance, fitting, indexAt, speeds } from './player';
import { ReplayExport } from './ReplayExport';
import { Scrubber } from './Scrubber';
import { MOST, useReplay } from './useReplay';
import s from './replay.module.css';

export default function Replay() {
  const { params, set } = useAddress();
  const entities = params.getAll('e').map(readEntity).filter((it) => it !== undefined);
  const range: Range = { from: params.get('from') ?? undefined, to: params.get('to') ?? undefined };
  const [loaded, setLoaded] = useState(0);
  const found = useReplay(entities, range, setLoaded);
  const score = found.data;
  const { zone } = useZone();

  const from = score?.times[0] ?? resolve(range.from, Date.now()) ?? 0;
  const to = score && score.times.length > 0 ? score.times[score.times.length - 1]! : (resolve(range.to, Date.now()) ?? from);
  const speed = speeds.includes(Number(params.get('speed'))) ? Number(params.get('speed')) : fitting(to - from);
  const [skip, setSkip] = useState(true);
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  useEffect(() => {
    if (!score) return;
    const linked = resolve(new URLSearchParams(window.location.search).get('at') ?? undefined, 0);
    setAt(linked ?? score.times[0] ?? 0);
    setPlaying(false);
  }, [score]);

  const clock = useRef({ at, speed, skip });
  clock.current = { at, speed, skip };
  useEffect(() => {
    if (!playing || !score) return undefined;
    let last = performance.now();
    let frame = requestAnimationFrame(function tick(now) {
      const { at: here, speed: fast, skip: jump } = clock.current;
      const next = advance(here, Math.min(250, now - last), fast, score.times, to, jump);
      last = now;
      clock.current.at = next;
      setAt(next);
      if (next >= to) setPlaying(false);
      else frame = requestAnimationFrame(tick);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, score, to]);
  // The link leads to where one stopped.
  useEffect(() => {
    if (!playing && score && at) {
      const timer = setTimeout(() => set({ at: new Date(at).toISOString() }), 400);
      return () => clearTimeout(timer);
    }
    return undefined;
  }, [playing, at, score, set]);

  const index = score ? indexAt(score.times, at) : -1;
  const seek = (time: number) => setAt(Math.max(from, Math.min(to, time)));
  const toEvent = (to_: number) => {
    if (!score || score.times.length === 0) return;
    setPlaying(false);
    seek(score.times[Math.max(0, Math.min(score.times.length - 1, to_))]!);
  };
  const faster = (by: number) => set({ speed: String(speeds[Math.max(0, Math.min(speeds.length - 1, speeds.indexOf(speed) + by))]) });
  const play = () => {
    if (!score?.events.length) return;
    if (!playing && at >= to) setAt(from);
    setPlaying(!playing);
  };
  useKeys({
    ' ': (event) => {
      const target = event.composedPath()[0];
      return target instanceof HTMLElement && target.closest('button, a, summary') ? false : play();
    },
    ArrowRight: () => toEvent(index + 1),
    ArrowLeft: () => toEvent(index - 1),
    'shift+ArrowRight': () => toEvent(index + 20),
    'shift+ArrowLeft': () => toEvent(index - 20),
    Home: () => toEvent(0),
    End: () => toEvent(Number.MAX_SAFE_INTEGER),
    ']': () => faster(1),
    '[': () => faster(-1),
  });

  const cast = (next: Entity[]) =>
    set({ at: undefined, e: next.map((entity) => `${entity.kind}:${entity.value}`) }, false);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.replay}</h1>
        <Cast entities={entities} onChange={cast} />
        <span className="grow" />
        <TimeRange range={range} onChange={(next) => set({ from: next.from, to: next.to, at: undefined })} />
        {score && score.events.length > 0 && <ReplayExport entities={entities} range={range} />}
      </div>
      {entities.length === 0 ? (
        <Empty title={t.replay.choose}>
          <p>{t.replay.chooseLead}</p>
          <Chooser onChoose={(entity) => cast([entity])} />
        </Empty>
      ) : found.isPending ? (
        <Waiting what={t.replay.loading(formatCount(loaded), formatCount(MOST))} />
      ) : !score ? (
        <div className="page-body">
          <Problem error={found.error} retry={() => void found.refetch()} />
        </div>
      ) : score.events.length === 0 ? (
        <Empty title={t.hunt.none}>
          <p>{t.replay.noneLead}</p>
        </Empty>
      ) : (
        <div className={s.stage}>
          <Scrubber score={score} from={from} to={to} at={at} onSeek={seek} />
          <div className={s.controls}>
            <button type="button" className="quiet" onClick={() => toEvent(index - 1)} aria-label={t.replay.previous} title="←">
              <Icon name="back" filled />
            </button>
            <button type="button" className={s.play} onClick={play} aria-label={playing ? t.replay.pause : t.replay.play} title="Space">
              <Icon name={playing ? 'pause' : 'play'} filled={!playing} />
            </button>
            <button type="button" className="quiet" onClick={() => toEvent(index + 1)} aria-label={t.replay.next} title="→">
              <Icon name="forward" filled />
            </button>
            <span className={s.clock}>{formatTime(at, zone, true)}</span>
            <span className="dim num" role="status" aria-live={playing ? 'off' : 'polite'}>
              {t.replay.position(formatCount(index + 1), formatCount(score.events.length))}
            </span>
            <span className="grow" />
            <label className="row">
              <span className="dim">{t.replay.speed}</span>
              <select className={s.select} value={speed} onChange={(event) => set({ speed: event.currentTarget.value })}>
                {speeds.map((it) => (
                  <option key={it} value={it}>
                    {it}x
                  </option>
                ))}
              </select>
            </label>
            <button type="button" className="quiet" aria-pressed={skip} onClick={() => setSkip(!skip)}>
              {t.replay.skip}
            </button>
          </div>
          {score.truncated && <p className={s.cut}>{t.replay.truncated(formatCount(MOST))}</p>}
          <Now score={score} index={index} playing={playing} onPick={toEvent} />
        </div>
      )}
    </div>
  );
}

function readEntity(text: string): Entity | undefined {
  const at = text.indexOf(':');
  return at > 0 && at < text.length - 1 ? { kind: text.slice(0, at), value: text.slice(at + 1) } : undefined;
}
