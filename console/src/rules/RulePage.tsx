// One rule: what it says of itself, its text with live validation, and a trial over stored events before it is saved.
import { Button } from '@mantine/core';
import { yaml } from '@codemirror/lang-yaml';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useLocation, useParams } from 'wouter';
import { notOffered, Refusal } from '../api/http';
import type { Rule, RuleDetail, Session } from '../api/model';
import { beginRetrohunt } from '../api/retrohunts';
import { checkRule, deleteRule, disableRule, enableRule, getRule, saveRule, tryRule, useRules } from '../api/rules';
import { may } from '../api/session';
import { Count, CopyButton, Waiting } from '../shared/Bits';
import { Editor } from '../shared/Editor';
import { formatCount, formatValue, visible } from '../shared/format';
import { Icon } from '../shared/Icon';
import { useKeys } from '../shared/keys';
import { Problem } from '../shared/Problem';
import { clause, findingsOf, huntLink } from '../shared/query';
import { Severity } from '../shared/Severity';
import { toast, toastError } from '../shared/toasts';
import { useSettled } from '../shared/useSettled';
import { useUnsaved } from '../shared/useUnsaved';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { Diagnostics } from './Diagnostics';
import { InHistory } from './InHistory';
import { fileName, ownFile, template } from './ruleFile';
import s from './rules.module.css';
import { Threshold } from './Threshold';

const language = yaml();

/** How far back a rule can be run over history. */
const DAYS = [7, 30, 90];

export default function RulePage() {
  const { id } = useParams<{ id?: string }>();
  const rule = useQuery({
    queryKey: ['rule', id],
    queryFn: ({ signal }) => getRule(id!, signal),
    enabled: id !== undefined,
    retry: false,
  });
  const listed = useRules().data?.rules.find((it) => it.id === id);
  const known = rule.data ?? listed;
  return (
    <div className="page">
      <div className="page-head">
        <Link href="/rules" className="quiet">
          <Icon name="left" /> {t.nav.rules}
        </Link>
        {known && <Severity level={known.level} label />}
        <h1 className="clip">{known ? visible(known.title) : id ? visible(id) : t.rules.write}</h1>
      </div>
      <div className="page-body">
        {id && rule.isPending && <Waiting what={t.rules.loading} />}
        {id && rule.isError && <Problem error={rule.error} what={t.rules.texts} />}
        {id && known && !rule.data && <div className="card" style={{ marginTop: 12 }}><Meta rule={known as RuleDetail} /></div>}
        {rule.data && <Switch rule={rule.data} />}
        {(!id || rule.data) && <Workbench key={id ?? 'new'} rule={rule.data} />}
      </div>
    </div>
  );
}

