import { useQuery } from '@tanstack/react-query';
import { call } from './http';
import type { CreatedToken, Invitation, Model, Settings, Token, User } from './model';

export const useSettings = () =>
  useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => call<Settings>('GET', '/settings', undefined, signal),
    staleTime: 60_000,
  });

const sectionPath = (name: Model<'Section'>) => `/settings/sections/${name}`;
export const getSection = (name: Model<'Section'>, signal?: AbortSignal) => call<Model<'SectionModel'>>('GET', sectionPath(name), undefined, signal);
export const checkSection = (name: Model<'Section'>, text: string, signal?: AbortSignal) =>
  call<Model<'SectionCheck'>>('POST', `${sectionPath(name)}/check`, { text }, signal);
export const saveSection = (name: Model<'Section'>, text: string) => call<Model<'SectionModel'>>('PUT', sectionPath(name), { text });
export const restoreSection = (name: Model<'Section'>) => call<Model<'SectionModel'>>('DELETE', sectionPath(name));

export const saveRetention = (retention: Settings['retention']) => call('PUT', '/settings/retention', retention);

export const useUsers = (enabled: boolean) =>
  useQuery({ queryKey: ['users'], queryFn: () => call<{ users: User[] }>('GET', '/users'), enabled });
export const inviteUser = (name: string, scopes: string[]) => call<Invitation>('POST', '/users', { name, scopes });
export const removeUser = (name: string) => call('DELETE', `/users/${encodeURIComponent(name)}`);

export const useTokens = () => useQuery({ queryKey: ['tokens'], queryFn: () => call<{ tokens: Token[] }>('GET', '/tokens') });
export const createToken = (name: string, scopes: string[], days: number) =>
  call<CreatedToken>('POST', '/tokens', { name, scopes, days });
export const revokeToken = (id: number) => call('DELETE', `/tokens/${id}`);
