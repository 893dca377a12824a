//! Compaction: small segments of one hour become one.
//!
//! Only whole segments are joined, one after the other: the rows of a batch stay together and in order, so that
//! whatever was proved about a batch is proved the same way afterwards (docs/decisions/0002).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{SegmentSummary, Store, lock};
use crate::{
    GRANULE_ROWS, Granule, Granules, Result, Segment, StoreError,
    columns::{ColumnSet, SCHEMA_ID},
    error::IoContext,
    files, manifest,
    segment::Contents,
    tokens::{BatchEntry, DictionaryWriter, merge},
};

/// The most segments that one step joins.
const MAX_INPUTS: usize = 64;
/// An hour counts as closed this long after its end.
const GRACE_MICROS: i64 = 300_000_000;

/// What a step of compaction did.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The segments that are gone.
    pub from: Vec<SegmentSummary>,
    /// The one that has their events now.
    pub into: SegmentSummary,
}

impl Store {
    /// Joins one group of small segments, if there is one: at least two of an hour that is over, or
    /// [`crate::Options::compact_segments`] of one that still receives. Call it again until it gives `None`.
    ///
    /// Appending, reading and sealing go on meanwhile. The old files are removed when no snapshot uses them any more.
    pub fn compact(&self) -> Result<Option<Compacted>> {
        let inner = &*self.inner;
        let mut unreadable = lock(&inner.unreadable);
        if inner.read_only {
            return Err(StoreError::ReadOnly);
        }
        lock(&inner.writer).usable()?;
        let segments = lock(&inner.shown).segments.clone();
        let eligible = segments
            .into_iter()
            .filter(|segment| segment.schema_id() == SCHEMA_ID && !unreadable.contains(segment.id()));
        let Some(old) = self.choose(eligible) else {
            return Ok(None);
        };
        let row = match self.join(&old) {
            Ok(row) => row,
            Err(error) => {
                if error.is_damage() {
                    // Whichever it is, none of the group is tried again before the next start.
                    unreadable.extend(old.iter().map(|segment| segment.id().to_owned()));
                }
                return Err(error);
            }
        };
        let from = old.iter().map(|segment| SegmentSummary::of(segment)).collect();
        Ok(self.replace(&old, row)?.map(|new| Compacted { from, into: SegmentSummary::of(&new) }))
    }

    /// Puts a segment that is written in the place of others; none if one of these is not there any more.
    pub(super) fn replace(&self, old: &[Arc<Segment>], row: manifest::SegmentRow) -> Result<Option<Arc<Segment>>> {
        let inner = &*self.inner;
        let mut manifest = lock(&inner.manifest);
        let manifest = manifest.as_mut().ok_or(StoreError::ReadOnly)?;
        if !self.still_there(old) {
            // Retention was faster.
            self.remove_files(vec![row]);
            return Ok(None);
        }
        if let Err(error) = self.announce(std::slice::from_ref(&row)) {
            return Err(self.undo(vec![row], error));
        }
        let committed = manifest.write(|transaction| {
            old.iter().try_for_each(|segment| manifest::delete_segment(transaction, segment.id()))?;
            manifest::insert_segment(transaction, &row)
        });
        if let Err(error) = committed {
            match self.is_committed(manifest, std::slice::from_ref(&row), &error) {
                Ok(true) => {}
                Ok(false) => return Err(self.undo(vec![row], error)),
                Err(error) => {
                    lock(&inner.writer).broken = Some(error.to_string());
                    return Err(error);
                }
            }
        }
        inner.options.step("committed")?;
        let new = Arc::new(Segment::new(&inner.dir, row));
        lock(&inner.shown).replace(old, Some(new.clone()));
        inner.options.step("shown")?;
        old.iter().for_each(|segment| segment.drop_files());
        Ok(Some(new))
    }

    fn still_there(&self, segments: &[Arc<Segment>]) -> bool {
        let shown = lock(&self.inner.shown);
        let shown: BTreeSet<&str> = shown.segments.iter().map(|segment| segment.id()).collect();
        segments.iter().all(|segment| shown.contains(segment.id()))
    }

