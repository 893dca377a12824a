//! Messages go out.

use rusqlite::{OptionalExtension as _, params};
use vedette_event::Time;

use super::{
    offer::{read_notice, suppress},
    schema::{Queue, Writing, number},
};
use crate::{Held, NotifyError, Reason, message::Message};

/// A message has at most so many notices; the rest are in the next.
const MAX_NOTICES: i64 = 500;
const MAX_ERROR: usize = 2048;

/// A message that is due.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// Its number.
    pub id: i64,
    /// What it says.
    pub message: Message,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a channel has to do.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// Send this.
    Send(Taken),
    /// Nothing before that.
    Wait(Option<Time>),
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The other side has it.
    Sent,
    /// It is tried again then.
    Again { due: Time, error: String },
    /// It is given up.
    Up { error: String },
}

/// How a channel's messages are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// What waits becomes one message: the channel's rate was reached.
    pub folds: bool,
    /// Nothing of an alert or an incident is sent while something older of it waits.
    pub in_order: bool,
}

impl Queue {
    /// The next message of a channel. It stays in the queue until [`finish`](Self::finish) is told what became of it: a
    /// process that dies meanwhile sends it again, with the same id and notices.
    pub fn take(&self, channel: &str, manner: Manner, now: Time) -> Result<Next, NotifyError> {
        self.write(|writing| {
            gather(writing, channel, now)?;
            if manner.folds {
                fold(writing, channel, now)?;
            }
            match due(writing, channel, manner, now)? {
                Some(id) => Ok(Next::Send(read(writing, id)?)),
                None => Ok(Next::Wait(next_due(writing, channel, now)?)),
            }
        })
    }

    /// Writes down what became of an attempt.
    pub fn finish(&self, message: i64, given: &Given, dead_limit: usize, now: Time) -> Result<(), NotifyError> {
        self.write(|writing| match given {
            Given::Sent => {
                let sent = of_message(writing, message)?;
                for (channel, route, count) in sent {
                    writing.count(&channel, &route, "sent", count)?;
                }
                writing.tx.prepare_cached("DELETE FROM deliveries WHERE message = ?1")?.execute([message])?;
                Ok(())
            }
            Given::Again { due, error } => {
                writing
                    .tx
                    .prepare_cached(
                        "UPDATE deliveries SET attempts = attempts + 1, due = ?2, error = ?3 WHERE message = ?1",
                    )?
                    .execute(params![message, due.micros(), short(error)])?;
                Ok(())
            }
            Given::Up { error } => {
                writing
                    .tx
                    .prepare_cached(
                        "UPDATE deliveries SET attempts = attempts + 1, dead = ?2, error = ?3 WHERE message = ?1",
                    )?
                    .execute(params![message, now.micros(), short(error)])?;
                forget_dead(writing, dead_limit, now)
            }
        })
    }

    /// Gives up what waits for channels that are not there any more.
    pub fn orphan(&self, channels: &[&str], dead_limit: usize, now: Time) -> Result<u64, NotifyError> {
        self.write(|writing| {
            let known = serde_json::json!(channels).to_string();
            let orphaned = writing.tx.execute(
                "UPDATE deliveries SET message = coalesce(message, id), dead = ?2, error = 'the channel is not configured any more'
                 WHERE dead IS NULL AND channel NOT IN (SELECT value FROM json_each(?1))",
                params![known, now.micros()],
            )?;
            forget_dead(writing, dead_limit, now)?;
            Ok(orphaned as u64)
        })
    }
}

fn short(error: &str) -> String {
    let mut error = error.to_owned();
    crate::text::cut(&mut error, MAX_ERROR);
    error
}

