//! How far alerts and incidents were followed.

use rusqlite::{OptionalExtension as _, params};
use vedette_event::Time;

use super::schema::{Queue, number};
use crate::{About, NotifyError, Subject};

/// What was known of an alert or an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub subject: Subject,
    /// Tells apart alerts of the same number in a file that was made anew.
    pub opened: Time,
    /// Rows of its history.
    pub changes: u64,
    /// How far it had come: of what [grew](crate::Happened::Grew) is said when this is more.
    pub reach: u32,
    pub changed: Time,
}

impl Queue {
    /// Since when there is news, and the last revision that was followed. The first call begins at `start`.
    pub fn position(&self, about: About, start: u64, now: Time) -> Result<(Time, u64), NotifyError> {
        self.write(|writing| {
            let found: Option<(i64, u64)> = writing
                .tx
                .query_row("SELECT since, revision FROM position WHERE about = ?1", [about.as_str()], |row| {
                    Ok((row.get(0)?, number(row, 1)?))
                })
                .optional()?;
            if let Some((since, revision)) = found {
                return Ok((Time::from_micros(since), revision));
            }
            writing.tx.execute(
                "INSERT INTO position (about, since, revision) VALUES (?1, ?2, ?3)",
                params![about.as_str(), now.micros(), signed(start)],
            )?;
            Ok((now, start))
        })
    }

    /// Follows all from the beginning.
    pub fn start_over(&self) -> Result<(), NotifyError> {
        self.write(|writing| {
            writing.tx.execute("UPDATE position SET revision = 0", [])?;
            Ok(())
        })
    }

    /// What was known of an alert or an incident.
    pub fn followed(&self, subject: Subject) -> Result<Option<Followed>, NotifyError> {
        self.read(|db| {
            Ok(db
                .prepare_cached(
                    "SELECT opened, changes, reach, changed FROM followed WHERE about = ?1 AND number = ?2",
                )?
                .query_row(params![subject.about().as_str(), subject.number()], |row| {
                    Ok(Followed {
                        subject,
                        opened: Time::from_micros(row.get(0)?),
                        changes: number(row, 1)?,
                        reach: row.get(2)?,
                        changed: Time::from_micros(row.get(3)?),
                    })
                })
                .optional()?)
        })
    }

    /// Remembers what is known now, after its notices were offered; forgets what did not change since `before`.
    pub fn follow(&self, about: About, known: &[Followed], revision: u64, before: Time) -> Result<(), NotifyError> {
        self.write(|writing| {
            let mut keep = writing.tx.prepare_cached(
                "INSERT OR REPLACE INTO followed (about, number, opened, changes, reach, changed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for one in known {
                keep.execute(params![
                    about.as_str(),
                    one.subject.number(),
                    one.opened.micros(),
                    signed(one.changes),
                    one.reach,
                    one.changed.micros()
                ])?;
            }
            writing.tx.execute(
                "UPDATE position SET revision = ?2 WHERE about = ?1",
                params![about.as_str(), signed(revision)],
            )?;
            writing.tx.execute("DELETE FROM followed WHERE changed < ?1", [before.micros()])?;
            Ok(())
        })
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
