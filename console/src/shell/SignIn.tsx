import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent, type ReactNode } from 'react';
import { Refusal } from '../api/http';
import { signIn } from '../api/session';
import { Problem } from '../shared/Problem';
import { t } from '../strings/en';
import s from './sign.module.css';

/** The card that everything stands on before anybody is known. */
export function Door({ title, lead, children }: { title: string; lead: string; children: ReactNode }) {
  return (
    <main className={s.door}>
      <div className={s.card}>
        <img src="/favicon.svg" alt="" width="40" height="40" />
        <h1>{title}</h1>
        <p className="dim">{lead}</p>
        {children}
      </div>
    </main>
  );
}

export default function SignIn() {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const entering = useMutation({
    mutationFn: () => signIn(name.trim(), password),
    // The address stays what it was: whoever came by a permalink arrives there.
    onSuccess: (session) => {
      // What somebody else was shown is not for this one.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
      client.setQueryData(['session'], session);
    },
    onError: () => setPassword(''),
  });
  const refused = entering.error instanceof Refusal ? entering.error : undefined;
  const wait = useCountdown(refused);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    entering.mutate();
  };
  return (
    <Door title={t.sign.in} lead={t.sign.lead}>
      <form className="stack" onSubmit={submit}>
        {entering.isError && <Problem error={refused?.retryAfter && wait === 0 ? new Error(t.sign.waited) : entering.error} />}
        <TextInput
          label={t.sign.name}
          name="name"
          autoComplete="username"
          autoCapitalize="none"
          required
          withAsterisk={false}
          autoFocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <PasswordInput
          label={t.sign.password}
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t.sign.show }}
        />
        <Button type="submit" size="sm" disabled={entering.isPending || wait > 0}>
          {entering.isPending ? t.sign.checking : wait > 0 ? t.sign.wait(wait) : t.sign.in}
        </Button>
      </form>
    </Door>
  );
}

/** The seconds until the server takes another attempt: it refuses even the right password until then. */
function useCountdown(refused: Refusal | undefined): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const until = Date.now() + 1000 * (refused?.retryAfter ?? 0);
    const count = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    count();
    const timer = setInterval(count, 250);
    return () => clearInterval(timer);
  }, [refused]);
  return left;
}
