//! The shapes that several routes answer with.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use vedette_alert::{Alert, AlertDetail, Change, Hit};
use vedette_event::{Diagnostic, Entity, EventId, Losses, Matched, Source, Time};

use super::names::{LevelModel, StateModel, VerdictModel};
use crate::Activity;

/// Writes a time as RFC 3339.
pub(crate) fn rfc3339<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Writes a time as RFC 3339, or null.
pub(crate) fn rfc3339_or_null<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DiagnosticModel {
    /// Line from 1; 0 where there is no line.
    pub line: u32,
    /// Column in characters from 1; 0 where there is no column.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<Diagnostic> for DiagnosticModel {
    fn from(diagnostic: Diagnostic) -> Self {
        let Diagnostic { file: _, line, column, message, hint } = diagnostic;
        DiagnosticModel { line, column, message, hint }
    }
}

/// A rule, as its findings quote it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RuleModel {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How bad it is.
    pub level: LevelModel,
    /// Its author.
    pub author: Option<String>,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// ATT&CK tactics.
    pub tactics: Vec<String>,
}

impl From<vedette_event::RuleRef> for RuleModel {
    fn from(rule: vedette_event::RuleRef) -> Self {
        RuleModel {
            id: rule.id,
            title: rule.title,
            level: rule.level.into(),
            author: rule.author,
            techniques: rule.techniques,
            tactics: rule.tactics,
        }
    }
}

/// Whom something is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EntityModel {
    /// `host`, `user`, `ip`, `process`, `file`, `domain`, `source`.
    pub kind: String,
    /// Its name.
    pub value: String,
}

impl From<Entity> for EntityModel {
    fn from(entity: Entity) -> Self {
        EntityModel { kind: entity.kind, value: entity.value }
    }
}

/// An alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AlertModel {
    /// Its number.
    pub id: i64,
    /// Counts up with every change of any alert.
    pub revision: u64,
    /// The rule.
    pub rule: RuleModel,
    /// Whom it is about.
    pub entity: EntityModel,
    /// Every entity its findings name.
    pub entities: Vec<EntityModel>,
    /// True if more entities were named than are kept.
    pub entities_truncated: bool,
    /// Number of findings.
    pub count: u64,
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub last: Time,
    /// Where it is on its way.
    pub state: StateModel,
    /// Of a closed alert: what it turned out to be.
    pub verdict: Option<VerdictModel>,
    /// Who is on it.
    pub assignee: Option<String>,
    /// The latest note.
    pub note: Option<String>,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub opened: Time,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub changed: Time,
}

impl From<Alert> for AlertModel {
    fn from(alert: Alert) -> Self {
        AlertModel {
            id: alert.id.0,
            revision: alert.revision,
            rule: alert.rule.into(),
            entity: alert.entity.into(),
            entities: alert.entities.into_iter().map(Into::into).collect(),
            entities_truncated: alert.entities_truncated,
            count: alert.count,
            first: alert.first,
            last: alert.last,
            state: alert.state.into(),
            verdict: alert.state.verdict().map(Into::into),
            assignee: alert.assignee,
            note: alert.note,
            opened: alert.opened,
            changed: alert.changed,
        }
    }
}

/// A field that made a rule match.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MatchedModel {
    /// The field; empty for a keyword.
    pub field: String,
    /// Its value, or the keyword.
    pub value: String,
}

impl From<Matched> for MatchedModel {
    fn from(matched: Matched) -> Self {
        MatchedModel { field: matched.field, value: matched.value }
    }
}

/// A finding of an alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HitModel {
    /// The finding's id.
    pub finding: String,
    /// Its event time.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// Its events' ids.
    pub events: Vec<String>,
    /// Which fields matched.
    pub matched: Vec<MatchedModel>,
}

impl From<Hit> for HitModel {
    fn from(hit: Hit) -> Self {
        HitModel {
            finding: hit.finding.to_string(),
            time: hit.time,
            events: hit.events.iter().map(EventId::to_string).collect(),
            matched: hit.matched.into_iter().map(Into::into).collect(),
        }
    }
}

/// Something that was done to an alert.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChangeModel {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// The verdict, the new assignee or the note.
    pub detail: Option<String>,
}

impl From<Change> for ChangeModel {
    fn from(change: Change) -> Self {
        ChangeModel { time: change.time, who: change.who, what: change.what, detail: change.detail }
    }
}

/// An alert with its latest findings and its history.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetailModel {
    /// The alert.
    #[serde(flatten)]
    pub alert: AlertModel,
    /// Its latest findings, latest first.
    pub findings: Vec<HitModel>,
    /// What was done to it, oldest first.
    pub history: Vec<ChangeModel>,
}

impl From<AlertDetail> for AlertDetailModel {
    fn from(detail: AlertDetail) -> Self {
        AlertDetailModel {
            alert: detail.alert.into(),
            findings: detail.hits.into_iter().map(Into::into).collect(),
            history: detail.history.into_iter().map(Into::into).collect(),
        }
    }
}

/// A source and its account: received = stored + refused + shed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SourceModel {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The kind of receiver.
    pub receiver: String,
    /// Everything that came in.
    pub received: u64,
    /// What is durable.
    pub stored: u64,
    /// What was handed back to the sender, by reason.
    pub refused: BTreeMap<String, u64>,
    /// What is lost, by reason.
    pub shed: BTreeMap<String, u64>,
    /// Since when it is silent for unusually long; none if it is not.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub quiet_since: Option<Time>,
    /// By when its next record is expected; none if its rhythm is not known yet.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expected: Option<Time>,
    /// When its latest record was received; null if that was never. Until it sends something after a restart this may be
    /// up to an hour too late.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Time>,
    /// Records a minute, over the last five minutes or since the start.
    pub rate_per_minute: f64,
}

impl SourceModel {
    pub(crate) fn new(source: &Source, losses: &Losses, activity: &Activity) -> Self {
        let by_name = |counts: &BTreeMap<vedette_event::Reason, u64>| {
            counts.iter().map(|(reason, count)| (reason.to_string(), *count)).collect()
        };
        SourceModel {
            id: source.id.0,
            name: source.name.to_string(),
            receiver: source.receiver.to_string(),
            received: losses.received(),
            stored: losses.stored,
            refused: by_name(&losses.refused),
            shed: by_name(&losses.shed),
            quiet_since: None,
            expected: None,
            last_seen: activity.last_seen,
            rate_per_minute: activity.rate_per_minute,
        }
    }

    pub(crate) fn with_rhythm(self, (quiet_since, expected): (Option<Time>, Option<Time>)) -> Self {
        SourceModel { quiet_since, expected, ..self }
    }
}
