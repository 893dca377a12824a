//! The table `events`: a snapshot of the store as DataFusion sees it.
//!
//! A scan is cut into *units* (a few neighbouring granules of a segment, or a batch of the tail), newest first.
//! Time bounds, the token index and what earlier scans learnt decide which granules become units at all. Within
//! a unit filters run cheapest first, each reading only its own columns for the rows that are left; fields that
//! the store does not keep are derived again from the original bytes, for those rows only.

mod cache;
mod columns;
mod derived;
mod exec;
mod provider;
mod prune;
mod scan;
mod unit;

pub(crate) use cache::Misses;
pub(crate) use columns::{Kind, TableColumns, is_derived, kind, time_type};
pub(crate) use derived::Deriver;
pub use derived::SourceLookup;
pub(crate) use provider::{EventsTable, time_literal};
