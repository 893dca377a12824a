//! All checks of one field, put to a value at once.
//!
//! Whole values, beginnings and ends are looked up by their hashes. For texts inside, some four bytes of each text
//! (those that fewest other texts have) are known to a filter of 8 kB; where a value's bytes pass it, and they seldom
//! do, the texts are compared. That reads a value once, out of the first cache, however many texts there are; the case
//! of ASCII letters is passed over as it goes. Where all texts are long, only every few bytes are looked at: of a text
//! as many four bytes in a row are known as are passed over.

use std::{net::IpAddr, ops::Range};

use hashbrown::HashMap;

use super::gate::Gate;
use crate::{check::Test, cidr::Cidr};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// A check's number among those of a scanner's owner.
pub(super) type Local = u32;

/// A value in both spellings.
#[derive(Clone, Copy)]
pub(super) struct Spelled<'a> {
    pub(super) text: &'a str,
    pub(super) folded: &'a str,
}

/// What may be true once a gate is passed.
#[derive(Clone, Copy, Debug)]
struct Behind {
    check: Local,
    /// The gate is the whole test.
    sure: bool,
}

/// Tests of one value, arranged by what they look for.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    exact: Map<Box<str>, Vec<Behind>>,
    prefix: Affixes,
    suffix: Affixes,
    contains: Contains,
    networks: Vec<(Cidr, Local)>,
    /// Tests that nothing stands before.
    open: Vec<Local>,
    /// Lengths of whole values, as bits; the last is for all that are longer.
    lengths: u128,
    /// No test but of texts inside, none of them empty, without wildcards and in any case.
    plain: bool,
}

impl Scanner {
    pub(super) fn new<'a>(tests: impl Iterator<Item = (Local, &'a Test)>) -> Scanner {
        let mut scanner = Scanner::default();
        let mut texts: Map<Box<str>, Vec<Behind>> = Map::default();
        for (check, test) in tests {
            let (gates, sure) = Gate::of(test);
            let behind = Behind { check, sure };
            for gate in gates {
                match gate {
                    Gate::Exact(text) => scanner.exact.entry(text.into()).or_default().push(behind),
                    Gate::Prefix(text) => scanner.prefix.add(text, behind),
                    Gate::Suffix(text) => scanner.suffix.add(text, behind),
                    Gate::Contains(text) => texts.entry(text.into()).or_default().push(behind),
                    Gate::Open => match test {
                        Test::Cidr(network) => scanner.networks.push((*network, check)),
                        _ => scanner.open.push(check),
                    },
                }
            }
        }
        scanner.prefix.finish(first);
        scanner.suffix.finish(last);
        scanner.lengths = scanner.exact.keys().fold(0, |lengths, text| lengths | length_bit(text.len()));
        scanner.plain = scanner.exact.is_empty()
            && scanner.prefix.map.is_empty()
            && scanner.suffix.map.is_empty()
            && scanner.networks.is_empty()
            && scanner.open.is_empty()
            && texts.iter().all(|(text, behind)| !text.is_empty() && behind.iter().all(|behind| behind.sure));
        let mut texts: Vec<_> = texts.into_iter().collect();
        texts.sort_by(|a, b| a.0.cmp(&b.0));
        scanner.contains = Contains::new(texts);
        scanner
    }

    /// True if it has no test.
    pub(super) fn is_empty(&self) -> bool {
        self.is_cheap() && self.exact.is_empty()
    }

    /// True if a value is looked up whole, and that is all: remembering values would cost more.
    pub(super) fn is_cheap(&self) -> bool {
        self.prefix.map.is_empty()
            && self.suffix.map.is_empty()
            && self.contains.texts.is_empty()
            && self.networks.is_empty()
            && self.open.is_empty()
    }

    /// True if values need not be folded for it, as far as they are ASCII.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Calls `found` with the place of each text that is in this one (ASCII letters in any case), and with each check
    /// that is true of values which have that place; for scanners that are [plain](Scanner::is_plain).
    pub(super) fn each_in(&self, texts: &str, mut found: impl FnMut(Range<usize>, Local)) {
        self.contains.each(texts.as_bytes(), &mut |text, at| {
            text.behind.iter().for_each(|behind| found(at..at + text.bytes.len(), behind.check));
        });
    }

    /// False if it finds nothing in numbers and truth values; for scanners that are [plain](Scanner::is_plain).
    pub(super) fn may_be_in_numbers(&self) -> bool {
        self.contains.in_numbers
    }

    /// False if the value, in ASCII and looked up whole, cannot be any that is looked for.
    pub(super) fn may_be(&self, value: &str) -> bool {
        self.lengths & length_bit(value.len()) != 0 || !value.is_ascii()
    }

    /// Appends the checks that are true of a value, each once. `holds` puts the whole test of one.
    pub(super) fn scan(
        &self,
        value: Spelled<'_>,
        seen: &mut Seen,
        holds: impl Fn(Local) -> bool,
        found: &mut Vec<Local>,
    ) {
        seen.begin();
        let folded = value.folded;
        let mut passed = |behind: &[Behind]| {
            for &Behind { check, sure } in behind {
                if seen.first(check) && (sure || holds(check)) {
                    found.push(check);
                }
            }
        };
        if let Some(behind) = self.exact.get(folded) {
            passed(behind);
        }
        self.prefix.scan(folded.as_bytes(), first, &mut passed);
        self.suffix.scan(folded.as_bytes(), last, &mut passed);
        self.contains.scan(folded.as_bytes(), &mut passed);
        if !self.networks.is_empty()
            && let Ok(address) = value.text.parse::<IpAddr>()
        {
            found.extend(self.networks.iter().filter(|(network, _)| network.has(address)).map(|(_, check)| *check));
        }
        found.extend(self.open.iter().copied().filter(|check| holds(*check)));
    }
}

fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

/// Which checks a value has met already: a text may be in it a million times.
#[derive(Debug, Default)]
pub(super) struct Seen {
    stamps: Vec<u32>,
    now: u32,
}

impl Seen {
    pub(super) fn begin(&mut self) {
        self.now = self.now.wrapping_add(1);
        if self.now == 0 {
            self.stamps.clear();
            self.now = 1;
        }
    }

    pub(super) fn first(&mut self, check: Local) -> bool {
        let at = check as usize;
        if at >= self.stamps.len() {
            self.stamps.resize(at + 1, 0);
        }
        std::mem::replace(&mut self.stamps[at], self.now) != self.now
    }
}

/// Bytes by which beginnings and ends are looked up first, for texts of at least so many.
const KEYS: [usize; 3] = [16, 8, 4];

/// Beginnings or ends of values. Their outermost bytes tell which lengths are worth a try.
#[derive(Debug, Default)]
struct Affixes {
    /// For texts that are as long as one of the [`KEYS`]: the lengths of those with this key.
    keyed: [Map<u128, Vec<u32>>; KEYS.len()],
    /// Lengths of shorter texts.
    short: Vec<u32>,
    map: Map<Box<[u8]>, Vec<Behind>>,
}

impl Affixes {
    /// `outermost` gives so many bytes of a text, from where the value ends.
    fn finish(&mut self, outermost: impl Fn(&[u8], usize) -> &[u8]) {
        for text in self.map.keys() {
            let lengths = match KEYS.iter().position(|key| *key <= text.len()) {
                Some(at) => self.keyed[at].entry(key(outermost(text, KEYS[at]))).or_default(),
                None => &mut self.short,
            };
            lengths.push(text.len() as u32);
        }
        for lengths in self.keyed.iter_mut().flat_map(Map::values_mut).chain([&mut self.short]) {
            lengths.sort_unstable();
            lengths.dedup();
        }
    }

    fn add(&mut self, text: String, behind: Behind) {
        self.map.entry(text.into_bytes().into()).or_default().push(behind);
    }

    /// Calls `found` with what is behind each text that a value begins, or ends, with; `outermost` as in
    /// [`finish`](Affixes::finish).
    fn scan(&self, bytes: &[u8], outermost: impl Fn(&[u8], usize) -> &[u8], found: &mut impl FnMut(&[Behind])) {
        let mut attempt = |lengths: &[u32]| {
            for length in lengths.iter().map(|length| *length as usize).take_while(|length| *length <= bytes.len()) {
                if let Some(behind) = self.map.get(outermost(bytes, length)) {
                    found(behind);
                }
            }
        };
        for (length, keyed) in KEYS.into_iter().zip(&self.keyed) {
            if length <= bytes.len()
                && let Some(lengths) = keyed.get(&key(outermost(bytes, length)))
            {
                attempt(lengths);
            }
        }
        attempt(&self.short);
    }
}

fn first(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[..count]
}

