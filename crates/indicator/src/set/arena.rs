//! Short byte strings one behind the other, each behind its length; equal ones once.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Where a byte string is in an [`Arena`].
pub(super) type Place = u32;

#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    /// The bytes at a place; empty for a place that [`push`](Self::push) did not give.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let mut at = place as usize;
        let (mut length, mut shift) = (0_usize, 0);
        while let Some(byte) = self.bytes.get(at) {
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 || shift > 21 {
                break;
            }
            shift += 7;
        }
        self.bytes.get(at..at.saturating_add(length)).unwrap_or_default()
    }

    /// The text at a place.
    pub(super) fn text(&self, place: Place) -> &str {
        str::from_utf8(self.get(place)).unwrap_or_default()
    }

    /// Adds a byte string of less than 2^28 bytes; none if there is no room for it.
    fn push(&mut self, string: &[u8]) -> Option<Place> {
        let place = Place::try_from(self.bytes.len()).ok()?;
        let mut length = string.len();
        while length > 0x7f {
            self.bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.bytes.push(length as u8);
        self.bytes.extend_from_slice(string);
        Some(place)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

/// An arena that knows what it has, while it is filled. Hashes are keyed (SipHash), so that no feed can choose what collides.
#[derive(Debug, Default)]
pub(super) struct Interner {
    pub(super) arena: Arena,
    known: HashTable<Place>,
    hasher: RandomState,
}

impl Interner {
    /// The place of a byte string; none if there is no room for it.
    pub(super) fn intern(&mut self, string: &[u8]) -> Option<Place> {
        let Interner { arena, known, hasher } = self;
        let hash = hasher.hash_one(string);
        if let Some(place) = known.find(hash, |place| arena.get(*place) == string) {
            return Some(*place);
        }
        let place = arena.push(string)?;
        known.insert_unique(hash, place, |place| hasher.hash_one(arena.get(*place)));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_length_come_back_and_equal_ones_are_one() {
        let mut interner = Interner::default();
        let strings: Vec<Vec<u8>> = [0, 1, 127, 128, 129, 16_383, 16_384, 300_000].map(|length| vec![7; length]).into();
        let places: Vec<Place> = strings.iter().map(|string| interner.intern(string).unwrap()).collect();
        for (string, place) in strings.iter().zip(&places) {
            assert_eq!(interner.arena.get(*place), string);
            assert_eq!(interner.intern(string), Some(*place));
        }
        assert_eq!(interner.arena.get(u32::MAX), b"");
    }
}
