//! What a value must be: the one place where values are compared, for the search box, the pipes and pruning.

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
};

use arrow::array::{Array, BooleanArray, BooleanBufferBuilder, StringArray};
use memchr::memmem;
use regex::{Regex, RegexBuilder};
use vedette_store::{Term, TermQuery, fold};

use crate::syntax::{Pattern, Piece};

/// A test of one value. A field with several values passes if one of them does; an absent field never does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Matcher {
    /// There is a value.
    Exists,
    /// The whole value is this text.
    Equals { text: String, fold: bool },
    /// The whole value is one of these texts (folded ones if `fold`), sorted.
    OneOf { texts: Vec<String>, fold: bool },
    /// The whole value has this shape; always without regard to case.
    Wildcard(Wild),
    /// The value has this text in it.
    Contains { text: String, fold: bool },
    /// The value begins with this text.
    StartsWith { text: String, fold: bool },
    /// The value ends with this text.
    EndsWith { text: String, fold: bool },
    /// The value has this text in it, with neither end inside a word unless that end is open.
    Word { text: String, fold: bool, open: (bool, bool) },
    /// The value has a word or phrase of this shape in it.
    WordWildcard(Wild),
    /// The value matches this regular expression somewhere.
    Regex(Expression),
    /// The value is an address in one of these networks.
    Networks(Vec<Network>),
    /// The value lies between these ends.
    Range(Range),
    /// One of these holds.
    Any(Vec<Matcher>),
}

/// A regular expression that is compared by its text.
#[derive(Clone, Debug)]
pub(crate) struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}
impl Eq for Expression {}
impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl Expression {
    /// Compiles with bounded memory.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).size_limit(1 << 20).dfa_size_limit(4 << 20).nest_limit(64).build();
        regex.map(Expression).map_err(|error| {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default().trim();
            format!("not a regular expression: {}", last.trim_start_matches("error: "))
        })
    }
}

/// Folded pieces with the expression that finds them in folded text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wild {
    pieces: Vec<Wildcard>,
    regex: Expression,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wildcard {
    Text(String),
    Any,
    One,
}

impl Wild {
    fn new(pattern: &Pattern, free: bool) -> Result<Wild, String> {
        let pieces: Vec<Wildcard> = pattern
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Wildcard::Text(fold(text).into_owned()),
                Piece::Any => Wildcard::Any,
                Piece::One => Wildcard::One,
            })
            .collect();
        let mut regex = String::from(if free { "(?s)" } else { r"(?s)\A" });
        let is_word = |c: Option<char>| c.is_some_and(is_word_char);
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Wildcard::Text(text) => {
                    // Neither end of a free pattern lies inside a word.
                    if free && index == 0 && is_word(text.chars().next()) {
                        regex.push_str(r"(?:\A|[^\p{Alphabetic}\p{N}_])");
                    }
                    regex.push_str(&regex::escape(text));
                    if free && index + 1 == pieces.len() && is_word(text.chars().last()) {
                        regex.push_str(r"(?:\z|[^\p{Alphabetic}\p{N}_])");
                    }
                }
                // An open end of a free pattern needs no expression.
                Wildcard::Any if free && (index == 0 || index + 1 == pieces.len()) => {}
                Wildcard::Any if free => regex.push_str(r"\S*"),
                Wildcard::Any => regex.push_str(".*"),
                Wildcard::One => regex.push('.'),
            }
        }
        if !free {
            regex.push_str(r"\z");
        }
        Ok(Wild { pieces, regex: Expression::new(&regex)? })
    }

    /// The literal texts, each with whether it touches the beginning and the end.
    fn terms(&self, free: bool) -> TermQuery {
        let last = self.pieces.len().saturating_sub(1);
        let term = |(index, piece): (usize, &Wildcard)| {
            let Wildcard::Text(text) = piece else { return None };
            let text = text.clone();
            Some(TermQuery::Term(match (index == 0, index == last) {
                (true, true) if free => Term::Word(text),
                (true, true) => Term::Value(text),
                (true, false) if free => Term::WordStart(text),
                (true, false) => Term::ValueStart(text),
                (false, true) if free => Term::WordEnd(text),
                (false, true) => Term::ValueEnd(text),
                (false, false) => Term::Contains(text),
            }))
        };
        TermQuery::And(self.pieces.iter().enumerate().filter_map(term).collect())
    }
}