fn last(bytes: &[u8], count: usize) -> &[u8] {
    &bytes[bytes.len() - count..]
}

/// Up to 16 bytes as a number.
fn key(bytes: &[u8]) -> u128 {
    let mut key = [0; 16];
    key[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(key)
}

/// Bytes that stand for a text in the filter.
const GRAM: usize = 4;
/// Longest stride.
const MAX_STRIDE: usize = 8;
/// What tells `a` from `A`.
const CASE: u8 = 0x20;

/// Texts that a value may contain.
#[derive(Debug, Default)]
struct Contains {
    texts: Vec<Text>,
    /// Of texts of at least [`GRAM`] bytes.
    grams: Filter<GRAM>,
    /// Of shorter ones, as far as there are any.
    pairs: Filter<2>,
    singles: Filter<1>,
    /// One of them could be in a number, or in `true` or `false`.
    in_numbers: bool,
}

#[derive(Debug)]
struct Text {
    bytes: Box<[u8]>,
    behind: Vec<Behind>,
}

impl Contains {
    fn new(texts: Vec<(Box<str>, Vec<Behind>)>) -> Contains {
        let mut contains = Contains::default();
        // What many texts have in common (`\windows\`, `.exe`), values have too: look for what is rare.
        let mut commonness: Map<&[u8], u32> = Map::default();
        for (text, _) in &texts {
            text.as_bytes().windows(GRAM).for_each(|gram| *commonness.entry(gram).or_default() += 1);
        }
        let ordinariness = |gram: &[u8]| 32 * commonness[gram] + plainness(gram);
        // Where the rarest four bytes in a row begin, `stride` times.
        let rarest = |text: &[u8], stride: usize| {
            let costs: Vec<u32> = text.windows(GRAM).map(ordinariness).collect();
            let runs = costs.windows(stride).map(|run| run.iter().sum::<u32>()).enumerate();
            runs.min_by_key(|(_, cost)| *cost).map_or(0, |(offset, _)| offset)
        };
        let least = texts.iter().map(|(text, _)| text.len()).filter(|length| *length >= GRAM).min();
        contains.grams.stride = least.map_or(1, |least| least + 1 - GRAM).min(MAX_STRIDE);
        for (number, (text, _)) in (0..).zip(&texts) {
            contains.in_numbers |= "true".contains(&**text)
                || "false".contains(&**text)
                || text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e'));
            let bytes = text.as_bytes();
            match *bytes {
                [] => {}
                [single] => contains.singles.add([single], number, 0),
                [a, b] | [a, b, _] => contains.pairs.add([a, b], number, 0),
                _ => {
                    let stride = contains.grams.stride;
                    for (offset, gram) in bytes.windows(GRAM).enumerate().skip(rarest(bytes, stride)).take(stride) {
                        gram.first_chunk().into_iter().for_each(|gram| contains.grams.add(*gram, number, offset));
                    }
                }
            }
        }
        let text = |(text, behind): &(Box<str>, Vec<_>)| Text { bytes: text.as_bytes().into(), behind: behind.clone() };
        contains.texts = texts.iter().map(text).collect();
        contains
    }

    /// Calls `found` with what is behind each text that the value contains, perhaps several times. The value is
    /// folded, or ASCII.
    fn scan(&self, value: &[u8], found: &mut impl FnMut(&[Behind])) {
        // The empty text is in every value.
        if let Some(Text { bytes, behind }) = self.texts.first()
            && bytes.is_empty()
        {
            found(behind);
        }
        self.each(value, &mut |text, _| found(&text.behind));
    }

    /// Calls `found` with each text of at least one byte that the value contains, and where.
    fn each(&self, value: &[u8], found: &mut impl FnMut(&Text, usize)) {
        let mut check = |texts: &[(u32, u32)], at: usize| {
            for &(number, offset) in texts {
                let text = &self.texts[number as usize];
                let Some(start) = at.checked_sub(offset as usize) else { continue };
                let there = value.get(start..start + text.bytes.len());
                if there.is_some_and(|there| there.eq_ignore_ascii_case(&text.bytes)) {
                    found(text, start);
                }
            }
        };
        self.grams.scan(value, &mut check);
        self.pairs.scan(value, &mut check);
        self.singles.scan(value, &mut check);
    }
}

/// How ordinary four bytes look; letters and what separates words are everywhere.
fn plainness(gram: &[u8]) -> u32 {
    let of = |byte: &u8| match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 5,
        b' ' | b'\\' | b'.' | b'l' | b'c' | b'd' | b'm' | b'p' | b'u' | b'0' => 4,
        b'a'..=b'z' | b'-' | b'/' | b'1' | b'2' => 3,
        b'0'..=b'9' | b'_' | b'=' | b'"' => 2,
        _ => 1,
    };
    gram.iter().map(of).sum()
}

