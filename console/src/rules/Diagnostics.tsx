import type { Diagnostic } from '../api/model';
import { visible } from '../shared/format';

/** What is wrong with a text, and where. */
export function Diagnostics({ of }: { of: Diagnostic[] | undefined }) {
  return of?.map((it, i) => (
    <p key={i} style={{ marginTop: 6 }}>
      <span className="mono dim">{it.line}:{it.column}</span> {visible(it.message)}
      {it.hint && <span className="dim"> {visible(it.hint)}</span>}
    </p>
  ));
}
