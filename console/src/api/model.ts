// The shapes of the API, as its description (`openapi.json`) has them, under the names that are used here.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Alert = Schemas['AlertModel'];
export type AlertDetail = Schemas['AlertDetailModel'];
export type AlertPage = Schemas['AlertPage'];
export type Hit = Schemas['HitModel'];
export type Matched = Schemas['MatchedModel'];
export type Change = Schemas['ChangeModel'];
export type Entity = Schemas['EntityModel'];
export type Incident = Schemas['Incident'];
export type IncidentDetail = Schemas['IncidentDetail'];
export type TimelineStep = Schemas['TimelineStep'];
export type EntityRisk = Schemas['EntityRisk'];
export type Case = Schemas['Case'];
export type CaseDetail = Schemas['CaseDetail'];
export type Session = Schemas['SessionModel'];
export type Summary = Schemas['Summary'];
export type Health = Schemas['HealthDetail'];
export type RefusedRule = Schemas['RefusedRule'];
export type User = Schemas['UserModel'];
export type Token = Schemas['TokenModel'];
export type CreatedToken = Schemas['CreatedToken'];
export type Invitation = Schemas['Invitation'];
export type Answer = Omit<Schemas['Answer'], 'rows'> & { rows: Event[] };
export type Diagnostic = Schemas['DiagnosticModel'];
export type Source = Schemas['SourceModel'];
export type Rule = Schemas['LoadedRuleModel'];
export type RuleDetail = Schemas['RuleDetail'];
export type Retrohunt = Schemas['Retrohunt'];
export type Exception = Schemas['ExceptionModel'];
export type Condition = Schemas['ConditionModel'];
export type Histogram = Schemas['HistogramModel'];
export type SavedSearch = Schemas['SavedSearchModel'];
export type Settings = Schemas['SettingsModel'];
export type Language = Schemas['Language'];
/** What people said of an alert. */
export type Verdict = Schemas['Verdict'];
export type Level = Schemas['Level'];
export type State = Schemas['AlertState'];

/** An event as the API writes it: flat dotted names. */
export type Event = Record<string, unknown>;

/** Anything else of the description, by its name there. */
export type Model<Name extends keyof Schemas> = Schemas[Name];
