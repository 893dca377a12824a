//! Whole batches by their names, as they were received.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use vedette_event::{SourceId, Time, ecs::ORIGINAL};

use crate::{
    Result, Segment, Snapshot, StoreError,
    columns::{BATCH, RECEIVED, SEQ, SOURCE},
};

/// A batch: its source, and the sequence number of its first event.
pub type BatchName = (SourceId, u64);

/// An event as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its sequence number.
    pub seq: u64,
    /// When it was received.
    pub received: Time,
    /// Its original bytes; nothing if it was erased.
    pub bytes: Vec<u8>,
}

impl Snapshot {
    /// Gives every wanted batch that the store has to `take`, in the store's order.
    ///
    /// # Errors
    /// A segment cannot be read; or what `take` says.
    pub fn batches<E: From<StoreError>>(
        &self,
        wanted: &BTreeSet<BatchName>,
        mut take: impl FnMut(BatchName, Vec<Original>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for segment in &self.segments {
            let rows = rows_of(segment, wanted)?;
            if rows.is_empty() {
                continue;
            }
            let mut found = Gathered::default();
            for records in segment.read_rows(&rows, Some(&[SOURCE, SEQ, BATCH, RECEIVED, ORIGINAL]))? {
                found.add(&records?, segment.path(), wanted)?;
                // All but the last are complete: a batch's rows stand together.
                while found.batches.len() > 1
                    && let Some((name, events)) = found.batches.pop_front()
                {
                    take(name, events)?;
                }
            }
            found.batches.into_iter().try_for_each(|(name, events)| take(name, events))?;
        }
        let mut tail = Gathered::default();
        for records in &self.tail {
            tail.add(records, Path::new(""), wanted)?;
        }
        // Parts of the tail take turns.
        let mut whole: BTreeMap<BatchName, Vec<Original>> = BTreeMap::new();
        tail.batches.into_iter().for_each(|(name, events)| whole.entry(name).or_default().extend(events));
        whole.into_iter().try_for_each(|(name, events)| take(name, events))
    }
}

/// The rows of the wanted batches that a segment has.
fn rows_of(segment: &Segment, wanted: &BTreeSet<BatchName>) -> Result<Vec<Range<u64>>> {
    let has_some = segment
        .runs()
        .iter()
        .any(|run| wanted.range((run.source, run.first_seq)..=(run.source, run.last_seq)).next().is_some());
    if !has_some {
        return Ok(Vec::new());
    }
    let (mut ranges, mut row): (Vec<Range<u64>>, u64) = (Vec::new(), 0);
    for (source, first_seq, rows) in segment.batch_table()? {
        let end = row + u64::from(rows);
        if wanted.contains(&(source, first_seq)) {
            match ranges.last_mut() {
                Some(last) if last.end == row => last.end = end,
                _ => ranges.push(row..end),
            }
        }
        row = end;
    }
    Ok(ranges)
}

/// Runs of rows of one batch, in row order.
#[derive(Default)]
struct Gathered {
    batches: std::collections::VecDeque<(BatchName, Vec<Original>)>,
}

impl Gathered {
    fn add(&mut self, records: &RecordBatch, path: &Path, wanted: &BTreeSet<BatchName>) -> Result<()> {
        let column = |name: &str| {
            records.column_by_name(name).ok_or_else(|| StoreError::damaged(path, format!("no column {name}")))
        };
        let wrong = || StoreError::damaged(path, "a column is of another type");
        let sources = column(SOURCE)?.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        let seqs = column(SEQ)?.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
        let batches = column(BATCH)?.as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?;
        let received = column(RECEIVED)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?;
        let originals = column(ORIGINAL)?.as_binary_opt::<i32>().ok_or_else(wrong)?;
        for row in 0..records.num_rows() {
            let name = (SourceId(sources.value(row)), batches.value(row));
            if !wanted.contains(&name) {
                continue;
            }
            if self.batches.back().is_none_or(|(last, _)| *last != name) {
                self.batches.push_back((name, Vec::new()));
            }
            let event = Original {
                seq: seqs.value(row),
                received: Time::from_micros(received.value(row)),
                bytes: originals.value(row).to_vec(),
            };
            if let Some((_, events)) = self.batches.back_mut() {
                events.push(event);
            }
        }
        Ok(())
    }
}
