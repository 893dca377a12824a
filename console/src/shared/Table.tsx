// A table in a frame of its own: what is too wide for the page is scrolled there, also by keys.
import type { CSSProperties, ReactNode } from 'react';

/** `num`: of figures. `unseen`: its name is only read out. */
export type Column = string | Named;
type Named = { name: string; num?: boolean; unseen?: boolean };

/** Wider tables become lists on a phone: each value on a line of its own, beside the name of its column. */
const NARROW = 3;

export function Table({ label, columns, className = '', children }: { label: string; columns: Column[]; className?: string | undefined; children: ReactNode }) {
  const all: Named[] = columns.map((column) => (typeof column === 'string' ? { name: column } : column));
  const isList = all.length > NARROW;
  // The names, for `theme.css` to write before the values.
  const names = Object.fromEntries(all.map(({ name, unseen = false }, i) => [`--column-${i + 1}`, JSON.stringify(unseen ? '' : name)]));
  return (
    <div className={`table-wrap ${isList ? 'listed' : ''} ${className}`} style={isList ? (names as CSSProperties) : undefined} tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {all.map(({ name, num = false, unseen = false }) => (
              <th key={name} scope="col" className={num ? 'num' : undefined}>
                {unseen ? <span className="hidden">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
