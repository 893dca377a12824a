//! What an alert is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use vedette_event::{Entity, EventId, FindingId, Level, Matched, RuleRef, Time};

use crate::AlertError;

/// An alert's number: short, stable, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub i64);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AlertId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(id) if id > 0 => Ok(AlertId(id)),
            _ => Err(format!("`{text}` is not an alert's number, for example 17")),
        }
    }
}

/// What an alert turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was what the rule says.
    TruePositive,
    /// The rule was wrong.
    FalsePositive,
    /// The rule was right, and it was allowed.
    Benign,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 3] = [Verdict::TruePositive, Verdict::FalsePositive, Verdict::Benign];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::TruePositive => "true_positive",
            Verdict::FalsePositive => "false_positive",
            Verdict::Benign => "benign",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a verdict: true_positive, false_positive or benign"))
    }
}

/// Where an alert is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has looked at it.
    New,
    /// Somebody is on it.
    Acknowledged,
    /// Somebody has judged it.
    Closed(Verdict),
}

impl State {
    /// Its name, without the verdict.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::New => "new",
            State::Acknowledged => "acknowledged",
            State::Closed(_) => "closed",
        }
    }

    /// The verdict of a closed alert.
    pub const fn verdict(self) -> Option<Verdict> {
        match self {
            State::Closed(verdict) => Some(verdict),
            State::New | State::Acknowledged => None,
        }
    }

    pub(crate) fn from_row(state: &str, verdict: Option<&str>) -> Result<Self, AlertError> {
        let damaged =
            || AlertError::Damaged { what: "alerts.state", found: format!("{state}/{}", verdict.unwrap_or("-")) };
        match (state, verdict) {
            ("new", None) => Ok(State::New),
            ("acknowledged", None) => Ok(State::Acknowledged),
            ("closed", Some(verdict)) => Ok(State::Closed(verdict.parse().map_err(|_| damaged())?)),
            _ => Err(damaged()),
        }
    }
}

impl Serialize for State {
    /// As two fields, `state` and `verdict`, which [`Alert`] has among its own.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("State", 2)?;
        fields.serialize_field("state", self.as_str())?;
        fields.serialize_field("verdict", &self.verdict())?;
        fields.end()
    }
}

/// Writes a time as RFC 3339.
pub(crate) fn rfc3339<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// A group of findings that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its number.
    pub id: AlertId,
    /// Counts up over all alerts with every change; see [`Alerts::changed_since`](crate::Alerts::changed_since).
    pub revision: u64,
    /// The rule, as its latest finding quotes it.
    pub rule: RuleRef,
    /// The entity the group is about.
    pub entity: Entity,
    /// Every entity its findings name, that one first; at most [`MAX_ENTITIES`](crate::MAX_ENTITIES).
    pub entities: Vec<Entity>,
    /// True if more entities were named than are kept.
    pub entities_truncated: bool,
    /// Number of findings.
    pub count: u64,
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    pub first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    pub last: Time,
    /// Where it is on its way.
    #[serde(flatten)]
    pub state: State,
    /// Who acknowledged it or was given it.
    pub assignee: Option<String>,
    /// The latest note.
    pub note: Option<String>,
    /// When it was opened (the recorder's clock).
    #[serde(serialize_with = "rfc3339")]
    pub opened: Time,
    /// When it last changed (the recorder's clock).
    #[serde(serialize_with = "rfc3339")]
    pub changed: Time,
}

/// One finding of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The finding.
    pub finding: FindingId,
    /// Its event time.
    #[serde(serialize_with = "rfc3339")]
    pub time: Time,
    /// Its events, at most 100.
    pub events: Vec<EventId>,
    /// Which fields matched.
    pub matched: Vec<Matched>,
}

/// One row of an alert's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub time: Time,
    /// Who: an account, `local:<uid>`, or `vedette`.
    pub who: String,
    /// What: `opened`, `acknowledged`, `assigned`, `noted`, `closed`, `reopened`.
    pub what: String,
    /// The verdict, the new assignee or the note.
    pub detail: Option<String>,
}

/// An alert with its findings and its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertDetail {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Its latest findings by event time, latest first; at most [`MAX_HITS`](crate::MAX_HITS).
    #[serde(rename = "findings")]
    pub hits: Vec<Hit>,
    /// What was done to it, oldest first.
    pub history: Vec<Change>,
}

impl AlertDetail {
    /// The alert's level.
    pub fn level(&self) -> Level {
        self.alert.rule.level
    }
}

/// How often a rule has fired: its findings, each once, whatever became of their alerts, and also those that an exception
/// hid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Findings.
    pub count: u64,
    /// Event time of the latest one.
    pub last: Time,
}
