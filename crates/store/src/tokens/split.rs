//! What the tokens of a text are.
//!
//! Everything here is a function of the *folded* text ([`fold`]) and depends on nothing outside the token:
//! a token of a piece of text that begins and ends at word boundaries is a token of the whole text. That
//! one property is what makes look-ups sound; `tokens::soundness` checks it against brute force.
//!
//! * A **word** is a longest run of letters, digits and `_` (Unicode). A word of more than
//!   [`MAX_TOKEN`] bytes is cut into pieces of that length that overlap by [`OVERLAP`] bytes.
//! * A **shape** is a row of words with the separators between them, recognised wherever it occurs: an IPv4
//!   address (four words of up to three digits, joined by `.`), a GUID (8-4-4-4-12 hexadecimal digits joined by
//!   `-`), and three neighbouring groups of an IPv6 or MAC address (up to four hexadecimal digits each, joined by
//!   `:` or `::`; not if all three could be parts of a time of day).
//! * A field's **value** has its text's tokens and, if [`whole_value`] says so, itself as a token: host names,
//!   paths, e-mail and IPv6 addresses stay joined as well as split.
//!
//! Words that are the fraction of a second of an RFC 3339 time (`000123z`) are not tokens ([`is_indexed`]).

use std::{borrow::Cow, ops::Range};

/// The longest token, in bytes.
pub(crate) const MAX_TOKEN: usize = 128;
/// By how much the pieces of a longer word overlap.
pub(crate) const OVERLAP: usize = 32;
/// A part of a word that is at most this long lies within one piece, wherever the word is cut.
pub(crate) const MAX_FRAGMENT: usize = OVERLAP + 1;

/// The form in which texts are compared: every character in lower case by Unicode's default mapping, without
/// regard to its neighbours. "Without regard to case" means equal when folded.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    } else {
        Cow::Owned(text.chars().flat_map(char::to_lowercase).collect())
    }
}

/// A folded text, and whether it is all ASCII: most texts are, and are split much faster then.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    bytes: Vec<u8>,
    text: String,
    is_ascii: bool,
}

impl Folded {
    /// The folded form of original bytes; what is not UTF-8 becomes U+FFFD.
    pub(crate) fn set(&mut self, original: &[u8]) {
        self.is_ascii = original.is_ascii();
        if self.is_ascii {
            self.bytes.clear();
            self.bytes.extend_from_slice(original);
            self.bytes.make_ascii_lowercase();
        } else {
            self.text.clear();
            self.text.extend(String::from_utf8_lossy(original).chars().flat_map(char::to_lowercase));
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        if self.is_ascii { &self.bytes } else { self.text.as_bytes() }
    }

    /// Its words and shapes, as [`split`] finds them.
    pub(crate) fn split(&self, found: impl FnMut(Part)) {
        if self.is_ascii { split_ascii(&self.bytes, found) } else { split(&self.text, found) }
    }

    /// As [`whole_value`].
    pub(crate) fn is_whole_value(&self) -> bool {
        if self.is_ascii { str::from_utf8(&self.bytes).is_ok_and(whole_value) } else { whole_value(&self.text) }
    }
}

pub(crate) fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

const fn word_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
}

/// Which ASCII bytes belong to words.
static WORD_BYTE: [bool; 256] = word_bytes();

/// The end of the word that begins at `from`; `from` if none does.
fn word_end(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if WORD_BYTE[usize::from(byte)] {
            at += 1;
        } else if byte < 0x80 {
            break;
        } else {
            match text[at..].chars().next() {
                Some(char) if is_word_char(char) => at += char.len_utf8(),
                _ => break,
            }
        }
    }
    at
}

/// The first word that begins at `from` or later, where `from` is outside of words or at the start of one.
fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if WORD_BYTE[usize::from(byte)] {
            return Some(at..word_end(text, at + 1));
        }
        if byte < 0x80 {
            at += 1;
            continue;
        }
        let char = text[at..].chars().next()?;
        let end = at + char.len_utf8();
        if is_word_char(char) {
            return Some(at..word_end(text, end));
        }
        at = end;
    }
    None
}

/// A part of a text that is to be looked up as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A word of any length.
    Word(Range<usize>),
    /// A shape: several words with their separators, at most [`MAX_TOKEN`] bytes.
    Shape(Range<usize>),
}

