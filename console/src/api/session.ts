import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { call, onSignedOut, Refusal } from './http';
import type { Session } from './model';

/** Who we are; null if nobody. */
export function useSession() {
  const client = useQueryClient();
  useEffect(() => onSignedOut(() => client.setQueryData(['session'], null)), [client]);
  return useQuery({
    queryKey: ['session'],
    queryFn: async (): Promise<Session | null> => {
      try {
        return await call<Session>('GET', '/session');
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
    refetchOnWindowFocus: true,
  });
}

export const signIn = (name: string, password: string) => call<Session>('POST', '/session', { name, password });
export const signOut = () => call<{ done: boolean }>('DELETE', '/session');
export const takeLink = (link: string, name: string, password: string) =>
  call<{ name: string }>('POST', '/links', { link, name, password });
export const changePassword = (old: string, fresh: string) => call('POST', '/password', { old, new: fresh });

export const may = (session: Session | null | undefined, scope: 'write' | 'admin'): boolean =>
  !!session && (session.scopes.includes('admin') || session.scopes.includes(scope));
