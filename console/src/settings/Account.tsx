import { Button, PasswordInput, useMantineColorScheme } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { Session } from '../api/model';
import { changePassword } from '../api/session';
import { Tabs } from '../shared/Bits';
import { Problem } from '../shared/Problem';
import { toast } from '../shared/toasts';
import { Time, useZone } from '../shared/zone';
import { t } from '../strings/en';
import s from './settings.module.css';

export function Account({ session }: { session: Session }) {
  const client = useQueryClient();
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const { zone, toggle } = useZone();
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  const changing = useMutation({
    mutationFn: () => changePassword(old, fresh),
    onSuccess: () => {
      toast(t.account.changed);
      client.setQueryData(['session'], null);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    changing.mutate();
  };
  return (
    <div className={`stack ${s.narrow}`}>
      <section className="card" aria-label={t.account.you}>
        <h2>{t.account.you}</h2>
        <dl className={s.facts}>
          <dt>{t.sign.name}</dt>
          <dd>{session.name}</dd>
          <dt>{t.account.may}</dt>
          <dd>{session.scopes.join(', ')}</dd>
          {session.expires && (
            <>
              <dt>{t.account.until}</dt>
              <dd>
                <Time at={session.expires} />
              </dd>
            </>
          )}
        </dl>
      </section>
      <section className="card stack" aria-label={t.account.look}>
        <h2>{t.account.look}</h2>
        <Tabs
          label={t.account.theme}
          value={colorScheme}
          onChange={setColorScheme}
          tabs={[
            { value: 'auto', label: t.account.system },
            { value: 'dark', label: t.account.dark },
            { value: 'light', label: t.account.light },
          ]}
        />
        <Tabs
          label={t.account.times}
          value={zone}
          onChange={(next) => next !== zone && toggle()}
          tabs={[
            { value: 'utc', label: 'UTC' },
            { value: 'local', label: t.shell.local },
          ]}
        />
      </section>
      <form className="card stack" onSubmit={submit} aria-label={t.account.password}>
        <h2>{t.account.password}</h2>
        {changing.isError && <Problem error={changing.error} />}
        <PasswordInput label={t.account.old} autoComplete="current-password" value={old} onChange={(event) => setOld(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t.sign.show }} />
        <PasswordInput label={t.setup.password} description={t.setup.rule(12)} autoComplete="new-password" value={fresh} onChange={(event) => setFresh(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': t.sign.show }} />
        <Button type="submit" disabled={!old || fresh.length < 12 || changing.isPending}>
          {t.account.change}
        </Button>
      </form>
    </div>
  );
}
