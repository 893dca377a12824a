import type { UseQueryResult } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useDeferredValue, useMemo, useRef } from 'react';
import { Link } from 'wouter';
import type { Rule } from '../api/model';
import { useAddress } from '../shared/address';
import { Count, Empty, Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { useKeys } from '../shared/keys';
import { levels, rank } from '../shared/levels';
import { Problem } from '../shared/Problem';
import { findingsOf, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { isFed } from './coverage';
import s from './rules.module.css';

type Sort = 'hits' | 'level' | 'title' | 'fired';

export function RuleTable({ found }: { found: UseQueryResult<{ rules: Rule[]; refused: number }> }) {
  const { params, set: change } = useAddress();
  const set = (name: string, value: string) => change({ [name]: value });
  const words = useDeferredValue(params.get('find') ?? '');
  const level = params.get('level') ?? '';
  const fired = params.get('fired') === 'yes';
  const unfed = params.get('unfed') === 'yes';
  const sort = (params.get('sort') as Sort | null) ?? 'hits';
  const search = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => search.current?.focus() });
  const rules = useMemo(() => {
    const all = found.data?.rules ?? [];
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    return all
      .filter((rule) => (!level || rule.level === level) && (!fired || rule.hits > 0) && (!unfed || !isFed(rule)))
      .filter((rule) => {
        const hay = `${rule.title} ${rule.id} ${rule.file} ${rule.techniques.join(' ')} ${rule.tactics.join(' ')} ${rule.author ?? ''} ${rule.status ?? ''} ${rule.disabled?.by ?? ''} ${rule.disabled?.reason ?? ''}`.toLowerCase();
        return wanted.every((word) => hay.includes(word));
      })
      .sort((a, b) => compare(a, b, sort) || (a.title < b.title ? -1 : 1));
  }, [found.data, words, level, fired, unfed, sort]);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: rules.length, getScrollElement: () => scroller.current, estimateSize: () => 44, overscan: 15 });
  if (found.isPending) return <Waiting what={t.rules.loading} />;
  if (!found.data) return <div className="page-body"><Problem error={found.error} /></div>;
  return (
    <>
      <div className={s.filters}>
        <input ref={search} className={s.find} type="search" value={params.get('find') ?? ''} onChange={(event) => set('find', event.currentTarget.value)} placeholder={t.rules.find} aria-label={t.rules.find} />
        <select className={s.select} aria-label={t.inbox.leastLevel} value={level} onChange={(event) => set('level', event.currentTarget.value)}>
          <option value="">{t.inbox.anyLevel}</option>
          {levels.map((it) => (
            <option key={it} value={it}>
              {t.levels[it]}
            </option>
          ))}
        </select>
        <select className={s.select} aria-label={t.inbox.order} value={sort} onChange={(event) => set('sort', event.currentTarget.value)}>
          {(['hits', 'fired', 'level', 'title'] as Sort[]).map((it) => (
            <option key={it} value={it}>
              {t.rules.sorts[it]}
            </option>
          ))}
        </select>
        <button type="button" className="quiet" aria-pressed={fired} onClick={() => set('fired', fired ? '' : 'yes')}>
          {t.rules.onlyFired}
        </button>
        <button type="button" className="quiet" aria-pressed={unfed} onClick={() => set('unfed', unfed ? '' : 'yes')}>
          {t.rules.onlyUnfed}
        </button>
        <span className="grow" />
        <span className="dim" role="status">{t.rules.shown(formatCount(rules.length), formatCount(found.data.rules.length))}</span>
      </div>
      {rules.length === 0 ? (
        <Empty title={t.rules.noneFit} />
      ) : (
        <div className={s.scroll} ref={scroller} tabIndex={0} role="region" aria-label={t.rules.loaded}>
          <ul className={s.rows} style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map((item) => {
              const rule = rules[item.index]!;
              return (
                <li key={item.index} className={s.row} style={{ transform: `translateY(${item.start}px)` }}>
                  <Severity level={rule.level} />
                  <span className={s.what}>
                    <Link href={`/rules/${encodeURIComponent(rule.id)}`} className="clip">
                      {visible(rule.title)}
                    </Link>
                    <span className={`dim clip ${s.file}`}>
                      {!isFed(rule) && <span className={s.unfed}>{t.rules.unfed} · </span>}
                      {rule.disabled ? `${t.rules.offBy(visible(rule.disabled.by))}: ${visible(rule.disabled.reason)}` : visible(rule.file)}
                    </span>
                  </span>
                  <span className={s.techniques}>
                    {rule.techniques.slice(0, 2).map((technique) => (
                      <Link key={technique} className="chip" href={`/rules?tab=attack&technique=${encodeURIComponent(technique)}`}>
                        {visible(technique)}
                      </Link>
                    ))}
                  </span>
                  {!rule.enabled && <span className="chip">{t.rules.off}</span>}
                  {rule.status && <span className={`dim ${s.status}`}>{visible(rule.status)}</span>}
                  <span className={`dim ${s.fired}`}>{rule.last_fired ? <Time at={rule.last_fired} ago /> : ''}</span>
                  <span className={s.hits}>
                    {rule.hits > 0 ? (
                      <Count n={rule.hits} to={huntLink({ q: findingsOf(rule.id) })} label={t.rules.hits} />
                    ) : (
                      <span className="dim">0</span>
                    )}
                  </span>
                </li>
              );
            })}
          </ul>
        </div>
      )}
    </>
  );
}

function compare(a: Rule, b: Rule, sort: Sort): number {
  switch (sort) {
    case 'hits':
      return b.hits - a.hits;
    case 'level':
      return rank(b.level) - rank(a.level);
    case 'fired':
      return (b.last_fired ?? '') > (a.last_fired ?? '') ? 1 : (b.last_fired ?? '') < (a.last_fired ?? '') ? -1 : 0;
    case 'title':
      return 0;
  }
}
