//! What can go wrong, where, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing a file failed.
    #[error("{}: {action} failed: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// The manifest could not be read or written.
    #[error("{}: manifest: {error}", path.display())]
    Manifest {
        /// The manifest's file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: rusqlite::Error,
    },
    /// A file was written by a newer version.
    #[error("{}: written in {what} version {found}, this program reads up to version {known}; use a newer vedette", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which format.
        what: &'static str,
        /// The version found.
        found: u64,
        /// The newest version that this program knows.
        known: u64,
    },
    /// A file is not what it should be.
    #[error("{}: damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Parquet or Arrow refused.
    #[error("{}: {error}", path.display())]
    Parquet {
        /// The file; empty for rows in memory.
        path: PathBuf,
        /// The cause.
        #[source]
        error: parquet::errors::ParquetError,
    },
    /// Another process has the folder open for writing.
    #[error("{}: the store is in use by another vedette process; stop it, or ask it through its socket", path.display())]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// What has to be on disk before the manifest changes is not: [`crate::Options::before_commit`].
    #[error("the store has to wait: {0}")]
    NotYet(String),
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// More unsealed rows than the limit: seal before appending more.
    #[error("{bytes} bytes wait to be sealed, the limit is {limit}; call `seal` (is the disk full?)")]
    TailFull {
        /// Bytes in the tail.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The batch breaks a rule of batches.
    #[error("batch of source `{source_name}`: {detail}")]
    Batch {
        /// The batch's source.
        source_name: String,
        /// The rule it breaks.
        detail: String,
    },
    /// An earlier failure left it unknown whether the manifest was changed; only opening again can tell.
    #[error("the store must be opened again: {0}")]
    Broken(String),
    /// A fail point stopped the operation (tests only).
    #[error("stopped at fail point `{0}`")]
    Stopped(&'static str),
}

/// The crate's result.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        StoreError::Damaged { path: path.to_owned(), detail: detail.into() }
    }

    /// True if the file itself is to blame, so that trying again cannot help.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. } | StoreError::Parquet { .. } | StoreError::Newer { .. })
    }
}

/// Adds the path and the action to an I/O error.
pub(crate) trait IoContext<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T> {
        self.map_err(|error| StoreError::Io { path: path.to_owned(), action, error })
    }
}

/// Adds the path to a Parquet or Arrow error.
pub(crate) trait ParquetContext<T> {
    fn of(self, path: &Path) -> Result<T>;
}

impl<T, E: Into<parquet::errors::ParquetError>> ParquetContext<T> for std::result::Result<T, E> {
    fn of(self, path: &Path) -> Result<T> {
        self.map_err(|error| StoreError::Parquet { path: path.to_owned(), error: error.into() })
    }
}
