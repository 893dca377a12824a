//! The short tokens of the current granule that were met a moment ago.
//!
//! Most words of a log are the words of the line before. Finding them in the dictionary of a whole segment costs several
//! cache misses each; here it costs one comparison in a table that stays in the processor's cache. The comparison is
//! exact: a slot holds the token itself.

/// The longest token that is remembered, in bytes.
pub(super) const LONGEST: usize = 16;
const SLOT_BITS: u32 = 12;

/// Tokens of one granule, each in the one slot where it may be.
pub(super) struct Recent {
    slots: Vec<Slot>,
    round: u32,
}

/// A token of up to 16 bytes: its first and its last eight, which overlap where it is shorter.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    head: u64,
    tail: u64,
    len: u32,
    round: u32,
}

impl Default for Recent {
    fn default() -> Self {
        // No token is of round 0.
        Recent { slots: vec![Slot::default(); 1 << SLOT_BITS], round: 1 }
    }
}

impl Recent {
    /// True if the token was met in this granule and is remembered; remembers it.
    pub(super) fn meet(&mut self, token: &[u8]) -> bool {
        if token.is_empty() || token.len() > LONGEST {
            return false;
        }
        let (head, tail) = ends(token);
        let met = Slot { head, tail, len: token.len() as u32, round: self.round };
        let mixed = (head ^ tail.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &mut self.slots[(mixed >> (64 - SLOT_BITS)) as usize];
        std::mem::replace(slot, met) == met
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        match self.round.checked_add(1) {
            Some(next) => self.round = next,
            None => *self = Recent::default(),
        }
    }

    /// Memory in use, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

/// The first and last eight bytes; of shorter tokens the first and last four, or all and none.
fn ends(token: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (token.first_chunk(), token.last_chunk()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (token.first_chunk(), token.last_chunk()) {
        (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
    } else {
        (token.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a set: what is said to be known was met in this granule.
        #[test]
        fn nothing_is_known_that_was_not_met(steps in prop::collection::vec("[ab]{0,18}", 0..400)) {
            let (mut recent, mut met) = (Recent::default(), std::collections::HashSet::new());
            for token in steps {
                if token == "aab" {
                    recent.clear();
                    met.clear();
                }
                prop_assert!(!recent.meet(token.as_bytes()) || met.contains(&token));
                met.insert(token);
            }
        }
    }

    #[test]
    fn a_token_is_known_until_the_granule_ends() {
        let mut recent = Recent::default();
        for token in ["a", "abc", "abcd", "abcdefgh", "0123456789abcdef"] {
            assert!(!recent.meet(token.as_bytes()) && recent.meet(token.as_bytes()), "{token}");
        }
        let longer = [b'x'; LONGEST + 1];
        assert!(!recent.meet(&longer) && !recent.meet(&longer));
        recent.clear();
        assert!(!recent.meet(b"abc"));
    }
}
