// What has happened, as it hangs together: incidents; and where somebody works on it: cases.
import { useSearchParams } from 'wouter';
import { Tabs } from '../shared/Bits';
import { t } from '../strings/en';
import { CaseList } from './CaseList';
import { IncidentList } from './IncidentList';

const tabs = ['incidents', 'cases'] as const;
type Tab = (typeof tabs)[number];

export default function Incidents() {
  const [params, setParams] = useSearchParams();
  const tab = tabs.find((it) => it === params.get('tab')) ?? 'incidents';
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.incidents}</h1>
        <Tabs<Tab> label={t.nav.incidents} value={tab} onChange={(next) => setParams({ tab: next })} tabs={tabs.map((value) => ({ value, label: t.incidents.tabs[value] }))} />
      </div>
      {tab === 'incidents' ? <IncidentList /> : <CaseList />}
    </div>
  );
}
