// What went wrong, in the server's own words, with the way out.
import { notOffered, Refusal } from '../api/http';
import { t } from '../strings/en';
import { Icon } from './Icon';
import s from './problem.module.css';

export function Problem({ error, what, retry }: { error: unknown; what?: string; retry?: () => void }) {
  if (notOffered(error)) {
    return (
      <div className={s.absent} role="note">
        <Icon name="alert" /> {t.problem.notOffered(what ?? t.problem.this)}
      </div>
    );
  }
  const hint = error instanceof Refusal ? error.hint : undefined;
  return (
    <div className={s.problem} role="alert">
      <Icon name="alert" />
      <div className="grow">
        <div className={s.detail}>{error instanceof Error ? error.message : String(error)}</div>
        {hint && <div className={s.hint}>{hint}</div>}
      </div>
      {retry && (
        <button type="button" className="quiet" onClick={retry}>
          {t.problem.retry}
        </button>
      )}
    </div>
  );
}
