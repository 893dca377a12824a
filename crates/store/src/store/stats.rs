//! What the store has.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use vedette_event::{SourceId, Time};

use super::{Store, lock};
use crate::{Segment, manifest::Run};

/// A segment in few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentSummary {
    /// Its name.
    pub id: String,
    /// When the hour of its partition begins.
    pub partition: Time,
    /// Events.
    pub events: u64,
    /// Original bytes.
    pub raw_bytes: u64,
    /// Bytes on disk, token sidecar included.
    pub bytes: u64,
    /// Earliest and latest receive time.
    pub received: (Time, Time),
    /// Its events by source.
    pub runs: Vec<Run>,
}

impl SegmentSummary {
    pub(crate) fn of(segment: &Segment) -> Self {
        SegmentSummary {
            id: segment.id().to_owned(),
            partition: segment.partition(),
            events: segment.rows(),
            raw_bytes: segment.raw_bytes(),
            bytes: segment.bytes(),
            received: segment.received(),
            runs: segment.runs().to_vec(),
        }
    }
}

/// One source's part of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceStats {
    /// Its name.
    pub name: String,
    /// Sequence number of the next event: how many there ever were.
    pub next_seq: u64,
    /// Events in segments and tail now.
    pub events: u64,
    /// Not before the receive time of its latest event in segments; later by as much as their segment has later ones of
    /// other sources.
    pub received: Option<Time>,
}

/// What the store has, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Events in segments and tail.
    pub events: u64,
    /// Segments.
    pub segments: u64,
    /// Original bytes of the events in segments.
    pub raw_bytes: u64,
    /// Bytes of the segments' Parquet files.
    pub parquet_bytes: u64,
    /// Bytes of their token sidecars.
    pub tokens_bytes: u64,
    /// Events in the tail.
    pub tail_events: u64,
    /// Original bytes of the events in the tail.
    pub tail_raw_bytes: u64,
    /// Memory of the tail: its rows and the tokens collected so far.
    pub tail_memory: u64,
    /// Earliest and latest receive time of events in segments.
    pub received: Option<(Time, Time)>,
    /// Earliest and latest event time of events in segments.
    pub time: Option<(Time, Time)>,
    /// Segments on legal hold.
    pub held_segments: u64,
    /// Segments that could not be opened, and their events.
    pub damaged_segments: u64,
    /// Events in segments that could not be opened.
    pub damaged_events: u64,
    /// Events that were appended again and skipped, since the store was opened.
    pub skipped: u64,
    /// By source number.
    pub sources: BTreeMap<SourceId, SourceStats>,
}

impl Stats {
    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.parquet_bytes + self.tokens_bytes
    }
}

impl Store {
    /// What the store has now.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            damaged_segments: self.damaged().len() as u64,
            damaged_events: self.damaged().iter().map(|damage| damage.segment.events).sum(),
            ..Stats::default()
        };
        let segments = {
            let writer = lock(&self.inner.writer);
            stats.skipped = writer.skipped;
            for (id, source) in &writer.sources {
                let source =
                    SourceStats { name: source.name.clone(), next_seq: source.next_seq, ..SourceStats::default() };
                stats.sources.insert(*id, source);
            }
            let shown = lock(&self.inner.shown);
            for part in &writer.parts {
                stats.tail_raw_bytes += part.raw_bytes;
                stats.tail_memory += part.index_memory();
            }
            for records in shown.tail.iter().flat_map(|(_, records)| records) {
                stats.tail_events += records.num_rows() as u64;
                stats.tail_memory += records.get_array_memory_size() as u64;
                count_sources(records, &mut stats.sources);
            }
            shown.segments.clone()
        };
        let held = self.held();
        for segment in &segments {
            stats.add(segment);
            stats.held_segments += u64::from(held.segment(segment).is_some());
        }
        stats.events += stats.tail_events;
        stats
    }
}

impl Stats {
    fn add(&mut self, segment: &Arc<Segment>) {
        let widen = |all: Option<(Time, Time)>, next: (Time, Time)| {
            Some(all.map_or(next, |all| (all.0.min(next.0), all.1.max(next.1))))
        };
        self.segments += 1;
        self.events += segment.rows();
        self.raw_bytes += segment.raw_bytes();
        self.parquet_bytes += segment.parquet_bytes();
        self.tokens_bytes += segment.tokens_bytes();
        self.received = widen(self.received, segment.received());
        self.time = widen(self.time, segment.time());
        for run in segment.runs() {
            let source = self.sources.entry(run.source).or_default();
            source.events += run.events();
            source.received = source.received.max(Some(segment.received().1));
        }
    }
}

/// Counts the rows of a record batch of the tail by source.
fn count_sources(records: &arrow::array::RecordBatch, sources: &mut BTreeMap<SourceId, SourceStats>) {
    use arrow::{array::AsArray, datatypes::UInt32Type};
    let column = records.column_by_name(crate::SOURCE).and_then(|column| column.as_primitive_opt::<UInt32Type>());
    for run in column.map_or(&[][..], |column| column.values()).chunk_by(|a, b| a == b) {
        sources.entry(SourceId(run[0])).or_default().events += run.len() as u64;
    }
}
