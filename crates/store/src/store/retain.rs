//! Retention: the oldest hours go when they are too old or the disk is too full; legal holds stay.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use vedette_event::Time;

use super::{SegmentSummary, Store, lock};
use crate::{
    Budget, Result, Segment, StoreError,
    error::IoContext,
    files,
    manifest::{self, Run},
};

/// What retention would delete now, and how long the disk will last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Segments to be deleted, oldest first.
    pub delete: Vec<SegmentSummary>,
    /// Segments that would be deleted but for a legal hold.
    pub held: Vec<SegmentSummary>,
    /// Bytes of all segments now.
    pub used_bytes: u64,
    /// Bytes that segments may use.
    pub budget_bytes: u64,
    /// Bytes that one day brought on average, over the last day (or less, if the store is younger).
    pub bytes_per_day: u64,
    /// When the budget will be reached at that rate, if nothing is deleted before; none if nothing arrives.
    pub full_at: Option<Time>,
}

/// What retention deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The segments.
    pub segments: Vec<SegmentSummary>,
    /// Their events.
    pub events: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Earliest and latest receive time.
    pub received: Option<(Time, Time)>,
    /// Which events: by source, as few runs as possible.
    pub runs: Vec<Run>,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Store {
    /// What [`retain`](Self::retain) would delete now, and when the budget will be reached.
    pub fn plan(&self) -> Result<Plan> {
        let segments = lock(&self.inner.shown).segments.clone();
        self.plan_for(&segments).map(|(plan, _)| plan)
    }

    /// Keeps events for so long from now on, instead of [`crate::Options::keep`], and on so much disk, instead of
    /// [`crate::Options::budget`].
    pub fn keep(&self, keep: Option<Duration>, budget: Budget) {
        *lock(&self.inner.kept) = (keep, budget);
    }

    /// Deletes what is older than is to be [kept](Self::keep), then whole hours, oldest first, until the segments fit into
    /// the disk budget. Segments with events on legal hold stay. `confirm` is told before it happens, and can forbid it:
    /// who keeps records of deletions has them on disk then.
    ///
    /// The manifest forgets the segments first; their files are removed when no snapshot uses them any more.
    pub fn retain(&self, confirm: impl FnOnce(&Deleted) -> std::result::Result<(), String>) -> Result<Deleted> {
        let inner = &*self.inner;
        let mut manifest = lock(&inner.manifest);
        let manifest = manifest.as_mut().ok_or(StoreError::ReadOnly)?;
        lock(&inner.writer).usable()?;
        let segments = lock(&inner.shown).segments.clone();
        let (plan, chosen) = self.plan_for(&segments)?;
        drop(segments);
        if chosen.is_empty() {
            return Ok(Deleted::default());
        }
        let deleted = Deleted::of(plan.delete);
        confirm(&deleted).map_err(StoreError::NotYet)?;
        inner.options.step("confirmed")?;
        manifest.write(|transaction| {
            chosen.iter().try_for_each(|segment| manifest::delete_segment(transaction, segment.id()))
        })?;
        inner.options.step("committed")?;
        lock(&inner.shown).replace(&chosen, None);
        inner.options.step("shown")?;
        chosen.iter().for_each(|segment| segment.drop_files());
        Ok(deleted)
    }

    fn plan_for(&self, segments: &[Arc<Segment>]) -> Result<(Plan, Vec<Arc<Segment>>)> {
        let now = self.inner.options.now();
        let (keep, budget) = *lock(&self.inner.kept);
        let used_bytes: u64 = segments.iter().map(|segment| segment.bytes()).sum();
        let budget_bytes = match budget {
            Budget::Bytes(bytes) => bytes,
            Budget::DiskShare(share) => self.disk_budget(share, used_bytes)?,
        };
        let kept_from = keep.map_or(Time::MIN, |keep| {
            now.plus_micros(i64::try_from(keep.as_micros()).map_or(i64::MIN, |micros| -micros))
        });
        let mut hours: BTreeMap<i64, Vec<&Arc<Segment>>> = BTreeMap::new();
        for segment in segments {
            hours.entry(segment.row().hour).or_default().push(segment);
        }
        let on_hold = self.held();
        let mut left = used_bytes;
        let (mut chosen, mut held) = (Vec::new(), Vec::new());
        for (hour, segments) in hours {
            if files::hour_start(hour + 1) > kept_from && left <= budget_bytes {
                break;
            }
            for segment in segments {
                if on_hold.segment(segment).is_some() {
                    held.push(SegmentSummary::of(segment));
                } else {
                    left -= segment.bytes();
                    chosen.push(segment.clone());
                }
            }
        }
        let bytes_per_day = bytes_per_day(segments, now);
        let full_at = (bytes_per_day > 0).then(|| {
            let micros = u128::from(budget_bytes.saturating_sub(used_bytes)) * MICROS_PER_DAY as u128
                / u128::from(bytes_per_day);
            now.plus_micros(i64::try_from(micros).unwrap_or(i64::MAX))
        });
        let delete = chosen.iter().map(|segment| SegmentSummary::of(segment)).collect();
        Ok((Plan { delete, held, used_bytes, budget_bytes, bytes_per_day, full_at }, chosen))
    }

    /// How much the segments may use so that no more than `share` of the file system is in use.
    fn disk_budget(&self, share: f64, used_bytes: u64) -> Result<u64> {
        let dir = &self.inner.dir;
        let disk = rustix::fs::statvfs(dir).map_err(std::io::Error::from).at(dir, "asking for free space")?;
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let others = total.saturating_sub(disk.f_bfree.saturating_mul(disk.f_frsize)).saturating_sub(used_bytes);
        Ok(((total as f64 * share.clamp(0.0, 1.0)) as u64).saturating_sub(others))
    }
}

/// Bytes received during the last day, scaled up to a day if the store is younger.
fn bytes_per_day(segments: &[Arc<Segment>], now: Time) -> u64 {
    let from = now.plus_micros(-MICROS_PER_DAY);
    let recent = || segments.iter().filter(|segment| segment.received().1 >= from);
    let bytes: u64 = recent().map(|segment| segment.bytes()).sum();
    let first = segments.iter().map(|segment| segment.received().0).min().unwrap_or(now).max(from);
    // Less than an hour says little about a day.
    let span = now.micros().saturating_sub(first.micros()).clamp(MICROS_PER_DAY / 24, MICROS_PER_DAY);
    u64::try_from(u128::from(bytes) * MICROS_PER_DAY as u128 / span as u128).unwrap_or(u64::MAX)
}

impl Deleted {
    fn of(segments: Vec<SegmentSummary>) -> Self {
        let mut runs: Vec<Run> = segments.iter().flat_map(|segment| segment.runs.iter().copied()).collect();
        manifest::join_runs(&mut runs);
        Deleted {
            events: segments.iter().map(|segment| segment.events).sum(),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            received: segments
                .iter()
                .map(|segment| segment.received)
                .reduce(|all, next| (all.0.min(next.0), all.1.max(next.1))),
            runs,
            segments,
        }
    }
}
