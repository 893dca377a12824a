import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { Session } from '../api/model';
import { createToken, revokeToken, useTokens } from '../api/settings';
import { Empty, Waiting } from '../shared/Bits';
import { visible } from '../shared/format';
import { Problem } from '../shared/Problem';
import { Table } from '../shared/Table';
import { toastError } from '../shared/toasts';
import { Time } from '../shared/zone';
import { t } from '../strings/en';
import { Confirm } from './Confirm';
import { Scopes } from './Scopes';
import { Secret } from './Secret';
import s from './settings.module.css';

const DAYS = [7, 30, 90, 365];

export function Tokens({ session }: { session: Session }) {
  const client = useQueryClient();
  const tokens = useTokens();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState(['read']);
  const [days, setDays] = useState(90);
  const refresh = () => client.invalidateQueries({ queryKey: ['tokens'] });
  const creating = useMutation({
    mutationFn: () => createToken(name.trim(), scopes, days),
    onSuccess: () => {
      setName('');
      void refresh();
    },
  });
  const revoking = useMutation({ mutationFn: revokeToken, onSuccess: refresh, onError: toastError });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    creating.mutate();
  };
  return (
    <div className="stack">
      <form className={`card ${s.inline}`} onSubmit={submit} aria-label={t.tokens.create}>
        <TextInput label={t.tokens.name} value={name} onChange={(event) => setName(event.currentTarget.value)} placeholder="grafana" />
        <Scopes value={scopes} onChange={setScopes} most={session.scopes} />
        <label>
          {t.tokens.days}
          <select className={s.select} value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
            {DAYS.map((n) => (
              <option key={n} value={n}>
                {t.exception.days(n)}
              </option>
            ))}
          </select>
        </label>
        <Button type="submit" size="sm" disabled={!name.trim() || scopes.length === 0 || creating.isPending}>
          {t.tokens.create}
        </Button>
      </form>
      {creating.isError && <Problem error={creating.error} />}
      {creating.data && <Secret text={creating.data.secret} what={t.tokens.secret} />}
      {tokens.isPending && <Waiting what={t.tokens.loading} />}
      {tokens.isError && <Problem error={tokens.error} />}
      {tokens.data?.tokens.length === 0 && <Empty title={t.tokens.none}><p>{t.tokens.noneLead}</p></Empty>}
      {tokens.data && tokens.data.tokens.length > 0 && (
        <Table label={t.settings.tabs.tokens} columns={[t.tokens.name, t.tokens.owner, t.settings.scopes, t.tokens.expires, t.tokens.used, { name: t.settings.actions, unseen: true }]}>
          {tokens.data.tokens.map((token) => (
            <tr key={token.id}>
              <td>{visible(token.name)}</td>
              <td>{visible(token.owner)}</td>
              <td>{token.scopes.join(', ')}</td>
              <td><Time at={token.expires} ago /></td>
              <td>{token.last_used ? <Time at={token.last_used} ago /> : t.common.never}</td>
              <td>
                <Confirm label={t.tokens.revoke} ask={t.tokens.sure(token.name)} onYes={() => revoking.mutate(token.id)} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}
