// Who may do what, who is told, how long things are kept. Every change here is an event, written before it is made.
import { useQueryClient } from '@tanstack/react-query';
import { Link, useSearchParams } from 'wouter';
import type { Session } from '../api/model';
import { may } from '../api/session';
import { Tabs } from '../shared/Bits';
import { huntLink } from '../shared/query';
import { t } from '../strings/en';
import { Account } from './Account';
import { Notifications } from './Notifications';
import { Receivers } from './Receivers';
import { Retention } from './Retention';
import { Tokens } from './Tokens';
import { Users } from './Users';

const tabs = ['account', 'users', 'tokens', 'notifications', 'retention', 'receivers'] as const;
type Tab = (typeof tabs)[number];

export default function Settings() {
  const [params, setParams] = useSearchParams();
  const tab = tabs.find((it) => it === params.get('tab')) ?? 'account';
  const session = useQueryClient().getQueryData<Session>(['session']);
  const admin = may(session, 'admin');
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t.nav.settings}</h1>
        <Tabs<Tab> label={t.nav.settings} value={tab} onChange={(next) => setParams({ tab: next })} tabs={tabs.map((value) => ({ value, label: t.settings.tabs[value] }))} />
        <span className="grow" />
        <Link className="chip" href={huntLink({ q: 'event.dataset:vedette.audit', from: 'now-7d', cols: ['@timestamp', 'user.name', 'event.action', 'event.outcome', 'message'] })}>
          {t.settings.audit}
        </Link>
      </div>
      <div className="page-body">
        {tab === 'account' && session && <Account session={session} />}
        {tab === 'users' && <Users admin={admin} me={session?.name ?? ''} />}
        {tab === 'tokens' && session && <Tokens session={session} />}
        {tab === 'notifications' && <Notifications admin={admin} />}
        {tab === 'retention' && <Retention admin={admin} />}
        {tab === 'receivers' && <Receivers admin={admin} />}
      </div>
    </div>
  );
}
