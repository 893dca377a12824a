//! What can go wrong: for a sender ([`Refused`]) and for the spool as a whole ([`SpoolError`]).

use std::{io, path::PathBuf};

use vedette_event::Reason;

use crate::Position;

/// Records were not stored.
///
/// The spool does not count refusals by itself: only the caller knows whether the sender was told
/// ([`crate::Spool::refuse`]), the records are lost ([`crate::Spool::shed`]) or it will try again (neither).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refused {
    /// The kind, as it is counted.
    pub reason: Reason,
    /// What was over which limit, for people.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Refused { reason, detail: detail.into() }
    }
}

/// The spool cannot be opened, read or released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the spool {} is in use by another process{holder}; stop that one, or use another data folder", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// ` (pid N)` where the lock file tells.
        holder: String,
    },
    /// The file was written by a later release.
    #[error("{} has spool format version {found}; this release reads up to version {supported}: use a newer release", file.display())]
    NewerVersion {
        /// The segment file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this code reads.
        supported: u32,
    },
    /// Bytes that were once durable are no longer what was written.
    #[error("{} is damaged at byte {offset}: {what}; restore it from a copy, or move the spool folder away to start a new one (its records that are not yet in the store are lost then)", file.display())]
    Damaged {
        /// The segment file.
        file: PathBuf,
        /// Offset of the first bad frame or header in that file.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A segment file between two others is gone.
    #[error("segment file {} is missing, though {} exists; restore it from a copy", missing.display(), next.display())]
    MissingSegment {
        /// The file that should be there.
        missing: PathBuf,
        /// The one after it.
        next: PathBuf,
    },
    /// A file in the spool's folder has a segment's ending and not a segment's name.
    #[error("{} is no segment of this spool; move it away", file.display())]
    UnknownFile {
        /// The file.
        file: PathBuf,
    },
    /// The position lies behind the newest frame: it belongs to another spool, or the end of this one is gone.
    #[error("position {position} is beyond the spool's end {end}: it is of another spool, or this one lost its end")]
    Ahead {
        /// The position that was asked for.
        position: Position,
        /// Where the spool ends.
        end: Position,
    },
    /// The frame was released and its file deleted.
    #[error("position {position} was released; the oldest frame is at {start}")]
    Released {
        /// The position that was asked for.
        position: Position,
        /// The oldest one.
        start: Position,
    },
}

impl SpoolError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SpoolError {
        let path = path.into();
        move |source| SpoolError::Io { action, path, source }
    }

    pub(crate) fn damaged(file: impl Into<PathBuf>, offset: u64, what: impl Into<String>) -> SpoolError {
        SpoolError::Damaged { file: file.into(), offset, what: what.into() }
    }
}
