// What detects: loaded rules with their hits, refused ones with the reason, coverage of ATT&CK, and exceptions.
import { lazy, Suspense } from 'react';
import { Link, useSearchParams } from 'wouter';
import { notOffered } from '../api/http';
import { useExceptions, useRefused, useRules } from '../api/rules';
import { Tabs, Waiting } from '../shared/Bits';
import { t } from '../strings/en';
import Budget from './Budget';
import { Exceptions } from './Exceptions';
import { Refused } from './Refused';
import { RuleTable } from './RuleTable';

const Matrix = lazy(() => import('./Matrix'));

type Tab = 'loaded' | 'refused' | 'attack' | 'exceptions';

export default function Rules() {
  const [params, setParams] = useSearchParams();
  const tab = (params.get('tab') as Tab | null) ?? 'loaded';
  const rules = useRules();
  const refused = useRefused();
  const exceptions = useExceptions();
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.rules}</h1>
        <Tabs
          label={t.nav.rules}
          value={tab}
          onChange={(next) => setParams({ tab: next })}
          tabs={[
            { value: 'loaded', label: t.rules.loaded, count: rules.data?.rules.length },
            { value: 'refused', label: t.rules.refused, count: refused.data?.refused.length },
            { value: 'attack', label: t.rules.attack },
            { value: 'exceptions', label: t.rules.exceptions, count: exceptions.data?.exceptions.length },
          ]}
        />
        <span className="grow" />
        <Link className="chip" href="/rules/edit">
          {t.rules.write}
        </Link>
      </div>
      <Budget always />
      {tab === 'loaded' && <RuleTable found={rules} />}
      {tab === 'refused' && <Refused found={refused} />}
      {tab === 'attack' && (
        <Suspense fallback={<Waiting what={t.shell.loadingPage} />}>
          <Matrix rules={rules.data?.rules ?? []} />
        </Suspense>
      )}
      {tab === 'exceptions' && <Exceptions found={exceptions} absent={notOffered(exceptions.error)} rules={rules.data?.rules ?? []} />}
    </div>
  );
}
