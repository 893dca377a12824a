//! The file.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{AccountError, Throttle};

/// `VUsr`.
const APPLICATION_ID: i32 = 0x5655_7372;
const VERSION: i64 = 1;

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
    db: Arc<Mutex<Connection>>,
    pub(super) throttle: Arc<Throttle>,
}

impl Accounts {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not an account file, or was written by a newer Vedette.
    pub fn open(path: &Path) -> Result<Self, AccountError> {
        use std::os::unix::fs::OpenOptionsExt;
        let open =
            std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        open.map_err(|source| AccountError::Open { path: path.to_owned(), source })?;
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(5))?;
        let found: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if found != APPLICATION_ID && (found != 0 || tables > 0) {
            return Err(AccountError::Foreign { path: path.to_owned() });
        }
        if version > VERSION {
            return Err(AccountError::Newer { path: path.to_owned(), found: version, known: VERSION });
        }
        db.pragma_update(None, "journal_mode", "WAL")?;
        Self::over(db)
    }

    /// Accounts that are gone with the last clone; for tests.
    ///
    /// # Errors
    /// If SQLite cannot start.
    pub fn in_memory() -> Result<Self, AccountError> {
        Self::over(Connection::open_in_memory()?)
    }

    fn over(mut db: Connection) -> Result<Self, AccountError> {
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        // Secrets are hashed, but what is deleted should be gone all the same.
        db.pragma_update(None, "secure_delete", true)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            tx.execute_batch(CREATE)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        tx.commit()?;
        Ok(Accounts { db: Arc::new(Mutex::new(db)), throttle: Arc::default() })
    }

    /// Runs `f` in one transaction; nothing of it remains if it fails.
    pub(super) fn with<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, AccountError>,
    ) -> Result<T, AccountError> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = f(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// Runs `f`, which only reads.
    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, AccountError>) -> Result<T, AccountError> {
        f(&self.db.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
