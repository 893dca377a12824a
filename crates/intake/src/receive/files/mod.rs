//! Log files: followed as they grow, through rotation and truncation, exactly once.
//!
//! A *generation* is one file that was seen under a path: after a rotation the path has a new generation,
//! while the old one, under its new name, is read to its end. Files that had the path only between two looks
//! are found beside it and are generations too. The checkpoint keeps for every path the
//! generations with their offsets, and how many records of the source the spool held at those offsets.
//! Sequence numbers have no gaps, so after a crash the difference between that number and the spool's is
//! exactly how many records at the offset are stored already; they are skipped. This works because what a
//! file's bytes become is decided by the bytes alone, or, where time decides (a last line without LF, a
//! switch between generations), the decision is written to the checkpoint before it is acted on.

mod checkpoint;
mod cut;
mod follow;
mod identity;
mod rotated;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use cut::Multiline;
use follow::Follower;
use tokio_util::sync::CancellationToken;
use vedette_spool::Spool;

use super::{Counters, ReceiveError};

/// Where to begin with a file that was there when its pattern was first configured. Files that appear later
/// are always read from their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// Read what is there.
    #[default]
    Beginning,
    /// Only what is written from now on.
    End,
}

/// Files to follow.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// A glob: `*` and `?` within a name, `**` for folders in between.
    pub glob: String,
    /// The parser to use for these files; otherwise parsers are chosen by content.
    pub parser: Option<String>,
    /// Where to begin.
    pub start: Start,
    /// How lines are joined into records; none: every line is a record.
    pub multiline: Option<Multiline>,
}

impl Pattern {
    /// Single lines, from the beginning.
    pub fn new(glob: impl Into<String>) -> Self {
        Pattern { glob: glob.into(), parser: None, start: Start::Beginning, multiline: None }
    }
}

/// How files are followed.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to follow; the first pattern that matches a file decides.
    pub patterns: Vec<Pattern>,
    /// Globs of files to leave alone.
    pub exclude: Vec<String>,
    /// The checkpoint file, within the data folder.
    pub checkpoint: PathBuf,
    /// How often files are looked at.
    pub poll: Duration,
    /// How often the patterns are matched anew.
    pub rescan: Duration,
    /// A last line without LF becomes a record when nothing was added for this long.
    pub flush_after: Duration,
    /// A file that was rotated away or deleted is closed when nothing was added for this long.
    pub close_after: Duration,
    /// The longest record; longer lines are refused, longer joined records are split between lines.
    pub record_bytes: usize,
    /// Files followed at a time.
    pub max_files: usize,
    /// Where to count.
    pub counters: Arc<Counters>,
}

impl Config {
    /// Follows `patterns` with usual times and limits.
    pub fn new(patterns: Vec<Pattern>, checkpoint: impl Into<PathBuf>) -> Self {
        Config {
            patterns,
            exclude: Vec::new(),
            checkpoint: checkpoint.into(),
            poll: Duration::from_millis(250),
            rescan: Duration::from_secs(2),
            flush_after: Duration::from_secs(5),
            close_after: Duration::from_secs(30),
            record_bytes: 1 << 20,
            max_files: 1024,
            counters: Arc::default(),
        }
    }
}

/// A follower that is ready to run.
pub struct FileReceiver(Follower);

/// Reads the checkpoint and checks the patterns.
///
/// # Errors
/// When a pattern cannot be understood or the checkpoint cannot be read.
pub fn open(config: Config, spool: Spool) -> Result<FileReceiver, ReceiveError> {
    Follower::open(config, spool).map(FileReceiver)
}

impl FileReceiver {
    /// Follows the files until shutdown, on a thread of its own. Sources are `file:<path>`.
    ///
    /// # Errors
    /// When the checkpoint cannot be written: going on would bring records twice after a restart.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        let mut follower = self.0;
        tokio::task::spawn_blocking(move || follower.run(&shutdown)).await.unwrap_or(Err(ReceiveError::Stopped("file")))
    }
}
