//! What was done to alerts, incidents and cases, by whom and when: one table for all, only ever added to.

use rusqlite::{Connection, params};
use vedette_event::Time;

use crate::{
    AlertError, Change,
    review::{MAX_NAME, check_len},
    schema::Writing,
};

/// Whose history.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Alert(i64),
    Incident(i64),
    Case(i64),
}

impl Subject {
    /// The column that says so, and the number in it.
    const fn column(self) -> (&'static str, i64) {
        match self {
            Subject::Alert(id) => ("alert", id),
            Subject::Incident(id) => ("incident", id),
            Subject::Case(id) => ("case_id", id),
        }
    }
}

/// Writes a line. Here is checked who it was, since everything that somebody does comes by.
pub(crate) fn note_change(
    writing: &Writing<'_>,
    subject: Subject,
    now: Time,
    who: &str,
    what: &str,
    detail: Option<&str>,
) -> Result<(), AlertError> {
    check_len("the name", who, MAX_NAME)?;
    let (column, id) = subject.column();
    writing
        .tx
        .prepare_cached(&format!(
            "INSERT INTO history ({column}, time, who, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)"
        ))?
        .execute(params![id, now.micros(), who, what, detail])?;
    Ok(())
}

/// All of it, oldest first.
pub(crate) fn read(db: &Connection, subject: Subject) -> Result<Vec<Change>, AlertError> {
    let (column, id) = subject.column();
    let mut rows =
        db.prepare_cached(&format!("SELECT time, who, what, detail FROM history WHERE {column} = ?1 ORDER BY id"))?;
    let rows = rows.query_map([id], |row| {
        Ok(Change { time: Time::from_micros(row.get(0)?), who: row.get(1)?, what: row.get(2)?, detail: row.get(3)? })
    })?;
    rows.map(|row| Ok(row?)).collect()
}

/// How many lines there are.
pub(crate) fn len(db: &Connection, subject: Subject) -> Result<u64, AlertError> {
    let (column, id) = subject.column();
    let count: i64 = db
        .prepare_cached(&format!("SELECT count(*) FROM history WHERE {column} = ?1"))?
        .query_row([id], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}
