//! The file: opening, versions, transactions.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::AlertError;

/// `VAlt`, so that `file` and we can tell whose database it is.
const APPLICATION_ID: i32 = 0x5641_6c74;
const VERSION: i64 = 2;

const CREATE: &str = "
CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    group_key BLOB NOT NULL,
    rule_id TEXT NOT NULL,
    rule TEXT NOT NULL,                 -- JSON: id, title, level, author, techniques, tactics
    rule_time INTEGER NOT NULL,         -- of the finding the rule was quoted from
    rule_finding BLOB NOT NULL,
    level INTEGER NOT NULL,             -- 0 informational .. 4 critical
    entity_kind TEXT NOT NULL,
    entity_value TEXT NOT NULL,
    entities_truncated INTEGER NOT NULL DEFAULT 0,
    count INTEGER NOT NULL,
    first_time INTEGER NOT NULL,        -- microseconds since 1970 UTC, as all times here
    last_time INTEGER NOT NULL,
    state TEXT NOT NULL,                -- new, acknowledged, closed
    verdict TEXT,                       -- true_positive, false_positive, benign
    assignee TEXT,
    note TEXT,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_open_alert_per_group ON alerts(group_key) WHERE state <> 'closed';
CREATE INDEX alerts_by_revision ON alerts(revision);
CREATE INDEX alerts_by_last ON alerts(last_time);
CREATE INDEX alerts_by_level ON alerts(level, last_time);
CREATE INDEX alerts_by_rule ON alerts(rule_id);
-- Every finding ever recorded, so that none counts twice.
CREATE TABLE findings (
    id BLOB PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_by_alert ON findings(alert);
-- The latest findings of an alert, with what an analyst needs to see.
CREATE TABLE hits (
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    finding BLOB NOT NULL,
    events TEXT NOT NULL,               -- JSON: [\"3-1042\", ..]
    matched TEXT NOT NULL,              -- JSON: [{field, value}, ..]
    PRIMARY KEY (alert, time, finding)
) STRICT, WITHOUT ROWID;
CREATE TABLE entities (
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (alert, kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX entities_by_value ON entities(value, kind);
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    alert INTEGER NOT NULL REFERENCES alerts(id) ON DELETE CASCADE,
    time INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX history_by_alert ON history(alert);
CREATE TABLE revision (last INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);
";

/// What version 2 added.
const ADD_EXCEPTIONS: &str = "
CREATE TABLE exceptions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id TEXT NOT NULL,
    conditions TEXT NOT NULL,           -- JSON: [{field, value}, ..]
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    hidden INTEGER NOT NULL DEFAULT 0,
    last_hidden INTEGER
) STRICT;
CREATE INDEX exceptions_by_rule ON exceptions(rule_id);
-- Findings that an exception keeps from the alerts, so that none counts twice.
CREATE TABLE hidden (finding BLOB PRIMARY KEY, time INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// The alert file. Cheap to clone; every clone works on the same file.
#[derive(Clone, Debug)]
pub struct Alerts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    write: Option<Mutex<Connection>>,
    /// Readers do not wait for the recorder. In memory there is only one connection.
    read: Option<Mutex<Connection>>,
    revision: AtomicU64,
}

impl Alerts {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is not an alert file, or was written by a newer Vedette.
    pub fn open(path: &Path) -> Result<Self, AlertError> {
        create_private(path).map_err(|source| AlertError::Open { path: path.to_owned(), source })?;
        let mut write = Connection::open(path)?;
        write.busy_timeout(Duration::from_secs(5))?;
        check_file(&write, path)?;
        write.pragma_update(None, "journal_mode", "WAL")?;
        prepare(&mut write)?;
        let read = open_read(path)?;
        Self::over(Some(write), Some(read))
    }

    /// Opens an existing file for reading, beside a server that writes it or without one.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no file.
    pub fn open_read_only(path: &Path) -> Result<Self, AlertError> {
        std::fs::metadata(path).map_err(|source| AlertError::Open { path: path.to_owned(), source })?;
        let read = open_read(path)?;
        check_file(&read, path)?;
        Self::over(None, Some(read))
    }

    /// Alerts that are gone with the last clone; for tests and offline runs.
    ///
    /// # Errors
    /// If SQLite cannot start.
    pub fn in_memory() -> Result<Self, AlertError> {
        let mut write = Connection::open_in_memory()?;
        prepare(&mut write)?;
        Self::over(Some(write), None)
    }

    fn over(write: Option<Connection>, read: Option<Connection>) -> Result<Self, AlertError> {
        let alerts = Alerts {
            shared: Arc::new(Shared {
                write: write.map(Mutex::new),
                read: read.map(Mutex::new),
                revision: AtomicU64::new(0),
            }),
        };
        let revision = alerts.read(|db| Ok(db.query_row("SELECT last FROM revision", [], |row| row.get(0))?))?;
        alerts.set_revision(revision);
        Ok(alerts)
    }

    /// The number of the latest change. Cheap: watch it to learn that something changed.
    pub fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::Acquire)
    }

    fn set_revision(&self, revision: i64) {
        self.shared.revision.store(revision.unsigned_abs(), Ordering::Release);
    }

    /// Runs `f` in one transaction: all of it is durable when this returns `Ok`, none of it otherwise.
    pub(crate) fn write<T>(&self, f: impl FnOnce(&Writing<'_>) -> Result<T, AlertError>) -> Result<T, AlertError> {
        let mut db = lock(self.shared.write.as_ref().ok_or(AlertError::ReadOnly)?);
        let writing = Writing { tx: db.transaction_with_behavior(TransactionBehavior::Immediate)? };
        let done = f(&writing)?;
        let revision: i64 = writing.tx.query_row("SELECT last FROM revision", [], |row| row.get(0))?;
        writing.tx.commit()?;
        self.set_revision(revision);
        Ok(done)
    }

    /// Runs `f` on one consistent view.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, AlertError>) -> Result<T, AlertError> {
        let db = self.shared.read.as_ref().or(self.shared.write.as_ref());
        let mut db = lock(db.expect("every constructor gives at least one connection"));
        let tx = db.transaction()?;
        f(&tx)
    }
}

/// A transaction that gives out revisions.
pub(crate) struct Writing<'a> {
    pub(crate) tx: Transaction<'a>,
}

impl Writing<'_> {
    pub(crate) fn next_revision(&self) -> Result<i64, AlertError> {
        Ok(self.tx.query_row("UPDATE revision SET last = last + 1 RETURNING last", [], |row| row.get(0))?)
    }
}

fn lock(db: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic while it was held rolled its transaction back; the connection is whole.
    db.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn open_read(path: &Path) -> Result<Connection, AlertError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}

/// Refuses before anything is written.
fn check_file(db: &Connection, path: &Path) -> Result<(), AlertError> {
    let found: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if found != APPLICATION_ID && (found != 0 || tables > 0) {
        return Err(AlertError::Foreign { path: path.to_owned(), found });
    }
    if version > VERSION {
        return Err(AlertError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    Ok(())
}

fn prepare(db: &mut Connection) -> Result<(), AlertError> {
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        tx.execute_batch(CREATE)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if version < 2 {
        tx.execute_batch(ADD_EXCEPTIONS)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()?;
    Ok(())
}
