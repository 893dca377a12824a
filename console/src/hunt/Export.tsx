import { Menu } from '@mantine/core';
import { useRef, useState } from 'react';
import { request } from '../api/http';
import { download, save } from '../api/search';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/Icon';
import { splitPipes } from '../shared/query';
import { absolute } from '../shared/time';
import { toast, toastError } from '../shared/toasts';
import { t } from '../strings/en';
import type { Hunt } from './state';

type Form = 'csv' | 'lines' | 'parquet' | 'evidence';
const names: Record<Form, string> = { csv: 'events.csv', lines: 'events.ndjson', parquet: 'events.parquet', evidence: 'evidence.vev' };

/** Everything the query finds, not only what is on the screen, as a file. */
export function Export({ hunt, columns }: { hunt: Hunt; columns: string[] }) {
  const abort = useRef<AbortController>(undefined);
  const [bytes, setBytes] = useState<number>();
  const run = async (form: Form) => {
    const control = new AbortController();
    abort.current = control;
    setBytes(0);
    const ask = { query: hunt.q, language: hunt.lang, ...absolute(hunt.range, Date.now()) };
    try {
      if (form === 'evidence') {
        const { filter } = splitPipes(hunt.q);
        const response = await request('POST', '/evidence', { query: filter || '*', from: ask.from, to: ask.to }, control.signal);
        save(await response.blob(), names[form]);
      } else {
        const only = form === 'lines' || columns.length === 0 ? undefined : columns;
        await download({ ...ask, ...(only ? { columns: only } : {}) }, form, names[form], control.signal, setBytes);
      }
      toast(t.exporting.done(names[form]));
    } catch (error) {
      if (!control.signal.aborted) toastError(error);
    } finally {
      setBytes(undefined);
    }
  };
  if (bytes !== undefined) {
    return (
      <button type="button" className="quiet" onClick={() => abort.current?.abort()}>
        <Icon name="stop" size={14} />
        <span role="status">{t.exporting.progress(formatBytes(bytes))}</span> {t.common.cancel}
      </button>
    );
  }
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <button type="button" className="quiet" title={t.exporting.title}>
          <Icon name="download" /> {t.exporting.title}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t.exporting.all}</Menu.Label>
        <Menu.Item onClick={() => void run('csv')}>{t.exporting.csv}</Menu.Item>
        <Menu.Item onClick={() => void run('lines')}>{t.exporting.json}</Menu.Item>
        <Menu.Item onClick={() => void run('parquet')}>{t.exporting.parquet}</Menu.Item>
        {hunt.lang === 'hunt' && <Menu.Item onClick={() => void run('evidence')}>{t.exporting.evidence}</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
