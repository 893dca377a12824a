//! What a spool may use, and which clock stamps its records.

use std::{
    fmt, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use vedette_event::Time;

use crate::disk::{Disk, RealDisk};

/// Frames above this payload size are neither written nor read.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 256 << 20;
/// The most that one append, and so one frame, may hold in records; leaves room for the rest of a frame.
const MAX_QUEUE_BYTES: usize = 128 << 20;

/// The limits of a spool.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest record that is accepted, in bytes.
    pub max_record_bytes: usize,
    /// Records waiting for their commit, in bytes (each record counts some 64 bytes more than its
    /// length); at most 128 MiB. Above it appends are refused as busy.
    pub queue_bytes: usize,
    /// A segment file is ended once it reaches this size.
    pub segment_bytes: u64,
    /// Bytes on disk that are not yet released. Above it appends are refused as busy.
    pub max_spool_bytes: u64,
    /// Free space that the file system must keep. Below it appends are refused as disk full.
    pub min_free_bytes: u64,
    /// How many sources can be told apart. `<receiver>:other` names are granted beyond it.
    pub max_sources: usize,
    /// Under load, how long records may wait to share one frame.
    pub commit_interval: Duration,
    /// Stamps the receive times.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_record_bytes: 1 << 20,
            queue_bytes: 64 << 20,
            segment_bytes: 64 << 20,
            max_spool_bytes: 4 << 30,
            min_free_bytes: 1 << 30,
            max_sources: 4096,
            commit_interval: Duration::from_millis(10),
            clock: Clock::system(),
        }
    }
}

impl Options {
    /// The defaults, with a free-space reserve of 1 GiB or 5 % of the file system that holds `dir`,
    /// whichever is less. `dir` must exist.
    ///
    /// # Errors
    /// When the file system cannot be asked.
    pub fn for_dir(dir: &Path) -> io::Result<Self> {
        let defaults = Options::default();
        let five_percent = RealDisk.space(dir)?.total / 20;
        Ok(Options { min_free_bytes: defaults.min_free_bytes.min(five_percent), ..defaults })
    }

    /// The same with values that the format can keep.
    pub(crate) fn checked(mut self) -> Self {
        self.queue_bytes = self.queue_bytes.clamp(1 << 10, MAX_QUEUE_BYTES);
        self.segment_bytes = self.segment_bytes.max(4 << 10);
        self
    }
}

/// The wall clock, or a test's replacement for it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Clock::new(|| {
            let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
                Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
            };
            Time::from_micros(micros)
        })
    }

    /// A clock that answers what `now` returns.
    pub fn new(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    /// The time it is.
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
