//! What is known of values that were seen before: the checks that are true of them.
//!
//! Two generations of a fixed size. What is asked for again moves to the young one; when that is full it becomes
//! the old one, and the old one is forgotten. So what recurs stays, and nothing has to be counted or linked.

use std::{hash::BuildHasher, mem};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Longest value that is remembered: encoded commands recur up to what Windows takes as a command line.
pub(super) const MAX_VALUE_BYTES: usize = 32 << 10;

/// The number of a partition, and of a column there.
pub(super) type ColumnKey = (u32, u32);

/// A bounded memory of values. Its hashes are seeded, and values are compared in full.
#[derive(Debug)]
pub(super) struct Memo {
    young: Generation,
    old: Generation,
    /// Bytes of one generation.
    limit: usize,
    seed: RandomState,
}

#[derive(Debug, Default)]
struct Generation {
    table: HashTable<Entry>,
    values: Vec<u8>,
    checks: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    column: ColumnKey,
    value: (u32, u32),
    checks: (u32, u32),
}

fn slice<T>(all: &[T], (start, len): (u32, u32)) -> &[T] {
    &all[start as usize..][..len as usize]
}

impl Generation {
    fn find(&self, hash: u64, column: ColumnKey, value: &[u8]) -> Option<&[u32]> {
        let same =
            |entry: &Entry| entry.hash == hash && entry.column == column && slice(&self.values, entry.value) == value;
        self.table.find(hash, same).map(|entry| slice(&self.checks, entry.checks))
    }

    fn bytes(&self) -> usize {
        self.values.len() + self.checks.len() * size_of::<u32>() + self.table.len() * size_of::<Entry>()
    }

    fn add(&mut self, hash: u64, column: ColumnKey, value: &[u8], checks: &[u32]) {
        let entry = Entry {
            hash,
            column,
            value: (self.values.len() as u32, value.len() as u32),
            checks: (self.checks.len() as u32, checks.len() as u32),
        };
        self.values.extend_from_slice(value);
        self.checks.extend_from_slice(checks);
        self.table.insert_unique(hash, entry, |entry| entry.hash);
    }

    fn clear(&mut self) {
        self.table.clear();
        self.values.clear();
        self.checks.clear();
    }
}

impl Memo {
    /// An empty memory of about `bytes`.
    pub(super) fn new(bytes: usize) -> Memo {
        let limit = (bytes / 2).min(u32::MAX as usize);
        Memo { young: Generation::default(), old: Generation::default(), limit, seed: RandomState::default() }
    }

    /// Appends the checks that are true of a column's value; false if it is not known.
    pub(super) fn get(&mut self, column: ColumnKey, value: &[u8], checks: &mut Vec<u32>) -> bool {
        let hash = self.seed.hash_one((column, value));
        if let Some(known) = self.young.find(hash, column, value) {
            checks.extend_from_slice(known);
            return true;
        }
        let from = checks.len();
        let Some(known) = self.old.find(hash, column, value) else { return false };
        checks.extend_from_slice(known);
        self.keep(hash, column, value, &checks[from..]);
        true
    }

    /// Remembers a value that [`get`](Memo::get) did not know.
    pub(super) fn put(&mut self, column: ColumnKey, value: &[u8], checks: &[u32]) {
        self.keep(self.seed.hash_one((column, value)), column, value, checks);
    }

    fn keep(&mut self, hash: u64, column: ColumnKey, value: &[u8], checks: &[u32]) {
        let needed = value.len() + size_of_val(checks) + size_of::<Entry>();
        if needed > self.limit / 16 {
            return;
        }
        if self.young.bytes() + needed > self.limit {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.add(hash, column, value, checks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recurs_stays_and_the_rest_is_forgotten() {
        let mut memo = Memo::new(64 << 10);
        memo.put((0, 1), b"often", &[7, 8]);
        let mut checks = Vec::new();
        for number in 0..100_000_u32 {
            memo.put((0, 2), &number.to_le_bytes(), &[number]);
            if number % 100 == 0 {
                checks.clear();
                assert!(memo.get((0, 1), b"often", &mut checks), "after {number}");
                assert_eq!(checks, [7, 8]);
            }
        }
        checks.clear();
        assert!(!memo.get((0, 2), &5_u32.to_le_bytes(), &mut checks));
        assert!(memo.get((0, 2), &99_999_u32.to_le_bytes(), &mut checks));
        assert_eq!(checks, [99_999]);
        assert!(!memo.get((0, 1), &99_999_u32.to_le_bytes(), &mut checks), "another column's value");
        assert!(!memo.get((1, 2), &99_999_u32.to_le_bytes(), &mut checks), "another partition's value");
        assert!(memo.young.bytes() + memo.old.bytes() <= 64 << 10);
    }
}
