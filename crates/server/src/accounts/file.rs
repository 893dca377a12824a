//! The file.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, Transaction};
use vedette_statefile::{Format, StateFile};

use super::{AccountError, Throttle};

const FORMAT: Format = Format {
    what: "an account file",
    application_id: 0x5655_7372, // `VUsr`
    versions: &[CREATE],
};

const CREATE: &str = "
CREATE TABLE users (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    password TEXT NOT NULL,             -- PHC string, argon2id
    scopes TEXT NOT NULL,               -- read,write,ingest,admin
    created INTEGER NOT NULL,           -- microseconds since 1970 UTC, as all times here
    last_login INTEGER
) STRICT;
-- One-time links: the first account (user is null), an invitation, a new password.
CREATE TABLE links (
    hash BLOB PRIMARY KEY,              -- BLAKE3 of the secret, as all hashes here
    user TEXT COLLATE NOCASE,
    scopes TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL COLLATE NOCASE REFERENCES users(name) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    address TEXT
) STRICT;
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    last_used INTEGER
) STRICT;
";

/// The account file. Cheap to clone. Calls block: on the disk, and those that take a password for a tenth of a second.
#[derive(Clone, Debug)]
pub struct Accounts {
    file: Arc<StateFile>,
    pub(super) throttle: Arc<Throttle>,
}

impl Accounts {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not an account file, or was written by a newer Vedette.
    pub fn open(path: &Path) -> Result<Self, AccountError> {
        Self::over(FORMAT.open(path)?)
    }

    /// Accounts that are gone with the last clone; for tests.
    ///
    /// # Errors
    /// If SQLite cannot start.
    pub fn in_memory() -> Result<Self, AccountError> {
        Self::over(FORMAT.in_memory()?)
    }

    fn over(file: StateFile) -> Result<Self, AccountError> {
        // Secrets are hashed, but what is deleted should be gone all the same.
        file.connection().pragma_update(None, "secure_delete", true)?;
        Ok(Accounts { file: Arc::new(file), throttle: Arc::default() })
    }

    /// Runs `f` in one transaction; nothing of it remains if it fails.
    pub(super) fn with<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        self.file.write(f)
    }

    /// Runs `f`, which only reads.
    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, AccountError>) -> Result<T, AccountError> {
        self.file.read(f)
    }
}
