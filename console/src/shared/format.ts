// Numbers and values as text.

const grouped = new Intl.NumberFormat('en-US');

/** `12,345`. */
export const formatCount = (n: number): string => grouped.format(n);

/** `12.3k` where room is short. */
export function formatShort(n: number): string {
  if (n < 1000) return String(Math.round(n));
  if (n < 1e6) return `${trim(n / 1e3)}k`;
  if (n < 1e9) return `${trim(n / 1e6)}M`;
  return `${trim(n / 1e9)}G`;
}

const trim = (n: number): string => (n < 10 ? n.toFixed(1).replace(/\.0$/, '') : String(Math.round(n)));

/** `1.2 GB`, in powers of 1,000. */
export function formatBytes(n: number): string {
  if (n < 1000) return `${n} B`;
  if (n < 1e6) return `${trim(n / 1e3)} kB`;
  if (n < 1e9) return `${trim(n / 1e6)} MB`;
  if (n < 1e12) return `${trim(n / 1e9)} GB`;
  return `${trim(n / 1e12)} TB`;
}

/** A field's value as one line of text; several values with commas. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(formatValue).join(', ');
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

/** Control and invisible characters made visible, so that a hostile line cannot hide or reorder text. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
