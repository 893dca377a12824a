import { Button } from '@mantine/core';
import { useMemo, useRef } from 'react';
import type { Diagnostic } from '../api/model';
import type { Changes } from '../shared/address';
import { CopyButton, Tabs } from '../shared/Bits';
import { Editor } from '../shared/Editor';
import { Icon } from '../shared/Icon';
import { t } from '../strings/en';
import { Export } from './Export';
import { huntLanguage, sqlLanguage } from './language';
import { Saved } from './Saved';
import type { Hunt } from './state';
import { TimeRange } from './TimeRange';
import s from './hunt.module.css';

export function HuntBar({ hunt, draft, columns, diagnostics, running, focusKey, onDraft, onRun, onCancel, set }: {
  hunt: Hunt;
  draft: string;
  columns: string[];
  diagnostics: Diagnostic[] | undefined;
  running: boolean;
  focusKey: number;
  onDraft: (text: string) => void;
  onRun: (query?: string) => void;
  onCancel: () => void;
  set: (changes: Changes, replace?: boolean) => void;
}) {
  const range = useRef(hunt.range);
  range.current = hunt.range;
  const language = useMemo(() => (hunt.lang === 'sql' ? sqlLanguage() : huntLanguage(() => range.current)), [hunt.lang]);
  return (
    <div className={s.bar}>
      <div className={s.query}>
        <Editor
          value={draft}
          onChange={onDraft}
          onRun={onRun}
          enterRuns
          label={hunt.lang === 'sql' ? t.hunt.sqlBox : t.hunt.box}
          hint={hunt.lang === 'sql' ? t.hunt.sqlHint : t.hunt.hint}
          language={language}
          focusKey={focusKey}
          {...(diagnostics ? { diagnostics } : {})}
        />
      </div>
      <div className={s.barTools}>
        <Tabs
          label={t.hunt.language}
          value={hunt.lang}
          onChange={(lang) => set({ lang: lang === 'sql' ? 'sql' : undefined, q: lang === 'sql' && !draft.trim() ? 'SELECT * FROM events ORDER BY "@timestamp" DESC' : draft })}
          tabs={[
            { value: 'hunt', label: t.hunt.pipes },
            { value: 'sql', label: 'SQL' },
          ]}
        />
        <TimeRange range={hunt.range} onChange={({ from, to }) => set({ from: from ?? 'all', to })} />
        {running ? (
          <Button variant="default" onClick={onCancel} leftSection={<Icon name="stop" size={12} />}>
            {t.common.cancel}
          </Button>
        ) : (
          <Button onClick={() => onRun(draft)}>{t.hunt.run}</Button>
        )}
        <span className={s.divide} />
        <Saved hunt={hunt} draft={draft} columns={columns} set={set} />
        <Export hunt={hunt} columns={columns} />
        <CopyButton text={window.location.href} label={t.hunt.permalink} />
      </div>
    </div>
  );
}
