import { useQueryClient } from '@tanstack/react-query';
import { Link, useLocation } from 'wouter';
import { useCases, useToCase } from '../api/incidents';
import type { Session } from '../api/model';
import { may } from '../api/session';
import { LineForm } from '../inbox/History';
import { StateMark } from '../inbox/StateMark';
import { useAddress } from '../shared/address';
import { Empty, Tabs, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Table } from '../shared/Table';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './incidents.module.css';

const views = ['open', 'closed', 'all'] as const;
type View = (typeof views)[number];
const names = t.cases.columns;

export function CaseList() {
  const { params, set } = useAddress();
  const [, navigate] = useLocation();
  const view = views.find((it) => it === params.get('state')) ?? 'open';
  const list = useCases(view === 'all' ? {} : { state: view });
  const opening = useToCase();
  const mayWrite = may(useQueryClient().getQueryData<Session>(['session']), 'write');
  const cases = list.data?.pages.flatMap((page) => page.cases) ?? [];
  return (
    <>
      <div className={s.filters}>
        <Tabs<View> label={t.cases.view} value={view} onChange={(next) => set({ state: next === 'open' ? '' : next })} tabs={views.map((value) => ({ value, label: t.incidents.views[value] }))} />
        <span className="grow" />
        {list.data && <span className="dim" role="status">{t.cases.n(list.data.pages[0]!.total)}</span>}
      </div>
      <div className={`page-body ${s.body}`}>
        {mayWrite && (
          <div className={s.form}>
            <LineForm label={t.cases.newTitle} button={t.cases.open} onAdd={(title) => opening.mutate({ into: { title } }, { onSuccess: (id) => navigate(`/incidents/cases/${id}`) })} />
          </div>
        )}
        {list.isPending && <Waiting what={t.cases.loading} />}
        {list.isError && <Problem error={list.error} what={t.incidents.tabs.cases} retry={() => void list.refetch()} />}
        {list.data && cases.length === 0 && (
          <Empty title={t.cases.none}>
            <p>{t.cases.noneLead}</p>
          </Empty>
        )}
        {cases.length > 0 && (
          <Table label={t.incidents.tabs.cases} columns={[names.case, names.state, { name: names.incidents, num: true }, { name: names.alerts, num: true }, { name: names.tasks, num: true }, names.changed, names.assignee]}>
            {cases.map((it) => (
              <tr key={it.id}>
                <td>
                  <Link href={`/incidents/cases/${it.id}`}>
                    {it.id}: {visible(it.title)}
                  </Link>
                </td>
                <td><StateMark state={it.state} verdict={it.verdict} label /></td>
                <td className="num">{it.incidents.length}</td>
                <td className="num">{it.alerts.length}</td>
                <td className="num">{it.open_tasks}</td>
                <td><Time at={it.changed} ago /></td>
                <td>{it.assignee && visible(it.assignee)}</td>
              </tr>
            ))}
          </Table>
        )}
        {list.hasNextPage && (
          <button type="button" className="chip" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t.incidents.more}
          </button>
        )}
      </div>
    </>
  );
}
