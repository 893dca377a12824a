//! What hides the events of a batch: one seed for all of them, or, once an event of it was erased, one by one.
//!
//! Erasing an event keeps its leaf and forgets its salt. The batch's seed would give that salt again, so that it gives way
//! to a file with the salts of the others: root, signatures and every other event's proof stay as they are.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::{
    Algorithm, Hash, LedgerError,
    batch::{self, Salt, Seed},
    entry::BatchRecord,
    error::IoContext,
    tiles::{self, WIDTH},
    tree,
};

/// Bytes of an event in the file of a batch: what follows, then the salt (and zeroes) or the leaf.
const SLOT: usize = 33;

/// What is known of one event's place in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// The event is there; this is its salt.
    Salt(Salt),
    /// The event was erased; this is its leaf.
    Leaf(Hash),
}

/// What hides the events of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Salts {
    /// No event was erased.
    Seed(Seed),
    /// For each event.
    Each(Vec<Hidden>),
}

impl Salts {
    /// Of the batch with this entry, from a ledger's folder.
    ///
    /// # Errors
    /// The files are not there or damaged.
    pub fn read(dir: &Path, entry: u64) -> Result<Salts, LedgerError> {
        let path = dir.join(tiles::erased_path(entry));
        match fs::read(&path) {
            Ok(bytes) => Salts::parse(&bytes).ok_or_else(|| LedgerError::Damaged {
                path,
                what: "it does not give a salt or a leaf for each event".into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => read_seed(dir, entry).map(Salts::Seed),
            Err(error) => Err(error).at(&path),
        }
    }

    /// Of the file of a batch with erased events.
    pub fn parse(bytes: &[u8]) -> Option<Salts> {
        let hidden = bytes.chunks(SLOT).map(|slot| {
            let (kind, hash) = slot.split_first()?;
            let hash: &Hash = hash.try_into().ok()?;
            match (kind, hash.split_first_chunk::<16>()?) {
                (0, (salt, rest)) if rest == [0; 16] => Some(Hidden::Salt(*salt)),
                (1, _) => Some(Hidden::Leaf(*hash)),
                _ => None,
            }
        });
        hidden.collect::<Option<_>>().map(Salts::Each)
    }

    /// The file of a batch with erased events; nothing for a seed.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Salts::Each(each) = self else { return Vec::new() };
        let slot = |hidden: &Hidden| {
            let mut slot = [0; SLOT];
            match hidden {
                Hidden::Salt(salt) => slot[1..17].copy_from_slice(salt),
                Hidden::Leaf(leaf) => {
                    slot[0] = 1;
                    slot[1..].copy_from_slice(leaf);
                }
            }
            slot
        };
        each.iter().flat_map(slot).collect()
    }

    /// What hides the event at this place of a batch; none if the batch has no such place.
    pub fn hidden(&self, algorithm: Algorithm, index: u64) -> Option<Hidden> {
        match self {
            Salts::Seed(seed) => Some(Hidden::Salt(batch::salt(algorithm, seed, index))),
            Salts::Each(each) => each.get(usize::try_from(index).ok()?).copied(),
        }
    }

    /// The leaf of an event (sequence number, receive time, original bytes); that of an erased one whatever its bytes are.
    pub fn leaf(&self, algorithm: Algorithm, index: u64, event: (u64, i64, &[u8])) -> Option<Hash> {
        let (seq, received, original) = event;
        Some(match self.hidden(algorithm, index)? {
            Hidden::Salt(salt) => batch::leaf(algorithm, &salt, seq, received, original),
            Hidden::Leaf(leaf) => leaf,
        })
    }

    /// The leaves of a batch's events (receive time, original bytes); none if they are not what was signed.
    pub fn leaves<'a>(&self, record: &BatchRecord, events: impl Iterator<Item = (i64, &'a [u8])>) -> Option<Vec<Hash>> {
        let leaves: Option<Vec<Hash>> = (0..)
            .zip(events)
            .map(|(index, (received, original))| {
                self.leaf(record.algorithm, index, (record.first_seq + index, received, original))
            })
            .collect();
        let is_whole = |leaves: &Vec<Hash>| {
            leaves.len() as u64 == u64::from(record.count) && tree::root(record.algorithm, leaves) == record.root
        };
        leaves.filter(is_whole)
    }

    /// What hides each event of a batch.
    pub(crate) fn each(&self, record: &BatchRecord) -> Vec<Hidden> {
        (0..u64::from(record.count)).filter_map(|index| self.hidden(record.algorithm, index)).collect()
    }
}

fn read_seed(dir: &Path, entry: u64) -> Result<Seed, LedgerError> {
    let path = dir.join(tiles::seeds_path(entry / WIDTH));
    let mut seed = [0; 32];
    File::open(&path).and_then(|file| file.read_exact_at(&mut seed, entry % WIDTH * 32)).at(&path)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_gives_back_what_was_written() {
        let salts = Salts::Each(vec![Hidden::Salt([1; 16]), Hidden::Leaf([2; 32])]);
        let bytes = salts.to_bytes();
        assert_eq!(Salts::parse(&bytes), Some(salts));
        assert_eq!(Salts::parse(&bytes[1..]), None);
        assert_eq!(Salts::parse(&[2; 33]), None);
    }
}
