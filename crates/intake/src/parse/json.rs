//! JSON straight into flat fields: one pass, no tree.
//!
//! `{"a":{"b":1},"c":[2,{"d":3}]}` becomes `a.b=1 c=2 c.d=3`. Strict as RFC 8259 asks: escapes, control
//! characters, numbers and structure are checked. A whole number beyond 64 bits stays text, so that
//! no digit is lost; a lone surrogate becomes U+FFFD; a key that occurs twice gives two values.

use super::{
    draft::{Limits, MAX_FIELDS, Name, Slot, Span, Val},
    vocabulary::Vocabulary,
};

/// Objects and arrays nested deeper than this are kept as their JSON text.
pub(crate) const MAX_DEPTH: usize = 32;
/// Longest dotted name; a longer one is cut.
pub(crate) const MAX_NAME: usize = 512;

/// Where fields go.
pub(crate) struct Sink<'a> {
    pub slots: &'a mut Vec<Slot>,
    /// Unescaped text; will be put behind the text that is read.
    pub extra: &'a mut String,
    pub limits: &'a mut Limits,
}

/// Flattens the object in `span` of `text`. False if that is not exactly one valid object; the sink then
/// holds a part that the caller discards. `path` is the prefix of all names.
pub(crate) fn flatten(text: &str, span: Span, vocabulary: &Vocabulary, path: &mut String, sink: &mut Sink<'_>) -> bool {
    let range = span.range();
    let mut scanner = Scanner {
        text,
        bytes: &text.as_bytes()[..range.end],
        at: range.start,
        vocabulary,
        path,
        sink,
        key: None,
        element: 0,
    };
    scanner.space();
    if scanner.peek() != Some(b'{') {
        return false;
    }
    scanner.at += 1;
    if scanner.object(1).is_none() {
        return false;
    }
    scanner.space();
    scanner.at == scanner.bytes.len()
}

struct Scanner<'a, 's> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    vocabulary: &'a Vocabulary,
    path: &'a mut String,
    sink: &'a mut Sink<'s>,
    /// The current name as a piece of the text, where it is one.
    key: Option<Span>,
    /// For the next field: [`Slot::element`].
    element: u16,
}

/// A string: a piece of the text, or (with an escape in it) of the text to come.
type Text = Span;