/// Which `N` bytes are anywhere in a set of texts, and in which. Bytes count as equal that differ in the bit by which
/// the cases of ASCII letters do.
#[derive(Debug)]
struct Filter<const N: usize> {
    /// 65,536 bits; none if there is no text.
    bits: Vec<u64>,
    /// Every how many bytes of a value are looked at.
    stride: usize,
    /// The texts and where in them the bytes are.
    texts: Map<[u8; N], Vec<(u32, u32)>>,
}

impl<const N: usize> Default for Filter<N> {
    fn default() -> Self {
        Filter { bits: Vec::new(), stride: 1, texts: Map::default() }
    }
}

impl<const N: usize> Filter<N> {
    fn add(&mut self, gram: [u8; N], text: u32, offset: usize) {
        let gram = gram.map(|byte| byte | CASE);
        self.bits.resize(1024, 0);
        let bit = Self::bit(gram);
        self.bits[bit >> 6] |= 1 << (bit & 63);
        self.texts.entry(gram).or_default().push((text, offset as u32));
    }

    fn bit(gram: [u8; N]) -> usize {
        let number = gram.iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        // Knuth's multiplicative hash; up to two bytes are their own.
        (if N <= 2 { number } else { number.wrapping_mul(0x9E37_79B1) >> 16 }) as usize
    }

    fn scan(&self, value: &[u8], found: &mut impl FnMut(&[(u32, u32)], usize)) {
        let Some(bits) = self.bits.first_chunk::<1024>() else { return };
        let mut at = 0;
        while let Some(gram) = value.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
            let gram = gram.map(|byte| byte | CASE);
            let bit = Self::bit(gram);
            if bits[bit >> 6] >> (bit & 63) & 1 == 1
                && let Some(texts) = self.texts.get(&gram)
            {
                found(texts, at);
            }
            at += self.stride;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{fold::fold, pattern::Pattern};

    proptest! {
        #[test]
        fn finds_what_each_test_alone_finds(
            patterns in prop::collection::vec(("[abAB\\\\.e]{0,14}", any::<bool>(), any::<bool>(), any::<bool>()), 1..40),
            values in prop::collection::vec("[abAB\\\\.eü]{0,40}", 1..20),
        ) {
            let tests: Vec<Test> = patterns
                .iter()
                .map(|(text, before, after, cased)| {
                    let pattern = Pattern::literal(text).open(*before, *after);
                    Test::Text { pattern: if *cased { pattern } else { pattern.folded() }, cased: *cased }
                })
                .collect();
            let scanner = Scanner::new((0..).zip(&tests));
            for text in &values {
                let folded = fold(text);
                let value = Spelled { text, folded: &folded };
                let alone = |check: Local| tests[check as usize].holds(value.text, value.folded);
                let mut found = Vec::new();
                scanner.scan(value, &mut Seen::default(), alone, &mut found);
                found.sort_unstable();
                let want: Vec<Local> = (0..tests.len() as u32).filter(|check| alone(*check)).collect();
                prop_assert_eq!(found, want, "{:?}", text);
            }
        }

        #[test]
        fn finds_texts_wherever_they_are(
            texts in prop::collection::vec("[ab]{4,14}", 1..6),
            values in prop::collection::vec("[abA]{0,60}", 1..20),
        ) {
            let texts: std::collections::BTreeSet<String> = texts.into_iter().collect();
            let behind = |check: usize| vec![Behind { check: check as Local, sure: true }];
            let contains = Contains::new((0..).zip(&texts).map(|(at, text)| (text.as_str().into(), behind(at))).collect());
            for value in &values {
                let mut found = Vec::new();
                contains.scan(value.as_bytes(), &mut |behind| found.push(behind[0].check));
                found.sort_unstable();
                found.dedup();
                let there = |(at, text): (Local, &String)| value.to_lowercase().contains(text).then_some(at);
                let want: Vec<Local> = (0..).zip(&texts).filter_map(there).collect();
                prop_assert_eq!(found, want, "{:?}", value);
            }
        }
    }
}
