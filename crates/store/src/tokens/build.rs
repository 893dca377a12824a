//! Collects the tokens of the rows that will become one segment.

use std::{
    hash::{BuildHasher, Hasher},
    io::{self, Write},
    ops::Range,
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use memchr::memmem;

use super::{
    BatchEntry, DictionaryWriter,
    split::{self, Part},
};

/// A builder takes this many granules: the bits of a token's set.
pub(crate) const MAX_GRANULES: u32 = u32::BITS;
/// Values from this length on are first searched for in the original, which is cheaper than splitting them again.
const SEARCH_FROM: usize = 24;
/// Values up to this length are remembered within a granule.
const REMEMBER_UP_TO: usize = 256;

/// The tokens so far, each with the set of granules it is in.
#[derive(Default)]
pub(crate) struct TokenBuilder {
    tokens: Tokens,
    granule: u32,
    /// Values seen in the current granule, exactly as they were.
    values: Interned,
    /// The current event's original, folded.
    original: String,
    folded: String,
}

#[derive(Default)]
struct Tokens {
    strings: Interned,
    /// By token: the set of granules.
    granules: Vec<u32>,
}

impl Tokens {
    fn add(&mut self, token: &[u8], granule: u32) {
        let id = self.strings.intern(token);
        if id == self.granules.len() {
            self.granules.push(0);
        }
        self.granules[id] |= 1 << granule;
    }

    fn add_parts(&mut self, folded: &str, granule: u32) {
        let bytes = folded.as_bytes();
        split::split(folded, |part| match part {
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
    table: HashTable<u32>,
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

    fn hash(hasher: &RandomState, string: &[u8]) -> u64 {
        let mut hasher = hasher.build_hasher();
        hasher.write(string);
        hasher.finish()
    }

    /// The string's number; a new string gets the next one.
    fn intern(&mut self, string: &[u8]) -> usize {
        let hash = Self::hash(&self.hasher, string);
        let (ends, bytes) = (&self.ends, &self.bytes);
        if let Some(&id) = self.table.find(hash, |&id| bytes[range(ends, id as usize)] == *string) {
            return id as usize;
        }
        let id = self.ends.len();
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
        let (hasher, ends, bytes) = (&self.hasher, &self.ends, &self.bytes);
        self.table.insert_unique(hash, id as u32, |&id| Self::hash(hasher, &bytes[range(ends, id as usize)]));
        id
    }

    fn clear(&mut self) {
        self.table.clear();
        self.ends.clear();
        self.bytes.clear();
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4 + self.table.capacity() * 5
    }
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
        }
        self.original.clear();
        split::fold_into(raw, &mut self.original);
        self.tokens.add_parts(&self.original, granule);
    }

    /// Adds a field's value of the current event.
    pub(crate) fn value(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        if value.len() <= REMEMBER_UP_TO {
            let known = self.values.ends.len();
            if self.values.intern(value.as_bytes()) < known {
                return;
            }
        }
        self.folded.clear();
        split::fold_into(value.as_bytes(), &mut self.folded);
        if split::whole_value(&self.folded) {
            self.tokens.add(self.folded.as_bytes(), self.granule);
        }
        let in_original = self.folded.len() >= SEARCH_FROM && occurs_at_boundaries(&self.folded, &self.original);
        if !in_original {
            self.tokens.add_parts(&self.folded, self.granule);
        }
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.tokens.strings.memory() + self.tokens.granules.capacity() * 4 + self.values.memory()
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

/// True if the text's occurrence in the original, at its end or else the first, neither begins nor ends inside a word,
/// so that its tokens are among the original's.
fn occurs_at_boundaries(text: &str, original: &str) -> bool {
    // A message is often the whole rest of its record; preparing a search for it would cost more than splitting it.
    let start = match original.strip_suffix(text) {
        Some(before) => Some(before.len()),
        None => memmem::find(original.as_bytes(), text.as_bytes()),
    };
    let Some(start) = start else {
        return false;
    };
    let is_word = |char: Option<char>| char.is_some_and(split::is_word_char);
    let cut_left = is_word(text.chars().next()) && is_word(original[..start].chars().next_back());
    let cut_right = is_word(text.chars().next_back()) && is_word(original[start + text.len()..].chars().next());
    !cut_left && !cut_right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occurrences_must_not_cut_words() {
        let original = "the quick brown fox, brown foxes";
        for (text, expected) in
            [("brown fox", true), ("rown fox", false), ("quick brow", false), (" brown fox, ", true), ("none", false)]
        {
            assert_eq!(occurs_at_boundaries(text, original), expected, "{text}");
        }
    }
}
