// A rule that says little alone makes an alert when it matches often.
import { Button, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { Link } from 'wouter';
import type { Rule, RuleDetail, Session } from '../api/model';
import { getRule, removeThreshold, setThreshold, useRules } from '../api/rules';
import { may } from '../api/session';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { toast, toastError } from '../shared/toasts';
import { t } from '../strings/en';
import s from './rules.module.css';
import { fieldsOf, isThreshold, partOf, readThreshold, thresholdOf, wrongWith, type Part, type Threshold as Parts } from './threshold';

/** Where a link with this at its end leads. */
const HERE = 'threshold';

export function Threshold({ rule }: { rule: RuleDetail }) {
  const client = useQueryClient();
  const admin = may(client.getQueryData<Session>(['session']), 'admin');
  const rules = useRules();
  const made = thresholdOf(rules.data?.rules ?? [], rule.id);
  const known = useQuery({
    queryKey: ['rule', made?.id],
    queryFn: ({ signal }) => getRule(made!.id, signal),
    enabled: made !== undefined,
    retry: false,
  });
  const parts = readThreshold(known.data?.text ?? '');
  const isAskedFor = location.hash === `#${HERE}`;
  const [open, setOpen] = useState(isAskedFor);
  const card = useRef<HTMLElement>(null);
  const isThere = rules.data !== undefined;
  useEffect(() => {
    if (isThere && isAskedFor) card.current?.scrollIntoView({ block: 'center' });
  }, [isThere, isAskedFor]);
  if (!isThere || isThreshold(rule) || (!admin && !made)) return null;
  return (
    <section ref={card} className="card stack" id={HERE} aria-label={t.threshold.title}>
      <h2>{t.threshold.title}</h2>
      {made ? (
        <Present made={made} parts={parts} waiting={!known.data} />
      ) : (
        <p className="dim">{t.threshold.lead}</p>
      )}
      {open && admin && !(made && known.isPending) ? (
        <Form rule={rule} parts={parts} onDone={() => setOpen(false)} />
      ) : (
        admin && (
          <div className="row wrap">
            <Button variant="default" onClick={() => setOpen(true)}>
              {made ? t.threshold.change : t.threshold.set}
            </Button>
            {made && <TakeAway rule={rule} />}
          </div>
        )
      )}
    </section>
  );
}

function Present({ made, parts, waiting }: { made: Rule; parts: Parts | undefined; waiting: boolean }) {
  return (
    <div>
      {parts ? (
        <>
          <p>
            <strong>{t.threshold.is(parts.count, visible(parts.timespan), parts.group_by.map(visible).join(', '))}</strong>
          </p>
          <p className={`dim ${s.words}`}>{visible(parts.reason)}</p>
        </>
      ) : (
        !waiting && <p>{t.threshold.edited}</p>
      )}
      <p className="dim">
        {t.threshold.alerts} <Link href={`/rules/${encodeURIComponent(made.id)}`}>{visible(made.title)}</Link>
      </p>
    </div>
  );
}

/** After either, the rule and its threshold are others. */
function useRefresh() {
  const client = useQueryClient();
  return () => {
    for (const key of ['rules', 'rules-refused', 'rule']) void client.invalidateQueries({ queryKey: [key] });
  };
}

function TakeAway({ rule }: { rule: RuleDetail }) {
  const refresh = useRefresh();
  const removing = useMutation({
    mutationFn: () => removeThreshold(rule.id),
    onSuccess: () => toast(t.threshold.isGone),
    onError: toastError,
    // Also where somebody else was first.
    onSettled: refresh,
  });
  return (
    <Button variant="default" disabled={removing.isPending} onClick={() => removing.mutate()}>
      {t.threshold.takeAway}
    </Button>
  );
}

function Form({ rule, parts, onDone }: { rule: RuleDetail; parts: Parts | undefined; onDone: () => void }) {
  const refresh = useRefresh();
  const [count, setCount] = useState(String(parts?.count ?? 10));
  const [timespan, setTimespan] = useState(parts?.timespan ?? '1h');
  const [fields, setFields] = useState(parts?.group_by.join(', ') ?? 'host.name');
  const [reason, setReason] = useState(parts?.reason ?? '');
  const asked: Parts = { count: Number(count), timespan: timespan.trim(), group_by: fieldsOf(fields), reason: reason.trim() };
  const wrong = wrongWith(asked);
  const setting = useMutation({
    mutationFn: (threshold: Parts) => setThreshold(rule.id, threshold),
    onSuccess: () => {
      toast(t.threshold.isSet);
      refresh();
      onDone();
    },
  });
  const refused = setting.isError ? partOf(setting.error.message) : undefined;
  const said = (part: Part) => (wrong.includes(part) ? t.threshold.wrong[part] : refused === part ? visible(setting.error!.message) : undefined);
  // What was refused is not what is written now.
  const change = (set: (text: string) => void) => (event: { currentTarget: HTMLInputElement }) => {
    setting.reset();
    set(event.currentTarget.value);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setting.mutate(asked);
  };
  return (
    <form className="stack" onSubmit={submit} aria-label={t.threshold.set}>
      <div className={s.threshold}>
        <TextInput label={t.threshold.times} description={t.threshold.timesHint} inputMode="numeric" autoFocus value={count} error={said('count')} onChange={change(setCount)} />
        <TextInput label={t.threshold.within} description={t.threshold.withinHint} value={timespan} error={said('timespan')} onChange={change(setTimespan)} />
      </div>
      <TextInput label={t.threshold.by} description={t.threshold.byHint} value={fields} error={said('group_by')} onChange={change(setFields)} spellCheck={false} />
      <TextInput label={t.threshold.why} description={t.threshold.whyHint} required withAsterisk={false} maxLength={1000} value={reason} onChange={change(setReason)} />
      {setting.isError && !refused && <Problem error={setting.error} what={t.threshold.what} />}
      <div className="row wrap">
        <Button type="submit" disabled={wrong.length > 0 || asked.reason === '' || setting.isPending}>
          {t.common.save}
        </Button>
        <Button variant="default" onClick={onDone}>
          {t.common.cancel}
        </Button>
      </div>
    </form>
  );
}
