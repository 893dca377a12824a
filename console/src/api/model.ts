// The shapes of the API. What the description (`openapi.json`) has comes from it; the rest is the contract for parts
// that a server may not have yet.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Alert = Schemas['AlertModel'];
export type AlertDetail = Schemas['AlertDetailModel'];
export type AlertPage = Schemas['AlertPage'];
export type Hit = Schemas['HitModel'];
export type Matched = Schemas['MatchedModel'];
export type Change = Schemas['ChangeModel'];
export type Entity = Schemas['EntityModel'];
export type Session = Schemas['SessionModel'];
export type Summary = Schemas['Summary'];
export type Health = Schemas['HealthDetail'] & {
  disk?: { free_bytes: number; total_bytes: number; used_bytes: number };
};
export type HealthCheck = Schemas['Check'];
export type RefusedRule = Schemas['RefusedRule'];
export type User = Schemas['UserModel'];
export type Token = Schemas['TokenModel'];
export type CreatedToken = Schemas['CreatedToken'];
export type Invitation = Schemas['Invitation'];
export type Answer = Omit<Schemas['Answer'], 'rows'> & { rows: Record<string, unknown>[] };

/** An event as the API writes it: flat dotted names. */
export type Event = Record<string, unknown>;

export type Level = 'informational' | 'low' | 'medium' | 'high' | 'critical';
export type State = 'new' | 'acknowledged' | 'closed';
export type Verdict = 'true_positive' | 'false_positive' | 'benign';

export type Source = Schemas['SourceModel'] & {
  last_seen?: string | null;
  rate_per_minute?: number | null;
  quiet_since?: string | null;
  expected_every_seconds?: number | null;
};

export type Rule = Schemas['LoadedRuleModel'] & {
  status?: string | null;
  description?: string | null;
  logsource?: { product?: string | null; category?: string | null; service?: string | null };
  builtin?: boolean;
  replaces?: string | null;
  enabled?: boolean;
  last_fired?: string | null;
};
export interface RuleDetail extends Rule {
  /** Nothing if the file has gone since. */
  text: string | null;
  falsepositives?: string[];
  references?: string[];
}

export interface Checked {
  loads: boolean;
  rules: { id: string; title: string; level: string }[];
  diagnostics: { line: number; column: number; message: string; hint?: string | null }[];
}
export interface Tried {
  events_read: number;
  findings: { rule_id: string; event_id: string; time: string; summary: Record<string, unknown> }[];
  truncated: boolean;
  elapsed_ms: number;
}
export interface ParserChecked {
  loads: boolean;
  diagnostics: Checked['diagnostics'];
  results: { line: string; parser: string | null; fields: Record<string, unknown> }[];
}

export interface Exception {
  id: number | string;
  rule_id: string;
  conditions: { field: string; value: string }[];
  reason: string;
  author: string;
  created: string;
  expires: string | null;
  hidden: number;
}
export interface ExceptionPreview {
  findings: number;
  alerts: number;
  true_positives: number;
  days: number;
}

export interface FieldModel {
  name: string;
  type: string;
  core: boolean;
  description?: string | null;
}
export interface FieldValues {
  values: { value: string; count: number }[];
  complete: boolean;
}
export interface Histogram {
  from: string;
  to: string;
  bucket_ms: number;
  total: number;
  buckets: { at: string; count: number }[];
  partial: boolean;
}
export interface SavedSearch {
  id: number | string;
  name: string;
  query: string;
  language: Language;
  columns: string[];
  owner: string;
  changed: string;
}
export type Language = 'hunt' | 'sql';

export interface Settings {
  retention: { max_age_days: number | null; max_bytes: number | null; max_disk_percent: number | null };
  receivers: { kind: string; address: string; tls: boolean }[];
  config_file: string | null;
}
