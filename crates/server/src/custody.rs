//! The seam to what keeps and proves the history: evidence, erasure, legal holds.

use std::{fs::File, path::Path};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::{Diagnostic, Time};

use crate::{Action, SearchError};

/// What can be done with the history itself. Every method may block for long and is called outside the async threads.
/// The action is written down before it is carried out, with what is known of it by then.
pub trait Custody: Send + Sync {
    /// Makes an evidence bundle: a ZIP file to read from its beginning.
    ///
    /// # Errors
    /// The search is wrong or finds too much, or the bundle cannot be made.
    fn export(&self, selection: &Selection, whole: bool, action: Action) -> Result<File, CustodyError>;

    /// How many events [`erase`](Self::erase) would erase.
    ///
    /// # Errors
    /// As [`erase`](Self::erase).
    fn erasable(&self, selection: &Selection) -> Result<Erased, CustodyError>;

    /// Erases events: of each nothing is left but its hash, its receive time and its source.
    ///
    /// # Errors
    /// The search is wrong or finds too much; an event is on legal hold; or it cannot be done now.
    fn erase(&self, selection: &Selection, reason: &str, action: Action) -> Result<Erased, CustodyError>;

    /// Copies the data folder as it is at one moment, and the keys of its ledger, into folders that are empty or not there. How
    /// many bytes of segments were copied.
    ///
    /// # Errors
    /// A folder is not empty, or something cannot be copied.
    fn back_up(&self, to: &Path, keys: &Path, action: Action) -> Result<u64, CustodyError>;

    /// The legal holds, by name.
    fn holds(&self) -> Vec<Hold>;

    /// Sets a hold, in the name of whose action it is.
    ///
    /// # Errors
    /// There is one of this name.
    fn hold(&self, hold: Hold, action: Action) -> Result<(), CustodyError>;

    /// Lifts a hold.
    ///
    /// # Errors
    /// There is none of this name.
    fn lift(&self, name: &str, action: Action) -> Result<(), CustodyError>;
}

/// Which events.
#[derive(Clone, Debug)]
pub struct Selection {
    /// A search without pipes.
    pub query: String,
    /// Events at or after this time.
    pub from: Option<Time>,
    /// Events before this time.
    pub to: Option<Time>,
}

/// What was, or would be, erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// How many events.
    pub events: u64,
    /// Of these, how many are on legal hold and stay.
    pub held: u64,
    /// Findings that quote erased events: ids of events of source `vedette:findings`, which are not erased with them.
    pub quoted_by: Vec<String>,
}

/// A legal hold: while it is there, nothing that it covers is deleted or erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Its name.
    #[schema(example = "case-2026-17")]
    pub name: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Only events of this source, by name; otherwise of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Only events received at or after this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only events received before this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Who set it.
    #[serde(default)]
    pub by: String,
    /// When it was set (RFC 3339).
    #[serde(default)]
    pub since: String,
}

/// Why it was not done.
#[derive(Clone, Debug)]
pub enum CustodyError {
    /// The search is wrong; the diagnostics say where.
    Query(Vec<Diagnostic>),
    /// What was asked for cannot be had as it was asked for.
    Refused(String),
    /// It goes against what there is: a hold, a name that is taken or unknown.
    Conflict(String),
    /// It failed.
    Failed(String),
}

impl std::fmt::Display for CustodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CustodyError::Query(diagnostics) => {
                let messages: Vec<&str> = diagnostics.iter().map(|diagnostic| &*diagnostic.message).collect();
                f.write_str(&messages.join("\n"))
            }
            CustodyError::Refused(message) | CustodyError::Conflict(message) | CustodyError::Failed(message) => {
                f.write_str(message)
            }
        }
    }
}

impl From<SearchError> for CustodyError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Refused(diagnostics) => CustodyError::Query(diagnostics),
            SearchError::Budget(message) => CustodyError::Refused(message),
            SearchError::Failed(message) => CustodyError::Failed(message),
        }
    }
}