    /// The group to be joined: neighbours in time, of one hour, small ones only.
    fn choose(&self, segments: impl Iterator<Item = Arc<Segment>>) -> Option<Vec<Arc<Segment>>> {
        let options = &self.inner.options;
        let mut hours: BTreeMap<i64, Vec<Arc<Segment>>> = BTreeMap::new();
        for segment in segments.filter(|segment| segment.bytes() < options.compact_bytes / 2) {
            hours.entry(segment.row().hour).or_default().push(segment);
        }
        for (hour, mut small) in hours {
            let closed = files::hour_start(hour + 1).plus_micros(GRACE_MICROS) <= options.now();
            let least = if closed { 2 } else { options.compact_segments.max(2) };
            if !closed {
                // Like with like, so that a row is not copied again with every few that arrive.
                let merges = small.iter().map(|segment| segment.row().merges).min().unwrap_or(0);
                small.retain(|segment| segment.row().merges == merges);
            }
            let mut group: Vec<Arc<Segment>> = Vec::new();
            let mut bytes = 0;
            for segment in small {
                if group.len() == MAX_INPUTS || bytes + segment.bytes() > options.compact_bytes && group.len() >= least
                {
                    break;
                }
                bytes += segment.bytes();
                group.push(segment);
            }
            if group.len() >= least {
                return Some(group);
            }
        }
        None
    }

    fn join(&self, old: &[Arc<Segment>]) -> Result<manifest::SegmentRow> {
        let (granules, maps) = join_granules(old);
        let mut batches: Vec<BatchEntry> = Vec::new();
        for segment in old {
            batches.extend(segment.index()?.batches()?);
        }
        let all = old.iter().map(|segment| segment.read(&Granules::all(segment.granules().len()), None));
        let mut rows = all.flat_map(|rows| match rows {
            Ok(rows) => Box::new(rows) as Box<dyn Iterator<Item = _>>,
            Err(error) => Box::new(std::iter::once(Err(error))),
        });
        let mut inexact = Some(ColumnSet::default());
        for segment in old {
            inexact = inexact.zip(segment.open()?.inexact()).map(|(all, more)| all.union(more));
        }
        let count = granules.len() as u32;
        let contents = Contents {
            inexact,
            hour: old.first().map_or(0, |segment| segment.row().hour),
            granules,
            batches,
            longest: old.iter().map(|segment| segment.longest()).max().unwrap_or(0),
            merges: old.iter().map(|segment| segment.row().merges).max().unwrap_or(0) + 1,
            rows: &mut rows,
        };
        self.segment_writer().write(contents, |out, path, batches| {
            let inputs = old
                .iter()
                .zip(maps)
                .map(|(segment, granules)| Ok(merge::Input { index: segment.index()?, granules }))
                .collect::<Result<Vec<_>>>()?;
            let mut writer = DictionaryWriter::new(out, count).at(path, "writing")?;
            merge::merge(&inputs, BTreeMap::new(), &mut writer, path)?;
            writer.finish(batches).at(path, "writing")
        })
    }
}

/// The granules of segments joined in this order, and for each segment which of them has the rows of each of its own.
/// Neighbours become one where their rows fit into one, so that none is split: what is known about a granule stays
/// true.
fn join_granules(segments: &[Arc<Segment>]) -> (Vec<Granule>, Vec<Vec<u32>>) {
    let mut joined: Vec<Granule> = Vec::new();
    let mut row = 0;
    let maps = segments
        .iter()
        .map(|segment| {
            let place = |granule: &Granule| {
                match joined.last_mut() {
                    Some(last) if last.len() + granule.len() <= GRANULE_ROWS => last.extend(granule),
                    _ => joined.push(Granule { rows: row..row + granule.len(), ..granule.clone() }),
                }
                row += granule.len();
                joined.len() as u32 - 1
            };
            segment.granules().iter().map(place).collect()
        })
        .collect();
    (joined, maps)
}
