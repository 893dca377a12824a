// An exception hides what is known and wanted: by this rule, where these fields have these values, until then, for this
// reason. Before it is made it says what it would have hidden.
import { Button, Checkbox, Modal, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Link } from 'wouter';
import { useAlert } from '../api/alerts';
import { notOffered } from '../api/http';
import type { Alert } from '../api/model';
import { createException, previewException } from '../api/rules';
import { Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { findingsOf, huntLink } from '../shared/query';
import { toast } from '../shared/toasts';
import { t } from '../strings/en';
import s from './exception.module.css';

const DAYS = [7, 30, 90, 0];

export default function ExceptionDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const detail = useAlert(alert.id);
  const choices = conditions(alert, detail.data?.findings[0]?.matched ?? []);
  const [chosen, setChosen] = useState<Record<string, boolean>>({});
  const [reason, setReason] = useState('');
  const [days, setDays] = useState(30);
  const picked = choices.filter((it, i) => chosen[key(it)] ?? i === 0);
  const client = useQueryClient();
  const preview = useQuery({
    queryKey: ['exception-preview', alert.rule.id, picked],
    queryFn: () => previewException(alert.rule.id, picked),
    enabled: picked.length > 0,
    staleTime: 30_000,
  });
  const making = useMutation({
    mutationFn: () =>
      createException({
        rule_id: alert.rule.id,
        conditions: picked,
        reason: reason.trim(),
        ...(days ? { expires: new Date(Date.now() + days * 86_400_000).toISOString() } : {}),
      }),
    onSuccess: () => {
      toast(t.exception.made);
      void client.invalidateQueries({ queryKey: ['exceptions'] });
      void client.invalidateQueries({ queryKey: ['alerts'] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Modal opened onClose={onClose} title={t.exception.title} size={560} transitionProps={{ duration: 0 }}>
      <form className="stack" onSubmit={submit}>
        <p>
          {t.exception.lead} <strong>{visible(alert.rule.title)}</strong>
        </p>
        <fieldset className={s.conditions}>
          <legend>{t.exception.where}</legend>
          {choices.map((it, i) => (
            <Checkbox
              key={key(it)}
              checked={chosen[key(it)] ?? i === 0}
              onChange={(event) => setChosen({ ...chosen, [key(it)]: event.currentTarget.checked })}
              label={
                <>
                  <code className="dim">{visible(it.field)}</code> <code>{visible(it.value)}</code>
                </>
              }
            />
          ))}
        </fieldset>
        <div className={s.preview} role="status">
          {picked.length === 0 ? (
            t.exception.pick
          ) : preview.data ? (
            <>
              <Link href={huntLink({ q: findingsOf(alert.rule.id, picked), from: `now-${preview.data.days}d` })}>
                <strong>{t.exception.would(preview.data.findings, preview.data.alerts, preview.data.days)}</strong>
              </Link>
              <span data-bad={preview.data.true_positives > 0 || undefined}>{t.exception.confirmed(preview.data.true_positives)}</span>
            </>
          ) : preview.isError ? (
            <Problem error={preview.error} what={t.exception.what} />
          ) : (
            <Waiting what={t.exception.counting} />
          )}
        </div>
        <TextInput
          label={t.exception.reason}
          required
          data-autofocus
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          placeholder={t.exception.reasonHint}
        />
        <label className={s.until}>
          {t.exception.until}
          <select value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {DAYS.map((n) => (
              <option key={n} value={n}>
                {n ? t.exception.days(n) : t.exception.forever}
              </option>
            ))}
          </select>
        </label>
        {making.isError && <Problem error={making.error} what={t.exception.what} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={onClose}>
            {t.common.cancel}
          </Button>
          <Button type="submit" disabled={picked.length === 0 || !reason.trim() || making.isPending || notOffered(preview.error)}>
            {t.exception.make}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

interface Condition {
  field: string;
  value: string;
}
const key = (it: Condition): string => `${it.field}=${it.value}`;
const entityField: Record<string, string> = { host: 'host.name', user: 'user.name', ip: 'source.ip', process: 'process.name', file: 'file.path', domain: 'destination.domain' };

/** What may be excepted: whom it is about, and what matched. */
function conditions(alert: Alert, matched: Condition[]): Condition[] {
  const name = entityField[alert.entity.kind];
  const about = name ? [{ field: name, value: alert.entity.value }] : [];
  const rest = matched.filter((it) => it.field && it.value).map(({ field, value }) => ({ field, value }));
  return [...new Map([...about, ...rest].map((it) => [key(it), it])).values()].slice(0, 12);
}
