//! Collects the tokens of the rows that will become one segment.

use std::{
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    ops::Range,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{
    BatchEntry, DictionaryWriter,
    recent::{LONGEST, Recent},
    split::{self, Folded, Part},
};

/// A builder takes this many granules: the bits of a token's set.
pub(crate) const MAX_GRANULES: u32 = u32::BITS;
/// Values up to this length are remembered within a granule.
const REMEMBER_UP_TO: usize = 256;

/// The tokens so far, each with the set of granules it is in.
#[derive(Default)]
pub(crate) struct TokenBuilder {
    tokens: Tokens,
    granule: u32,
    /// Longer values seen in the current granule, exactly as they were.
    values: Interned,
    /// Shorter ones that were met a moment ago.
    recent: Recent,
    /// The current event's original.
    original: Folded,
    value: Folded,
}

#[derive(Default)]
struct Tokens {
    strings: Interned,
    /// By token: the set of granules.
    granules: Vec<u32>,
    /// What the current granule has already.
    recent: Recent,
}

impl Tokens {
    fn add(&mut self, token: &[u8], granule: u32) {
        if self.recent.meet(token) {
            return;
        }
        let id = self.strings.intern(token);
        if id == self.granules.len() {
            self.granules.push(0);
        }
        self.granules[id] |= 1 << granule;
    }

    fn add_parts(&mut self, folded: &Folded, granule: u32) {
        let bytes = folded.bytes();
        folded.split(|part| match part {
            Part::Shape(range) => self.add(&bytes[range], granule),
            Part::Word(range) if range.len() <= split::MAX_TOKEN => {
                if split::is_indexed(&bytes[range.clone()]) {
                    self.add(&bytes[range], granule);
                }
            }
            Part::Word(range) => split::pieces(&bytes[range]).for_each(|piece| self.add(piece, granule)),
        });
    }
}

/// Byte strings, each kept once in one buffer.
#[derive(Default)]
struct Interned {
    hasher: RandomState,
    /// The numbers with a part of their strings' hashes, so that growing does not read the strings again.
    table: HashTable<(u32, u32)>,
    /// Where each string ends in `bytes`; it begins where the one before ends.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Interned {
    fn range(&self, id: usize) -> Range<usize> {
        range(&self.ends, id)
    }

    fn get(&self, id: usize) -> &[u8] {
        &self.bytes[self.range(id)]
    }

    /// The string's number; a new string gets the next one.
    fn intern(&mut self, string: &[u8]) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(string);
        let part = hasher.finish() as u32;
        let (ends, bytes) = (&self.ends, &self.bytes);
        let is_it = |&(other, id): &(u32, u32)| other == part && bytes[range(ends, id as usize)] == *string;
        if let Some(&(_, id)) = self.table.find(spread(part), is_it) {
            return id as usize;
        }
        let id = self.ends.len();
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
        self.table.insert_unique(spread(part), (part, id as u32), |&(part, _)| spread(part));
        id
    }

    fn clear(&mut self) {
        self.table.clear();
        self.ends.clear();
        self.bytes.clear();
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 9
    }
}

/// Spreads 32 bits of a hash over the 64 that a table wants.
fn spread(part: u32) -> u64 {
    u64::from(part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn range(ends: &[u32], id: usize) -> Range<usize> {
    let start = id.checked_sub(1).map_or(0, |before| ends[before] as usize);
    start..ends[id] as usize
}

impl TokenBuilder {
    /// Begins the next event: its original bytes, in the given granule. Granules come in ascending order.
    pub(crate) fn original(&mut self, granule: u32, raw: &[u8]) {
        debug_assert!(granule < MAX_GRANULES);
        if granule != self.granule {
            self.granule = granule;
            self.values.clear();
            self.recent.clear();
            self.tokens.recent.clear();
        }
        self.original.set(raw);
        self.tokens.add_parts(&self.original, granule);
    }

    /// Adds a field's value of the current event.
    pub(crate) fn value(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        if value.len() <= LONGEST {
            if self.recent.meet(value.as_bytes()) {
                return;
            }
        } else if value.len() <= REMEMBER_UP_TO {
            let known = self.values.ends.len();
            if self.values.intern(value.as_bytes()) < known {
                return;
            }
        }
        self.value.set(value.as_bytes());
        if self.value.is_whole_value() {
            self.tokens.add(self.value.bytes(), self.granule);
        }
        if !ends_original(self.value.bytes(), self.original.bytes()) {
            self.tokens.add_parts(&self.value, self.granule);
        }
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.tokens.strings.memory()
            + self.tokens.granules.capacity() * 4
            + self.tokens.recent.memory()
            + self.recent.memory()
            + self.values.memory()
    }

    /// Every token, in any order.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        let strings = &self.tokens.strings;
        (0..strings.ends.len()).map(|id| strings.get(id))
    }

    /// Writes the sidecar.
    pub(crate) fn write<W: Write>(&self, out: W, granules: u32, batches: &[BatchEntry]) -> io::Result<W> {
        let strings = &self.tokens.strings;
        let mut sorted: Vec<(u64, u32)> =
            (0..strings.ends.len()).map(|id| (leading(strings.get(id)), id as u32)).collect();
        sorted.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| strings.get(a.1 as usize).cmp(strings.get(b.1 as usize)))
        });
        let mut writer = DictionaryWriter::new(out, granules)?;
        let mut list = Vec::with_capacity(MAX_GRANULES as usize);
        for (_, id) in sorted {
            list.clear();
            let mut set = self.tokens.granules[id as usize];
            while set != 0 {
                list.push(set.trailing_zeros());
                set &= set - 1;
            }
            writer.push(strings.get(id as usize), &list)?;
        }
        writer.finish(batches)
    }
}

/// The first eight bytes as a number that compares as they do.
fn leading(token: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = token.len().min(8);
    bytes[..len].copy_from_slice(&token[..len]);
    u64::from_be_bytes(bytes)
}

/// True if the original ends with the text and the text begins at a word's boundary, so that its tokens are among the
/// original's: a message is often the whole rest of its record.
fn ends_original(text: &[u8], original: &[u8]) -> bool {
    // Beyond ASCII every character counts as part of a word here: at worst the text is split again.
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| !byte.is_ascii() || split::is_word_char((*byte).into()));
    let before = original.strip_suffix(text);
    before.is_some_and(|before| !(is_word(text.first()) && is_word(before.last())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_at_the_end_must_not_cut_a_word() {
        let original = "the quick brown fox";
        for (text, expected) in [("brown fox", true), ("rown fox", false), (" fox", true), ("quick", false)] {
            assert_eq!(ends_original(text.as_bytes(), original.as_bytes()), expected, "{text}");
        }
    }
}
