import { useQuery } from '@tanstack/react-query';
import { call, request } from './http';
import type { Condition, Exception, Model, RuleDetail } from './model';

export function useRules() {
  return useQuery({
    queryKey: ['rules'],
    queryFn: ({ signal }) => call<Model<'LoadedRules'>>('GET', '/rules', undefined, signal),
    staleTime: 15_000,
  });
}

export function useRefused() {
  return useQuery({
    queryKey: ['rules-refused'],
    queryFn: ({ signal }) => call<Model<'RefusedRules'>>('GET', '/rules/refused', undefined, signal),
    staleTime: 15_000,
  });
}

/** A layer for the ATT&CK Navigator. */
export const navigatorLayer = async (): Promise<Blob> => (await request('GET', '/coverage/navigator')).blob();

export const getRule = (id: string, signal?: AbortSignal) =>
  call<RuleDetail>('GET', `/rules/${encodeURIComponent(id)}`, undefined, signal);
export const checkRule = (text: string, signal?: AbortSignal) => call<Model<'RuleCheck'>>('POST', '/rules/check', { text }, signal);
export const tryRule = (text: string, from: string, to: string, signal?: AbortSignal) =>
  call<Model<'TrialResult'>>('POST', '/rules/test', { text, from, to, limit: 100 }, signal);
/** Why a rule matches a stored event, or why not. */
export const explain = (event: string, rule: string, signal?: AbortSignal) =>
  call<Model<'Explanations'>>('POST', '/rules/why', { event, rule }, signal);
export const saveRule = (file: string, text: string) => call<Model<'SavedRules'>>('PUT', `/rules/files/${encodeURIComponent(file)}`, { text });
export const disableRule = (id: string, reason: string) => call<Model<'RuleState'>>('PUT', `/rules/${encodeURIComponent(id)}/disabled`, { reason });
export const enableRule = (id: string) => call<Model<'RuleState'>>('DELETE', `/rules/${encodeURIComponent(id)}/disabled`);
export const setThreshold = (id: string, threshold: Model<'Threshold'>) =>
  call<Model<'SavedRules'>>('PUT', `/rules/${encodeURIComponent(id)}/threshold`, threshold);
export const removeThreshold = (id: string) => call<Model<'SavedRules'>>('DELETE', `/rules/${encodeURIComponent(id)}/threshold`);
export const deleteRule = (file: string) => call('DELETE', `/rules/files/${encodeURIComponent(file)}`);

export function useExceptions() {
  return useQuery({
    queryKey: ['exceptions'],
    queryFn: ({ signal }) => call<Model<'Exceptions'>>('GET', '/exceptions', undefined, signal),
  });
}
export const previewException = (rule_id: string, conditions: Condition[]) =>
  call<Model<'ExceptionPreview'>>('POST', '/exceptions/preview', { rule_id, conditions });
export const createException = (body: Model<'NewException'>) =>
  call<Exception>('POST', '/exceptions', body);
export const deleteException = (id: number) => call('DELETE', `/exceptions/${id}`);
