//! Limits and schedules.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use vedette_event::Time;

use crate::Result;

/// How a store seals, keeps and deletes.
#[derive(Clone)]
pub struct Options {
    /// The tail is due for sealing at this many original bytes.
    pub seal_bytes: u64,
    /// The tail is due for sealing at this many rows.
    pub seal_rows: u64,
    /// The tail is due for sealing when its oldest row has waited this long.
    pub seal_age: Duration,
    /// Appending is refused above this many original bytes in the tail (sealing does not keep up).
    pub max_tail_bytes: u64,
    /// Compaction merges segments until a merged one reaches this size on disk.
    pub compact_bytes: u64,
    /// In an hour that still receives, compaction waits for this many small segments.
    pub compact_segments: usize,
    /// Events are deleted this long after they were received; `None` keeps them for ever.
    pub keep: Option<Duration>,
    /// How much disk the store may use.
    pub budget: Budget,
    /// The clock: wall time in UTC. Tests set their own.
    pub clock: Arc<dyn Fn() -> Time + Send + Sync>,
    /// Called with new segments whose files are on disk, before the manifest has them: whoever keeps another record of
    /// the events and files has it on disk then. An error undoes them, and sealing or compaction is tried again later.
    pub before_commit: Option<Gate>,
    /// Called with the name of each step of sealing, compaction and retention before the next step; an
    /// error stops the operation there, as a crash would. Only tests set it.
    pub fail_point: Option<FailPoint>,
}

/// See [`Options::fail_point`].
pub type FailPoint = Arc<dyn Fn(&'static str) -> Result<()> + Send + Sync>;

/// See [`Options::before_commit`].
pub type Gate = Arc<dyn Fn(&[NewSegment]) -> std::result::Result<(), String> + Send + Sync>;

/// A segment that is written and not in the manifest yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSegment {
    /// Its name.
    pub id: String,
    /// The Parquet file.
    pub rows: PathBuf,
    /// The token sidecar.
    pub tokens: PathBuf,
}

/// How much disk the store may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Until this share of the file system is in use (by anyone), from 0 to 1.
    DiskShare(f64),
    /// This many bytes of segments.
    Bytes(u64),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seal_bytes: 64 << 20,
            seal_rows: crate::MAX_ROWS_SEALED,
            seal_age: Duration::from_secs(60),
            max_tail_bytes: 128 << 20,
            compact_bytes: 256 << 20,
            compact_segments: 8,
            keep: Some(Duration::from_secs(90 * 86_400)),
            budget: Budget::DiskShare(0.8),
            clock: Arc::new(system_clock),
            before_commit: None,
            fail_point: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("seal_bytes", &self.seal_bytes)
            .field("seal_rows", &self.seal_rows)
            .field("seal_age", &self.seal_age)
            .field("max_tail_bytes", &self.max_tail_bytes)
            .field("compact_bytes", &self.compact_bytes)
            .field("compact_segments", &self.compact_segments)
            .field("keep", &self.keep)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl Options {
    pub(crate) fn now(&self) -> Time {
        (self.clock)()
    }

    pub(crate) fn step(&self, name: &'static str) -> Result<()> {
        self.fail_point.as_ref().map_or(Ok(()), |hook| hook(name))
    }
}

fn system_clock() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