/// Finds the words and shapes of a folded text, in the order in which they end.
pub(crate) fn split(folded: &str, mut found: impl FnMut(Part)) {
    if folded.is_ascii() {
        return split_ascii(folded.as_bytes(), found);
    }
    let mut shapes = Shapes::default();
    let mut next = next_word(folded, 0);
    while let Some(word) = next {
        let end = word.end;
        shapes.word(folded.as_bytes(), word, &mut found);
        next = next_word(folded, end);
    }
}

/// The same for a text of ASCII characters only: 64 bytes at a time.
pub(crate) fn split_ascii(folded: &[u8], mut found: impl FnMut(Part)) {
    let mut shapes = Shapes::default();
    // The start of the word that goes on, if one does.
    let mut open = None;
    for (block, base) in folded.chunks(64).zip((0..).step_by(64)) {
        let words = word_mask(block);
        let mut edges = words ^ (words << 1 | u64::from(open.is_some()));
        while edges != 0 {
            let at = base + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            open = match open {
                // The mask ends with the text.
                Some(_) if at >= folded.len() => break,
                Some(start) => {
                    shapes.word(folded, start..at, &mut found);
                    None
                }
                None => Some(at),
            };
        }
    }
    if let Some(start) = open {
        shapes.word(folded, start..folded.len(), &mut found);
    }
}

