import { useState } from 'react';
import { t } from '../strings/en';

/** A button that asks once more, in its own place. */
export function Confirm({ label, ask, onYes }: { label: string; ask: string; onYes: () => void }) {
  const [asking, setAsking] = useState(false);
  if (!asking) {
    return (
      <button type="button" className="quiet" onClick={() => setAsking(true)}>
        {label}
      </button>
    );
  }
  return (
    <span className="row" role="alert">
      {ask}
      <button type="button" className="quiet" autoFocus onClick={() => (setAsking(false), onYes())}>
        {t.common.yes}
      </button>
      <button type="button" className="quiet" onClick={() => setAsking(false)}>
        {t.common.no}
      </button>
    </span>
  );
}