function Meta({ rule }: { rule: RuleDetail }) {
  const source = [rule.logsource?.product, rule.logsource?.category, rule.logsource?.service].filter(Boolean).join(' / ');
  return (
    <dl className={s.meta}>
      {rule.description && (
        <>
          <dt>{t.rules.about}</dt>
          <dd>{visible(rule.description)}</dd>
        </>
      )}
      <dt>{t.rules.hitsEver}</dt>
      <dd>
        <Count n={rule.hits} to={huntLink({ q: findingsOf(rule.id) })} label={t.rules.hits} />
        {rule.last_fired && (
          <span className="dim">
            {' '}
            {t.rules.lastFired} <Time at={rule.last_fired} ago />
          </span>
        )}{' '}
        <Link href={`/inbox?state=all&rule=${encodeURIComponent(rule.id)}`}>{t.rules.itsAlerts}</Link>
      </dd>
      {rule.silent && (
        <>
          <dt>{t.rules.silent}</dt>
          <dd>{t.rules.silentMeans}</dd>
        </>
      )}
      {rule.correlation ? (
        <Correlates correlation={rule.correlation} />
      ) : (
        <>
          <dt>{t.rules.tried}</dt>
          <dd>{t.rules.triedOf(formatCount(rule.tried))}</dd>
        </>
      )}
      {source && (
        <>
          <dt>{t.rules.logsource}</dt>
          <dd>
            {visible(source)}{' '}
            <span className={rule.source_seen ? 'dim' : s.unfed}>
              {rule.source_seen ? (
                <>
                  {t.rules.sourceSeen} <Time at={rule.source_seen} ago />
                </>
              ) : (
                t.rules.unfedMeans
              )}
            </span>
          </dd>
        </>
      )}
      {rule.techniques.length > 0 && (
        <>
          <dt>ATT&amp;CK</dt>
          <dd className="row wrap">
            {rule.techniques.map((technique) => (
              <Link key={technique} className="chip" href={`/rules?tab=attack&technique=${encodeURIComponent(technique)}`}>
                {visible(technique)}
              </Link>
            ))}
          </dd>
        </>
      )}
      {rule.author && (
        <>
          <dt>{t.rules.author}</dt>
          <dd>{visible(rule.author)}</dd>
        </>
      )}
      <dt>{t.rules.file}</dt>
      <dd className="mono">{visible(rule.file)}</dd>
      {rule.falsepositives && rule.falsepositives.length > 0 && (
        <>
          <dt>{t.inbox.knownFalse}</dt>
          <dd>{rule.falsepositives.map(visible).join('; ')}</dd>
        </>
      )}
      {rule.references && rule.references.length > 0 && (
        <>
          <dt>{t.rules.references}</dt>
          {/* Others' addresses are text: nothing here leads out of the console. */}
          <dd>
            {rule.references.map((reference) => (
              <div key={reference}>{visible(reference)}</div>
            ))}
          </dd>
        </>
      )}
    </dl>
  );
}

/** What a correlation is made of, and what it did not see as it should have. */
function Correlates({ correlation }: { correlation: NonNullable<RuleDetail['correlation']> }) {
  const client = useQueryClient();
  const rules = client.getQueryData<{ rules: Rule[] }>(['rules'])?.rules ?? [];
  const title = (id: string) => rules.find((rule) => rule.id === id)?.title ?? id;
  const missed = (['late', 'ahead', 'unusable', 'evicted', 'hurried', 'cut'] as const).filter((what) => correlation[what] > 0);
  return (
    <>
      <dt>{t.rules.correlates}</dt>
      <dd>
        {correlation.rules.map((id) => (
          <div key={id}>
            <Link href={`/rules/${encodeURIComponent(id)}`}>{visible(title(id))}</Link>
          </div>
        ))}
      </dd>
      <dt>{t.rules.groups}</dt>
      <dd>{t.rules.groupsKept(formatCount(correlation.groups))}</dd>
      {missed.length > 0 && (
        <>
          <dt>{t.rules.missed}</dt>
          <dd>
            {missed.map((what) => (
              <div key={what}>{t.rules.missedOf[what](formatCount(correlation[what]))}</div>
            ))}
          </dd>
        </>
      )}
    </>
  );
}

/** On or off, and if off, who did it and why. */
function Switch({ rule }: { rule: RuleDetail }) {
  const client = useQueryClient();
  const admin = may(client.getQueryData<Session>(['session']), 'admin');
  const [reason, setReason] = useState('');
  const changing = useMutation({
    mutationFn: () => (rule.enabled ? disableRule(rule.id, reason.trim()) : enableRule(rule.id)),
    onSuccess: (now) => {
      toast(now.enabled ? t.rules.isOn : t.rules.isOff);
      setReason('');
      void client.invalidateQueries({ queryKey: ['rules'] });
      void client.invalidateQueries({ queryKey: ['rule'] });
    },
    onError: toastError,
  });
  if (rule.enabled && !admin) return null;
  return (
    <form className="row wrap" style={{ marginBottom: 12 }} onSubmit={(event) => (event.preventDefault(), changing.mutate())}>
      {rule.disabled && (
        <p role="status">
          <strong>{t.rules.offBy(visible(rule.disabled.by))}</strong> <Time at={rule.disabled.since} ago />: <span className="dim">{visible(rule.disabled.reason)}</span>
        </p>
      )}
      {admin && rule.enabled && (
        <input className={s.find} aria-label={t.rules.whyOff} placeholder={t.rules.whyOff} value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
      )}
      {admin && (
        <Button type="submit" variant="default" disabled={changing.isPending || (rule.enabled && reason.trim() === '')}>
          {rule.enabled ? t.rules.turnOff : t.rules.turnOn}
        </Button>
      )}
    </form>
  );
}

