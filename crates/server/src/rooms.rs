//! The seam to the rooms below: what the server asks of spool, store and query.

use std::sync::Arc;

use futures::{future::BoxFuture, stream::BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vedette_event::{Batch, Diagnostic, Event, Losses, Source, Time};
use vedette_query::{FileFormat, TopValue};

/// What the server asks of the rooms below. [`Local`](crate::Local) answers from this process' spool, store and
/// engine; tests answer from memory.
pub trait Rooms: Send + Sync {
    /// Every source with its account: received = stored + refused + shed.
    fn ledger(&self) -> Vec<(Arc<Source>, Losses)>;

    /// How the spool is doing.
    fn spool(&self) -> SpoolStatus;

    /// How the store is doing. May block.
    fn store(&self) -> StoreStatus;

    /// Runs a query. Dropping the stream cancels it.
    fn search(&self, ask: Ask) -> BoxStream<'static, Result<Piece, SearchError>>;

    /// Reads stored events with every field, in batches of one source each, as they are found: newest segments first,
    /// otherwise in no order. The query leaves whole events. Dropping the stream cancels it.
    fn events(&self, ask: Ask) -> BoxStream<'static, Result<Batch, SearchError>>;

    /// Counts the events that the part of a search before its first pipe finds, in at most `bins` spans of one length.
    /// Without both ends of the time range they are those of what it finds; none if it finds nothing then.
    fn histogram(&self, ask: Ask, bins: u32) -> BoxFuture<'static, Result<Option<Bins>, SearchError>>;

    /// The most frequent values of a field among what the part of a search before its first pipe finds, of those that
    /// begin with `prefix`: as many as the search's limit.
    fn top_values(
        &self,
        ask: Ask,
        field: String,
        prefix: String,
    ) -> BoxFuture<'static, Result<Vec<TopValue>, SearchError>>;

    /// The bytes of an answer as a file, with these columns or all. Dropping the stream cancels the query.
    fn export(
        &self,
        ask: Ask,
        columns: Option<Vec<String>>,
        format: FileFormat,
    ) -> BoxStream<'static, Result<Vec<u8>, SearchError>>;

    /// Turns a search (without pipes) into a test of single events, for the live tail.
    ///
    /// # Errors
    /// If the search is wrong.
    fn live_filter(&self, query: &str) -> Result<LiveFilter, SearchError>;
}

/// Events over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bins {
    /// Where the counted time range begins.
    pub from: Time,
    /// Before which it ends.
    pub to: Time,
    /// When the first bin begins.
    pub start: Time,
    /// How long a bin is, in microseconds.
    pub step: i64,
    /// Events in each bin.
    pub counts: Vec<u64>,
}

/// A test of single events.
pub type LiveFilter = Arc<dyn Fn(&Event<'_>) -> bool + Send + Sync>;

/// How the spool is doing.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct SpoolStatus {
    /// Bytes on disk that are not sealed in the store yet.
    pub unreleased_bytes: u64,
    /// Bytes in memory that wait for the disk.
    pub queued_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Free bytes on the disk.
    pub disk_free_bytes: u64,
    /// Why new records are refused, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusing: Option<String>,
}

/// How the store is doing.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct StoreStatus {
    /// Sealed segments.
    pub segments: u64,
    /// Events in sealed segments.
    pub events: u64,
    /// Events in the hot tail.
    pub tail_events: u64,
    /// Bytes of the segments and their indexes.
    pub bytes: u64,
    /// Bytes of the original records in the segments.
    pub original_bytes: u64,
    /// Segments that are missing or damaged: their events are in no answer.
    pub damaged_segments: u64,
}

/// In which language a query is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Search box and pipes.
    #[default]
    Hunt,
    /// SQL.
    Sql,
}

impl Language {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Language::Hunt => "hunt",
            Language::Sql => "sql",
        }
    }
}

/// A query.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its text.
    pub query: String,
    /// Its language.
    pub language: Language,
    /// Events at or after this time.
    pub from: Option<Time>,
    /// Events before this time.
    pub to: Option<Time>,
    /// At most so many rows.
    pub limit: usize,
}

impl Ask {
    /// What is written down of it, before it is run.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = vec![("query", self.query.clone()), ("language", self.language.as_str().to_owned())];
        details.extend(self.from.map(|from| ("from", from.to_string())));
        details.extend(self.to.map(|to| ("to", to.to_string())));
        details
    }
}

/// A piece of an answer, in the order columns, then rows and progress, then the summary.
#[derive(Clone, Debug)]
pub enum Piece {
    /// The columns, if the answer is a table; empty if its rows are whole events.
    Columns(Vec<String>),
    /// A row: an event or a line of the table.
    Row(Map<String, Value>),
    /// How far it is.
    Progress(Progress),
    /// The end.
    Done(Summary),
}

/// How far a query is. A granule is 4,096 neighbouring rows of a segment, or a batch of the hot tail.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Progress {
    /// Granules that were read, or turned out not to be needed.
    pub done: u64,
    /// Granules that time bounds and the token index left to be read.
    pub total: u64,
    /// Events that passed the search so far.
    pub matched: u64,
}

/// What a query took.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Summary {
    /// Rows in the answer.
    pub rows: u64,
    /// True if a limit cut the answer off.
    pub truncated: bool,
    /// Which, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Events that passed the search.
    pub matched: u64,
    /// Granules that the store has.
    pub granules: u64,
    /// Granules that were read.
    pub granules_read: u64,
    /// Milliseconds.
    pub elapsed_ms: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub enum SearchError {
    /// The query is wrong; the diagnostics say where.
    Refused(Vec<Diagnostic>),
    /// It would take, or took, more than allowed.
    Budget(String),
    /// It failed.
    Failed(String),
}
