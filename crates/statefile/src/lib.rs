//! A room's state in one SQLite file, readable with any tool: opening it, its versions, transactions.
//!
//! A [`Format`] says what the file is and what each version of it added. Opening a file creates it if there is none,
//! refuses another program's and a newer Vedette's before anything in it is changed, and brings an older one to the newest
//! version, all of the way or not at all.
//!
//! ```
//! use vedette_statefile::Format;
//!
//! const NOTES: Format = Format {
//!     what: "a file of notes",
//!     application_id: 0x564e_7465, // `VNte`
//!     versions: &["CREATE TABLE notes (text TEXT NOT NULL) STRICT", "ALTER TABLE notes ADD COLUMN author TEXT"],
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let notes = NOTES.open(&folder.path().join("notes.db"))?;
//! notes.write(|tx| tx.execute("INSERT INTO notes VALUES ('look at this', 'ada')", []))?;
//! let author: String = notes.read(|db| db.query_row("SELECT author FROM notes", [], |row| row.get(0)))?;
//! assert_eq!(author, "ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

#[cfg(test)]
mod tests;

/// How long to wait for another process that has the file locked.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a file is.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name in messages, with the article: `an alert file`.
    pub what: &'static str,
    /// SQLite's `application_id`, so that `file` and we can tell whose database it is.
    pub application_id: i32,
    /// What each version added, as SQL, the first version first. Only ever appended to: a file of version n
    /// (`user_version`) has had the first n.
    pub versions: &'static [&'static str],
}

/// An open file. What one writes, others that have it open see.
#[derive(Debug)]
pub struct StateFile(Mutex<Connection>);

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be opened or created.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is some other program's database.
    #[error("{path}: not {what} of Vedette (application id {found:#x})")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should have been, with the article.
        what: &'static str,
        /// SQLite's `application_id` found in it.
        found: i32,
    },
    /// It was written by a newer Vedette.
    #[error(
        "{path} is {what} of version {found}, which is newer than the {known} this Vedette knows; use the newer Vedette or restore a backup"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it is, with the article.
        what: &'static str,
        /// The version it says.
        found: u32,
        /// The newest version this code knows.
        known: u32,
    },
    /// SQLite refused.
    #[error("{path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl Format {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not of this format, or was written by a newer Vedette.
    pub fn open(&self, path: &Path) -> Result<StateFile, OpenError> {
        create_private(path).map_err(|source| OpenError::Open { path: path.to_owned(), source })?;
        let mut db = self.connect(path, OpenFlags::default())?;
        db.pragma_update(None, "journal_mode", "WAL")
            .and_then(|()| self.prepare(&mut db))
            .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        Ok(StateFile(Mutex::new(db)))
    }

    /// Opens an existing file for reading, as it is, beside a process that writes it or without one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no file.
    pub fn open_read_only(&self, path: &Path) -> Result<StateFile, OpenError> {
        std::fs::metadata(path).map_err(|source| OpenError::Open { path: path.to_owned(), source })?;
        let db = self.connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        Ok(StateFile(Mutex::new(db)))
    }

    /// State that is gone when it is dropped; for tests and offline runs.
    ///
    /// # Errors
    /// If SQLite cannot start.
    pub fn in_memory(&self) -> rusqlite::Result<StateFile> {
        let mut db = Connection::open_in_memory()?;
        self.prepare(&mut db)?;
        Ok(StateFile(Mutex::new(db)))
    }

    /// Refuses before anything is written.
    fn connect(&self, path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
        let look = || {
            let db = Connection::open_with_flags(path, flags)?;
            db.busy_timeout(PATIENCE)?;
            let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let is_empty: bool = db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((db, id, version, is_empty))
        };
        let (db, id, version, is_empty) =
            look().map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
        let is_new = id == 0 && version == 0 && is_empty;
        if id != self.application_id && !is_new {
            return Err(OpenError::Foreign { path: path.to_owned(), what: self.what, found: id });
        }
        if version > self.newest() {
            let (what, known) = (self.what, self.newest());
            return Err(OpenError::Newer { path: path.to_owned(), what, found: version, known });
        }
        Ok(db)
    }

    fn prepare(&self, db: &mut Connection) -> rusqlite::Result<()> {
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Again: another process may have brought it further since it was looked at.
        let version: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for added in self.versions.iter().skip(version as usize) {
            tx.execute_batch(added)?;
        }
        if version < self.newest() {
            tx.pragma_update(None, "application_id", self.application_id)?;
            tx.pragma_update(None, "user_version", self.newest())?;
        }
        tx.commit()
    }

    fn newest(&self) -> u32 {
        self.versions.len() as u32
    }
}

impl StateFile {
    /// Runs `f` in one transaction: all of it is durable when this returns `Ok`, none of it otherwise.
    ///
    /// # Errors
    /// Those of `f`, and if SQLite refuses.
    pub fn write<T, E: From<rusqlite::Error>>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut db = self.connection();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = f(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// Runs `f` on one consistent view.
    ///
    /// # Errors
    /// Those of `f`, and if SQLite refuses.
    pub fn read<T, E: From<rusqlite::Error>>(&self, f: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let mut db = self.connection();
        let tx = db.transaction()?;
        f(&tx)
    }

    /// The connection itself, for its settings.
    pub fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held rolled its transaction back; the connection is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
