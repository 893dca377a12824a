// What to do when nothing has arrived yet: a shipper's configuration with this server's address, ready to copy.
import { useState } from 'react';
import { Link } from 'wouter';
import { useSettings } from '../api/settings';
import { t } from '../strings/en';
import { CopyButton, Tabs, Waiting } from './Bits';
import { addresses, snippets, type Shipper } from './snippets';
import s from './snippets.module.css';

export function Snippets() {
  const settings = useSettings();
  const [shipper, setShipper] = useState<Shipper>('rsyslog');
  // Not a guess first: somebody may copy it.
  if (settings.isPending) return <Waiting what={t.settings.loading} />;
  const at = addresses(settings.data?.receivers ?? [], window.location.hostname);
  const snippet = snippets(at)[shipper];
  return (
    <section className={s.snippets} aria-label={t.snippets.title}>
      <div className="row wrap">
        <h2>{t.snippets.title}</h2>
        <Tabs
          label={t.snippets.shipper}
          value={shipper}
          onChange={setShipper}
          tabs={[
            { value: 'rsyslog', label: 'rsyslog' },
            { value: 'filebeat', label: 'Filebeat' },
            { value: 'otel', label: 'OpenTelemetry' },
            { value: 'curl', label: 'curl' },
          ]}
        />
      </div>
      <div className={s.code}>
        <pre className="record" tabIndex={0} role="region" aria-label={snippet.file}>
          {snippet.text}
        </pre>
        <span className={s.copy}>
          <CopyButton text={snippet.text} />
        </span>
      </div>
      <p className="dim">
        {t.snippets.into} <code>{snippet.file}</code>. {at.loopback && t.snippets.loopback}
        {at.tls && snippet.text.includes('TOKEN') && (
          <>
            {t.snippets.token} <Link href="/settings?tab=tokens">{t.settings.tabs.tokens}</Link>.
          </>
        )}
      </p>
    </section>
  );
}
