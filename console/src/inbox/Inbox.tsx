// The inbox: alert groups, worst and newest first, live. Everything can be done without leaving the keyboard.
import { useVirtualizer } from '@tanstack/react-virtual';
import { lazy, Suspense, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react';
import { useAlerts, useCounts, useStep, type Step } from '../api/alerts';
import type { Alert, Session, Verdict } from '../api/model';
import { may } from '../api/session';
import { useQueryClient } from '@tanstack/react-query';
import { useAddress } from '../shared/address';
import { Empty, Tabs, Waiting } from '../shared/Bits';
import { formatCount } from '../shared/format';
import { Icon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { levels } from '../shared/levels';
import { Problem } from '../shared/Problem';
import { Snippets } from '../shared/Snippets';
import { toast, toastError } from '../shared/toasts';
import { t } from '../strings/en';
import { AlertPanel } from './AlertPanel';
import { AlertRow } from './AlertRow';
import type { InboxFilter } from './fold';
import { VerdictBar } from './VerdictBar';
import s from './inbox.module.css';

// Not worth a page if it cannot be had just now.
const Budget = lazy(() => import('../rules/Budget').catch(() => ({ default: () => null })));
const ExceptionDialog = lazy(() => import('./ExceptionDialog'));

type View = 'open' | 'acknowledged' | 'closed' | 'all';
const views: View[] = ['open', 'acknowledged', 'closed', 'all'];

export function Inbox() {
  const { params, set } = useAddress();
  const view = views.find((it) => it === params.get('state')) ?? 'open';
  const filter: InboxFilter = {
    ...(view === 'all' ? {} : { state: view }),
    ...given('level', params.get('level')),
    ...given('rule', params.get('rule')),
    ...given('entity', params.get('entity')),
    ...given('entity_kind', params.get('entity_kind')),
    sort: params.get('sort') === 'newest' ? 'newest' : 'worst',
  };
  const words = useDeferredValue(params.get('find') ?? '');
  const shownId = Number(params.get('alert')) || undefined;

  const list = useAlerts(filter);
  const counts = useCounts();
  const loaded = useMemo(() => list.data?.pages.flatMap((page) => page.alerts) ?? [], [list.data]);
  const alerts = useMemo(() => loaded.filter((alert) => fits(alert, words)), [loaded, words]);
  const total = list.data?.pages[0]?.total ?? 0;

  // The cursor is an alert; when that leaves the list, the next one takes its place.
  const [cursorId, setCursorId] = useState<number | undefined>(shownId);
  const lastIndex = useRef(0);
  const found = alerts.findIndex((alert) => alert.id === cursorId);
  const index = found >= 0 ? found : Math.min(lastIndex.current, alerts.length - 1);
  const current = alerts[index];
  useEffect(() => {
    if (index >= 0) lastIndex.current = index;
  }, [index]);
  const judged = useRef<number>(undefined);
  useEffect(() => {
    // The panel follows when its alert has been dealt with and has left the list, unless it was linked to.
    if (shownId !== undefined && current && found < 0 && cursorId === shownId && list.isSuccess && judged.current === shownId) {
      judged.current = undefined;
      setCursorId(current.id);
      set({ alert: String(current.id) });
    }
  }, [shownId, current, found, cursorId, list.isSuccess, set]);

  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: alerts.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 52,
    overscan: 12,
    getItemKey: (i) => alerts[i]?.id ?? i,
  });
  const last = rows.getVirtualItems().at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= alerts.length - 20 && list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
  }, [last, alerts.length, list]);

  const move = (to: number) => {
    const next = alerts[Math.max(0, Math.min(alerts.length - 1, to))];
    if (!next) return;
    setCursorId(next.id);
    rows.scrollToIndex(alerts.indexOf(next), { align: 'auto' });
    if (shownId !== undefined) set({ alert: String(next.id) });
  };
  const open = (alert: Alert) => {
    setCursorId(alert.id);
    set({ alert: String(alert.id) }, shownId !== undefined);
  };

  const session = useQueryClient().getQueryData<Session>(['session']);
  const mayWrite = may(session, 'write');
  const step = useStep();
  const act = (alert: Alert | undefined, what: Step) => {
    if (!alert) return;
    if (!mayWrite) return toast(t.inbox.readOnly, { bad: true });
    if (what.do === 'close' || view === 'acknowledged' || what.do === 'reopen') judged.current = alert.id;
    step.mutate(
      { alert, step: what },
      {
        onError: toastError,
        onSuccess: () => {
          const undo = () => step.mutate({ alert, step: { do: 'reopen' } }, { onError: toastError });
          if (what.do === 'close') toast(t.inbox.closedAs(t.verdicts[what.verdict], alert.rule.title), { undo });
          else if (what.do !== 'note') toast(t.inbox.done[what.do](alert.rule.title));
        },
      },
    );
  };
  const [judging, setJudging] = useState(false);
  const [excepting, setExcepting] = useState<Alert>();
  const judge = (verdict: Verdict | undefined) => {
    setJudging(false);
    if (verdict && current) act(current, { do: 'close', verdict });
  };
  const search = useRef<HTMLInputElement>(null);
  const down = () => move(index + 1);
  const up = () => move(index - 1);
  // In the panel the arrows scroll.
  const inList = (to: number) => (event: KeyboardEvent) =>
    event.composedPath().some((it) => it instanceof HTMLElement && it.tagName === 'ASIDE') ? false : move(to);
  useKeys({
    j: down,
    ArrowDown: inList(index + 1),
    k: up,
    ArrowUp: inList(index - 1),
    Home: inList(0),
    End: inList(alerts.length - 1),
    Enter: (event) => {
      const target = event.composedPath()[0];
      if (target instanceof HTMLElement && target.closest('a, button, summary') && !target.closest('[data-alert]')) return target.click();
      if (current) open(current);
    },
    Escape: () => shownId !== undefined && set({ alert: undefined }),
    a: () => current?.state === 'new' && act(current, { do: 'acknowledge' }),
    r: () => current && current.state !== 'new' && act(current, { do: 'reopen' }),
    m: () => session && act(current, { do: 'assign', to: session.name }),
    c: () => current && current.state !== 'closed' && setJudging(true),
    x: () => setExcepting(current),
    '/': () => search.current?.focus(),
  });

  const openCount = sum(counts.data?.['new']) + sum(counts.data?.['acknowledged']);
  const everything = openCount + sum(counts.data?.['closed']);
  const virgin = counts.isSuccess && everything === 0;
  return (
    <div className={s.inbox} data-panel={shownId !== undefined || undefined}>
      <section className={s.side} aria-label={t.nav.inbox}>
        <div className={s.head}>
          <h1>{t.nav.inbox}</h1>
          <Tabs
            label={t.inbox.view}
            value={view}
            onChange={(state) => set({ state, alert: undefined })}
            tabs={[
              { value: 'open', label: t.inbox.views.open, count: counts.data && openCount },
              { value: 'acknowledged', label: t.inbox.views.acknowledged, count: counts.data && sum(counts.data['acknowledged']) },
              { value: 'closed', label: t.inbox.views.closed, count: counts.data && sum(counts.data['closed']) },
              { value: 'all', label: t.inbox.views.all },
            ]}
          />
          <span className="grow" />
          <div className={s.tools}>
            <label className={s.find}>
              <Icon name="filter" size={14} />
              <span className="hidden">{t.inbox.find}</span>
              <input
                ref={search}
                type="search"
                placeholder={t.inbox.find}
                value={params.get('find') ?? ''}
                onChange={(event) => set({ find: event.currentTarget.value })}
                onKeyDown={(event) => {
                  if (event.key === 'Enter' || event.key === 'Escape') event.currentTarget.blur();
                  if (event.key === 'Escape') set({ find: undefined });
                }}
              />
              <kbd>/</kbd>
            </label>
            <label>
              <span className="hidden">{t.inbox.leastLevel}</span>
              <select className={s.select} value={params.get('level') ?? ''} onChange={(event) => set({ level: event.currentTarget.value })}>
                <option value="">{t.inbox.anyLevel}</option>
                {levels.slice(0, 4).map((level) => (
                  <option key={level} value={level}>
                    {t.inbox.orWorse(t.levels[level])}
                  </option>
                ))}
              </select>
            </label>
            <label>
              <span className="hidden">{t.inbox.order}</span>
              <select className={s.select} value={filter.sort} onChange={(event) => set({ sort: event.currentTarget.value })}>
                <option value="worst">{t.inbox.worst}</option>
                <option value="newest">{t.inbox.newest}</option>
              </select>
            </label>
          </div>
        </div>
        <Suspense>
          <Budget />
        </Suspense>
        {(filter.rule || filter.entity) && (
          <div className={s.filters}>
            <span className="dim">{t.inbox.only}</span>
            <button type="button" className="chip" onClick={() => set({ rule: undefined, entity: undefined, entity_kind: undefined })}>
              <span className="clip">{filter.rule ? (alerts[0]?.rule.title ?? filter.rule) : filter.entity}</span>
              <Icon name="close" size={12} />
              <span className="hidden">{t.inbox.unfilter}</span>
            </button>
          </div>
        )}
        {list.isPending ? (
          <Waiting what={t.inbox.loading} />
        ) : list.isError && !list.data ? (
          <div className={s.pad}>
            <Problem error={list.error} retry={() => void list.refetch()} />
          </div>
        ) : virgin ? (
          <div className={s.scroll}>
            <Empty title={t.inbox.virgin}>
              <p>{t.inbox.virginLead}</p>
            </Empty>
            <Snippets />
          </div>
        ) : alerts.length === 0 ? (
          <Empty title={words || filter.level || filter.rule ? t.inbox.noneFit : t.inbox.none[view]}>
            <p>{t.inbox.noneLead}</p>
            {(words || filter.level || filter.rule || filter.entity) && (
              <button type="button" className="chip" onClick={() => set({ find: undefined, level: undefined, rule: undefined, entity: undefined })}>
                {t.inbox.unfilter}
              </button>
            )}
          </Empty>
        ) : (
          <div className={s.scroll} ref={scroller}>
            <ul className={s.rows} style={{ height: rows.getTotalSize() }} aria-label={t.inbox.list}>
              {rows.getVirtualItems().map((item) => {
                const alert = alerts[item.index]!;
                return (
                  <AlertRow
                    key={alert.id}
                    alert={alert}
                    top={item.start}
                    here={item.index === index}
                    shown={alert.id === shownId}
                    onOpen={() => open(alert)}
                  />
                );
              })}
            </ul>
          </div>
        )}
        <div className={s.foot}>
          <span>{words ? t.inbox.fitting(formatCount(alerts.length), formatCount(total)) : t.inbox.total(formatCount(total))}</span>
          <span className="grow" />
          <span className={s.hints} aria-hidden="true">
            <kbd>j</kbd>
            <kbd>k</kbd> {t.inbox.hints.move} <kbd>↵</kbd> {t.inbox.hints.open} <kbd>a</kbd> {t.inbox.hints.acknowledge} <kbd>c</kbd>{' '}
            {t.inbox.hints.close} <kbd>x</kbd> {t.inbox.hints.exception} <kbd>?</kbd>
          </span>
        </div>
      </section>
      {shownId !== undefined && (
        <AlertPanel
          key={shownId}
          id={shownId}
          known={loaded.find((alert) => alert.id === shownId)}
          mayWrite={mayWrite}
          me={session?.name ?? ''}
          onStep={act}
          onJudge={() => setJudging(true)}
          onExcept={setExcepting}
          onClose={() => set({ alert: undefined })}
        />
      )}
      {judging && current && <VerdictBar alert={current} onVerdict={judge} />}
      {excepting && (
        <Suspense>
          <ExceptionDialog alert={excepting} onClose={() => setExcepting(undefined)} />
        </Suspense>
      )}
    </div>
  );
}

const sum = (byLevel: Record<string, number> | undefined): number => Object.values(byLevel ?? {}).reduce((a, b) => a + b, 0);

const given = <K extends string>(name: K, value: string | null): Partial<Record<K, string>> =>
  (value ? { [name]: value } : {}) as Partial<Record<K, string>>;

function fits(alert: Alert, words: string): boolean {
  if (!words.trim()) return true;
  const entities = alert.entities.map((it) => it.value).join(' ');
  const hay = `${alert.rule.title} ${alert.entity.value} ${entities} ${alert.rule.level} ${alert.assignee ?? ''} ${alert.rule.techniques.join(' ')}`;
  return words.toLowerCase().split(/\s+/).every((word) => hay.toLowerCase().includes(word));
}
