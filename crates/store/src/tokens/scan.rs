//! Look-ups that need every token of a dictionary, done together: it is read once for all of them.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use super::lookup::Lookup;
use crate::Granules;

/// Behind each key; never part of UTF-8.
const END: u8 = 0xff;

/// What was found for look-ups.
pub(super) type Scanned = BTreeMap<Lookup, Granules>;

/// Finds the tokens for several look-ups of kind [`Lookup::Suffix`] and [`Lookup::Infix`].
pub(super) struct Scan {
    lookups: Vec<Lookup>,
    /// Passes quickly over what holds none.
    any: AhoCorasick,
    /// Tells all of them in a key that holds one.
    all: AhoCorasick,
    keys: Vec<u8>,
    /// Where each key begins in `keys`, and where the last ends.
    begins: Vec<usize>,
}

impl Scan {
    /// None if there is nothing to scan for, or more than an automaton holds.
    pub(super) fn new(lookups: Vec<Lookup>) -> Option<Scan> {
        let patterns: Vec<Vec<u8>> = lookups.iter().filter_map(pattern).collect();
        if patterns.is_empty() || patterns.len() != lookups.len() {
            return None;
        }
        let build = |kind| {
            let mut builder = AhoCorasick::builder();
            // A table of transitions for all bytes is not worth its making here.
            builder.match_kind(kind).kind(Some(AhoCorasickKind::ContiguousNFA)).build(&patterns).ok()
        };
        let (any, all) = (build(MatchKind::LeftmostFirst)?, build(MatchKind::Standard)?);
        Some(Scan { lookups, any, all, keys: Vec::new(), begins: Vec::new() })
    }

    pub(super) fn lookups(&self) -> &[Lookup] {
        &self.lookups
    }

    /// Begins another block.
    pub(super) fn begin(&mut self) {
        self.keys.clear();
        self.begins.clear();
    }

    /// Adds a key of the block.
    pub(super) fn add(&mut self, key: &[u8]) {
        self.begins.push(self.keys.len());
        self.keys.extend_from_slice(key);
        self.keys.push(END);
    }

    /// Calls `each` with the number of every key of the block that a look-up finds, and the look-up's number; keys in order.
    pub(super) fn hits(&mut self, mut each: impl FnMut(usize, usize)) {
        self.begins.push(self.keys.len());
        let mut at = 0;
        while let Some(found) = self.any.find(Input::new(&self.keys).range(at..)) {
            let key = self.begins.partition_point(|begin| *begin <= found.start()) - 1;
            let text = &self.keys[self.begins[key]..self.begins[key + 1]];
            let mut seen = Vec::new();
            for found in self.all.find_overlapping_iter(text) {
                let lookup = found.pattern().as_usize();
                if !seen.contains(&lookup) {
                    seen.push(lookup);
                    each(key, lookup);
                }
            }
            at = self.begins[key + 1];
        }
    }
}

fn pattern(lookup: &Lookup) -> Option<Vec<u8>> {
    match lookup {
        Lookup::Infix(part) => Some(part.clone()),
        Lookup::Suffix(end) => Some(end.iter().copied().chain([END]).collect()),
        Lookup::Exact(_) | Lookup::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lookup_finds_its_keys() {
        let lookups = ["*cat", "*at", "*a*", "*ca*", "*b*"].map(|text| match text[1..].strip_suffix('*') {
            Some(part) => Lookup::Infix(part.into()),
            None => Lookup::Suffix(text[1..].into()),
        });
        let mut scan = Scan::new(lookups.to_vec()).unwrap();
        for _ in 0..2 {
            scan.begin();
            ["bobcat", "catalogue", "dog", "rat"].iter().for_each(|key| scan.add(key.as_bytes()));
            let mut hits = Vec::new();
            scan.hits(|key, lookup| hits.push((key, lookup)));
            hits.sort_unstable();
            assert_eq!(hits, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (3, 1), (3, 2)]);
        }
        assert!(Scan::new(Vec::new()).is_none());
    }
}
