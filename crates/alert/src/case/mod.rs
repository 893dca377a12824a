//! Cases: what somebody investigates. Incidents and alerts, notes, tasks and evidence under one title, until a verdict.
//!
//! Notes, evidence and history are only ever added to. Everything that changes a case is in its history, with who and
//! when.

mod change;
mod read;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use vedette_event::{EventId, Time};

pub use change::{MAX_CASES, MAX_PER_CASE};
pub use read::{CaseFilter, CasePage};

use crate::{AlertId, Change, IncidentId, Verdict, model::rfc3339};

/// A case's number: stable, never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseId(pub i64);

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(id) if id > 0 => Ok(CaseId(id)),
            _ => Err(format!("`{text}` is not a case's number, for example 17")),
        }
    }
}

/// Where a case is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaseState {
    /// It is worked on.
    Open,
    /// It was judged.
    Closed(Verdict),
}

impl CaseState {
    /// Its name, alone.
    pub const fn name(self) -> CaseStateName {
        match self {
            CaseState::Open => CaseStateName::Open,
            CaseState::Closed(_) => CaseStateName::Closed,
        }
    }
}

impl Serialize for CaseState {
    /// As two fields, `state` and `verdict`, which [`Case`] has among its own.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let verdict = match self {
            CaseState::Open => None,
            CaseState::Closed(verdict) => Some(verdict),
        };
        let mut fields = serializer.serialize_struct("CaseState", 2)?;
        fields.serialize_field("state", self.name().as_str())?;
        fields.serialize_field("verdict", &verdict)?;
        fields.end()
    }
}

/// A case's state without its verdict, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaseStateName {
    /// See [`CaseState::Open`].
    Open,
    /// See [`CaseState::Closed`].
    Closed,
}

impl CaseStateName {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            CaseStateName::Open => "open",
            CaseStateName::Closed => "closed",
        }
    }
}

impl FromStr for CaseStateName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [CaseStateName::Open, CaseStateName::Closed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a case's state: open or closed"))
    }
}

/// An investigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Its number.
    pub id: CaseId,
    /// What it is about.
    pub title: String,
    /// Where it is on its way.
    #[serde(flatten)]
    pub state: CaseState,
    /// What it turned out to be, in words; written when it was last closed.
    pub summary: Option<String>,
    /// Whose it is.
    pub assignee: Option<String>,
    /// Its incidents.
    pub incidents: Vec<IncidentId>,
    /// Its alerts, but for those of its incidents.
    pub alerts: Vec<AlertId>,
    /// Tasks that are not done.
    pub open_tasks: u64,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    pub opened: Time,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    pub changed: Time,
}

/// A note on a case. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// When it was written.
    #[serde(serialize_with = "rfc3339")]
    pub time: Time,
    /// Who wrote it.
    pub author: String,
    /// The text.
    pub text: String,
}

/// Something to be done for a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Its number, over all cases.
    pub id: i64,
    /// What is to be done.
    pub text: String,
    /// Who did it.
    pub done_by: Option<String>,
    /// When.
    #[serde(serialize_with = "rfc3339_if_any")]
    pub done_at: Option<Time>,
}

fn rfc3339_if_any<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// A file of evidence, as `vedette evidence export` makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The file's name, without folders.
    pub name: String,
    /// Its BLAKE3 hash, 64 hexadecimal digits in lower case.
    pub blake3: String,
}

/// What is evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceItem {
    /// An event; the ledger proves it.
    Event(EventId),
    /// A file that was exported.
    Bundle(Bundle),
}

/// A piece of evidence in a case. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What.
    pub item: EvidenceItem,
    /// What it shows.
    pub comment: Option<String>,
    /// When it was added.
    #[serde(serialize_with = "rfc3339")]
    pub added: Time,
    /// Who added it.
    pub added_by: String,
}

/// A case with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseDetail {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
    /// Tasks, in the order of their numbers.
    pub tasks: Vec<Task>,
    /// Evidence, oldest first.
    pub evidence: Vec<Evidence>,
    /// What was done to it, oldest first: `opened`, `renamed`, `assigned`, `noted`, `task added`, `task done`,
    /// `task undone`, `evidence added`, `incident added`, `incident removed`, `incidents merged`, `alert added`,
    /// `alert removed`, `closed`, `reopened`.
    pub history: Vec<Change>,
}
