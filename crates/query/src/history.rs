//! Stored history as whoever detects wants it: whole events, in the order they were received.

mod narrow;

use std::ops::Range;

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::TimestampMicrosecondType,
};
use vedette_event::{Batch, Time, ecs};
use vedette_store::{self as store, Segment};

pub use self::narrow::Narrow;
use crate::{Cancel, Engine, Progress, QueryError};

/// A step through history.
#[derive(Debug)]
pub enum Passed<'a> {
    /// Events of one source, in the order of their numbers.
    Events(&'a Batch),
    /// Every event that was received before this time has been handed over.
    Until(Time),
}

impl Engine {
    /// Hands over every stored event that was received in `[from, to)`, with all its fields, but for those that `narrow`
    /// has no use for. Segments come by their earliest receive times, and the hot tail last; within one of them sources
    /// take turns. Reads on the caller's thread. The progress counts granules; `matched` are the events.
    ///
    /// # Errors
    /// A segment cannot be read; or it was cancelled; or what `take` says.
    pub fn history<E: From<QueryError>>(
        &self,
        (from, to): (Option<Time>, Option<Time>),
        mut narrow: Option<&mut dyn Narrow>,
        progress: &Progress,
        cancel: &Cancel,
        mut take: impl FnMut(Passed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let snapshot = self.store.snapshot();
        let is_wanted =
            |(first, last): (Time, Time)| from.is_none_or(|from| last >= from) && to.is_none_or(|to| first < to);
        let segments: Vec<_> =
            snapshot.segments.iter().filter(|segment| is_wanted(segment.received())).cloned().collect();
        let granules: u64 = segments.iter().map(|segment| segment.granules().len() as u64).sum();
        let tail = snapshot.tail.len() as u64;
        progress.planned(granules + tail, granules + tail);
        let tail_begins = snapshot.tail.iter().filter_map(earliest).min();
        let hand_over = |rows: &RecordBatch, weight: u64, take: &mut dyn FnMut(Passed<'_>) -> Result<(), E>| {
            if cancel.is_cancelled() {
                return Err(E::from(QueryError::Cancelled));
            }
            let rows = received_within(rows, from, to).map_err(failed)?;
            let mut wrong = None;
            self.deriver.rows(&rows, |batch| {
                if wrong.is_none() {
                    wrong = take(Passed::Events(&batch)).err();
                }
            });
            progress.scanned(weight, rows.num_rows() as u64);
            wrong.map_or(Ok(()), Err)
        };
        for (index, segment) in segments.iter().enumerate() {
            let mut granules = segment.granules().len() as u64;
            let wanted: Vec<Range<u64>> = match &mut narrow {
                None => std::iter::once(0..segment.rows()).collect(),
                Some(narrow) => narrow::wanted(segment, &mut **narrow, cancel).map_err(E::from)?,
            };
            for rows in read(segment, &wanted).map_err(E::from)? {
                // Rows are read in pieces of about a granule.
                let weight = granules.min(1);
                granules -= weight;
                hand_over(&rows.map_err(failed)?, weight, &mut take)?;
            }
            progress.scanned(granules, 0);
            let next = segments.get(index + 1).map(|next| next.received().0);
            if let Some(next) = next.into_iter().chain(tail_begins).min() {
                take(Passed::Until(next))?;
            }
        }
        snapshot.tail.iter().try_for_each(|rows| hand_over(rows, 1, &mut take))
    }
}

/// Rows of a segment, as far as events are derived from them.
fn read(
    segment: &Segment,
    wanted: &[Range<u64>],
) -> Result<impl Iterator<Item = store::Result<RecordBatch>> + use<>, QueryError> {
    const COLUMNS: [&str; 5] = [store::SOURCE, store::SEQ, store::RECEIVED, store::SOURCE_NAME, ecs::ORIGINAL];
    let rows = (!wanted.is_empty()).then(|| segment.read_rows(wanted, Some(&COLUMNS))).transpose();
    Ok(rows.map_err(failed)?.into_iter().flatten())
}

fn failed(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed(error.to_string())
}

fn earliest(rows: &RecordBatch) -> Option<Time> {
    let received = rows.column_by_name(store::RECEIVED)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    received.values().iter().min().map(|micros| Time::from_micros(*micros))
}

fn received_within(
    rows: &RecordBatch,
    from: Option<Time>,
    to: Option<Time>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let received =
        rows.column_by_name(store::RECEIVED).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(received) = received.filter(|_| from.is_some() || to.is_some()) else { return Ok(rows.clone()) };
    let is_wanted =
        |micros: &i64| from.is_none_or(|from| *micros >= from.micros()) && to.is_none_or(|to| *micros < to.micros());
    let wanted: BooleanArray = received.values().iter().map(|micros| Some(is_wanted(micros))).collect();
    filter_record_batch(rows, &wanted)
}