/// The ends of a range; values are compared as numbers, addresses, or folded text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) low: End,
    pub(crate) high: End,
}

/// One end of a range and whether it belongs to it.
pub(crate) type End = Option<(Limit, bool)>;

/// What a range ends at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    Number(Number),
    Address(IpAddr),
    Text(String),
}

/// A finite number with a total order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) f64);
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}
impl Eq for Number {}
impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Limit {
    /// How `value` compares to this limit; none if it is of another kind.
    fn compare(&self, value: &str) -> Option<std::cmp::Ordering> {
        match self {
            Limit::Number(limit) => value.trim().parse::<f64>().ok()?.partial_cmp(&limit.0),
            Limit::Address(limit) => {
                let value: IpAddr = value.parse().ok()?;
                (value.is_ipv4() == limit.is_ipv4()).then(|| value.cmp(limit))
            }
            Limit::Text(limit) => Some((*fold(value)).cmp(limit.as_str())),
        }
    }
}

impl Range {
    fn contains(&self, value: &str) -> bool {
        let end = |end: &End, wanted: std::cmp::Ordering| {
            end.as_ref().is_none_or(|(limit, included)| {
                limit.compare(value).is_some_and(|found| found == wanted || (*included && found.is_eq()))
            })
        };
        end(&self.low, std::cmp::Ordering::Greater) && end(&self.high, std::cmp::Ordering::Less)
    }
}

/// An IPv4 or IPv6 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    pub(crate) fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        (prefix <= bits).then_some(Network { address, prefix })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let difference = u32::from(network) ^ u32::from(address);
                difference.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let difference = u128::from(network) ^ u128::from(address);
                difference.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    fn terms(&self) -> TermQuery {
        match self.address {
            address if self.prefix == if address.is_ipv4() { 32 } else { 128 } => {
                Term::Value(address.to_string()).into()
            }
            IpAddr::V4(address) if self.prefix >= 8 => {
                let octets = address.octets();
                let known = usize::from(self.prefix / 8);
                let start: String = octets[..known].iter().map(|octet| format!("{octet}.")).collect();
                Term::ValueStart(start).into()
            }
            _ => TermQuery::Any,
        }
    }
}

pub(crate) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// True if no closed end of `text[found]` lies inside a word.
fn at_boundaries(text: &str, found: std::ops::Range<usize>, open: (bool, bool)) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(is_word_char);
    let (before, within, after) = (&text[..found.start], &text[found.clone()], &text[found.end..]);
    let cut_left = !open.0 && is_word(within.chars().next()) && is_word(before.chars().next_back());
    let cut_right = !open.1 && is_word(within.chars().next_back()) && is_word(after.chars().next());
    !cut_left && !cut_right
}

/// True if `needle` occurs in `text` and no closed end of it lies inside a word.
fn has_word(text: &str, needle: &str, open: (bool, bool)) -> bool {
    let mut from = 0;
    while let Some(found) = memmem::find(&text.as_bytes()[from..], needle.as_bytes()) {
        let start = from + found;
        if at_boundaries(text, start..start + needle.len(), open) {
            return true;
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
        if from > text.len() {
            break;
        }
    }
    false
}

/// [`has_word`] in the folded text of every row: all rows are folded into one text and searched at once.
fn rows_with_word(texts: &StringArray, needle: &str, open: (bool, bool)) -> BooleanArray {
    let mut bits = BooleanBufferBuilder::new(texts.len());
    bits.append_n(texts.len(), false);
    let (text, ends) = folded_rows(texts);
    let finder = memmem::Finder::new(needle);
    let (mut row, mut from) = (0, 0);
    while let Some(found) = finder.find(&text.as_bytes()[from..]) {
        let start = from + found;
        row += ends[row..].partition_point(|end| *end <= start);
        let row_start = row.checked_sub(1).map_or(0, |before| ends[before]);
        let found = start - row_start..start - row_start + needle.len();
        let whole = &text[row_start..ends[row]];
        from = if found.end <= whole.len() && at_boundaries(whole, found, open) {
            bits.set_bit(row, texts.is_valid(row));
            ends[row]
        } else {
            start + text[start..].chars().next().map_or(1, char::len_utf8)
        };
    }
    BooleanArray::new(bits.finish(), None)
}

/// Every row's folded text, one behind the other, and where each ends.
fn folded_rows(texts: &StringArray) -> (String, Vec<usize>) {
    let offsets = texts.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[texts.len()] as usize);
    let data = &texts.value_data()[first..last];
    if data.is_ascii()
        && let Ok(text) = str::from_utf8(data)
    {
        return (text.to_ascii_lowercase(), offsets[1..].iter().map(|end| *end as usize - first).collect());
    }
    let mut text = String::with_capacity(data.len());
    let ends = (0..texts.len()).map(|row| {
        text.push_str(&fold(texts.value(row)));
        text.len()
    });
    let ends = ends.collect();
    (text, ends)
}

