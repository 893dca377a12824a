//! Where in the log a source's batches are. Derived from the entries: if it is lost it is made again. So it is no
//! `vedette_statefile::Format`: whatever else is in its place is replaced instead of refused or migrated.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::{
    FormatError, Hash, LedgerError,
    entry::{BatchRecord, Body, Entry},
};

const APPLICATION_ID: i32 = 0x5644_4C49; // "VDLI"
const VERSION: i32 = 3;
const SCHEMA: &str = "
    CREATE TABLE batches (
        source INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        count INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (source, first_seq)
    ) WITHOUT ROWID;
    CREATE TABLE keys (epoch INTEGER PRIMARY KEY, entry INTEGER NOT NULL);
    CREATE TABLE erasures (source INTEGER NOT NULL, seq INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (source, seq))
        WITHOUT ROWID;
    CREATE TABLE heads (source INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, chain BLOB NOT NULL);
    CREATE TABLE state (size INTEGER NOT NULL, epoch INTEGER);
    INSERT INTO state VALUES (0, NULL);
";

/// The index file.
pub(crate) struct Index {
    connection: Connection,
}

/// Where a source's chain of batches ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceHead {
    /// Sequence number of the next event.
    pub next_seq: u64,
    /// [`Entry::chain_hash`] of the last batch record.
    pub chain: Hash,
}

/// A batch and its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Sequence number of its first event.
    pub first_seq: u64,
    /// Number of events.
    pub count: u32,
    /// Number of its entry.
    pub entry: u64,
}

impl Index {
    /// Opens the file, or makes it. One of another kind is made again: everything in it is in the log too.
    pub(crate) fn open(path: &Path) -> Result<Index, LedgerError> {
        let connection = match Self::open_as_it_is(path) {
            Ok(Some(connection)) => connection,
            Ok(None) | Err(_) => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    match std::fs::remove_file(&name) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(LedgerError::Io { path: path.to_owned(), error });
                        }
                        _ => {}
                    }
                }
                let connection = Connection::open(path)?;
                configure(&connection)?;
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "application_id", APPLICATION_ID)?;
                connection.pragma_update(None, "user_version", VERSION)?;
                connection
            }
        };
        Ok(Index { connection })
    }

    /// Opens the file that a ledger keeps, for reading.
    pub(crate) fn open_read_only(path: &Path) -> Result<Index, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(Index { connection })
    }

    fn open_as_it_is(path: &Path) -> rusqlite::Result<Option<Connection>> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open(path)?;
        configure(&connection)?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let is_ours = pragma("application_id")? == APPLICATION_ID && pragma("user_version")? == VERSION;
        Ok(is_ours.then_some(connection))
    }

    /// How many entries of the log are in it, and the newest epoch among them.
    pub(crate) fn state(&self) -> Result<(u64, Option<u32>), LedgerError> {
        Ok(self
            .connection
            .query_row("SELECT size, epoch FROM state", [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> Result<(), LedgerError> {
        Ok(self.connection.execute_batch(
            "BEGIN; DELETE FROM batches; DELETE FROM keys; DELETE FROM erasures; DELETE FROM heads; UPDATE state SET size = 0, epoch = NULL; COMMIT;",
        )?)
    }

    /// Adds the log's entries from the index's size on.
    pub(crate) fn extend<'a>(&mut self, entries: impl Iterator<Item = &'a [u8]>) -> Result<(), LedgerError> {
        let (mut size, mut epoch) = self.state()?;
        let transaction = self.connection.transaction()?;
        {
            let mut batches = transaction.prepare_cached("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)")?;
            let mut keys = transaction.prepare_cached("INSERT OR REPLACE INTO keys VALUES (?, ?)")?;
            let mut erasures = transaction.prepare_cached("INSERT OR IGNORE INTO erasures VALUES (?, ?, ?)")?;
            let mut heads = transaction.prepare_cached("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)")?;
            for entry in entries {
                let entry = Entry::parse(entry)?;
                match &entry.body {
                    Body::Batch(BatchRecord { source, first_seq, count, .. }) => {
                        let (first, next) = (integer(*first_seq)?, integer(first_seq + u64::from(*count))?);
                        batches.execute(params![source, first, count, integer(size)?])?;
                        heads.execute(params![source, next, entry.chain_hash()])?;
                    }
                    Body::Erasure(erasure) => {
                        erasures.execute(params![erasure.source, integer(erasure.seq)?, integer(size)?])?;
                    }
                    Body::Key(key) => {
                        keys.execute(params![key.epoch, integer(size)?])?;
                        epoch = Some(key.epoch);
                    }
                    _ => {}
                }
                size += 1;
            }
        }
        transaction.execute("UPDATE state SET size = ?, epoch = ?", params![integer(size)?, epoch])?;
        Ok(transaction.commit()?)
    }

    /// Where every source's chain ends.
    pub(crate) fn heads(&self) -> Result<Vec<(u32, SourceHead)>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT source, next_seq, chain FROM heads")?;
        let rows = statement.query_map([], |row| {
            let head = SourceHead { next_seq: row.get::<_, i64>(1)? as u64, chain: row.get(2)? };
            Ok((row.get(0)?, head))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The batch that has an event.
    pub(crate) fn find(&self, source: u32, seq: u64) -> Result<Option<Place>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT first_seq, count, entry FROM batches WHERE source = ? AND first_seq <= ?
             ORDER BY first_seq DESC LIMIT 1",
        )?;
        let place = statement.query_row(params![source, integer(seq)?], place).optional()?;
        Ok(place.filter(|place| seq - place.first_seq < u64::from(place.count)))
    }

    /// The batches of a source that have events from `first` to `last`, in order.
    pub(crate) fn batches(&self, source: u32, first: u64, last: u64) -> Result<Vec<Place>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT first_seq, count, entry FROM batches
             WHERE source = ? AND first_seq <= ? AND first_seq + count > ? ORDER BY first_seq",
        )?;
        let rows = statement.query_map(params![source, integer(last)?, integer(first)?], place)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The entry that says that an event was erased.
    pub(crate) fn erasure(&self, source: u32, seq: u64) -> Result<Option<u64>, LedgerError> {
        let mut statement =
            self.connection.prepare_cached("SELECT entry FROM erasures WHERE source = ? AND seq = ?")?;
        let found = statement.query_row(params![source, integer(seq)?], |row| row.get::<_, i64>(0)).optional()?;
        Ok(found.map(|entry| entry as u64))
    }

    /// The entries that certify the keys of the epochs up to one, in order.
    pub(crate) fn keys(&self, last_epoch: u32) -> Result<Vec<u64>, LedgerError> {
        let mut statement = self.connection.prepare("SELECT entry FROM keys WHERE epoch <= ? ORDER BY epoch")?;
        let rows = statement.query_map([last_epoch], |row| Ok(row.get::<_, i64>(0)? as u64))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<Place> {
    let (first_seq, entry) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(2)? as u64);
    Ok(Place { first_seq, count: row.get(1)?, entry })
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What is lost is made again from the log.
    connection.pragma_update(None, "synchronous", "NORMAL")
}

/// SQLite counts to 2^63.
fn integer(number: u64) -> Result<i64, FormatError> {
    i64::try_from(number).map_err(|_| FormatError::new(format!("{number} is too large a number")))
}
