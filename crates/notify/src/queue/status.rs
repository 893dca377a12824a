//! The account, and what was not sent.

use std::collections::BTreeMap;

use vedette_event::{Level, Time};

use super::schema::{Queue, number};
use crate::{About, Account, Counts, Happened, Held, NotifyError, Reason, Suppressed};

impl Queue {
    /// What became of every delivery, by channel and route.
    pub fn accounts(&self) -> Result<Vec<Account>, NotifyError> {
        self.read(|db| {
            let mut all: BTreeMap<(String, String), Counts> = BTreeMap::new();
            let mut counted = db.prepare_cached("SELECT channel, route, what, count FROM counts")?;
            let mut rows = counted.query([])?;
            while let Some(row) = rows.next()? {
                let counts = all.entry((row.get(0)?, row.get(1)?)).or_default();
                let (what, count): (String, u64) = (row.get(2)?, number(row, 3)?);
                match what.split_once(':') {
                    None if what == "offered" => counts.offered = count,
                    None if what == "sent" => counts.sent = count,
                    Some(("suppressed", reason)) => drop(counts.suppressed.insert(named_reason(reason)?, count)),
                    Some(("held", why)) => {
                        let held = Held::ALL.into_iter().find(|one| one.as_str() == why);
                        counts.held.insert(held.ok_or(NotifyError::Damaged { what: "counts.what" })?, count);
                    }
                    _ => return Err(NotifyError::Damaged { what: "counts.what" }),
                }
            }
            let mut waiting = db.prepare_cached(
                "SELECT channel, route, sum(dead IS NULL), sum(dead IS NOT NULL) FROM deliveries GROUP BY channel, route",
            )?;
            let mut rows = waiting.query([])?;
            while let Some(row) = rows.next()? {
                let counts = all.entry((row.get(0)?, row.get(1)?)).or_default();
                (counts.queued, counts.dead) = (number(row, 2)?, number(row, 3)?);
            }
            Ok(all.into_iter().map(|((channel, route), counts)| Account { channel, route, counts }).collect())
        })
    }

    /// The latest notices that were not sent, the latest first.
    pub fn suppressed(&self, limit: usize) -> Result<Vec<Suppressed>, NotifyError> {
        self.read(|db| {
            let mut found = db.prepare_cached(
                "SELECT time, channel, route, reason, number, what, level, title, about FROM suppressed
                 ORDER BY id DESC LIMIT ?1",
            )?;
            let mut rows = found.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut suppressed = Vec::new();
            while let Some(row) = rows.next()? {
                let levels = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];
                let level = number(row, 6)? as usize;
                let about = About::named(&row.get::<_, String>(8)?);
                suppressed.push(Suppressed {
                    time: Time::from_micros(row.get(0)?),
                    channel: row.get(1)?,
                    route: row.get(2)?,
                    reason: named_reason(&row.get::<_, String>(3)?)?,
                    subject: about.ok_or(NotifyError::Damaged { what: "suppressed.about" })?.numbered(row.get(4)?),
                    what: named_happening(&row.get::<_, String>(5)?)?,
                    level: *levels.get(level).ok_or(NotifyError::Damaged { what: "suppressed.level" })?,
                    title: row.get(7)?,
                });
            }
            Ok(suppressed)
        })
    }
}

fn named_reason(name: &str) -> Result<Reason, NotifyError> {
    let found = Reason::ALL.into_iter().find(|reason| reason.as_str() == name);
    found.ok_or(NotifyError::Damaged { what: "a reason" })
}

fn named_happening(name: &str) -> Result<Happened, NotifyError> {
    use Happened::{Acknowledged, Closed, Grew, Opened, Reopened};
    let found = [Opened, Grew, Acknowledged, Closed, Reopened].into_iter().find(|what| what.as_str() == name);
    found.ok_or(NotifyError::Damaged { what: "suppressed.what" })
}
