// Coverage of ATT&CK: a column for each tactic, a cell for each technique with the number of rules that look for it, and how
// many of them can fire because some source brings what they read.
import { useMutation } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link } from 'wouter';
import type { Rule } from '../api/model';
import { navigatorLayer } from '../api/rules';
import { save } from '../api/search';
import { useAddress } from '../shared/address';
import { Count } from '../shared/Bits';
import { formatCount, formatShort, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { findingsOf, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { toastError } from '../shared/toasts';
import { t } from '../strings/en';
import { coverage, isFed, type Technique } from './coverage';
import s from './matrix.module.css';

/** Nothing and four steps, each also told by its number. */
const depth = (rules: number): number => (rules < 1 ? 0 : rules < 3 ? 1 : rules < 10 ? 2 : rules < 40 ? 3 : 4);

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

export default function Matrix({ rules }: { rules: Rule[] }) {
  const { params, set } = useAddress();
  const on = useMemo(() => rules.filter((rule) => rule.enabled), [rules]);
  const found = useMemo(() => coverage(on), [on]);
  const onlyUnfed = params.get('unfed') === 'yes';
  const shown = (technique: Technique) => !onlyUnfed || technique.allFed === 0;
  const columns = found.columns.map((column) => ({ ...column, techniques: column.techniques.filter(shown) }));
  const others = found.others.filter(shown);
  const downloading = useMutation({
    mutationFn: navigatorLayer,
    onSuccess: (layer) => save(layer, 'vedette-navigator-layer.json'),
    onError: toastError,
  });
  const chosen = found.byId.get((params.get('technique') ?? '').toUpperCase());
  const choose = (technique: Technique | undefined) =>
    set({ technique: technique?.id });
  return (
    <div className={s.matrix}>
      <div className={s.left}>
        <div className={s.head}>
          <strong>{t.attack.covered(found.techniques)}</strong>
          <span className="dim">{t.attack.fed(formatCount(on.filter(isFed).length), formatCount(on.length))}</span>
          <button type="button" className="quiet" aria-pressed={onlyUnfed} onClick={() => set({ unfed: onlyUnfed ? undefined : 'yes' })}>
            {t.attack.onlyUnfed}
          </button>
          <button type="button" className="quiet" disabled={downloading.isPending} onClick={() => downloading.mutate()}>
            <Icon name="download" /> {t.attack.navigator}
          </button>
          <span className="grow" />
          <span className={s.legend}>
            <span className={s.key} data-depth={0}>
              0
            </span>
            {[1, 3, 10, 40].map((n) => (
              <span key={n} className={s.key} data-depth={depth(n)}>
                {`${n}+`}
              </span>
            ))}
            {t.attack.rulesFed}
          </span>
        </div>
        <div className={s.scroll} tabIndex={0} role="region" aria-label={t.rules.attack}>
          <div className={s.columns}>
            {columns.map((column) => (
              <section key={column.tactic} className={s.column} aria-label={column.tactic}>
                <h2 className={s.tactic}>
                  {capital(column.tactic.replaceAll('-', ' '))}
                  <span className="dim"> {column.techniques.length}</span>
                </h2>
                {column.techniques.map((technique) => (
                    <button
                      key={technique.id}
                      type="button"
                      className={s.cell}
                      data-depth={depth(technique.allFed)}
                      aria-pressed={chosen?.id === technique.id || chosen?.id.startsWith(`${technique.id}.`)}
                      onClick={() => choose(technique)}
                    >
                      <span className={s.name}>{visible(technique.id)}</span>
                      <span className={s.n}>
                        <span aria-hidden="true">
                          {technique.allFed}/{technique.allRules}
                        </span>
                        <span className="hidden"> {t.attack.canFire(technique.allFed, technique.allRules)}</span>
                        {technique.allHits > 0 && (
                          <span className={s.hits}>
                            <Icon name="flag" size={10} /> {formatShort(technique.allHits)}
                            <span className="hidden"> {t.rules.hits}</span>
                          </span>
                        )}
                      </span>
                    </button>
                ))}
              </section>
            ))}
          </div>
          {others.length > 0 && (
            <p className={s.others}>
              {t.attack.others}{' '}
              {others.map((technique) => (
                <button key={technique.id} type="button" className="chip" onClick={() => choose(technique)}>
                  {visible(technique.id)} · {technique.allFed}/{technique.allRules}
                </button>
              ))}
            </p>
          )}
        </div>
      </div>
      {chosen && (
        <aside className={s.side} aria-label={visible(chosen.id)}>
          <div className="row">
            <h2 className="grow">
              {visible(chosen.id)}
            </h2>
            <button type="button" className="quiet" onClick={() => choose(undefined)} aria-label={t.common.close}>
              <Icon name="close" />
            </button>
          </div>
          <p>
            <Link href={huntLink({ q: `event.dataset:vedette.findings threat.technique.id:${chosen.id}*` })}>{t.attack.findings}</Link>
          </p>
          {[chosen, ...chosen.subs]
            .filter((it) => it.rules.length > 0)
            .map((it) => (
              <section key={it.id}>
                <h3>
                  {visible(it.id)} <span className="dim">{t.attack.nRules(it.rules.length)}</span>
                </h3>
                <ul className={s.ruleList}>
                  {[...it.rules]
                    .sort((a, b) => Number(isFed(b)) - Number(isFed(a)) || b.hits - a.hits)
                    .slice(0, 60)
                    .map((rule) => (
                      <li key={rule.id + rule.file}>
                        <Severity level={rule.level} />
                        <span className="grow">
                          <Link href={`/rules/${encodeURIComponent(rule.id)}`}>{visible(rule.title)}</Link>
                          {!isFed(rule) && <span className={s.unfed}> {t.rules.unfed}</span>}
                        </span>
                        {rule.hits > 0 && (
                          <Count n={rule.hits} to={huntLink({ q: findingsOf(rule.id) })} label={t.rules.hits} />
                        )}
                      </li>
                    ))}
                </ul>
              </section>
            ))}
        </aside>
      )}
    </div>
  );
}
