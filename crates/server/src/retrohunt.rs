//! The seam to retro-hunts: rules over stored history, in the background.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::{Diagnostic, Level, Time};

use crate::api::{
    model::{rfc3339, rfc3339_or_null},
    names::LevelModel,
};

/// The retro-hunts of this data folder. Every method may block on the disk.
pub trait Retrohunts: Send + Sync {
    /// Begins one, when those before it are done.
    ///
    /// # Errors
    /// A rule is refused, or too many wait.
    fn begin(&self, hunt: NewRetrohunt) -> Result<Retrohunt, RetrohuntError>;

    /// Those that wait, run, or ended of late, newest first.
    fn list(&self) -> Vec<Retrohunt>;

    /// One of them.
    fn get(&self, id: u64) -> Option<Retrohunt> {
        self.list().into_iter().find(|hunt| hunt.id == id)
    }

    /// Ends one early; what it found so far stays. False if it has ended, or there is none.
    fn cancel(&self, id: u64) -> bool;
}

/// What to hunt for, and who asks.
#[derive(Clone, Debug)]
pub struct NewRetrohunt {
    /// Sigma rules (YAML).
    pub text: String,
    /// Only what was received at or after this time.
    pub from: Time,
    /// Who asks.
    pub by: String,
}

/// Why a retro-hunt was not begun.
#[derive(Clone, Debug)]
pub enum RetrohuntError {
    /// What is wrong with the rules.
    Refused(Vec<Diagnostic>),
    /// As many wait as may.
    Busy,
    /// The disk, or no thread.
    Failed(String),
}

/// Rules over stored history.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Retrohunt {
    /// Its number.
    pub id: u64,
    /// How it is doing.
    pub state: RetrohuntState,
    /// Nobody asked for it: rules that are in force are new, or ask something else than before.
    pub automatic: bool,
    /// Who asked for it.
    pub by: String,
    /// When it was asked for.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub begun: Time,
    /// Events that were received from this time on.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    /// Pieces of history that are done.
    pub done: u64,
    /// Pieces of history.
    pub total: u64,
    /// Events that had to be looked at whole.
    pub events_read: u64,
    /// Milliseconds that it ran.
    pub elapsed_ms: u64,
    /// Why it failed.
    pub failure: Option<String>,
    /// What each rule would have found, in the order of the rules.
    pub rules: Vec<HuntedRule>,
}

/// How a retro-hunt is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetrohuntState {
    /// Others are before it.
    Waiting,
    /// It reads history.
    Running,
    /// It has read all of it.
    Done,
    /// Somebody ended it, or Vedette stopped.
    Cancelled,
    /// It could not go on.
    Failed,
}

/// What a rule would have found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HuntedRule {
    /// The rule's id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    #[schema(value_type = LevelModel)]
    pub level: Level,
    /// Findings.
    pub findings: u64,
    /// Alerts that they would have been: one for each entity. Beyond ten thousand they are not counted further.
    pub alerts: u64,
    /// Event time of the first.
    #[serde(serialize_with = "rfc3339_or_null", deserialize_with = "time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first: Option<Time>,
    /// Event time of the last.
    #[serde(serialize_with = "rfc3339_or_null", deserialize_with = "time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Time>,
    /// Those with the most findings.
    pub entities: Vec<HuntedEntity>,
    /// Some findings, the latest by event time.
    pub samples: Vec<HuntedFinding>,
}

/// Whom findings are about.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HuntedEntity {
    /// `host`, `user`, `ip`, ..
    pub kind: String,
    /// Which.
    pub value: String,
    /// Findings.
    pub findings: u64,
}

/// One finding in short.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HuntedFinding {
    /// The last of its events.
    pub event_id: String,
    /// Event time.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// The fields that matched, and their values.
    pub matched: Vec<HuntedField>,
}

/// A field that matched.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HuntedField {
    /// Its name; empty for a keyword.
    pub field: String,
    /// Its value.
    pub value: String,
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time")))
}

fn time_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let parse = |text: String| text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time")));
    text.map(parse).transpose()
}
