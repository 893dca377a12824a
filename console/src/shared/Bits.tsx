// Small things that every page shares.
import { useEffect, useState, type ReactNode } from 'react';
import { Link } from 'wouter';
import type { Entity } from '../api/model';
import { t } from '../strings/en';
import { formatCount, formatShort, visible } from './format';
import { Icon, kindIcon } from './Icon';
import { mark } from './marks';
import { entityLink } from './query';
import s from './bits.module.css';

/** A number that leads to the query behind it. */
export function Count({ n, to, short = false, label, text = short ? formatShort(n) : formatCount(n) }: {
  n: number;
  /** `#…` leads to a place on the same page. */
  to?: string;
  short?: boolean;
  label?: string;
  /** What is shown, if it is more than the number. */
  text?: string;
}) {
  if (to?.startsWith('#')) return <a href={to} className={s.count}>{text}</a>;
  if (!to) return <span className="num" title={formatCount(n)}>{text}</span>;
  return (
    <Link href={to} className={s.count} title={label ?? t.common.showThese} aria-label={label ? `${text} ${label}` : undefined}>
      {text}
    </Link>
  );
}

export function EntityChip({ entity }: { entity: Entity }) {
  return (
    <Link href={entityLink(entity)} className="chip" title={`${entity.kind}: ${visible(entity.value)}`}>
      <Icon name={kindIcon(entity.kind)} size={14} />
      <span className="hidden">{entity.kind}: </span>
      <span className="clip">{visible(entity.value)}</span>
    </Link>
  );
}

/** Text with the matched values marked. Text stays text, whatever it says. */
export function Marked({ text, values }: { text: string; values: string[] }) {
  return mark(text, values).map((piece, i) =>
    piece.marked ? <mark key={i}>{visible(piece.text)}</mark> : <span key={i}>{visible(piece.text)}</span>,
  );
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const name = copied ? t.common.copied : (label ?? t.common.copy);
  return (
    <button
      type="button"
      className="quiet"
      aria-label={name}
      title={name}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
    >
      <Icon name={copied ? 'check' : 'copy'} />
    </button>
  );
}

export function Empty({ title, alone = false, children }: {
  title: string;
  /** The page has no heading but this. */
  alone?: boolean;
  children?: ReactNode;
}) {
  return (
    <div className="empty">
      {alone ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** What is being waited for, in words; shown only when it takes long enough to be noticed. */
export function Waiting({ what }: { what: string }) {
  const [late, setLate] = useState(false);
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = Date.now();
    const show = setTimeout(() => setLate(true), 250);
    const count = setInterval(() => setSeconds(Math.round((Date.now() - began) / 1000)), 1000);
    return () => {
      clearTimeout(show);
      clearInterval(count);
    };
  }, []);
  return (
    <div className={s.waiting} role="status">
      {late && (
        <>
          <span className={s.dots} aria-hidden="true" />
          {what}
          {seconds >= 2 && ` ${t.common.forSeconds(seconds)}`}
        </>
      )}
    </div>
  );
}

/** Keys as people see them on their keyboard. */
export const modKey = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl';

export function Tabs<T extends string>({ tabs, value, onChange, label }: {
  tabs: { value: T; label: ReactNode; count?: number | undefined }[];
  value: T;
  onChange: (value: T) => void;
  label: string;
}) {
  return (
    <div className="tabs" role="group" aria-label={label}>
      {tabs.map((tab) => (
        <button
          key={tab.value}
          type="button"
          className="quiet"
          aria-pressed={tab.value === value}
          onClick={() => onChange(tab.value)}
        >
          {tab.label}
          {tab.count !== undefined && <span className={s.tabCount}>{formatShort(tab.count)}</span>}
        </button>
      ))}
    </div>
  );
}
