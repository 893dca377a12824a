import { useSettings } from '../api/settings';
import { Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Snippets } from '../shared/Snippets';
import { Table } from '../shared/Table';
import { t } from '../strings/en';
import { Section } from './Section';

export function Receivers({ admin }: { admin: boolean }) {
  const settings = useSettings();
  return (
    <div className="stack">
      {settings.isPending && <Waiting what={t.settings.loading} />}
      {settings.isError && <Problem error={settings.error} what={t.receivers.what} />}
      {settings.data && (
        <Table label={t.settings.tabs.receivers} columns={[t.receivers.kind, t.receivers.address, 'TLS']}>
          {settings.data.receivers.map((receiver) => (
            <tr key={`${receiver.kind} ${receiver.address}`}>
              <td>{visible(receiver.kind)}</td>
              <td className="mono">{visible(receiver.address)}</td>
              <td>{receiver.tls ? t.common.yes : t.common.no}</td>
            </tr>
          ))}
        </Table>
      )}
      {settings.data && (
        <p className="dim">{settings.data.config_file ? t.receivers.file(settings.data.config_file) : t.receivers.noFile}</p>
      )}
      {admin && <Section name="receivers" />}
      <Snippets />
    </div>
  );
}
