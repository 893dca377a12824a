//! One event while it is being parsed: fields over one text buffer, without a tree and without an
//! allocation per field.

use std::ops::Range;

use vedette_event::Time;

use super::{
    json,
    vocabulary::{Sym, Vocabulary},
};

/// Most fields of one event; what is beyond is counted in `vedette.limits`.
pub(crate) const MAX_FIELDS: usize = 2048;
/// Longest text that a text step reads; what is beyond is cut off for that step.
pub(crate) const MAX_TEXT: usize = 256 << 10;

/// A piece of [`Draft::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    /// From byte offsets. Records are far below 4 GiB (see `Parsers::derive`).
    #[inline]
    pub fn new(range: Range<usize>) -> Self {
        Span { start: range.start as u32, len: (range.end - range.start) as u32 }
    }

    /// As byte offsets.
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    /// A piece of this piece.
    #[inline]
    pub fn part(self, range: Range<usize>) -> Span {
        Span { start: self.start + range.start as u32, len: (range.end - range.start) as u32 }
    }
}

/// A field's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Name {
    /// One that a parser mentions.
    Sym(Sym),
    /// Any other, as text.
    Text(Span),
    /// The field was removed.
    Gone,
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Span),
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub name: Name,
    pub value: Val,
    /// It came out of the record itself (a JSON key, a key=value pair), and not from a mapping step.
    pub own: bool,
    /// Length of the name of the outermost JSON list that has a new element beginning with this field; 0 for none.
    pub element: u16,
}

/// Which budgets an event hit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub fields: bool,
    pub depth: bool,
    pub name: bool,
    pub text: bool,
}

/// A whole number as people write it, without an allocation.
pub(crate) struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    /// The number's digits, and its sign if it is negative.
    pub fn of(int: i64) -> Self {
        let mut digits = Digits { bytes: [b'-'; 20], start: 20 };
        let mut rest = int.unsigned_abs();
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        digits.start -= usize::from(int < 0);
        digits
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

/// Where the fields of a name are.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Slot index + 1 of the first; 0 if there is none.
    first: u32,
    /// How many there are: whoever has seen so many need not look on.
    count: u32,
}

impl Place {
    #[inline]
    fn add(&mut self, at: usize) {
        let first = at as u32 + 1;
        self.first = if self.first == 0 { first } else { self.first.min(first) };
        self.count += 1;
    }
}

/// A point to which a draft can return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    slots: usize,
    journal: usize,
    time: Option<Time>,
}

/// One event while it is being parsed. Reused from event to event.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The record's text, and behind it whatever was unescaped or composed.
    pub text: String,
    pub slots: Vec<Slot>,
    /// By name: where its fields are.
    places: Vec<Place>,
    journal: Vec<(u32, Slot)>,
    /// When it happened, as far as known.
    pub time: Option<Time>,
    /// When it was received.
    pub received: Time,
    pub limits: Limits,
    extra: String,
    path: String,
}

impl Draft {
    /// Starts over with a record's text.
    pub fn begin(&mut self, received: Time, text: &str, vocabulary: &Vocabulary) {
        // One huge record shall not keep its buffer for ever.
        if self.text.capacity() > 4 << 20 {
            self.text = String::new();
            self.extra = String::new();
        }
        self.text.clear();
        self.text.push_str(text);
        let slots = self.slots.drain(..).chain(self.journal.drain(..).map(|(_, slot)| slot));
        for slot in slots {
            if let Name::Sym(sym) = slot.name
                && let Some(place) = self.places.get_mut(sym.index())
            {
                *place = Place::default();
            }
        }
        self.places.resize(vocabulary.len(), Place::default());
        self.time = None;
        self.received = received;
        self.limits = Limits::default();
    }

    /// The text of a span.
    #[inline]
    pub fn str(&self, span: Span) -> &str {
        &self.text[span.range()]
    }

    /// The text of a span, at most [`MAX_TEXT`] of it.
    pub fn cut(&mut self, span: Span) -> Span {
        if span.len as usize <= MAX_TEXT {
            return span;
        }
        self.limits.text = true;
        let end = self.str(span).floor_char_boundary(MAX_TEXT);
        span.part(0..end)
    }

