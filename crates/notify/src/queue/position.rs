//! How far the alerts were followed.

use rusqlite::{OptionalExtension as _, params};
use vedette_event::Time;

use super::schema::{Queue, number};
use crate::NotifyError;

/// What was known of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub alert: i64,
    /// Tells apart alerts of the same number in a file that was made anew.
    pub opened: Time,
    /// Rows of its history.
    pub changes: u64,
    /// Of its count.
    pub decade: u32,
    pub changed: Time,
}

impl Queue {
    /// Since when there is news, and the last revision that was followed. The first call begins at `start`.
    pub fn position(&self, start: u64, now: Time) -> Result<(Time, u64), NotifyError> {
        self.write(|writing| {
            let found: Option<(i64, u64)> = writing
                .tx
                .query_row("SELECT since, revision FROM position", [], |row| Ok((row.get(0)?, number(row, 1)?)))
                .optional()?;
            if let Some((since, revision)) = found {
                return Ok((Time::from_micros(since), revision));
            }
            writing.tx.execute("INSERT INTO position VALUES (?1, ?2)", params![now.micros(), signed(start)])?;
            Ok((now, start))
        })
    }

    /// What was known of an alert.
    pub fn followed(&self, alert: i64) -> Result<Option<Followed>, NotifyError> {
        self.read(|db| {
            Ok(db
                .prepare_cached("SELECT opened, changes, decade, changed FROM followed WHERE alert = ?1")?
                .query_row([alert], |row| {
                    Ok(Followed {
                        alert,
                        opened: Time::from_micros(row.get(0)?),
                        changes: number(row, 1)?,
                        decade: row.get(2)?,
                        changed: Time::from_micros(row.get(3)?),
                    })
                })
                .optional()?)
        })
    }

    /// Remembers what is known now, after its notices were offered; forgets alerts that did not change since `before`.
    pub fn follow(&self, known: &[Followed], revision: u64, before: Time) -> Result<(), NotifyError> {
        self.write(|writing| {
            for one in known {
                writing.tx.prepare_cached("INSERT OR REPLACE INTO followed VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
                    params![one.alert, one.opened.micros(), signed(one.changes), one.decade, one.changed.micros()],
                )?;
            }
            writing.tx.execute("UPDATE position SET revision = ?1", [signed(revision)])?;
            writing.tx.execute("DELETE FROM followed WHERE changed < ?1", [before.micros()])?;
            Ok(())
        })
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
