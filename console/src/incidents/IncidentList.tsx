import { Link } from 'wouter';
import { useIncidents } from '../api/incidents';
import { StateMark } from '../inbox/StateMark';
import { useAddress } from '../shared/address';
import { Empty, Tabs, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { levels } from '../shared/levels';
import { Problem } from '../shared/Problem';
import { Severity } from '../shared/Severity';
import { Table } from '../shared/Table';
import { useSettled } from '../shared/useSettled';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import s from './incidents.module.css';
import { nameOf } from './name';

const views = ['open', 'closed', 'merged', 'all'] as const;
type View = (typeof views)[number];
const names = t.incidents.columns;

export function IncidentList() {
  const { params, set } = useAddress();
  const view = views.find((it) => it === params.get('state')) ?? 'open';
  const [level, entity] = [params.get('level') ?? '', params.get('entity') ?? ''];
  const sort = params.get('sort') === 'newest' ? 'newest' : 'worst';
  const settled = useSettled(entity.trim(), 300);
  const list = useIncidents({ state: view === 'all' ? 'open,closed,merged' : view, level, entity: settled, sort });
  const incidents = list.data?.pages.flatMap((page) => page.incidents) ?? [];
  return (
    <>
      <div className={s.filters}>
        <Tabs<View> label={t.incidents.view} value={view} onChange={(next) => set({ state: next === 'open' ? '' : next })} tabs={views.map((value) => ({ value, label: t.incidents.views[value] }))} />
        <input className={s.find} type="search" value={entity} onChange={(event) => set({ entity: event.currentTarget.value })} placeholder={t.incidents.entity} aria-label={t.incidents.entity} />
        <select className={s.select} aria-label={t.inbox.leastLevel} value={level} onChange={(event) => set({ level: event.currentTarget.value })}>
          <option value="">{t.inbox.anyLevel}</option>
          {levels.map((it) => (
            <option key={it} value={it}>
              {it === 'critical' ? t.levels[it] : t.inbox.orWorse(t.levels[it])}
            </option>
          ))}
        </select>
        <select className={s.select} aria-label={t.inbox.order} value={sort} onChange={(event) => set({ sort: event.currentTarget.value })}>
          <option value="worst">{t.inbox.worst}</option>
          <option value="newest">{t.inbox.newest}</option>
        </select>
        <span className="grow" />
        {list.data && <span className="dim" role="status">{t.incidents.n(list.data.pages[0]!.total)}</span>}
      </div>
      <div className={`page-body ${s.body}`}>
        {list.isPending && <Waiting what={t.incidents.loading} />}
        {list.isError && <Problem error={list.error} what={t.incidents.tabs.incidents} retry={() => void list.refetch()} />}
        {list.data && incidents.length === 0 && (
          <Empty title={t.incidents.none}>
            <p>{t.incidents.noneLead}</p>
          </Empty>
        )}
        {incidents.length > 0 && (
          <Table label={t.nav.incidents} columns={[names.incident, names.level, names.state, names.tactics, { name: names.findings, num: true }, names.last, names.assignee]}>
            {incidents.map((incident) => (
              <tr key={incident.id}>
                <td>
                  <Link href={`/incidents/${incident.id}`}>{nameOf(incident)}</Link>{' '}
                  {incident.entities.length > 1 && <span className="dim">{t.incidents.others(incident.entities.length - 1, incident.entities_truncated)}</span>}
                </td>
                <td><Severity level={incident.level} label /></td>
                <td><StateMark state={incident.state} verdict={incident.verdict} label /></td>
                <td title={incident.tactics.join(', ')}>{t.incidents.nTactics(incident.tactics.length)}</td>
                <td className="num">{formatCount(incident.findings)}</td>
                <td><Time at={incident.last} ago /></td>
                <td>{incident.assignee && visible(incident.assignee)}</td>
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
