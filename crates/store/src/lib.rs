//! The store: where events are kept and found again.
//!
//! [`Store::append`] puts a batch into the *hot tail* (Arrow rows in memory; the spool keeps the records durable
//! meanwhile), [`Store::seal`] writes the tail into *segments*: immutable Parquet files, one or more an hour, each
//! with a *token sidecar* that knows which 4,096-row granules can hold a text. The *manifest* (SQLite) says which
//! segments there are. [`Store::snapshot`] shows tail and segments with every event exactly once, whatever is being
//! sealed, compacted or deleted meanwhile. The formats are described in `docs/formats.md`.
//!
//! This crate does not know rules, queries or the spool: positions in the spool are numbers to it.
//!
//! ```
//! use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
//! use vedette_store::{Options, Store, Term};
//!
//! let dir = tempfile::tempdir()?;
//! let store = Store::open(dir.path(), Options::default())?;
//! let mut batch = BatchBuilder::new(Source::new(SourceId(1), "file:/var/log/auth.log", "file"));
//! batch.begin(0, Time::from_secs(1_795_000_000), b"Failed password for root from 192.0.2.7");
//! batch.push("source.ip", Value::Str("192.0.2.7"));
//! store.append(&batch.finish(), 1)?;
//! store.seal()?;
//!
//! let snapshot = store.snapshot();
//! let segment = &snapshot.segments[0];
//! assert_eq!(segment.candidates(&Term::Word("192.0.2.7".into()).into()).len(), 1);
//! assert!(segment.candidates(&Term::Word("192.0.2.8".into()).into()).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod columns;
mod error;
mod files;
mod granules;
mod manifest;
mod options;
mod originals;
mod segment;
mod store;
mod tail;
mod tokens;
mod varint;

pub use columns::{BATCH, ECS_VERSION, PARSER, RECEIVED, SCHEMA_ID, SEQ, SOURCE, SOURCE_NAME, canonical_ip, schema};
pub use error::{Result, StoreError};
pub use granules::{GRANULE_ROWS, Granule, Granules};
pub use manifest::Run;
pub use options::{Budget, FailPoint, Gate, NewSegment, Options};
pub use originals::{BatchName, Original};
pub use segment::{OpenSegment, Segment};
pub use store::{
    Compacted, Damage, Deleted, ERASED, Held, Hold, Plan, Sealed, SegmentSummary, Snapshot, SourceOf, SourceStats,
    Stats, Store,
};
pub use tokens::{Term, TermQuery, fold};

/// The most rows that sealing puts into one segment; compaction may join several of them.
pub const MAX_ROWS_SEALED: u64 = 131_072;