impl Matcher {
    /// A value of the search box for a keyword field.
    pub(crate) fn value(pattern: &Pattern) -> Result<Matcher, String> {
        match pattern.literal() {
            Some(text) => Ok(Matcher::Equals { text: fold(text).into_owned(), fold: true }),
            None => Wild::new(pattern, false).map(Matcher::Wildcard),
        }
    }

    /// A free word or phrase. Text that JSON would escape is found escaped as well.
    pub(crate) fn free(pattern: &Pattern) -> Result<Matcher, String> {
        let plain = Matcher::free_text(pattern)?;
        if !pattern.pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains(['"', '\\']))) {
            return Ok(plain);
        }
        let mut escaped = pattern.clone();
        for piece in &mut escaped.pieces {
            if let Piece::Text(text) = piece {
                *text = text.replace('\\', "\\\\").replace('"', "\\\"");
            }
        }
        Ok(Matcher::Any(vec![plain, Matcher::free_text(&escaped)?]))
    }

    fn free_text(pattern: &Pattern) -> Result<Matcher, String> {
        let (text, open) = match pattern.pieces.as_slice() {
            [Piece::Text(text)] => (text, (false, false)),
            [Piece::Any, Piece::Text(text)] => (text, (true, false)),
            [Piece::Text(text), Piece::Any] => (text, (false, true)),
            [Piece::Any, Piece::Text(text), Piece::Any] => (text, (true, true)),
            _ => return Wild::new(pattern, true).map(Matcher::WordWildcard),
        };
        Ok(Matcher::Word { text: fold(text).into_owned(), fold: true, open })
    }

    /// A set of whole values.
    pub(crate) fn one_of(texts: impl IntoIterator<Item = String>, folded: bool) -> Matcher {
        let mut texts: Vec<String> =
            texts.into_iter().map(|text| if folded { fold(&text).into_owned() } else { text }).collect();
        texts.sort();
        texts.dedup();
        Matcher::OneOf { texts, fold: folded }
    }

    /// True if the value passes.
    pub(crate) fn matches(&self, value: &str) -> bool {
        let with = |folded: bool, test: &dyn Fn(&str) -> bool| if folded { test(&fold(value)) } else { test(value) };
        match self {
            Matcher::Exists => true,
            Matcher::Equals { text, fold } => with(*fold, &|value| value == text),
            Matcher::OneOf { texts, fold } => {
                with(*fold, &|value| texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok())
            }
            Matcher::Wildcard(wild) | Matcher::WordWildcard(wild) => wild.regex.0.is_match(&fold(value)),
            Matcher::Contains { text, fold } => {
                with(*fold, &|value| memmem::find(value.as_bytes(), text.as_bytes()).is_some())
            }
            Matcher::StartsWith { text, fold } => with(*fold, &|value| value.starts_with(text.as_str())),
            Matcher::EndsWith { text, fold } => with(*fold, &|value| value.ends_with(text.as_str())),
            Matcher::Word { text, fold, open } => with(*fold, &|value| has_word(value, text, *open)),
            Matcher::Regex(regex) => regex.0.is_match(value),
            Matcher::Networks(networks) => {
                value.parse().is_ok_and(|address| networks.iter().any(|network| network.contains(address)))
            }
            Matcher::Range(range) => range.contains(value),
            Matcher::Any(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
        }
    }

    /// For every row of a column, whether its value passes; false for nulls.
    pub(crate) fn matches_rows(&self, texts: &StringArray) -> BooleanArray {
        match self {
            Matcher::Word { text, fold: true, open } if !text.is_empty() => rows_with_word(texts, text, *open),
            Matcher::Contains { text, fold: true } if !text.is_empty() => rows_with_word(texts, text, (true, true)),
            _ => (0..texts.len()).map(|row| Some(texts.is_valid(row) && self.matches(texts.value(row)))).collect(),
        }
    }

    /// Terms that the index of every matching event has. `canonical`: the field keeps addresses in canonical form.
    pub(crate) fn terms(&self, canonical: bool) -> TermQuery {
        match self {
            Matcher::Exists | Matcher::Regex(_) | Matcher::Range(_) => TermQuery::Any,
            Matcher::Equals { text, .. } if text.is_empty() => TermQuery::Any,
            Matcher::Equals { text, .. } => Term::Value(text.clone()).into(),
            Matcher::OneOf { texts, .. } if texts.len() > 64 || texts.iter().any(String::is_empty) => TermQuery::Any,
            Matcher::OneOf { texts, .. } => {
                TermQuery::Or(texts.iter().map(|text| Term::Value(text.clone()).into()).collect())
            }
            Matcher::Wildcard(wild) => wild.terms(false),
            Matcher::WordWildcard(wild) => wild.terms(true),
            Matcher::Contains { text, .. } => Term::Contains(text.clone()).into(),
            Matcher::StartsWith { text, .. } => Term::ValueStart(text.clone()).into(),
            Matcher::EndsWith { text, .. } => Term::ValueEnd(text.clone()).into(),
            Matcher::Word { text, open, .. } => match open {
                (false, false) => Term::Word(text.clone()).into(),
                (false, true) => Term::WordStart(text.clone()).into(),
                (true, false) => Term::WordEnd(text.clone()).into(),
                (true, true) => Term::Contains(text.clone()).into(),
            },
            Matcher::Networks(networks) if canonical => TermQuery::Or(networks.iter().map(Network::terms).collect()),
            Matcher::Networks(_) => TermQuery::Any,
            Matcher::Any(matchers) => TermQuery::Or(matchers.iter().map(|matcher| matcher.terms(canonical)).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{self, Search};

    fn free(text: &str) -> Matcher {
        match syntax::parse(text).unwrap().search {
            Search::Text(pattern) => Matcher::free(&pattern).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn free_words_respect_word_boundaries() {
        let line = r#"Nov 21 sshd[811]: Failed password for ROOT from 192.0.2.7 {"p":"C:\\Windows\\cmd.exe"}"#;
        for yes in [
            "failed",
            "\"failed password\"",
            "root",
            "192.0.2.7",
            "pass*",
            "*word",
            "*ssw*",
            "f*d",
            "192.*.7",
            "sshd[811]",
            "r?ot",
            "C:\\Windows\\cmd.exe",
            "\\Windows\\*",
            "fail*wor*",
        ] {
            let found = free(yes).matches(line);
            assert_eq!(found, yes != "fail*wor*", "{yes}");
        }
        for no in ["fail", "word", "92.0.2.7", "192.0.2", "f*x", "password*root"] {
            // `192.0.2` ends at a dot, which is no word character.
            assert_eq!(free(no).matches(line), no == "192.0.2", "{no}");
        }
    }

    proptest::proptest! {
        /// A column at once gives what its rows give one by one; also a part of a column, with nulls.
        #[test]
        fn rows_are_matched_alike_together_and_alone(
            rows in proptest::collection::vec(proptest::option::of("[aAbİ _.]{0,6}"), 0..20),
            needle in "[ab .i]{0,3}",
            open: (bool, bool),
            from in 0usize..5,
        ) {
            let texts: StringArray = rows.iter().map(Option::as_deref).collect();
            let from = from.min(texts.len());
            let texts = texts.slice(from, texts.len() - from);
            for matcher in [
                Matcher::Word { text: needle.clone(), fold: true, open },
                Matcher::Contains { text: needle.clone(), fold: true },
            ] {
                let found: Vec<bool> = matcher.matches_rows(&texts).values().iter().collect();
                let expected: Vec<bool> = texts.iter().map(|text| text.is_some_and(|text| matcher.matches(text))).collect();
                proptest::prop_assert_eq!(found, expected, "{:?} in {:?}", matcher, texts);
            }
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/31", "192.0.2.6", true),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "10.0.0.1", false),
            ("::/0", "::1", true),
        ];
        for (network, address, inside) in cases {
            assert_eq!(
                Network::parse(network).unwrap().contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x/8", "10.0.0.0/", "::/129"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