/// Which of up to 64 ASCII bytes belong to words: bit by bit, the first byte lowest.
fn word_mask(block: &[u8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // The high bit of every byte that is `from` or more; no byte overflows into the next.
    let reaches = |bytes: u64, from: u8| (bytes + u64::from(0x80 - from) * EACH) & HIGH;
    let within = |bytes: u64, from: u8, to: u8| reaches(bytes, from) & !reaches(bytes, to + 1);
    let mut mask = 0;
    for (eight, shift) in block.chunks(8).zip((0..).step_by(8)) {
        let mut bytes = [0; 8];
        bytes[..eight.len()].copy_from_slice(eight);
        let bytes = u64::from_le_bytes(bytes);
        let lower = bytes | (0x20 * EACH);
        let words = within(lower, b'a', b'z') | within(bytes, b'0', b'9') | within(bytes, b'_', b'_');
        // Gathers the eight bits in the highest byte.
        mask |= ((words >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << shift;
    }
    mask
}

/// Recognises shapes while words come by.
#[derive(Default)]
struct Shapes {
    /// The starts of the last three words.
    starts: [usize; 3],
    decimal_run: u32,
    hex_run: u32,
    guid_words: usize,
    guid_start: usize,
    previous_end: usize,
}

impl Shapes {
    #[inline]
    fn word(&mut self, bytes: &[u8], word: Range<usize>, found: &mut impl FnMut(Part)) {
        let text = &bytes[word.clone()];
        let is_hex = text.len() <= 12 && text.iter().all(u8::is_ascii_hexdigit);
        if is_hex {
            let separator = &bytes[self.previous_end..word.start];
            if let Some(start) = self.shape(bytes, &word, separator) {
                found(Part::Shape(start..word.end));
            }
        } else {
            (self.decimal_run, self.hex_run, self.guid_words) = (0, 0, 0);
        }
        self.starts = [self.starts[1], self.starts[2], word.start];
        self.previous_end = word.end;
        found(Part::Word(word));
    }

    /// Where the shape begins that this word ends, if it ends one.
    fn shape(&mut self, bytes: &[u8], word: &Range<usize>, separator: &[u8]) -> Option<usize> {
        let text = &bytes[word.clone()];
        self.decimal_run = match text.len() <= 3 && text.iter().all(u8::is_ascii_digit) {
            true if separator == b"." => self.decimal_run + 1,
            true => 1,
            false => 0,
        };
        self.hex_run = match text.len() <= 4 {
            true if matches!(separator, b":" | b"::") => self.hex_run + 1,
            true => 1,
            false => 0,
        };
        self.guid_words = match (self.guid_words, text.len()) {
            (_, 8) => {
                self.guid_start = word.start;
                1
            }
            (1..=3, 4) | (4, 12) if separator == b"-" => self.guid_words + 1,
            _ => 0,
        };
        match () {
            () if self.decimal_run >= 4 => Some(self.starts[0]),
            () if self.hex_run >= 3 && !is_clock(&bytes[self.starts[1]..word.end]) => Some(self.starts[1]),
            () if self.guid_words == 5 => Some(self.guid_start),
            () => None,
        }
    }
}

/// `12:34:56` and the like: two digits at most between the colons.
fn is_clock(shape: &[u8]) -> bool {
    shape.split(|&byte| byte == b':').all(|group| matches!(group.len(), 1..=2) && group.iter().all(u8::is_ascii_digit))
}

/// The tokens that stand for a word: itself, or its pieces if it is too long.
pub(crate) fn pieces(word: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let end = word.len().min(start + MAX_TOKEN);
        next = (end < word.len()).then(|| end - OVERLAP);
        Some(&word[start..end])
    })
}

/// False for words that are left out of the index, so that a look-up must not ask for them: up to nine digits
/// and a `z`.
pub(crate) fn is_indexed(word: &[u8]) -> bool {
    !matches!(word, [digits @ .., b'z'] if matches!(digits.len(), 1..=9) && digits.iter().all(u8::is_ascii_digit))
}

/// True if the folded value of a field is a token itself: it has no white space, is not longer than a token
/// may be, is not one word, and does not begin with a date.
pub(crate) fn whole_value(folded: &str) -> bool {
    let bytes = folded.as_bytes();
    if bytes.len() < 2 || bytes.len() > MAX_TOKEN || folded.contains(char::is_whitespace) {
        return false;
    }
    let date = bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let end = word_end(folded, 0);
    !date && end < bytes.len() && (end > 0 || next_word(folded, 0).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> String {
        let folded = fold(text);
        let mut tokens = Vec::new();
        split(&folded, |part| match part {
            Part::Word(range) => tokens.push(folded[range].to_owned()),
            Part::Shape(range) => tokens.push(format!("<{}>", &folded[range])),
        });
        tokens.join(" ")
    }

    #[test]
    fn texts_have_words_and_shapes() {
        let cases = [
            ("Failed password for root", "failed password for root"),
            ("from 192.0.2.7:4711.", "from 192 0 2 <192.0.2.7> 7 4711"),
            ("1.2.3.4.5", "1 2 3 <1.2.3.4> 4 <2.3.4.5> 5"),
            ("1234.2.3.4", "1234 2 3 4"),
            (
                "{5F3C9A1E-77aa-4be1-9c0d-0123456789ab}",
                "5f3c9a1e 77aa 4be1 9c0d <5f3c9a1e-77aa-4be1-9c0d-0123456789ab> 0123456789ab",
            ),
            ("2001:db8::7:1", "2001 db8 <2001:db8::7> 7 <db8::7:1> 1"),
            ("at 12:34:56", "at 12 34 56"),
            ("00:1a:2b:03", "00 1a <00:1a:2b> 2b <1a:2b:03> 03"),
            ("C:\\Windows\\cmd.exe", "c windows cmd exe"),
            ("naïve_ÄÖ Σίσυφος İx", "naïve_äö σίσυφος i x"),
            ("日本語 text", "日本語 text"),
            ("", ""),
            ("--", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn long_words_are_cut_into_overlapping_pieces() {
        for len in [1, 127, 128, 129, 160, 224, 225, 1000] {
            let word: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let pieces: Vec<&[u8]> = pieces(&word).collect();
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_TOKEN));
            for fragment in word.windows(MAX_FRAGMENT.min(len)) {
                assert!(pieces.iter().any(|piece| memchr::memmem::find(piece, fragment).is_some()), "{len}");
            }
            let tail = &word[len.saturating_sub(MAX_FRAGMENT)..];
            assert!(pieces.iter().any(|piece| piece.ends_with(tail)), "{len}");
        }
    }

    #[test]
    fn joined_values_are_tokens() {
        let whole = ["www.example.com", "/etc/shadow", "a@b.c", "2001:db8::1", "C:\\x", "é.com", "-a"];
        let not = ["", "a", "word", "two words", "--", "2026-11-21T04:11:52Z", &"a.".repeat(65)];
        assert!(whole.iter().all(|value| whole_value(value)));
        assert!(!not.iter().any(|value| whole_value(value)));
        assert!(!is_indexed(b"000123z") && is_indexed(b"z") && is_indexed(b"1234567890z") && is_indexed(b"12zz"));
    }
}