function Workbench({ rule }: { rule: RuleDetail | undefined }) {
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const session = client.getQueryData<Session>(['session']);
  const admin = may(session, 'admin');
  const original = rule ? (rule.text ?? '') : template;
  const [text, setText] = useState(original);
  const [name, setName] = useState(() => (rule ? fileName(rule) : 'my-rule'));
  const settled = useSettled(text, 300);
  const checked = useQuery({
    queryKey: ['rule-check', settled],
    queryFn: ({ signal }) => checkRule(settled, signal),
    retry: false,
    placeholderData: (old) => old,
    enabled: settled.trim() !== '',
  });
  const refresh = () => {
    void client.invalidateQueries({ queryKey: ['rules'] });
    void client.invalidateQueries({ queryKey: ['rules-refused'] });
    void client.invalidateQueries({ queryKey: ['rule'] });
  };
  const trying = useMutation({
    mutationFn: () => {
      const now = Date.now();
      return tryRule(text, new Date(now - 3_600_000).toISOString(), new Date(now).toISOString());
    },
  });
  const tryAll = useMutation({ mutationFn: () => tryRule(text, '1970-01-01T00:00:00Z', new Date().toISOString()) });
  const trial = tryAll.data && (!trying.data || tryAll.submittedAt > trying.submittedAt) ? tryAll : trying;
  const busy = trying.isPending || tryAll.isPending;
  const [days, setDays] = useState(30);
  const hunting = useMutation({
    mutationFn: () => beginRetrohunt(text, days),
    onSuccess: (begun) => client.setQueryData(['retrohunt', begun.id, undefined], begun),
  });
  const saving = useMutation({
    mutationFn: () => saveRule(name.trim(), text),
    onSuccess: () => {
      toast(t.rules.saved);
      refresh();
      const id = checked.data?.rules[0]?.id;
      if (id && id !== rule?.id) navigate(`/rules/${encodeURIComponent(id)}`);
    },
  });
  const removing = useMutation({
    mutationFn: () => deleteRule(name.trim()),
    onSuccess: () => {
      toast(t.rules.removed);
      refresh();
      navigate('/rules');
    },
    onError: toastError,
  });
  useKeys({ 'mod+s': () => (admin && checked.data?.loads ? saving.mutate() : undefined), 'mod+Enter': () => trying.mutate() }, true);
  const changed = text !== original;
  useUnsaved(changed);
  const diagnostics = settled === text ? checked.data?.diagnostics : undefined;
  return (
    <div className={s.edit}>
      <div className="stack">
        <div className={s.editor}>
          <Editor
            value={text}
            onChange={setText}
            label={t.rules.text}
            language={language}
            lines
            height="min(68vh, 640px)"
            onRun={() => trying.mutate()}
            diagnostics={diagnostics}
          />
        </div>
        <div className="row wrap">
          <Button variant="default" onClick={() => trying.mutate()} disabled={busy || notOffered(checked.error)}>
            {busy ? t.rules.trying : t.rules.tryHour}
          </Button>
          <Button variant="default" onClick={() => tryAll.mutate()} disabled={busy || notOffered(checked.error)}>
            {t.rules.tryAll}
          </Button>
          {changed && (
            <Button variant="default" onClick={() => setText(original)}>
              {t.rules.revert}
            </Button>
          )}
        </div>
        {may(session, 'write') && (
          <div className="row wrap">
            <Button variant="default" onClick={() => hunting.mutate()} disabled={hunting.isPending || notOffered(hunting.error)}>
              {hunting.isPending ? t.history.asking : t.history.run}
            </Button>
            <select className={s.select} aria-label={t.history.days} value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
              {DAYS.map((n) => (
                <option key={n} value={n}>
                  {t.history.lastDays(n)}
                </option>
              ))}
            </select>
          </div>
        )}
        {hunting.isError && (
          <div>
            <Problem error={hunting.error} what={t.history.what} />
            {hunting.error instanceof Refusal && <Diagnostics of={hunting.error.diagnostics} />}
          </div>
        )}
        <div className="row wrap">
          <label className="row">
            {t.rules.file}
            <input className={s.find} style={{ width: 170 }} value={name} onChange={(event) => setName(event.currentTarget.value)} />
          </label>
          {rule && ownFile(rule) && (
            <Button variant="default" disabled={!admin || removing.isPending} onClick={() => removing.mutate()}>
              {t.rules.remove}
            </Button>
          )}
          <Button onClick={() => saving.mutate()} disabled={!admin || !checked.data?.loads || saving.isPending || !/^[\w.-]+$/.test(name)}>
            {rule && !ownFile(rule) ? t.rules.saveCopy : t.common.save}
          </Button>
        </div>
        {rule && !ownFile(rule) && <p className="dim">{t.rules.copyHint}</p>}
        {!admin && <p className="dim">{t.rules.adminOnly}</p>}
        {saving.isError && <Problem error={saving.error} what={t.rules.editing} />}
      </div>
      <div className="stack">
        <section className="card" aria-label={t.rules.check} role="status">
          <h2>{t.rules.check}</h2>
          {checked.isError ? (
            <Problem error={checked.error} what={t.rules.editing} />
          ) : checked.data?.loads ? (
            <div className={s.verdict} data-good>
              <Icon name="check" /> {t.rules.loads(checked.data.rules.length)}
            </div>
          ) : checked.data ? (
            <div className={s.verdict} data-bad>
              <Icon name="alert" /> {t.rules.doesNotLoad}
            </div>
          ) : (
            <Waiting what={t.rules.checking} />
          )}
          <Diagnostics of={diagnostics} />
        </section>
        {(trial.data || trial.isError || busy) && (
          <section className="card" aria-label={t.rules.trial} role="status">
            <h2>{t.rules.trial}</h2>
            {busy && <Waiting what={t.rules.trying} />}
            {trial.isError && !busy && <Problem error={trial.error} what={t.rules.editing} />}
            {trial.data && !busy && (
              <>
                <p>
                  <strong>{t.rules.trialFound(trial.data.findings.length, trial.data.truncated)}</strong>{' '}
                  <span className="dim">{t.rules.trialRead(formatCount(trial.data.events_read), formatCount(trial.data.elapsed_ms))}</span>
                </p>
                <ul className={s.found}>
                  {trial.data.findings.map((finding, i) => (
                    <li key={i}>
                      <Link href={huntLink({ q: clause('event.id', finding.event_id), event: finding.event_id })}>
                        <Time at={finding.time} millis />
                      </Link>
                      {Object.entries(finding.summary).map(([field, value]) => (
                        <div key={field} className="mono clip">
                          <span className="dim">{visible(field)}</span> {visible(formatValue(value))}
                        </div>
                      ))}
                    </li>
                  ))}
                </ul>
              </>
            )}
          </section>
        )}
        {rule && <Threshold rule={rule} />}
        <InHistory rule={rule?.id} begun={hunting.data?.id} />
        {rule && (
          <section className="card" aria-label={t.rules.rule}>
            <div className="row">
              <h2 className="grow">{t.rules.rule}</h2>
              <CopyButton text={rule.id} label={t.rules.copyId} />
            </div>
            <Meta rule={rule} />
          </section>
        )}
      </div>
    </div>
  );
}
