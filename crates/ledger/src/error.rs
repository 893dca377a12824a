//! What can go wrong.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl FormatError {
    /// With what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        FormatError(what.into())
    }
}

/// Why the ledger cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file is not as it was written.
    #[error("{}: {what}", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Something is not of its format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The sealer refuses.
    #[error("the sealer: {0}")]
    Sealer(String),
    /// The sealer is not there, for now.
    #[error("the sealer is gone: {0}")]
    SealerGone(String),
    /// The index cannot be used.
    #[error("the ledger's index: {0}")]
    Index(#[from] rusqlite::Error),
    /// What is to be recorded contradicts what was recorded.
    #[error("source {source_number}: {what}")]
    Contradiction {
        /// The source's number.
        source_number: u32,
        /// How.
        what: String,
    },
    /// Another process has the ledger open.
    #[error("{}: another process has the ledger open", .0.display())]
    Locked(PathBuf),
}

pub(crate) trait IoContext<T> {
    fn at(self, path: &Path) -> Result<T, LedgerError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, LedgerError> {
        self.map_err(|error| LedgerError::Io { path: path.to_owned(), error })
    }
}
