import { useQuery } from '@tanstack/react-query';
import { call } from './http';
import type { Checked, Exception, ExceptionPreview, RefusedRule, Rule, RuleDetail, Tried } from './model';

export function useRules() {
  return useQuery({
    queryKey: ['rules'],
    queryFn: ({ signal }) => call<{ rules: Rule[]; refused: number }>('GET', '/rules', undefined, signal),
    staleTime: 15_000,
  });
}

export function useRefused() {
  return useQuery({
    queryKey: ['rules-refused'],
    queryFn: ({ signal }) => call<{ refused: RefusedRule[] }>('GET', '/rules/refused', undefined, signal),
    staleTime: 15_000,
  });
}

export const getRule = (id: string, signal?: AbortSignal) =>
  call<RuleDetail>('GET', `/rules/${encodeURIComponent(id)}`, undefined, signal);
export const checkRule = (text: string, signal?: AbortSignal) => call<Checked>('POST', '/rules/check', { text }, signal);
export const tryRule = (text: string, from: string, to: string, signal?: AbortSignal) =>
  call<Tried>('POST', '/rules/test', { text, from, to, limit: 100 }, signal);
export const saveRule = (file: string, text: string) => call('PUT', `/rules/files/${encodeURIComponent(file)}`, { text });
export const deleteRule = (file: string) => call('DELETE', `/rules/files/${encodeURIComponent(file)}`);

export function useExceptions() {
  return useQuery({
    queryKey: ['exceptions'],
    queryFn: ({ signal }) => call<{ exceptions: Exception[] }>('GET', '/exceptions', undefined, signal),
  });
}
type Conditions = { field: string; value: string }[];
export const previewException = (rule_id: string, conditions: Conditions) =>
  call<ExceptionPreview>('POST', '/exceptions/preview', { rule_id, conditions });
export const createException = (body: { rule_id: string; conditions: Conditions; reason: string; expires?: string }) =>
  call<Exception>('POST', '/exceptions', body);
export const deleteException = (id: number | string) => call('DELETE', `/exceptions/${encodeURIComponent(id)}`);
