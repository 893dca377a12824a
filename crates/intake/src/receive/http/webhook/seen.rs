//! Deliveries that were taken already, also before a restart.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::params;
use vedette_statefile::{Format, StateFile};

use crate::receive::ReceiveError;

/// What a delivery is known by: a hash.
pub(super) type Id = [u8; 32];

/// Deliveries of one webhook that are remembered. The oldest go first.
const MAX_SEEN: usize = 100_000;

const FORMAT: Format = Format {
    what: "a file of deliveries",
    application_id: 0x5644_6c76, // `VDlv`
    versions: &["
        -- What webhooks have taken, so that it is not taken twice.
        CREATE TABLE taken (
            webhook TEXT NOT NULL,
            id BLOB NOT NULL,               -- SHA-256 of what the delivery is known by
            until INTEGER NOT NULL,         -- Unix seconds; after that it may be forgotten
            PRIMARY KEY (webhook, id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX taken_until ON taken(webhook, until);
    "],
};

/// What webhooks have taken, shared by all listeners. Of one that stands in no file, nothing is known after a restart.
#[derive(Debug, Default)]
pub struct Deliveries {
    file: Option<StateFile>,
    /// By the webhook's name.
    seen: Mutex<HashMap<String, Seen>>,
}

impl Deliveries {
    /// Opens the file, creating it if there is none.
    ///
    /// # Errors
    /// It cannot be opened, or is not such a file.
    pub fn open(path: &Path) -> Result<Deliveries, ReceiveError> {
        let refused = |reason: String| ReceiveError::File { path: path.to_owned(), reason };
        let file = FORMAT.open(path).map_err(|error| refused(error.to_string()))?;
        let seen = load(&file).map_err(|error| refused(error.to_string()))?;
        Ok(Deliveries { file: Some(file), seen: Mutex::new(seen) })
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a delivery did not come before; it is remembered `until` then, but only in memory as yet.
    pub(super) fn is_new(&self, webhook: &str, id: Id, now: i64, until: i64) -> bool {
        let mut all = self.seen();
        match all.get_mut(webhook) {
            Some(seen) => seen.is_new(id, now, until),
            None => all.entry(webhook.to_owned()).or_default().is_new(id, now, until),
        }
    }

    /// It was not taken after all.
    pub(super) fn forget(&self, webhook: &str, id: &Id) {
        if let Some(seen) = self.seen().get_mut(webhook) {
            seen.known.remove(id);
        }
    }

    /// It was taken, and that is durable when this returns; what is too old goes.
    pub(super) fn keep(&self, webhook: &str, id: &Id) -> rusqlite::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let (until, oldest) = match self.seen().get(webhook) {
            Some(seen) => (seen.known.get(id).copied(), seen.order.front().map_or(0, |(until, _)| *until)),
            None => return Ok(()),
        };
        file.write(|tx| {
            tx.prepare_cached("DELETE FROM taken WHERE webhook = ?1 AND until < ?2")?
                .execute(params![webhook, oldest])?;
            tx.prepare_cached("INSERT OR REPLACE INTO taken (webhook, id, until) VALUES (?1, ?2, ?3)")?
                .execute(params![webhook, id, until])
                .map(drop)
        })
    }
}

fn load(file: &StateFile) -> rusqlite::Result<HashMap<String, Seen>> {
    file.read(|db| {
        let mut all: HashMap<String, Seen> = HashMap::new();
        let mut rows = db.prepare("SELECT webhook, id, until FROM taken ORDER BY until")?;
        let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (webhook, id, until) = row?;
            all.entry(webhook).or_default().is_new(id, i64::MIN, until);
        }
        Ok(all)
    })
}

/// Ids with the time (Unix seconds) until which they are remembered.
#[derive(Debug, Default)]
struct Seen {
    known: HashMap<Id, i64>,
    order: VecDeque<(i64, Id)>,
}

impl Seen {
    fn is_new(&mut self, id: Id, now: i64, until: i64) -> bool {
        while let Some((time, oldest)) = self.order.front().copied()
            && (now > time || self.order.len() >= MAX_SEEN)
        {
            self.order.pop_front();
            if self.known.get(&oldest) == Some(&time) {
                self.known.remove(&oldest);
            }
        }
        if self.known.contains_key(&id) {
            return false;
        }
        self.known.insert(id, until);
        self.order.push_back((until, id));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        id
    }

    #[test]
    fn once_in_the_window() {
        let mut seen = Seen::default();
        assert!(seen.is_new([1; 32], 100, 110));
        assert!(!seen.is_new([1; 32], 105, 115));
        assert!(seen.is_new([1; 32], 111, 121));
        seen.known.remove(&[1; 32]);
        assert!(seen.is_new([1; 32], 112, 122));
        assert!(!seen.is_new([1; 32], 113, 123));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..2 * MAX_SEEN {
            assert!(seen.is_new(id(number), 0, 1000));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (MAX_SEEN, MAX_SEEN));
    }

    #[test]
    fn what_was_taken_is_known_after_a_restart_and_what_is_too_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deliveries.db");
        let deliveries = Deliveries::open(&path).unwrap();
        assert!(deliveries.is_new("a", id(1), 100, 200) && deliveries.is_new("a", id(2), 100, 200));
        assert!(deliveries.is_new("b", id(1), 100, 150), "another webhook's");
        // The second was not stored: it may come again.
        deliveries.keep("a", &id(1)).unwrap();
        deliveries.keep("b", &id(1)).unwrap();
        deliveries.forget("a", &id(2));
        drop(deliveries);

        let deliveries = Deliveries::open(&path).unwrap();
        assert!(!deliveries.is_new("a", id(1), 101, 201) && !deliveries.is_new("b", id(1), 101, 201));
        assert!(deliveries.is_new("a", id(2), 101, 201));
        assert!(deliveries.is_new("b", id(1), 151, 251), "its window is over");
        for number in 3..20 {
            assert!(deliveries.is_new("a", id(number), 300, 400));
            deliveries.keep("a", &id(number)).unwrap();
        }
        let count = |webhook: &str| -> i64 {
            let file = rusqlite::Connection::open(&path).unwrap();
            file.query_row("SELECT count(*) FROM taken WHERE webhook = ?1", [webhook], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("a"), count("b")), (17, 1));
    }
}
