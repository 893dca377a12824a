//! The manifest: which segments the store consists of, and up to where each source is sealed. SQLite.
//!
//! It opens its file itself instead of as a `vedette_statefile::Format`: a new file is made in the shape of its version and
//! not by all the steps that led there, it is read without leaving anything beside it, an empty one is read as none, and
//! what is wrong with it is said like what is wrong with any other file of the store.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use vedette_event::{SourceId, Time};

use crate::{
    Granule, Hold, Result, StoreError,
    columns::SCHEMA_ID,
    error::IoContext,
    varint::{self, Reader},
};

/// The manifest's file in the store's folder.
pub(crate) const FILE: &str = "manifest.sqlite";
/// The version of the tables below (`user_version`).
pub(crate) const VERSION: u32 = 2;
/// Tells a manifest from any other SQLite file (`application_id`): "VDTM".
const APPLICATION_ID: u32 = 0x5644_544d;

const TABLES: &str = "
CREATE TABLE segments (
    id             TEXT PRIMARY KEY,
    hour           INTEGER NOT NULL,  -- hours since 1970-01-01T00Z: the partition
    path           TEXT NOT NULL,     -- of the Parquet file, relative to the store's folder
    schema         INTEGER NOT NULL,
    rows           INTEGER NOT NULL,
    raw_bytes      INTEGER NOT NULL,  -- of the original records
    longest        INTEGER NOT NULL,  -- original record, in bytes
    batches        INTEGER NOT NULL,
    parquet_bytes  INTEGER NOT NULL,
    parquet_crc    INTEGER NOT NULL,  -- CRC-32C of the whole file
    tokens_bytes   INTEGER NOT NULL,
    tokens_crc     INTEGER NOT NULL,
    received_min   INTEGER NOT NULL,  -- microseconds since 1970, as all times
    received_max   INTEGER NOT NULL,
    time_min       INTEGER NOT NULL,
    time_max       INTEGER NOT NULL,
    granules       BLOB NOT NULL,     -- see docs/formats.md
    merges         INTEGER NOT NULL   -- how many compactions its rows went through
) STRICT;
CREATE TABLE runs (                   -- which events a segment has: first..=last of a source, without gaps
    segment   TEXT NOT NULL REFERENCES segments(id) ON DELETE CASCADE,
    source    INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    PRIMARY KEY (source, first_seq, segment)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_segment ON runs (segment);
CREATE TABLE sources (
    source   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    receiver TEXT NOT NULL,
    next_seq INTEGER NOT NULL         -- everything before it is sealed
) STRICT;
CREATE TABLE state (                  -- one row
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    schema         INTEGER NOT NULL,  -- the newest set of columns in use
    spool_position INTEGER NOT NULL   -- everything before it is sealed
) STRICT;
";

/// What version 2 has more.
const HOLDS: &str = "
CREATE TABLE holds (                  -- legal holds
    name     TEXT PRIMARY KEY,
    reason   TEXT NOT NULL,
    source   TEXT,                    -- only events of the source of this name
    received_from INTEGER,            -- only events received at or after this time
    received_to   INTEGER,            -- only events received before this time
    set_by   TEXT NOT NULL,
    set_at   INTEGER NOT NULL
) STRICT;
";

/// Events of one source with consecutive sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Run {
    /// The source.
    pub source: SourceId,
    /// Sequence number of the first event.
    pub first_seq: u64,
    /// Sequence number of the last event.
    pub last_seq: u64,
}

impl Run {
    /// Number of events.
    pub fn events(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }
}

/// Sorts runs and joins those that follow each other.
pub(crate) fn join_runs(runs: &mut Vec<Run>) {
    runs.sort();
    runs.dedup_by(|next, run| {
        let joins = next.source == run.source && next.first_seq == run.last_seq + 1;
        if joins {
            run.last_seq = next.last_seq;
        }
        joins
    });
}

/// A segment's row in the manifest, with its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: String,
    pub(crate) hour: i64,
    pub(crate) path: String,
    pub(crate) schema: u32,
    pub(crate) rows: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) longest: u64,
    pub(crate) batches: u64,
    pub(crate) parquet_bytes: u64,
    pub(crate) parquet_crc: u32,
    pub(crate) tokens_bytes: u64,
    pub(crate) tokens_crc: u32,
    pub(crate) received: (Time, Time),
    pub(crate) time: (Time, Time),
    pub(crate) granules: Vec<Granule>,
    pub(crate) merges: u32,
    pub(crate) runs: Vec<Run>,
}

