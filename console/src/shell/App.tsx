// Who is asking decides what there is: the one-time link, the way in, or the console.
import { lazy, Suspense } from 'react';
import { Redirect, Route, Switch } from 'wouter';
import { useSession } from '../api/session';
import { Inbox } from '../inbox/Inbox';
import { Empty, Waiting } from '../shared/Bits';
import { Problem } from '../shared/Problem';
import { Toasts } from '../shared/toasts';
import { t } from '../strings/en';
import { Shell } from './Shell';

// The inbox comes with the shell; everything else when it is gone to.
const Setup = lazy(() => import('./Setup'));
const SignIn = lazy(() => import('./SignIn'));
const Incidents = lazy(() => import('../incidents/Incidents'));
const IncidentPage = lazy(() => import('../incidents/IncidentPage'));
const CasePage = lazy(() => import('../incidents/CasePage'));
const Hunt = lazy(() => import('../hunt/Hunt'));
const Sources = lazy(() => import('../sources/Sources'));
const Rules = lazy(() => import('../rules/Rules'));
const RulePage = lazy(() => import('../rules/RulePage'));
const Indicators = lazy(() => import('../indicators/Indicators'));
const Entity = lazy(() => import('../entity/Entity'));
const EntityStart = lazy(() => import('../entity/EntityStart'));
const Replay = lazy(() => import('../replay/Replay'));
const Settings = lazy(() => import('../settings/Settings'));

export function App() {
  return (
    <>
      <Suspense fallback={<main><Waiting what={t.shell.loadingPage} /></main>}>
        <Switch>
          <Route path="/setup" component={Setup} />
          <Route component={Gate} />
        </Switch>
      </Suspense>
      <Toasts />
    </>
  );
}

function Gate() {
  const session = useSession();
  if (session.isPending) return <Waiting what={t.shell.connecting} />;
  if (session.isError && !session.data) {
    return (
      <div className="empty">
        <Problem error={session.error} retry={() => void session.refetch()} />
      </div>
    );
  }
  if (!session.data) return <SignIn />;
  return (
    <Shell session={session.data}>
      <Suspense fallback={<Waiting what={t.shell.loadingPage} />}>
        <Switch>
          <Route path="/">
            <Redirect to="/inbox" replace />
          </Route>
          <Route path="/inbox" component={Inbox} />
          {/* Where the links of notices begin; a list of alerts is the inbox here. */}
          <Route path="/alerts">
            <Redirect to="/inbox" replace />
          </Route>
          <Route path="/alerts/:id">{({ id }) => <Redirect to={`/inbox?state=all&alert=${encodeURIComponent(id)}`} replace />}</Route>
          <Route path="/incidents" component={Incidents} />
          <Route path="/incidents/cases/:id" component={CasePage} />
          <Route path="/incidents/:id" component={IncidentPage} />
          <Route path="/hunt" component={Hunt} />
          <Route path="/sources" component={Sources} />
          <Route path="/rules" component={Rules} />
          <Route path="/rules/edit" component={RulePage} />
          <Route path="/rules/:id" component={RulePage} />
          <Route path="/indicators" component={Indicators} />
          <Route path="/entity" component={EntityStart} />
          <Route path="/entity/:kind/:value" component={Entity} />
          <Route path="/replay" component={Replay} />
          <Route path="/settings" component={Settings} />
          <Route>
            <Empty title={t.shell.noPage} alone>
              <a href="/inbox">{t.shell.toInbox}</a>
            </Empty>
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}
