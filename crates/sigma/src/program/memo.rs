//! What was found out before: bounded memories.
//!
//! Two generations of a fixed size. What is asked for again moves to the young one; when that is full it becomes
//! the old one, and the old one is forgotten. So what recurs stays, and nothing has to be counted or linked.

use std::{
    hash::{BuildHasher, Hash},
    mem,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A memory of numbers by keys, in bounded space. Its hashes are seeded, and keys are compared in full.
///
/// A key is a group's number and a list: a column and the bytes of a value, or a layout and the outcomes of its values.
#[derive(Debug)]
pub(super) struct Memo<K> {
    young: Generation<K>,
    old: Generation<K>,
    /// Bytes of one generation.
    limit: usize,
    seed: RandomState,
    /// What is told of a key, where it does not lie among the numbers of the young generation.
    told: Vec<u32>,
}

#[derive(Debug)]
struct Generation<K> {
    table: HashTable<Entry>,
    keys: Vec<K>,
    numbers: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    group: u64,
    key: (u32, u32),
    numbers: Numbers,
}

/// Where a key's numbers are.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    /// One, which is here: nothing else has to be read.
    One(u32),
    /// From where on among all, and how many.
    Some(u32, u32),
}

fn slice<T>(all: &[T], (start, len): (u32, u32)) -> &[T] {
    &all[start as usize..][..len as usize]
}

impl<K: Copy + Eq> Generation<K> {
    fn new() -> Self {
        Generation { table: HashTable::new(), keys: Vec::new(), numbers: Vec::new() }
    }

    /// Where the numbers of a key are.
    fn find(&self, hash: u64, group: u64, key: &[K]) -> Option<Numbers> {
        let same = |entry: &Entry| entry.hash == hash && entry.group == group && slice(&self.keys, entry.key) == key;
        self.table.find(hash, same).map(|entry| entry.numbers)
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.keys) + size_of_val(&*self.numbers) + self.table.len() * size_of::<Entry>()
    }

    fn add(&mut self, hash: u64, group: u64, key: &[K], numbers: &[u32]) {
        let numbers = match numbers {
            [number] => Numbers::One(*number),
            _ => {
                let start = self.numbers.len() as u32;
                self.numbers.extend_from_slice(numbers);
                Numbers::Some(start, numbers.len() as u32)
            }
        };
        let entry = Entry { hash, group, key: (self.keys.len() as u32, key.len() as u32), numbers };
        self.keys.extend_from_slice(key);
        self.table.insert_unique(hash, entry, |entry| entry.hash);
    }

    fn clear(&mut self) {
        self.table.clear();
        self.keys.clear();
        self.numbers.clear();
    }
}

impl<K: Copy + Eq + Hash> Memo<K> {
    /// An empty memory of about `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        let limit = (bytes / 2).min(u32::MAX as usize);
        let (young, old) = (Generation::new(), Generation::new());
        Memo { young, old, limit, seed: RandomState::default(), told: Vec::new() }
    }

    /// What is remembered of a key.
    pub(super) fn get(&mut self, group: u64, key: &[K]) -> Option<&[u32]> {
        let hash = self.seed.hash_one((group, key));
        let (young, numbers) = match self.young.find(hash, group, key) {
            Some(numbers) => (true, numbers),
            None => (false, self.old.find(hash, group, key)?),
        };
        self.told.clear();
        match numbers {
            Numbers::One(number) => self.told.push(number),
            Numbers::Some(start, len) if young => return Some(slice(&self.young.numbers, (start, len))),
            Numbers::Some(start, len) => self.told.extend_from_slice(slice(&self.old.numbers, (start, len))),
        }
        if !young {
            let told = mem::take(&mut self.told);
            self.keep(hash, group, key, &told);
            self.told = told;
        }
        Some(&self.told)
    }

    /// Remembers a key that [`get`](Memo::get) did not know.
    pub(super) fn put(&mut self, group: u64, key: &[K], numbers: &[u32]) {
        self.keep(self.seed.hash_one((group, key)), group, key, numbers);
    }

    fn keep(&mut self, hash: u64, group: u64, key: &[K], numbers: &[u32]) {
        let needed = size_of_val(key) + size_of_val(numbers) + size_of::<Entry>();
        if needed > self.limit / 16 {
            return;
        }
        if self.young.bytes() + needed > self.limit {
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.add(hash, group, key, numbers);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recurs_stays_and_the_rest_is_forgotten() {
        let mut memo = Memo::new(64 << 10);
        memo.put(1, b"often", &[7, 8]);
        for number in 0..100_000_u32 {
            memo.put(2, &number.to_le_bytes(), &[number]);
            if number % 100 == 0 {
                assert_eq!(memo.get(1, b"often"), Some(&[7, 8][..]), "after {number}");
            }
        }
        assert_eq!(memo.get(2, &5_u32.to_le_bytes()), None);
        assert_eq!(memo.get(2, &99_999_u32.to_le_bytes()), Some(&[99_999][..]));
        assert_eq!(memo.get(1, &99_999_u32.to_le_bytes()), None, "another group's key");
        assert!(memo.young.bytes() + memo.old.bytes() <= 64 << 10);
        memo.clear();
        assert_eq!(memo.get(1, b"often"), None);
    }
}