/// Makes one message of what was gathered, when the first of it is due.
fn gather(writing: &Writing<'_>, channel: &str, now: Time) -> Result<(), NotifyError> {
    let first: Option<(String, String)> = writing
        .tx
        .prepare_cached(
            "SELECT route, held FROM deliveries WHERE channel = ?1 AND dead IS NULL AND message IS NULL AND due <= ?2
             ORDER BY due, id LIMIT 1",
        )?
        .query_row(params![channel, now.micros()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((route, held)) = first else { return Ok(()) };
    let why = Held::ALL
        .into_iter()
        .find(|one| one.as_str() == held)
        .ok_or(NotifyError::Damaged { what: "deliveries.held" })?;
    let these = "SELECT id, due FROM deliveries WHERE channel = ?1 AND dead IS NULL AND message IS NULL AND due <= ?2
         AND route = ?4 AND held = ?5 ORDER BY id LIMIT ?3";
    join(writing, these, params![channel, now.micros(), MAX_NOTICES, route, held], why)?;
    Ok(())
}

/// Makes one message of all that is due and was never tried.
fn fold(writing: &Writing<'_>, channel: &str, now: Time) -> Result<(), NotifyError> {
    let these = "SELECT id, due FROM deliveries WHERE channel = ?1 AND dead IS NULL AND message = id
         AND due <= ?2 AND attempts = 0 AND held IS NULL ORDER BY id LIMIT ?3";
    let all = params![channel, now.micros(), MAX_NOTICES];
    let count: i64 = writing.tx.query_row(&format!("SELECT count(*) FROM ({these})"), all, |row| row.get(0))?;
    if count < 2 {
        return Ok(());
    }
    let message = join(writing, these, all, Held::RateLimit)?;
    for (channel, route, count) in of_message(writing, message)? {
        writing.count(&channel, &route, "held:rate_limit", count)?;
    }
    Ok(())
}

/// Makes one message of some deliveries, which is as old as the oldest of them.
fn join(writing: &Writing<'_>, these: &str, params: &[&dyn rusqlite::ToSql], held: Held) -> Result<i64, NotifyError> {
    let tx = &writing.tx;
    let (message, due): (i64, i64) =
        tx.query_row(&format!("SELECT min(id), min(due) FROM ({these})"), params, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    tx.execute(
        &format!(
            "UPDATE deliveries SET message = {message}, due = {due}, held = '{}'
             WHERE id IN (SELECT id FROM ({these}))",
            held.as_str()
        ),
        params,
    )?;
    Ok(message)
}

/// Whether nothing older of the same subject waits; an acknowledgement that is held for the night holds up nobody.
const IN_ORDER: &str = "AND NOT EXISTS (SELECT 1 FROM deliveries older
     WHERE older.channel = d.channel AND older.about = d.about AND older.number = d.number
         AND older.dead IS NULL AND older.id < d.id
         AND NOT (older.what = 'acknowledged' AND older.held IS NOT NULL))";

fn due(writing: &Writing<'_>, channel: &str, manner: Manner, now: Time) -> Result<Option<i64>, NotifyError> {
    let order = if manner.in_order { IN_ORDER } else { "" };
    let sql = format!(
        "SELECT d.message FROM deliveries d
         WHERE d.channel = ?1 AND d.dead IS NULL AND d.message IS NOT NULL AND d.due <= ?2 {order}
         ORDER BY d.due, d.id LIMIT 1"
    );
    Ok(writing.tx.prepare_cached(&sql)?.query_row(params![channel, now.micros()], |row| row.get(0)).optional()?)
}

/// What is due already waits for something else that is not.
fn next_due(writing: &Writing<'_>, channel: &str, now: Time) -> Result<Option<Time>, NotifyError> {
    let due: Option<i64> = writing
        .tx
        .prepare_cached("SELECT min(due) FROM deliveries WHERE channel = ?1 AND dead IS NULL AND due > ?2")?
        .query_row(params![channel, now.micros()], |row| row.get(0))?;
    Ok(due.map(Time::from_micros))
}

fn read(writing: &Writing<'_>, id: i64) -> Result<Taken, NotifyError> {
    let mut found = writing.tx.prepare_cached(
        "SELECT notice, held, attempts FROM deliveries WHERE message = ?1 AND dead IS NULL ORDER BY id",
    )?;
    let rows = found.query_map([id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, u32>(2)?))
    })?;
    let (mut notices, mut why, mut tried) = (Vec::new(), None, 0);
    for row in rows {
        let (json, held, attempts) = row?;
        notices.push(read_notice(&json)?);
        why = Held::ALL.into_iter().find(|one| Some(one.as_str()) == held.as_deref());
        tried = attempts;
    }
    // The number alone would come again in a file that was made anew.
    let first = notices.first().ok_or(NotifyError::Damaged { what: "deliveries.message" })?;
    let id_text = format!("vedette-{id}-{:x}", first.time.micros());
    Ok(Taken { id, message: Message { id: id_text, notices, held: why }, attempts: tried })
}

fn of_message(writing: &Writing<'_>, message: i64) -> Result<Vec<(String, String, u64)>, NotifyError> {
    let mut found = writing
        .tx
        .prepare_cached("SELECT channel, route, count(*) FROM deliveries WHERE message = ?1 GROUP BY channel, route")?;
    let rows = found.query_map([message], |row| Ok((row.get(0)?, row.get(1)?, number(row, 2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Discards the oldest dead letters beyond the limit.
fn forget_dead(writing: &Writing<'_>, limit: usize, now: Time) -> Result<(), NotifyError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = writing.tx.prepare_cached(
        "SELECT id, channel, route, notice FROM deliveries WHERE dead IS NOT NULL ORDER BY dead DESC, id DESC LIMIT -1 OFFSET ?1",
    )?;
    let rows = found.query_map([limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    for row in rows {
        let (id, channel, route, json) = row?;
        suppress(writing, &read_notice(&json)?, &channel, &route, Reason::TooManyDead, now)?;
        writing.tx.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}
