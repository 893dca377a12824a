// Coverage of ATT&CK: a column for each tactic, a cell for each technique with the number of rules that look for it.
import { useMemo } from 'react';
import { Link } from 'wouter';
import type { Rule } from '../api/model';
import { useAddress } from '../shared/address';
import { Count } from '../shared/Bits';
import { formatShort, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { findingsOf, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { t } from '../strings/en';
import { coverage, type Technique } from './coverage';
import s from './matrix.module.css';

/** Four steps, each also told by its number. */
const depth = (rules: number): number => (rules < 3 ? 1 : rules < 10 ? 2 : rules < 40 ? 3 : 4);

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

export default function Matrix({ rules }: { rules: Rule[] }) {
  const { params, set } = useAddress();
  const found = useMemo(() => coverage(rules), [rules]);
  const chosen = found.byId.get((params.get('technique') ?? '').toUpperCase());
  const choose = (technique: Technique | undefined) =>
    set({ technique: technique?.id });
  return (
    <div className={s.matrix}>
      <div className={s.left}>
        <div className={s.head}>
          <strong>{t.attack.covered(found.techniques)}</strong>
          <span className="grow" />
          <span className={s.legend}>
            {[1, 3, 10, 40].map((n) => (
              <span key={n} className={s.key} data-depth={depth(n)}>
                {`${n}+`}
              </span>
            ))}
            {t.attack.rules}
          </span>
        </div>
        <div className={s.scroll} tabIndex={0} role="region" aria-label={t.rules.attack}>
          <div className={s.columns}>
            {found.columns.map((column) => (
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
                      data-depth={depth(technique.allRules)}
                      aria-pressed={chosen?.id === technique.id || chosen?.id.startsWith(`${technique.id}.`)}
                      onClick={() => choose(technique)}
                    >
                      <span className={s.name}>{visible(technique.id)}</span>
                      <span className={s.n}>
                        {technique.allRules}
                        <span className="hidden"> {t.attack.rules}</span>
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
          {found.others.length > 0 && (
            <p className={s.others}>
              {t.attack.others}{' '}
              {found.others.map((technique) => (
                <button key={technique.id} type="button" className="chip" onClick={() => choose(technique)}>
                  {visible(technique.id)} · {technique.allRules}
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
                    .sort((a, b) => b.hits - a.hits)
                    .slice(0, 60)
                    .map((rule) => (
                      <li key={rule.id + rule.file}>
                        <Severity level={rule.level} />
                        <Link href={`/rules/${encodeURIComponent(rule.id)}`} className="grow">
                          {visible(rule.title)}
                        </Link>
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