    /// Puts text into the buffer.
    #[inline]
    pub fn append(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        Span::new(start..self.text.len())
    }

    /// The name that the parts make together.
    pub fn name(&mut self, vocabulary: &Vocabulary, parts: &[&str]) -> Name {
        let start = self.text.len();
        parts.iter().for_each(|part| self.text.push_str(part));
        self.named(start, vocabulary)
    }

    /// The name of the field at a position with a prefix before it.
    pub fn prefixed(&mut self, at: usize, prefix: &str, vocabulary: &Vocabulary) -> Name {
        let start = self.text.len();
        self.text.push_str(prefix);
        match self.slots[at].name {
            Name::Sym(sym) => self.text.push_str(vocabulary.name(sym)),
            Name::Text(span) => self.text.extend_from_within(span.range()),
            Name::Gone => {}
        }
        self.named(start, vocabulary)
    }

    /// The name that the text from `start` on spells, cut if it is too long; it stays in the buffer if it must.
    fn named(&mut self, start: usize, vocabulary: &Vocabulary) -> Name {
        if self.text.len() - start > json::MAX_NAME {
            self.limits.name = true;
            self.text.truncate(self.text.floor_char_boundary(start + json::MAX_NAME));
        }
        match vocabulary.find(&self.text[start..]) {
            Some(sym) => {
                self.text.truncate(start);
                Name::Sym(sym)
            }
            None => Name::Text(Span::new(start..self.text.len())),
        }
    }

    /// Adds a field.
    #[inline]
    pub fn push(&mut self, name: Name, value: Val, own: bool) {
        if self.slots.len() >= MAX_FIELDS {
            self.limits.fields = true;
            return;
        }
        self.slots.push(Slot { name, value, own, element: 0 });
        if let Name::Sym(sym) = name {
            self.places[sym.index()].add(self.slots.len() - 1);
        }
    }

    /// Adds a field of a known name.
    pub fn add(&mut self, sym: Sym, value: Val) {
        self.push(Name::Sym(sym), value, false);
    }

    /// Adds a text field.
    pub fn add_text(&mut self, sym: Sym, text: &str) {
        let span = self.append(text);
        self.add(sym, Val::Str(span));
    }

    /// Gives a field this one value.
    pub fn set(&mut self, sym: Sym, value: Val) {
        self.remove(sym);
        self.add(sym, value);
    }

    /// Gives a field this one text.
    pub fn set_text(&mut self, sym: Sym, text: &str) {
        let span = self.append(text);
        self.set(sym, Val::Str(span));
    }

    /// Index of the first field of a name.
    #[inline]
    pub fn position(&self, sym: Sym) -> Option<usize> {
        (self.places[sym.index()].first as usize).checked_sub(1)
    }

    /// How many values a field has.
    #[inline]
    pub fn count(&self, sym: Sym) -> usize {
        self.places[sym.index()].count as usize
    }

    /// True if the field is there, and not null.
    #[inline]
    pub fn has(&self, sym: Sym) -> bool {
        self.get(sym).is_some_and(|value| value != Val::Null)
    }

    /// The first value.
    #[inline]
    pub fn get(&self, sym: Sym) -> Option<Val> {
        self.position(sym).map(|at| self.slots[at].value)
    }

    /// The first value if it is text.
    #[inline]
    pub fn text_of(&self, sym: Sym) -> Option<Span> {
        match self.get(sym) {
            Some(Val::Str(span)) => Some(span),
            _ => None,
        }
    }