/// A source as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRow {
    pub(crate) name: String,
    pub(crate) receiver: String,
    pub(crate) next_seq: u64,
}

/// What the manifest says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) sources: BTreeMap<SourceId, SourceRow>,
    pub(crate) spool_position: u64,
    pub(crate) holds: Vec<Hold>,
}

/// An open manifest.
#[derive(Debug)]
pub(crate) struct Manifest {
    path: PathBuf,
    connection: Connection,
}

impl Manifest {
    /// Opens it for writing; creates it where there is none.
    pub(crate) fn open(dir: &Path) -> Result<Manifest> {
        let path = dir.join(FILE);
        let wrap = |error| StoreError::Manifest { path: path.clone(), error };
        let connection = Connection::open(&path).map_err(wrap)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(wrap)?;
        check_version(&connection, &path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(wrap)?;
        if mode != "wal" {
            return Err(StoreError::damaged(
                &path,
                format!("SQLite refuses write-ahead logging here (it says `{mode}`)"),
            ));
        }
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").map_err(wrap)?;
        let mut manifest = Manifest { path, connection };
        manifest.write(|transaction| {
            let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            match version {
                0 => {
                    transaction.execute_batch(TABLES)?;
                    transaction.execute("INSERT INTO state VALUES (1, ?1, 0)", [SCHEMA_ID])?;
                    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                }
                // Holds were of segments, and nothing set them.
                1 => transaction.execute_batch("ALTER TABLE segments DROP COLUMN hold")?,
                _ => return Ok(()),
            }
            transaction.execute_batch(HOLDS)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            Ok(())
        })?;
        Ok(manifest)
    }

    /// Opens it for reading, without changing anything; `None` where there is none. `alone` says that no process
    /// can be writing meanwhile.
    pub(crate) fn open_read_only(dir: &Path, alone: bool) -> Result<Option<Manifest>> {
        let path = dir.join(FILE);
        if !path.try_exists().at(&path, "opening")? {
            return Ok(None);
        }
        let wrap = |error| StoreError::Manifest { path: path.clone(), error };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        // SQLite creates files beside the database even for reading, unless it is told that nothing changes. That is
        // true without a writer and without a write-ahead log, which only a crash leaves behind.
        let has_log = dir.join(format!("{FILE}-wal")).metadata().is_ok_and(|log| log.len() > 0);
        let immutable = if alone && !has_log { "?immutable=1" } else { "" };
        let uri = format!("file:{}{immutable}", uri_path(&path));
        let connection = Connection::open_with_flags(uri, flags).map_err(wrap)?;
        let version = check_version(&connection, &path)?;
        Ok((version > 0).then_some(Manifest { path, connection }))
    }

    /// Writes a copy of it.
    pub(crate) fn copy(&self, to: &Path) -> Result<()> {
        let target = to.to_string_lossy().into_owned();
        let copied = self.connection.execute("VACUUM INTO ?1", [target]);
        copied.map(drop).map_err(|error| StoreError::Manifest { path: to.to_owned(), error })
    }

    /// Reads everything.
    pub(crate) fn contents(&self) -> Result<Contents> {
        self.read().map_err(|error| StoreError::Manifest { path: self.path.clone(), error })?.ok_or_else(|| {
            StoreError::damaged(
                &self.path,
                "a segment's granule table cannot be read; restore the manifest from a backup",
            )
        })
    }

    fn read(&self) -> rusqlite::Result<Option<Contents>> {
        let connection = &self.connection;
        let mut contents = Contents {
            spool_position: connection
                .query_row("SELECT spool_position FROM state", [], |row| row.get::<_, i64>(0))
                .optional()?
                .unwrap_or_default() as u64,
            ..Contents::default()
        };
        let mut statement = connection.prepare("SELECT source, name, receiver, next_seq FROM sources")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let source = SourceRow { name: row.get(1)?, receiver: row.get(2)?, next_seq: row.get::<_, i64>(3)? as u64 };
            contents.sources.insert(SourceId(row.get(0)?), source);
        }
        let is_first: bool = connection.query_row("PRAGMA user_version", [], |row| Ok(row.get::<_, u32>(0)? < 2))?;
        if !is_first {
            let mut statement = connection.prepare(
                "SELECT name, reason, source, received_from, received_to, set_by, set_at FROM holds ORDER BY name",
            )?;
            let time =
                |row: &rusqlite::Row<'_>, at| row.get::<_, Option<i64>>(at).map(|micros| micros.map(Time::from_micros));
            let holds = statement.query_map([], |row| {
                Ok(Hold {
                    name: row.get(0)?,
                    reason: row.get(1)?,
                    source: row.get(2)?,
                    from: time(row, 3)?,
                    to: time(row, 4)?,
                    by: row.get(5)?,
                    since: Time::from_micros(row.get(6)?),
                })
            })?;
            contents.holds = holds.collect::<rusqlite::Result<_>>()?;
        }
        let mut runs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
        let mut statement = connection
            .prepare("SELECT segment, source, first_seq, last_seq FROM runs ORDER BY segment, source, first_seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let run = Run {
                source: SourceId(row.get(1)?),
                first_seq: row.get::<_, i64>(2)? as u64,
                last_seq: row.get::<_, i64>(3)? as u64,
            };
            runs.entry(row.get(0)?).or_default().push(run);
        }
        let mut statement = connection.prepare(
            "SELECT id, hour, path, schema, rows, raw_bytes, longest, batches, parquet_bytes, parquet_crc, tokens_bytes,
                tokens_crc, received_min, received_max, time_min, time_max, granules, merges
             FROM segments ORDER BY hour, received_min, id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let time = |at| row.get(at).map(Time::from_micros);
            let number = |at| row.get::<_, i64>(at).map(|number| number as u64);
            let id: String = row.get(0)?;
            let Some(granules) = decode_granules(&row.get::<_, Vec<u8>>(16)?) else {
                return Ok(None);
            };
            contents.segments.push(SegmentRow {
                hour: row.get(1)?,
                path: row.get(2)?,
                schema: row.get(3)?,
                rows: number(4)?,
                raw_bytes: number(5)?,
                longest: number(6)?,
                batches: number(7)?,
                parquet_bytes: number(8)?,
                parquet_crc: row.get(9)?,
                tokens_bytes: number(10)?,
                tokens_crc: row.get(11)?,
                received: (time(12)?, time(13)?),
                time: (time(14)?, time(15)?),
                granules,
                merges: row.get(17)?,
                runs: runs.remove(&id).unwrap_or_default(),
                id,
            });
        }
        Ok(Some(contents))
    }

    /// True if the manifest has the segment.
    pub(crate) fn has(&self, id: &str) -> Result<bool> {
        self.connection
            .query_row("SELECT 1 FROM segments WHERE id = ?1", [id], |_| Ok(()))
            .optional()
            .map(|found| found.is_some())
            .map_err(|error| StoreError::Manifest { path: self.path.clone(), error })
    }

    /// Runs one transaction; it is durable on return.
    pub(crate) fn write(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            change(&transaction)?;
            transaction.commit()
        };
        run(&mut self.connection).map_err(|error| StoreError::Manifest { path: self.path.clone(), error })
    }
}

