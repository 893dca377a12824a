// The whole span at a glance: four lanes of ticks, flags for alerts, and the playhead. Drawn; the same can be done with
// the slider's keys, and read in the list below.
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState, type PointerEvent } from 'react';
import { formatTime } from '../shared/time';
import { useZone } from '../shared/zone';
import { t } from '../strings/en';
import { lanes } from './lanes';
import type { Score } from './useReplay';
import s from './replay.module.css';

const FLAGS = 22;
const LANE = 26;
const AXIS = 20;
export const HEIGHT = FLAGS + lanes.length * LANE + AXIS;
const LEFT = 78;

function scaleOf(from: number, to: number, width: number) {
  const span = Math.max(1, to - from);
  const room = Math.max(50, width - LEFT - 12);
  return { span, room, xOf: (time: number) => LEFT + ((time - from) / span) * room };
}

export function Scrubber({ score, from, to, at, onSeek }: { score: Score; from: number; to: number; at: number; onSeek: (at: number) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(800);
  const { zone } = useZone();
  const scheme = useComputedColorScheme('dark');
  useEffect(() => {
    const box = canvas.current!.parentElement!;
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const { span, room, xOf } = useMemo(() => scaleOf(from, to, width), [from, to, width]);

  // What does not move is drawn once.
  const still = useRef<HTMLCanvasElement>(undefined);
  useEffect(() => {
    const scale = window.devicePixelRatio || 1;
    const sheet = document.createElement('canvas');
    sheet.width = width * scale;
    sheet.height = HEIGHT * scale;
    const pen = sheet.getContext('2d')!;
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas.current!);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    pen.font = '11px Inter, sans-serif';
    pen.textBaseline = 'middle';
    // How many events fall on each pixel decides how tall its tick is.
    const pixels = Math.ceil(room) + 1;
    lanes.forEach((lane, i) => {
      const top = FLAGS + i * LANE;
      pen.fillStyle = colour('--line');
      pen.fillRect(LEFT, top + LANE - 1, room, 1);
      pen.fillStyle = colour('--dim');
      pen.fillText(t.lanes[lane], 10, top + LANE / 2);
      const heaps = new Float32Array(pixels);
      for (let n = 0; n < score.times.length; n++) {
        if (score.lanes[n] === lane) heaps[Math.max(0, Math.min(pixels - 1, Math.floor(((score.times[n]! - from) / span) * room)))]! += 1;
      }
      const most = Math.log1p(heaps.reduce((a, b) => Math.max(a, b), 1));
      pen.fillStyle = colour(`--lane-${lane}`);
      heaps.forEach((n, x) => {
        if (n === 0) return;
        const tall = 5 + (LANE - 9) * (Math.log1p(n) / most);
        pen.fillRect(LEFT + x, top + LANE - 2 - tall, 1.5, tall);
      });
    });
    const seen = new Set<number>();
    for (const flag of score.flags) {
      const x = Math.round(xOf(flag.at));
      if (seen.has(x)) continue;
      seen.add(x);
      pen.fillStyle = colour(`--level-${flag.level}`) || colour('--bad');
      pen.fillRect(x, 4, 1, FLAGS + lanes.length * LANE - 4);
      pen.beginPath();
      pen.moveTo(x, 3);
      pen.lineTo(x + 9, 7.5);
      pen.lineTo(x, 12);
      pen.fill();
    }
    pen.fillStyle = colour('--dim');
    const marks = Math.max(2, Math.min(8, Math.floor(room / 130)));
    for (let i = 0; i <= marks; i++) {
      const time = from + (span * i) / marks;
      const text = formatTime(time, zone);
      const label = span > 3 * 86_400_000 ? text.slice(0, 10) : span > 86_400_000 ? text.slice(5, 16) : text.slice(11);
      pen.textAlign = i === 0 ? 'left' : i === marks ? 'right' : 'center';
      pen.fillText(label, xOf(time), HEIGHT - AXIS / 2);
    }
    still.current = sheet;
    // The scheme decides what the colours are.
  }, [score, from, span, room, xOf, width, zone, scheme]);

  // After what stands still, and on every change: the playhead moves with each frame.
  useEffect(() => {
    const sheet = still.current;
    const screen = canvas.current;
    if (!sheet || !screen) return;
    if (screen.width !== sheet.width || screen.height !== sheet.height) {
      screen.width = sheet.width;
      screen.height = sheet.height;
    }
    const pen = screen.getContext('2d')!;
    const scale = window.devicePixelRatio || 1;
    const style = getComputedStyle(screen);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, screen.width, screen.height);
    pen.drawImage(sheet, 0, 0);
    pen.scale(scale, scale);
    const x = xOf(at);
    pen.fillStyle = style.getPropertyValue('--surface').trim();
    pen.globalAlpha = 0.55;
    pen.fillRect(x, FLAGS, LEFT + room - x, lanes.length * LANE);
    pen.globalAlpha = 1;
    pen.fillStyle = style.getPropertyValue('--accent').trim();
    pen.fillRect(x - 1, 0, 2, HEIGHT - AXIS);
    pen.beginPath();
    pen.arc(x, HEIGHT - AXIS, 4, 0, 7);
    pen.fill();
  });

  const seek = (event: PointerEvent<HTMLDivElement>) => {
    if (event.type === 'pointermove' && event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    const time = from + ((event.clientX - box.left - LEFT) / room) * span;
    onSeek(Math.max(from, Math.min(to, time)));
  };
  return (
    <div
      className={s.scrubber}
      role="slider"
      tabIndex={0}
      aria-label={t.replay.scrubber}
      aria-valuemin={0}
      aria-valuemax={1000}
      aria-valuenow={Math.round((1000 * (at - from)) / span)}
      aria-valuetext={formatTime(at, zone, true)}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={seek}
    >
      <canvas ref={canvas} style={{ width: '100%', height: HEIGHT }} aria-hidden="true" />
    </div>
  );
}
