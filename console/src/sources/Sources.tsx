// Where records come from and what became of each; what no parser understood; how the server is doing.
import { useSearchParams } from 'wouter';
import { useHealth, useSources, useUnparsed } from '../api/sources';
import { Tabs } from '../shared/Bits';
import { t } from '../strings/en';
import { HealthView } from './HealthView';
import { SourceTable } from './SourceTable';
import { Unparsed } from './Unparsed';

type Tab = 'sources' | 'unparsed' | 'health';

export default function Sources() {
  const [params, setParams] = useSearchParams();
  const tab = (params.get('tab') as Tab | null) ?? 'sources';
  const sources = useSources();
  const unparsed = useUnparsed();
  const health = useHealth();
  const troubles = health.data?.checks.filter((check) => check.status !== 'ok').length;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.sources}</h1>
        <Tabs
          label={t.nav.sources}
          value={tab}
          onChange={(next) => setParams({ tab: next })}
          tabs={[
            { value: 'sources', label: t.sources.tab, count: sources.data?.length },
            { value: 'unparsed', label: t.sources.unparsed, count: unparsed.data?.summary.matched },
            { value: 'health', label: t.sources.health, count: troubles || undefined },
          ]}
        />
      </div>
      <div className="page-body">
        {tab === 'sources' && <SourceTable sources={sources} />}
        {tab === 'unparsed' && <Unparsed found={unparsed} />}
        {tab === 'health' && <HealthView health={health} sources={sources.data ?? []} />}
      </div>
    </div>
  );
}