/// A path as the path of a `file:` URI.
fn uri_path(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// Refuses a manifest of a newer version, and a file that is something else. 0 is an empty file.
fn check_version(connection: &Connection, path: &Path) -> Result<u32> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u32>(0));
    let read = || Ok((pragma("user_version")?, pragma("application_id")?, pragma("schema_version")?));
    let (version, application, schema) =
        read().map_err(|error| StoreError::Manifest { path: path.to_owned(), error })?;
    if (application != APPLICATION_ID || version == 0) && schema != 0 {
        return Err(StoreError::damaged(path, "an SQLite file, but not a manifest of vedette"));
    }
    if version > VERSION {
        let (found, known) = (version.into(), VERSION.into());
        return Err(StoreError::Newer { path: path.to_owned(), what: "manifest", found, known });
    }
    Ok(version)
}

/// Adds a segment.
pub(crate) fn insert_segment(transaction: &Transaction<'_>, segment: &SegmentRow) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            segment.id,
            segment.hour,
            segment.path,
            segment.schema,
            segment.rows as i64,
            segment.raw_bytes as i64,
            segment.longest as i64,
            segment.batches as i64,
            segment.parquet_bytes as i64,
            segment.parquet_crc,
            segment.tokens_bytes as i64,
            segment.tokens_crc,
            segment.received.0.micros(),
            segment.received.1.micros(),
            segment.time.0.micros(),
            segment.time.1.micros(),
            encode_granules(&segment.granules),
            segment.merges,
        ],
    )?;
    let mut insert = transaction.prepare_cached("INSERT INTO runs VALUES (?1, ?2, ?3, ?4)")?;
    for run in &segment.runs {
        insert.execute(params![segment.id, run.source.0, run.first_seq as i64, run.last_seq as i64])?;
    }
    Ok(())
}

