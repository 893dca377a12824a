// A rule is chosen, and it is said why it matches this event, or why not.
import { useMemo, useState } from 'react';
import { useRules } from '../api/rules';
import { Waiting } from '../shared/Bits';
import { formatCount, visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Severity } from '../shared/Severity';
import Steps from '../shared/Steps';
import { t } from '../strings/en';
import s from './why.module.css';

/** So many are shown; more words make it fewer. */
const SHOWN = 8;

export default function WhyRule({ event }: { event: string }) {
  const rules = useRules();
  const [words, setWords] = useState('');
  const [id, setId] = useState<string>();
  const fitting = useMemo(() => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const all = (rules.data?.rules ?? []).filter((rule) => rule.enabled);
    // Those that a source feeds are those that somebody wonders about.
    return all
      .filter((rule) => wanted.every((word) => `${rule.title} ${rule.id}`.toLowerCase().includes(word)))
      .sort((a, b) => Number(a.source_seen == null) - Number(b.source_seen == null) || b.hits - a.hits || (a.title < b.title ? -1 : 1));
  }, [rules.data, words]);
  const chosen = rules.data?.rules.find((rule) => rule.id === id);
  if (chosen) {
    return (
      <>
        <div className="row wrap">
          <Severity level={chosen.level} />
          <strong className="grow">{visible(chosen.title)}</strong>
          <button type="button" className="quiet" onClick={() => setId(undefined)}>
            {t.steps.other}
          </button>
        </div>
        <Steps event={event} rule={chosen.id} />
      </>
    );
  }
  if (rules.isPending) return <Waiting what={t.rules.loading} />;
  if (!rules.data) return <Problem error={rules.error} />;
  return (
    <>
      <input className={s.find} type="search" value={words} onChange={(it) => setWords(it.currentTarget.value)} placeholder={t.steps.find} aria-label={t.steps.find} />
      <ul className={s.rules} aria-label={t.steps.rules}>
        {fitting.slice(0, SHOWN).map((rule) => (
          <li key={rule.id + rule.file}>
            <button type="button" className={s.rule} onClick={() => setId(rule.id)}>
              <Severity level={rule.level} />
              <span className="clip">{visible(rule.title)}</span>
            </button>
          </li>
        ))}
      </ul>
      <p className="dim" role="status">
        {fitting.length === 0 ? t.rules.noneFit : fitting.length > SHOWN ? t.steps.more(formatCount(fitting.length - SHOWN)) : ''}
      </p>
    </>
  );
}
