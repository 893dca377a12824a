// Behind a one-time link: the first account, an invitation, or a new password.
import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { signIn, takeLink } from '../api/session';
import { Problem } from '../shared/Problem';
import { t } from '../strings/en';
import { Door } from './SignIn';

const LEAST = 12;

export default function Setup() {
  const [search] = useSearchParams();
  const [, navigate] = useLocation();
  const client = useQueryClient();
  // Kept here and taken out of the address: it is a secret, and history remembers addresses.
  const [link] = useState(() => search.get('token') ?? '');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [wrong, setWrong] = useState<string>();
  const using = useMutation({
    mutationFn: async () => {
      const account = await takeLink(link, name.trim(), password);
      return signIn(account.name, password);
    },
    onSuccess: (session) => {
      // What somebody else was shown is not for this one.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
      client.setQueryData(['session'], session);
      navigate('/inbox', { replace: true });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const problem = password.length < LEAST ? t.setup.short(LEAST) : password !== again ? t.setup.differ : undefined;
    setWrong(problem);
    if (!problem) using.mutate();
  };
  if (!link) {
    return (
      <Door title={t.setup.title} lead={t.setup.noLink}>
        <Link href="/">{t.sign.in}</Link>
      </Door>
    );
  }
  return (
    <Door title={t.setup.title} lead={t.setup.lead}>
      <form className="stack" onSubmit={submit}>
        {using.isError && <Problem error={using.error} />}
        <TextInput
          label={t.sign.name}
          description={t.setup.nameHint}
          name="name"
          autoComplete="username"
          autoCapitalize="none"
          maxLength={64}
          autoFocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <PasswordInput
          label={t.setup.password}
          description={t.setup.rule(LEAST)}
          name="password"
          autoComplete="new-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t.sign.show }}
        />
        <PasswordInput
          label={t.setup.again}
          name="again"
          autoComplete="new-password"
          required
          withAsterisk={false}
          value={again}
          error={wrong}
          onChange={(event) => setAgain(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t.sign.show }}
        />
        <Button type="submit" size="sm" disabled={using.isPending}>
          {using.isPending ? t.sign.checking : t.setup.go}
        </Button>
      </form>
    </Door>
  );
}
