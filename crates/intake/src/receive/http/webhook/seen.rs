//! Deliveries that were taken already.

use std::collections::{HashMap, VecDeque};

/// What a delivery is known by: a hash.
pub(super) type Id = [u8; 32];

/// Ids that are remembered at a time. The oldest go first.
const MAX_SEEN: usize = 100_000;

/// Ids with the time (Unix seconds) at which they came.
#[derive(Default)]
pub(super) struct Seen {
    known: HashMap<Id, i64>,
    order: VecDeque<(i64, Id)>,
}

impl Seen {
    /// Whether an id did not come within the window; it is remembered then.
    pub(super) fn is_new(&mut self, id: Id, now: i64, window: i64) -> bool {
        while let Some((time, oldest)) = self.order.front().copied()
            && (now - time > window || self.order.len() >= MAX_SEEN)
        {
            self.order.pop_front();
            if self.known.get(&oldest) == Some(&time) {
                self.known.remove(&oldest);
            }
        }
        if self.known.contains_key(&id) {
            return false;
        }
        self.known.insert(id, now);
        self.order.push_back((now, id));
        true
    }

    /// It was not taken after all.
    pub(super) fn forget(&mut self, id: &Id) {
        self.known.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_the_window() {
        let mut seen = Seen::default();
        assert!(seen.is_new([1; 32], 100, 10));
        assert!(!seen.is_new([1; 32], 105, 10));
        assert!(seen.is_new([1; 32], 111, 10));
        seen.forget(&[1; 32]);
        assert!(seen.is_new([1; 32], 112, 10));
        assert!(!seen.is_new([1; 32], 113, 10));
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for number in 0..2 * MAX_SEEN {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_le_bytes());
            assert!(seen.is_new(id, 0, 1000));
        }
        assert!(seen.known.len() <= MAX_SEEN && seen.order.len() <= MAX_SEEN);
    }
}
