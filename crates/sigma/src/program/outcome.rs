//! Outcomes of values: sets of checks that are true of one, numbered.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::scan::Local;

/// Most checks of all sets together, and most sets.
const MAX_CHECKS: usize = 1 << 19;
const MAX_SETS: usize = 1 << 17;

/// The number of the empty set.
pub(super) const NOTHING: u32 = 0;

/// Sets of checks, each once. Whose checks they are, who asks knows.
#[derive(Debug)]
pub(super) struct Outcomes {
    numbers: HashTable<u32>,
    /// Where each set ends in `checks`.
    ends: Vec<u32>,
    checks: Vec<Local>,
    seed: RandomState,
}

impl Outcomes {
    pub(super) fn new() -> Outcomes {
        Outcomes { numbers: HashTable::new(), ends: vec![0], checks: Vec::new(), seed: RandomState::default() }
    }

    /// The checks of a set, ascending.
    pub(super) fn get(&self, number: u32) -> &[Local] {
        set(&self.ends, &self.checks, number)
    }

    /// The number of a set, which is sorted by this.
    pub(super) fn number(&mut self, checks: &mut [Local]) -> u32 {
        if checks.is_empty() {
            return NOTHING;
        }
        checks.sort_unstable();
        let Outcomes { numbers, ends, checks: all, seed } = self;
        let hash = seed.hash_one(&*checks);
        if let Some(known) = numbers.find(hash, |number| set(ends, all, *number) == checks) {
            return *known;
        }
        let number = ends.len() as u32;
        all.extend_from_slice(checks);
        ends.push(all.len() as u32);
        numbers.insert_unique(hash, number, |number| seed.hash_one(set(ends, all, *number)));
        number
    }

    /// Whether it is time to forget them all.
    pub(super) fn is_full(&self) -> bool {
        self.checks.len() > MAX_CHECKS || self.ends.len() > MAX_SETS
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.ends.truncate(1);
        self.checks.clear();
    }
}

fn set<'a>(ends: &[u32], checks: &'a [Local], number: u32) -> &'a [Local] {
    let at = number as usize;
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &checks[start as usize..ends[at] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_one_number() {
        let mut outcomes = Outcomes::new();
        let (ab, c) = (outcomes.number(&mut [7, 3]), outcomes.number(&mut [3]));
        assert_eq!(
            [outcomes.number(&mut []), outcomes.number(&mut [3, 7]), outcomes.number(&mut [3])],
            [NOTHING, ab, c]
        );
        assert_eq!([outcomes.get(NOTHING), outcomes.get(ab), outcomes.get(c)], [&[][..], &[3, 7], &[3]]);
        outcomes.clear();
        assert_eq!(outcomes.number(&mut [9]), 1);
        assert_eq!(outcomes.get(1), [9]);
    }
}