    /// Indexes of all fields of a name.
    pub fn positions(&self, sym: Sym) -> impl Iterator<Item = usize> + '_ {
        let from = self.position(sym).unwrap_or(self.slots.len());
        (from..self.slots.len()).filter(move |at| self.slots[*at].name == Name::Sym(sym)).take(self.count(sym))
    }

    /// The next field of a name behind a position that is one.
    pub fn next_position(&self, sym: Sym, at: usize) -> Option<usize> {
        if self.count(sym) < 2 {
            return None;
        }
        (at + 1..self.slots.len()).find(|next| self.slots[*next].name == Name::Sym(sym))
    }

    /// The value as text, put into the buffer if it is not text already.
    pub fn as_text(&mut self, value: Val) -> Option<Span> {
        use std::fmt::Write;
        let start = self.text.len();
        match value {
            Val::Null => return None,
            Val::Str(span) => return Some(span),
            Val::Bool(bool) => self.text.push_str(if bool { "true" } else { "false" }),
            Val::Int(int) => self.text.push_str(Digits::of(int).as_str()),
            Val::Float(float) => write!(self.text, "{float}").expect("writing to a string"),
        }
        Some(Span::new(start..self.text.len()))
    }

    /// Removes all values of a field.
    pub fn remove(&mut self, sym: Sym) {
        let Some(from) = self.position(sym) else { return };
        let mut left = self.count(sym);
        for at in from..self.slots.len() {
            if left == 0 {
                break;
            }
            if self.slots[at].name == Name::Sym(sym) {
                self.journal.push((at as u32, self.slots[at]));
                self.slots[at].name = Name::Gone;
                left -= 1;
            }
        }
        self.places[sym.index()] = Place::default();
    }

    /// Gives the field at a position another name.
    pub fn rename_at(&mut self, at: usize, name: Name) {
        let old = self.slots[at];
        self.journal.push((at as u32, old));
        self.slots[at].name = name;
        if let Name::Sym(sym) = old.name {
            let mut place = self.places[sym.index()];
            place.count -= 1;
            if place.count == 0 {
                place.first = 0;
            } else if place.first == at as u32 + 1 {
                let next = (at + 1..self.slots.len()).find(|next| self.slots[*next].name == Name::Sym(sym));
                place.first = next.map_or(0, |next| next as u32 + 1);
            }
            self.places[sym.index()] = place;
        }
        if let Name::Sym(sym) = name {
            self.places[sym.index()].add(at);
        }
    }

    /// Gives the field at a position another value.
    pub fn replace_at(&mut self, at: usize, value: Val) {
        self.journal.push((at as u32, self.slots[at]));
        self.slots[at].value = value;
    }

    /// The name of the field at a position.
    pub fn name_at<'a>(&'a self, at: usize, vocabulary: &'a Vocabulary) -> &'a str {
        match self.slots[at].name {
            Name::Sym(sym) => vocabulary.name(sym),
            Name::Text(span) => self.str(span),
            Name::Gone => "",
        }
    }

    /// A point to return to.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { slots: self.slots.len(), journal: self.journal.len(), time: self.time }
    }

    /// Undoes everything since the checkpoint (the text buffer keeps its tail).
    pub fn rollback(&mut self, checkpoint: Checkpoint) {
        for slot in &self.slots {
            if let Name::Sym(sym) = slot.name {
                self.places[sym.index()] = Place::default();
            }
        }
        for (at, slot) in self.journal.drain(checkpoint.journal..).rev() {
            self.slots[at as usize] = slot;
        }
        self.slots.truncate(checkpoint.slots);
        self.time = checkpoint.time;
        self.index(0);
    }

    fn index(&mut self, from: usize) {
        for at in from..self.slots.len() {
            if let Name::Sym(sym) = self.slots[at].name {
                self.places[sym.index()].add(at);
            }
        }
    }

    /// Flattens the JSON object in `span` into fields whose names start with `prefix`. False, and nothing
    /// changed, if it is not one valid JSON object.
    pub fn flatten(&mut self, span: Span, vocabulary: &Vocabulary, prefix: &str) -> bool {
        let from = self.slots.len();
        let mut path = std::mem::take(&mut self.path);
        let mut extra = std::mem::take(&mut self.extra);
        path.clear();
        path.push_str(prefix);
        extra.clear();
        let mut sink = json::Sink { slots: &mut self.slots, extra: &mut extra, limits: &mut self.limits };
        let valid = json::flatten(&self.text, span, vocabulary, &mut path, &mut sink);
        if valid {
            self.text.push_str(&extra);
            self.index(from);
        } else {
            self.slots.truncate(from);
        }
        self.path = path;
        self.extra = extra;
        valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        for int in [0, 1, -1, 9, 10, -10, 4624, i64::MAX, i64::MIN] {
            assert_eq!(Digits::of(int).as_str(), int.to_string());
        }
    }
}
