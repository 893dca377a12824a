// A wrong query, as the command line shows it too: the line, a caret, and the way out.
import type { Refusal } from '../api/http';
import { Icon } from '../shared/Icon';
import s from './hunt.module.css';

export function Mistakes({ query, refusal }: { query: string; refusal: Refusal }) {
  const lines = query.split('\n');
  return (
    <div className={s.mistakes} role="alert">
      {refusal.diagnostics.slice(0, 5).map((mistake, i) => (
        <div key={i}>
          <div className="row">
            <Icon name="alert" /> <strong>{mistake.message}</strong>
          </div>
          <pre tabIndex={0}>
            {`${String(mistake.line).padStart(3)} | ${lines[mistake.line - 1] ?? ''}\n    | ${' '.repeat(Math.max(0, mistake.column - 1))}^`}
          </pre>
          {mistake.hint && <div className="dim">{mistake.hint}</div>}
        </div>
      ))}
    </div>
  );
}
