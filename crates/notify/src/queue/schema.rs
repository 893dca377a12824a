//! The file: its tables, transactions on them.

use std::{path::Path, sync::Arc};

use rusqlite::{Connection, Transaction, params};
use vedette_statefile::{Format, StateFile};

use crate::NotifyError;

pub(super) const FORMAT: Format = Format {
    what: "a notification file",
    application_id: 0x564e_6f74, // `VNot`
    versions: &[CREATE, ADD_INCIDENTS],
};

const CREATE: &str = "
-- A notice for a channel: waiting, or given up (dead).
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER,                    -- the id of the first delivery of its message; null while it is gathered
    channel TEXT NOT NULL,
    route TEXT NOT NULL,
    alert INTEGER NOT NULL,
    level INTEGER NOT NULL,             -- 0 informational .. 4 critical
    what TEXT NOT NULL,
    notice TEXT NOT NULL,               -- JSON
    offered INTEGER NOT NULL,           -- microseconds since 1970 UTC, as all times here
    due INTEGER NOT NULL,
    held TEXT,                          -- digest, quiet_hours, rate_limit
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    dead INTEGER                        -- when it was given up
) STRICT;
CREATE INDEX deliveries_due ON deliveries(channel, due) WHERE dead IS NULL;
CREATE INDEX deliveries_of_alert ON deliveries(channel, alert) WHERE dead IS NULL;
CREATE INDEX deliveries_of_message ON deliveries(message);
CREATE INDEX deliveries_dead ON deliveries(dead) WHERE dead IS NOT NULL;
-- What was offered, so that nothing is told twice.
CREATE TABLE told (
    identity BLOB PRIMARY KEY,
    time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_time ON told(time);
CREATE TABLE counts (
    channel TEXT NOT NULL,
    route TEXT NOT NULL,
    what TEXT NOT NULL,                 -- offered, sent, suppressed:<reason>, held:<why>
    count INTEGER NOT NULL,
    PRIMARY KEY (channel, route, what)
) STRICT, WITHOUT ROWID;
-- The latest that were not sent, to look at.
CREATE TABLE suppressed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    channel TEXT NOT NULL,
    route TEXT NOT NULL,
    reason TEXT NOT NULL,
    alert INTEGER NOT NULL,
    what TEXT NOT NULL,
    level INTEGER NOT NULL,
    title TEXT NOT NULL
) STRICT;
-- How far the alerts were followed.
CREATE TABLE position (
    since INTEGER NOT NULL,             -- what happened to alerts before this is no news
    revision INTEGER NOT NULL
) STRICT;
CREATE TABLE followed (
    alert INTEGER PRIMARY KEY,
    opened INTEGER NOT NULL,
    changes INTEGER NOT NULL,           -- rows of its history
    decade INTEGER NOT NULL,            -- of its count
    changed INTEGER NOT NULL
) STRICT;
CREATE INDEX followed_by_time ON followed(changed);
";

/// What version 2 changed: a notice is about an alert or an incident, and each of them has numbers of its own.
const ADD_INCIDENTS: &str = "
ALTER TABLE deliveries RENAME COLUMN alert TO number;
ALTER TABLE deliveries ADD COLUMN about TEXT NOT NULL DEFAULT 'alert';      -- alert, incident
DROP INDEX deliveries_of_alert;
CREATE INDEX deliveries_of_subject ON deliveries(channel, about, number) WHERE dead IS NULL;
ALTER TABLE suppressed RENAME COLUMN alert TO number;
ALTER TABLE suppressed ADD COLUMN about TEXT NOT NULL DEFAULT 'alert';
CREATE TABLE new_position (
    about TEXT PRIMARY KEY,
    since INTEGER NOT NULL,             -- what happened to them before this is no news
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO new_position SELECT 'alert', since, revision FROM position;
DROP TABLE position;
ALTER TABLE new_position RENAME TO position;
CREATE TABLE new_followed (
    about TEXT NOT NULL,
    number INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    changes INTEGER NOT NULL,           -- rows of its history
    reach INTEGER NOT NULL,             -- how far it had come: an alert's decade, what an incident has (see notice.rs)
    changed INTEGER NOT NULL,
    PRIMARY KEY (about, number)
) STRICT, WITHOUT ROWID;
INSERT INTO new_followed SELECT 'alert', alert, opened, changes, decade, changed FROM followed;
DROP TABLE followed;
ALTER TABLE new_followed RENAME TO followed;
CREATE INDEX followed_by_time ON followed(changed);
";

/// The notification file. Cheap to clone; every clone works on the same file.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    file: Arc<StateFile>,
}

impl Queue {
    /// Opens the file, creating it (readable by its owner only) if there is none.
    pub fn open(path: &Path) -> Result<Queue, NotifyError> {
        Ok(Queue { file: Arc::new(FORMAT.open(path)?) })
    }

    #[cfg(test)]
    pub fn in_memory() -> Result<Queue, NotifyError> {
        Ok(Queue { file: Arc::new(FORMAT.in_memory()?) })
    }

    /// Runs `f` in one transaction: all of it is durable when this returns `Ok`, none of it otherwise.
    pub(super) fn write<T>(&self, f: impl FnOnce(&Writing<'_>) -> Result<T, NotifyError>) -> Result<T, NotifyError> {
        self.file.write(|tx| f(&Writing { tx }))
    }

    /// Runs `f` on one consistent view.
    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, NotifyError>) -> Result<T, NotifyError> {
        self.file.read(f)
    }
}

/// A transaction that counts.
pub(super) struct Writing<'a> {
    pub tx: &'a Transaction<'a>,
}

impl Writing<'_> {
    pub fn count(&self, channel: &str, route: &str, what: &str, by: u64) -> Result<(), NotifyError> {
        self.tx
            .prepare_cached(
                "INSERT INTO counts VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute(params![channel, route, what, i64::try_from(by).unwrap_or(i64::MAX)])?;
        Ok(())
    }
}

/// A number that is never negative.
pub(super) fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}
