import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { inviteUser, removeUser, useUsers } from '../api/settings';
import { Waiting } from '../shared/Bits';
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

export function Users({ admin, me }: { admin: boolean; me: string }) {
  const client = useQueryClient();
  const users = useUsers(admin);
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState(['read', 'write']);
  const [link, setLink] = useState<string>();
  const refresh = () => client.invalidateQueries({ queryKey: ['users'] });
  const inviting = useMutation({
    mutationFn: (who: string) => inviteUser(who, scopes),
    onSuccess: (invitation) => {
      setLink(new URL(invitation.link, window.location.origin).href);
      setName('');
      void refresh();
    },
  });
  const removing = useMutation({ mutationFn: removeUser, onSuccess: refresh, onError: toastError });
  if (!admin) return <p className="dim">{t.settings.adminOnly}</p>;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    inviting.mutate(name.trim());
  };
  return (
    <div className="stack">
      <form className={`card ${s.inline}`} onSubmit={submit} aria-label={t.users.invite}>
        <TextInput label={t.sign.name} value={name} onChange={(event) => setName(event.currentTarget.value)} autoCapitalize="none" />
        <Scopes value={scopes} onChange={setScopes} />
        <Button type="submit" size="sm" disabled={!name.trim() || scopes.length === 0 || inviting.isPending}>
          {t.users.invite}
        </Button>
      </form>
      {inviting.isError && <Problem error={inviting.error} />}
      {link && <Secret text={link} what={t.users.link} />}
      {users.isPending && <Waiting what={t.users.loading} />}
      {users.isError && <Problem error={users.error} />}
      {users.data && (
        <Table label={t.settings.tabs.users} columns={[t.sign.name, t.settings.scopes, t.settings.created, t.users.lastSignIn, { name: t.settings.actions, unseen: true }]}>
          {users.data.users.map((user) => (
            <tr key={user.name}>
              <td>{visible(user.name)}</td>
              <td>{user.scopes.join(', ')}</td>
              <td><Time at={user.created} /></td>
              <td>{user.last_login ? <Time at={user.last_login} ago /> : t.common.never}</td>
              <td>
                <span className="row">
                  <button type="button" className="quiet" onClick={() => inviting.mutate(user.name)}>
                    {t.users.reset}
                  </button>
                  {user.name !== me && <Confirm label={t.users.remove} ask={t.users.sure(user.name)} onYes={() => removing.mutate(user.name)} />}
                </span>
              </td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}