/// Removes a segment.
pub(crate) fn delete_segment(transaction: &Transaction<'_>, id: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM segments WHERE id = ?1", [id]).map(drop)
}

/// Sets a legal hold.
pub(crate) fn insert_hold(transaction: &Transaction<'_>, hold: &Hold) -> rusqlite::Result<()> {
    let micros = |time: Option<Time>| time.map(Time::micros);
    let (from, to, since) = (micros(hold.from), micros(hold.to), hold.since.micros());
    transaction
        .execute(
            "INSERT INTO holds VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![hold.name, hold.reason, hold.source, from, to, hold.by, since],
        )
        .map(drop)
}

/// Lifts a legal hold.
pub(crate) fn delete_hold(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM holds WHERE name = ?1", [name]).map(drop)
}

/// Says up to where everything is sealed.
pub(crate) fn set_sealed(
    transaction: &Transaction<'_>,
    sources: &BTreeMap<SourceId, SourceRow>,
    spool_position: u64,
) -> rusqlite::Result<()> {
    let mut upsert = transaction.prepare_cached(
        "INSERT INTO sources VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (source) DO UPDATE SET name = ?2, receiver = ?3, next_seq = ?4",
    )?;
    for (id, source) in sources {
        upsert.execute(params![id.0, source.name, source.receiver, source.next_seq as i64])?;
    }
    transaction
        .execute("UPDATE state SET schema = ?1, spool_position = ?2", params![SCHEMA_ID, spool_position as i64])
        .map(drop)
}

/// For each granule: rows, earliest event time (as the difference to the granule before), span of event times,
/// earliest receive time and span likewise, original bytes.
pub(crate) fn encode_granules(granules: &[Granule]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut time, mut received) = (0, 0);
    for granule in granules {
        varint::put(&mut out, granule.len());
        for ((min, max), before) in [(granule.time, &mut time), (granule.received, &mut received)] {
            varint::put_signed(&mut out, min.micros().wrapping_sub(*before));
            varint::put(&mut out, max.micros().wrapping_sub(min.micros()) as u64);
            *before = min.micros();
        }
        varint::put(&mut out, granule.raw_bytes);
    }
    out
}

/// See [`encode_granules`].
pub(crate) fn decode_granules(bytes: &[u8]) -> Option<Vec<Granule>> {
    let mut reader = Reader::new(bytes);
    let mut granules = Vec::new();
    let (mut row, mut time, mut received) = (0u64, 0i64, 0i64);
    while !reader.is_empty() {
        let rows = row..row.checked_add(reader.u64()?)?;
        let mut span = |before: &mut i64| {
            let min = before.wrapping_add(reader.i64()?);
            let max = min.wrapping_add(reader.u64()? as i64);
            *before = min;
            Some((Time::from_micros(min), Time::from_micros(max)))
        };
        let (time, received) = (span(&mut time)?, span(&mut received)?);
        row = rows.end;
        granules.push(Granule { rows, time, received, raw_bytes: reader.u64()? });
    }
    Some(granules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granules_survive() {
        let mut granules = Vec::new();
        let mut row = 0;
        for (time, received) in [(5, 9), (i64::MIN, i64::MAX), (i64::MAX, 0)] {
            let mut granule = Granule::starting_at(row);
            granule.add_row(Time::from_micros(time), Time::from_micros(received), 100);
            granule.add_row(Time::from_micros(0), Time::from_micros(received), 1);
            row = granule.rows.end;
            granules.push(granule);
        }
        let bytes = encode_granules(&granules);
        assert_eq!(decode_granules(&bytes), Some(granules));
        assert_eq!(decode_granules(&bytes[..bytes.len() - 1]), None);
    }
}
