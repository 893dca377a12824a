import { useSettings } from '../api/settings';
import { Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Snippets } from '../shared/Snippets';
import { t } from '../strings/en';

export function Receivers() {
  const settings = useSettings();
  return (
    <div className="stack">
      {settings.isPending && <Waiting what={t.settings.loading} />}
      {settings.isError && <Problem error={settings.error} what={t.receivers.what} />}
      {settings.data && (
        <div className="table-wrap" tabIndex={0} role="region" aria-label={t.settings.tabs.receivers}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.receivers.kind}</th>
                <th scope="col">{t.receivers.address}</th>
                <th scope="col">TLS</th>
              </tr>
            </thead>
            <tbody>
              {settings.data.receivers.map((receiver) => (
                <tr key={`${receiver.kind} ${receiver.address}`}>
                  <td>{visible(receiver.kind)}</td>
                  <td className="mono">{visible(receiver.address)}</td>
                  <td>{receiver.tls ? t.common.yes : t.common.no}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {settings.data && (
        <p className="dim">{settings.data.config_file ? t.receivers.file(settings.data.config_file) : t.receivers.noFile}</p>
      )}
      <Snippets />
    </div>
  );
}