impl Scanner<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Inside an object, behind its `{`.
    fn object(&mut self, depth: usize) -> Option<()> {
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let parent = self.path.len();
        let prefixed = parent > 0;
        loop {
            self.space();
            if self.peek()? != b'"' {
                return None;
            }
            let key = self.string()?;
            self.space();
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            if prefixed {
                self.path.push('.');
            }
            let (text, extra) = (self.text, &*self.sink.extra);
            let name = match (key.start as usize).checked_sub(text.len()) {
                Some(start) => &extra[start..start + key.len as usize],
                None => &text[key.range()],
            };
            self.path.push_str(name);
            self.key = (!prefixed).then_some(key);
            if self.path.len() > MAX_NAME {
                self.sink.limits.name = true;
                let end = self.path.floor_char_boundary(MAX_NAME);
                self.path.truncate(end.max(parent));
                self.key = None;
            }
            self.value(depth)?;
            self.path.truncate(parent);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Inside an array, behind its `[`.
    fn array(&mut self, depth: usize) -> Option<()> {
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        let key = self.key;
        let len = self.path.len() as u16;
        loop {
            self.key = key;
            // Of lists within lists that begin an element with one field, the outermost counts.
            self.element = if self.element == 0 { len } else { self.element.min(len) };
            self.value(depth)?;
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.space();
        let first = self.peek()?;
        match first {
            b'"' => {
                let text = self.string()?;
                self.field(Val::Str(text));
            }
            b'{' | b'[' if depth >= MAX_DEPTH => {
                let start = self.at;
                self.skip()?;
                self.sink.limits.depth = true;
                self.field(Val::Str(Span::new(start..self.at)));
            }
            b'{' => {
                self.at += 1;
                self.object(depth + 1)?;
            }
            b'[' => {
                self.at += 1;
                self.array(depth + 1)?;
            }
            b't' => self.word(b"true", Val::Bool(true))?,
            b'f' => self.word(b"false", Val::Bool(false))?,
            b'n' => self.word(b"null", Val::Null)?,
            _ => {
                let number = self.number()?;
                self.field(number);
            }
        }
        Some(())
    }

    fn word(&mut self, word: &[u8], value: Val) -> Option<()> {
        if !self.bytes[self.at..].starts_with(word) {
            return None;
        }
        self.at += word.len();
        self.field(value);
        Some(())
    }

    fn field(&mut self, value: Val) {
        if self.sink.slots.len() >= MAX_FIELDS {
            self.sink.limits.fields = true;
            return;
        }
        let name = match self.vocabulary.find(self.path) {
            Some(sym) => Name::Sym(sym),
            None => Name::Text(self.key.unwrap_or_else(|| {
                let start = self.text.len() + self.sink.extra.len();
                self.sink.extra.push_str(self.path);
                Span::new(start..start + self.path.len())
            })),
        };
        let element = std::mem::take(&mut self.element);
        self.sink.slots.push(Slot { name, value, own: true, element });
    }

    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }

    fn number(&mut self) -> Option<Val> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let leading = self.peek()?;
        let digits = self.digits()?;
        if leading == b'0' && digits > 1 {
            return None;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let span = Span::new(start..self.at);
        let text = &self.text[start..self.at];
        if whole {
            // `-0` is a float to JSON's readers; here it is the number zero.
            return Some(text.parse().map_or(Val::Str(span), Val::Int));
        }
        Some(text.parse::<f64>().ok().filter(|float| float.is_finite()).map_or(Val::Str(span), Val::Float))
    }

    /// At the opening quote of a string; moves behind the closing one.
    fn string(&mut self) -> Option<Text> {
        let start = self.at + 1;
        let end = plain_end(self.bytes, start)?;
        self.at = end + 1;
        match self.bytes[end] {
            b'"' => Some(Span::new(start..end)),
            b'\\' => self.escaped(start, end),
            _ => None,
        }
    }

    /// The string from `start` with the first backslash at `end`.
    fn escaped(&mut self, start: usize, mut end: usize) -> Option<Text> {
        let begin = self.sink.extra.len();
        let mut plain = start;
        loop {
            self.sink.extra.push_str(&self.text[plain..end]);
            match self.bytes[end] {
                b'"' => {
                    self.at = end + 1;
                    let base = self.text.len();
                    return Some(Span::new(base + begin..base + self.sink.extra.len()));
                }
                b'\\' => {
                    self.at = end + 1;
                    let char = self.escape()?;
                    self.sink.extra.push(char);
                    plain = self.at;
                }
                _ => return None,
            }
            end = plain_end(self.bytes, plain)?;
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let behind = self.at;
                if self.bytes[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return char::from_u32(code);
                    }
                    self.at = behind;
                }
                char::REPLACEMENT_CHARACTER
            }
            _ => return None,
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, digit| Some(code << 4 | (*digit as char).to_digit(16)?))
    }

    /// Moves behind an object or array of any depth. Brackets and strings are checked, nothing else.
    fn skip(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            match self.peek()? {
                b'"' => {
                    let extra = self.sink.extra.len();
                    self.string()?;
                    self.sink.extra.truncate(extra);
                    continue;
                }
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                close @ (b'}' | b']') => {
                    if open.pop() != Some(close) {
                        return None;
                    }
                    if open.is_empty() {
                        self.at += 1;
                        return Some(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// Index of the first quote, backslash or control character from `at` on; eight bytes at a time.
fn plain_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let quote = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = quote | backslash | control;
        if found != 0 {
            // The lowest set bit is exact: borrows only disturb the bytes above it.
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at.min(bytes.len())..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|found| at + found)
}
