//! Dead letters: what was given up after the last try.

use rusqlite::params;
use vedette_event::Time;

use super::{
    offer::{read_notice, suppress},
    schema::{Queue, number},
};
use crate::{Letter, NotifyError, Reason};

impl Queue {
    /// The latest first.
    pub fn letters(&self, limit: usize) -> Result<Vec<Letter>, NotifyError> {
        self.read(|db| {
            // Beside min(id), SQLite takes the other columns from that row.
            let mut found = db.prepare_cached(
                "SELECT message, channel, route, count(*), notice, attempts, coalesce(error, ''), offered, dead, min(id)
                 FROM deliveries WHERE dead IS NOT NULL GROUP BY message ORDER BY dead DESC, message DESC LIMIT ?1",
            )?;
            let mut rows = found.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                let notice = read_notice(&row.get::<_, String>(4)?)?;
                letters.push(Letter {
                    id: row.get(0)?,
                    channel: row.get(1)?,
                    route: row.get(2)?,
                    notices: number(row, 3)?,
                    subject: notice.subject,
                    what: notice.what,
                    level: notice.level(),
                    title: notice.title(),
                    attempts: row.get(5)?,
                    error: row.get(6)?,
                    offered: Time::from_micros(row.get(7)?),
                    given_up: Time::from_micros(row.get(8)?),
                });
            }
            Ok(letters)
        })
    }

    /// Puts a dead letter back into the queue, as if it had never been tried.
    pub fn retry(&self, letter: i64, now: Time) -> Result<(), NotifyError> {
        self.write(|writing| {
            let changed = writing.tx.execute(
                "UPDATE deliveries SET dead = NULL, attempts = 0, due = ?2 WHERE message = ?1 AND dead IS NOT NULL",
                params![letter, now.micros()],
            )?;
            if changed == 0 { Err(NotifyError::UnknownLetter(letter)) } else { Ok(()) }
        })
    }

    /// Removes a dead letter; it counts as suppressed.
    pub fn discard(&self, letter: i64, now: Time) -> Result<(), NotifyError> {
        self.write(|writing| {
            let mut found = writing.tx.prepare_cached(
                "SELECT channel, route, notice FROM deliveries WHERE message = ?1 AND dead IS NOT NULL",
            )?;
            let rows: Vec<(String, String, String)> = found
                .query_map([letter], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            if rows.is_empty() {
                return Err(NotifyError::UnknownLetter(letter));
            }
            for (channel, route, json) in rows {
                suppress(writing, &read_notice(&json)?, &channel, &route, Reason::Discarded, now)?;
            }
            writing.tx.execute("DELETE FROM deliveries WHERE message = ?1 AND dead IS NOT NULL", [letter])?;
            Ok(())
        })
    }
}
