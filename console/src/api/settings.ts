import { useQuery } from '@tanstack/react-query';
import { call } from './http';
import type { CreatedToken, Invitation, Settings, Token, User } from './model';

export const useSettings = () =>
  useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => call<Settings>('GET', '/settings', undefined, signal),
    staleTime: 60_000,
  });
export const saveRetention = (retention: Settings['retention']) => call('PUT', '/settings/retention', retention);

export const useUsers = (enabled: boolean) =>
  useQuery({ queryKey: ['users'], queryFn: () => call<{ users: User[] }>('GET', '/users'), enabled });
export const inviteUser = (name: string, scopes: string[]) => call<Invitation>('POST', '/users', { name, scopes });
export const removeUser = (name: string) => call('DELETE', `/users/${encodeURIComponent(name)}`);

export const useTokens = () => useQuery({ queryKey: ['tokens'], queryFn: () => call<{ tokens: Token[] }>('GET', '/tokens') });
export const createToken = (name: string, scopes: string[], days: number) =>
  call<CreatedToken>('POST', '/tokens', { name, scopes, days });
export const revokeToken = (id: number) => call('DELETE', `/tokens/${id}`);
