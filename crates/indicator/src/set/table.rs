//! Which observables there are: a table that is built once and asked for ever.
//!
//! A slot says part of the hash, so that what is unknown mostly costs one look into memory and what is known two: slot and key. Open addressing with
//! linear probing, three quarters full. Hashes are keyed (SipHash), so that no feed can choose what collides.

use std::hash::{BuildHasher, RandomState};

use super::{NONE, arena::Arena};
use crate::Kind;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The hash's lower half.
    hash: u32,
    /// Where the key is in the arena.
    key: u32,
    /// The observable's first entry; [`NONE`] in an empty slot.
    first: u32,
}

const EMPTY: Slot = Slot { hash: 0, key: 0, first: NONE };

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    hasher: RandomState,
}

impl Table {
    /// From different observables: place of the key, first entry. A key's first byte is its kind.
    pub(super) fn build(arena: &Arena, count: usize, observables: impl Iterator<Item = (u32, u32)>) -> Table {
        let mut table = Table { slots: vec![EMPTY; count / 3 * 4 + 4], hasher: RandomState::new() };
        for (key, first) in observables.take(count) {
            let hash = match arena.get(key).split_first() {
                Some((kind, key)) => table.hash(*kind, key),
                None => continue,
            };
            let mut at = table.begin(hash);
            while table.slots[at].first != NONE {
                at = table.behind(at);
            }
            table.slots[at] = Slot { hash: hash as u32, key, first };
        }
        table
    }

    fn hash(&self, kind: u8, key: &[u8]) -> u64 {
        self.hasher.hash_one((kind, key))
    }

    /// Where to look first: the hash's upper half, as a part of the slots.
    fn begin(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// The first entry of an observable.
    pub(super) fn find(&self, arena: &Arena, kind: Kind, key: &[u8]) -> Option<u32> {
        let hash = self.hash(kind as u8, key);
        let mut at = self.begin(hash);
        loop {
            let slot = self.slots[at];
            if slot.first == NONE {
                return None;
            }
            let same = || arena.get(slot.key).split_first().is_some_and(|(its, of)| *its == kind as u8 && of == key);
            if slot.hash == hash as u32 && same() {
                return Some(slot.first);
            }
            // A quarter of the slots is empty, so this ends.
            at = self.behind(at);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}
