// How far a search is, what it found, and what it took.
import type { Run } from './useRun';
import { Icon } from '../shared/Icon';
import { formatCount } from '../shared/format';
import { t } from '../strings/en';
import { STEPS } from './state';
import s from './hunt.module.css';

export function RunState({ run, most, matched, onMore, onCancel, fieldsOpen, onFields }: {
  run: Run;
  most: number;
  matched: number | undefined;
  onMore: (most: number) => void;
  onCancel: () => void;
  fieldsOpen: boolean;
  onFields: (() => void) | undefined;
}) {
  const { progress, summary, running } = run;
  const part = progress && progress.total > 0 ? progress.done / progress.total : undefined;
  const next = STEPS.find((step) => step > most);
  return (
    <div className={s.state}>
      {onFields && (
        <button type="button" className="quiet" aria-pressed={fieldsOpen} onClick={onFields} title={`${t.hunt.fieldList} (f)`}>
          <Icon name="columns" /> {t.hunt.fieldList}
        </button>
      )}
      <span role="status" aria-live="polite">
        {running
          ? part !== undefined
            ? t.hunt.progress(Math.round(part * 100), formatCount(run.rows.length))
            : t.hunt.searching
          : run.cancelled
            ? t.hunt.cancelledWith(formatCount(run.rows.length))
            : summary
              ? t.hunt.found(formatCount(run.rows.length), formatCount(summary.truncated ? Math.max(matched ?? 0, summary.matched) : summary.matched), summary.truncated, run.columns?.length !== 0)
              : ''}
      </span>
      {summary && !running && (
        <span className="dim">{t.hunt.took(formatCount(summary.elapsed_ms), formatCount(summary.granules_read), formatCount(summary.granules))}</span>
      )}
      {running && run.elapsed > 300 && (
        <button type="button" className="quiet" onClick={onCancel}>
          <Icon name="stop" size={14} /> {t.common.cancel} <kbd>Esc</kbd>
        </button>
      )}
      {summary?.truncated && !running && next && (
        <button type="button" className="quiet" onClick={() => onMore(next)}>
          {t.hunt.more(formatCount(next))}
        </button>
      )}
      <span className={s.progress} data-running={running || undefined} aria-hidden="true">
        <span style={{ transform: `scaleX(${running ? (part ?? 0.06) : 1})` }} />
      </span>
    </div>
  );
}
