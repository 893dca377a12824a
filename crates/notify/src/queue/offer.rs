//! Notices come in.

use rusqlite::params;
use vedette_event::{Level, Time};

use super::schema::{Queue, Writing};
use crate::{
    Happened, Held, Notice, NotifyError, Reason,
    route::{Share, When},
};

/// The latest so many suppressed notices can be looked at; all are counted.
const MAX_SUPPRESSED: i64 = 1000;
/// What was told longer ago is forgotten.
const TOLD: i64 = 90 * 86_400 * 1_000_000;

/// What the queue needs to know of a channel.
pub(crate) trait Channels {
    /// Its other side keeps an alert's or incident's state.
    fn keeps_state(&self, channel: &str) -> bool;
    /// Several notices can be one message.
    fn gathers(&self, channel: &str) -> bool;
    /// It can say what happened.
    fn carries(&self, channel: &str, what: Happened) -> bool;
}

impl Queue {
    /// Takes a notice with its shares, once: the same notice again changes nothing. Durable when this returns. True
    /// if it was new.
    pub fn offer(
        &self,
        offers: &[(&Notice, Vec<Share<'_>>)],
        limit: usize,
        channels: &impl Channels,
        now: Time,
    ) -> Result<u64, NotifyError> {
        self.write(|writing| {
            let mut new = 0;
            for (notice, shares) in offers {
                let told = writing
                    .tx
                    .prepare_cached("INSERT OR IGNORE INTO told VALUES (?1, ?2)")?
                    .execute(params![notice.identity(), now.micros()])?;
                if told == 0 {
                    continue;
                }
                new += 1;
                for share in shares {
                    writing.count(share.channel, share.route, "offered", 1)?;
                    take_in(writing, notice, share, limit, channels, now)?;
                }
            }
            Ok(new)
        })
    }

    /// Whether a notice of this identity was taken.
    pub fn is_told(&self, identity: [u8; 16]) -> Result<bool, NotifyError> {
        self.read(|db| Ok(db.prepare_cached("SELECT 1 FROM told WHERE identity = ?1")?.exists([identity])?))
    }

    /// Forgets what was told long ago.
    pub fn prune(&self, now: Time) -> Result<(), NotifyError> {
        self.write(|writing| {
            writing.tx.execute("DELETE FROM told WHERE time < ?1", [now.micros().saturating_sub(TOLD)])?;
            Ok(())
        })
    }
}

fn take_in(
    writing: &Writing<'_>,
    notice: &Notice,
    share: &Share<'_>,
    limit: usize,
    channels: &impl Channels,
    now: Time,
) -> Result<(), NotifyError> {
    let refuse = |reason| suppress(writing, notice, share.channel, share.route, reason, now);
    if let When::Never(reason) = share.when {
        return refuse(reason);
    }
    if !channels.carries(share.channel, notice.what) {
        return refuse(Reason::NotCarried);
    }
    let queued: i64 = writing
        .tx
        .prepare_cached("SELECT count(*) FROM deliveries WHERE dead IS NULL")?
        .query_row([], |row| row.get(0))?;
    let room = if notice.level() >= Level::High { limit } else { limit / 4 * 3 };
    if usize::try_from(queued).unwrap_or(0) >= room {
        return refuse(Reason::QueueFull);
    }
    let (mut due, held) = match share.when {
        When::At(time, held) => (time.micros(), Some(held)),
        When::Gathered(window) => {
            (gathering(writing, share, now)?.unwrap_or(now.micros().saturating_add(window)), Some(Held::Digest))
        }
        When::Now | When::Never(_) => (now.micros(), None),
    };
    let replaced = match channels.keeps_state(share.channel) {
        true => supersede(writing, notice, share.channel, now)?,
        false => None,
    };
    due = due.min(replaced.unwrap_or(due));
    insert(writing, notice, share, due, held, held.is_some() && channels.gathers(share.channel), now)?;
    if replaced.is_some() && notice.what.raises() {
        acknowledge_after(writing, notice, share.channel)?;
    }
    if let Some(held) = held {
        writing.count(share.channel, share.route, &format!("held:{}", held.as_str()), 1)?;
    }
    Ok(())
}

/// When the digest is due that is being gathered.
fn gathering(writing: &Writing<'_>, share: &Share<'_>, now: Time) -> Result<Option<i64>, NotifyError> {
    Ok(writing
        .tx
        .prepare_cached(
            "SELECT min(due) FROM deliveries
             WHERE channel = ?1 AND route = ?2 AND dead IS NULL AND message IS NULL AND held = 'digest' AND due > ?3",
        )?
        .query_row(params![share.channel, share.route, now.micros()], |row| row.get(0))?)
}

fn insert(
    writing: &Writing<'_>,
    notice: &Notice,
    share: &Share<'_>,
    due: i64,
    held: Option<Held>,
    gathers: bool,
    now: Time,
) -> Result<(), NotifyError> {
    let json = serde_json::to_string(notice).map_err(|_| NotifyError::Damaged { what: "a notice" })?;
    writing
        .tx
        .prepare_cached(
            "INSERT INTO deliveries (channel, route, about, number, level, what, notice, offered, due, held)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            share.channel,
            share.route,
            notice.subject.about().as_str(),
            notice.subject.number(),
            notice.level() as i64,
            notice.what.as_str(),
            json,
            now.micros(),
            due,
            held.map(Held::as_str),
        ])?;
    if !gathers {
        let id = writing.tx.last_insert_rowid();
        writing.tx.prepare_cached("UPDATE deliveries SET message = id WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// A newer state of a subject takes the place of an older one that was not sent: a closed alert is not raised first, and
/// one that was held back is not raised again afterwards. The earliest time at which what was replaced would have been
/// sent. Acknowledgements are replaced by the end only.
fn supersede(writing: &Writing<'_>, notice: &Notice, channel: &str, now: Time) -> Result<Option<i64>, NotifyError> {
    if notice.what == Happened::Acknowledged {
        return Ok(None);
    }
    let older = if notice.what == Happened::Closed { "" } else { "AND what <> 'acknowledged'" };
    let sql = format!(
        "SELECT id, route, notice, due FROM deliveries
         WHERE channel = ?1 AND about = ?2 AND number = ?3 AND dead IS NULL {older}"
    );
    let mut found = writing.tx.prepare_cached(&sql)?;
    let rows = found.query_map(params![channel, notice.subject.about().as_str(), notice.subject.number()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let mut earliest = None;
    for row in rows {
        let (id, route, json, due) = row?;
        suppress(writing, &read_notice(&json)?, channel, &route, Reason::Superseded, now)?;
        writing.tx.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id])?;
        earliest = Some(earliest.map_or(due, |time: i64| time.min(due)));
    }
    Ok(earliest)
}

/// Puts the acknowledgements of a subject after what was put in last, which took the place of what they acknowledge.
fn acknowledge_after(writing: &Writing<'_>, notice: &Notice, channel: &str) -> Result<(), NotifyError> {
    let tx = &writing.tx;
    let last = tx.last_insert_rowid();
    const THESE: &str =
        "channel = ?1 AND about = ?2 AND number = ?3 AND dead IS NULL AND what = 'acknowledged' AND id < ?4";
    let these = params![channel, notice.subject.about().as_str(), notice.subject.number(), last];
    tx.prepare_cached(&format!(
        "INSERT INTO deliveries (channel, route, about, number, level, what, notice, offered, due, held, attempts, error)
         SELECT channel, route, about, number, level, what, notice, offered, due, held, attempts, error
         FROM deliveries WHERE {THESE} ORDER BY id"
    ))?
    .execute(these)?;
    tx.prepare_cached("UPDATE deliveries SET message = id WHERE id > ?1")?.execute([last])?;
    tx.prepare_cached(&format!("DELETE FROM deliveries WHERE {THESE}"))?.execute(these)?;
    Ok(())
}

/// Counts and lists a notice that is not sent.
pub(super) fn suppress(
    writing: &Writing<'_>,
    notice: &Notice,
    channel: &str,
    route: &str,
    reason: Reason,
    now: Time,
) -> Result<(), NotifyError> {
    writing.count(channel, route, &format!("suppressed:{}", reason.as_str()), 1)?;
    let tx = &writing.tx;
    tx.prepare_cached(
        "INSERT INTO suppressed (time, channel, route, reason, about, number, what, level, title)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        now.micros(),
        channel,
        route,
        reason.as_str(),
        notice.subject.about().as_str(),
        notice.subject.number(),
        notice.what.as_str(),
        notice.level() as i64,
        notice.title(),
    ])?;
    let last = tx.last_insert_rowid();
    tx.prepare_cached("DELETE FROM suppressed WHERE id <= ?1")?.execute([last - MAX_SUPPRESSED])?;
    Ok(())
}

pub(super) fn read_notice(json: &str) -> Result<Notice, NotifyError> {
    serde_json::from_str(json).map_err(|_| NotifyError::Damaged { what: "deliveries.notice" })
}
