//! Granules: the pieces of a segment that a reader selects, and sets of them.

use std::ops::Range;

use vedette_event::Time;

/// The most rows of a granule. A sealed segment's granules all have this many but the last; a compacted
/// segment's may have fewer.
pub const GRANULE_ROWS: u64 = 4096;

/// What is known about a granule without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granule {
    /// Its rows within the segment.
    pub rows: Range<u64>,
    /// Earliest and latest event time.
    pub time: (Time, Time),
    /// Earliest and latest receive time.
    pub received: (Time, Time),
    /// Original bytes of its rows.
    pub raw_bytes: u64,
}

impl Granule {
    /// A granule without rows that starts at `row`.
    pub(crate) fn starting_at(row: u64) -> Self {
        Granule { rows: row..row, time: (Time::MAX, Time::MIN), received: (Time::MAX, Time::MIN), raw_bytes: 0 }
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.end - self.rows.start
    }

    pub(crate) fn add_row(&mut self, time: Time, received: Time, raw_bytes: usize) {
        self.rows.end += 1;
        self.time = (self.time.0.min(time), self.time.1.max(time));
        self.received = (self.received.0.min(received), self.received.1.max(received));
        self.raw_bytes += raw_bytes as u64;
    }

    /// Appends a granule whose rows follow.
    pub(crate) fn extend(&mut self, next: &Granule) {
        self.rows.end += next.len();
        self.time = (self.time.0.min(next.time.0), self.time.1.max(next.time.1));
        self.received = (self.received.0.min(next.received.0), self.received.1.max(next.received.1));
        self.raw_bytes += next.raw_bytes;
    }
}

/// Earliest and latest of several spans.
pub(crate) fn span(spans: impl Iterator<Item = (Time, Time)>) -> (Time, Time) {
    spans.fold((Time::MAX, Time::MIN), |all, next| (all.0.min(next.0), all.1.max(next.1)))
}

/// A set of granules of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granules {
    count: usize,
    bits: Vec<u64>,
}

impl Granules {
    /// None of `count` granules.
    pub fn none(count: usize) -> Self {
        Granules { count, bits: vec![0; count.div_ceil(64)] }
    }

    /// All of `count` granules.
    pub fn all(count: usize) -> Self {
        let mut all = Granules { count, bits: vec![u64::MAX; count.div_ceil(64)] };
        if let Some(last) = all.bits.last_mut()
            && !count.is_multiple_of(64)
        {
            *last >>= 64 - count % 64;
        }
        all
    }

    /// Number of granules the segment has.
    pub fn universe(&self) -> usize {
        self.count
    }

    /// Number of granules in the set.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// True if no granule is in the set.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|&word| word == 0)
    }

    /// True if every granule is in the set.
    pub fn is_all(&self) -> bool {
        self.len() == self.count
    }

    /// True if the granule is in the set.
    pub fn contains(&self, granule: usize) -> bool {
        granule < self.count && self.bits[granule / 64] >> (granule % 64) & 1 == 1
    }

    /// Adds a granule; one that the segment does not have is ignored.
    pub fn insert(&mut self, granule: usize) {
        if granule < self.count {
            self.bits[granule / 64] |= 1 << (granule % 64);
        }
    }

    /// Keeps what is also in `other`, a set of the same segment.
    pub fn and(&mut self, other: &Granules) {
        debug_assert_eq!(self.count, other.count);
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, other)| *word &= other);
    }

    /// Adds what is in `other`, a set of the same segment.
    pub fn or(&mut self, other: &Granules) {
        debug_assert_eq!(self.count, other.count);
        self.bits.iter_mut().zip(&other.bits).for_each(|(word, other)| *word |= other);
    }

    /// The granules in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count).filter(|&granule| self.contains(granule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        for count in [0, 1, 63, 64, 65, 130] {
            let all = Granules::all(count);
            assert_eq!((all.len(), all.is_all()), (count, true));
            assert_eq!(all.iter().count(), count);
            let mut odd = Granules::none(count);
            (0..count + 9).filter(|granule| granule % 2 == 1).for_each(|granule| odd.insert(granule));
            assert_eq!(odd.len(), count / 2);
            let mut both = all.clone();
            both.and(&odd);
            assert_eq!(both, odd);
            both.or(&all);
            assert_eq!(both, all);
        }
    }
}
