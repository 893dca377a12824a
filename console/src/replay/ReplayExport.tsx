import { Menu } from '@mantine/core';
import { useState } from 'react';
import { request } from '../api/http';
import type { Entity } from '../api/model';
import { download, save } from '../api/search';
import { CopyButton } from '../shared/Bits';
import { formatBytes } from '../shared/format';
import { Icon } from '../shared/Icon';
import { absolute, type Range } from '../shared/time';
import { toast, toastError } from '../shared/toasts';
import { t } from '../strings/en';
import { replayFilter } from './useReplay';

/** The link to this replay, and its events as a file: plain, or with proofs. */
export function ReplayExport({ entities, range }: { entities: Entity[]; range: Range }) {
  const [bytes, setBytes] = useState<number>();
  const run = async (form: 'lines' | 'evidence') => {
    const ask = { query: `${replayFilter(entities)}`, ...absolute(range, Date.now()) };
    setBytes(0);
    try {
      if (form === 'lines') await download(ask, 'lines', 'replay.ndjson', new AbortController().signal, setBytes);
      else save(await (await request('POST', '/evidence', ask)).blob(), 'replay.vev');
      toast(t.exporting.done(form === 'lines' ? 'replay.ndjson' : 'replay.vev'));
    } catch (error) {
      toastError(error);
    } finally {
      setBytes(undefined);
    }
  };
  return (
    <div className="row">
      <CopyButton text={window.location.href} label={t.hunt.permalink} />
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <button type="button" className="quiet" disabled={bytes !== undefined}>
            <Icon name="download" /> {bytes === undefined ? t.exporting.title : t.exporting.progress(formatBytes(bytes))}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void run('lines')}>{t.exporting.json}</Menu.Item>
          <Menu.Item onClick={() => void run('evidence')}>{t.exporting.evidence}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}
