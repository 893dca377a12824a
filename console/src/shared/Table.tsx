// A table in a frame of its own: what is too wide for the page is scrolled there, also by keys.
import type { ReactNode } from 'react';

/** `num`: of figures. `unseen`: its name is only read out. */
export type Column = string | { name: string; num?: boolean; unseen?: boolean };

export function Table({ label, columns, className = '', children }: { label: string; columns: Column[]; className?: string | undefined; children: ReactNode }) {
  return (
    <div className={`table-wrap ${className}`} tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns
              .map((column) => (typeof column === 'string' ? { name: column } : column))
              .map(({ name, num = false, unseen = false }) => (
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
