//! A search as a test of single events, for the live tail.
//!
//! The store's search works on columns of segments; here an event is still in its batch. Both mean the same: free
//! words stand between word boundaries in the original text, values of fields are compared as a whole and without
//! regard to case, with wildcards, networks, comparisons and ranges.

use std::{borrow::Cow, cmp::Ordering, net::IpAddr, sync::Arc};

use regex::{Regex, RegexBuilder};
use vedette_event::{Diagnostic, Event, ecs};
use vedette_query::syntax::{Binary, Bound, Pattern, Piece, Search, Test};
use vedette_store as store;

use crate::{
    local::diagnostic,
    rooms::{LiveFilter, SearchError},
};

/// Reads a search without pipes.
pub(crate) fn filter(query: &str) -> Result<LiveFilter, SearchError> {
    let refused = |found: Diagnostic| SearchError::Refused(vec![found]);
    let ast = vedette_query::parse(query)
        .map_err(|found| SearchError::Refused(found.into_iter().map(diagnostic).collect()))?;
    if !ast.stages.is_empty() {
        let pipe = Diagnostic::new("", 1, 1, "the live tail takes a search without pipes");
        return Err(refused(pipe.hint("put conditions into the search; use search for what is stored")));
    }
    let test = Condition::new(&ast.search).map_err(refused)?;
    Ok(Arc::new(move |event| test.holds(event)))
}

enum Condition {
    All,
    Original(Regex),
    Field(String, Value),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

enum Value {
    Exists,
    Shape(Regex),
    Network(IpAddr, u8),
    Between(End, End),
}

/// One end of a range: the value, and whether it is in.
type End = Option<(String, bool)>;

impl Condition {
    fn new(search: &Search) -> Result<Self, Diagnostic> {
        let all = |terms: &[Search]| terms.iter().map(Condition::new).collect::<Result<Vec<_>, _>>();
        Ok(match search {
            Search::All => Condition::All,
            Search::Text(pattern) => Condition::Original(word(pattern)?),
            Search::Field(name, test) => Condition::Field(name.text.clone(), Value::new(&name.text, test)?),
            Search::Not(inner) => Condition::Not(Box::new(Condition::new(inner)?)),
            Search::And(terms) => Condition::And(all(terms)?),
            Search::Or(terms) => Condition::Or(all(terms)?),
        })
    }

    fn holds(&self, event: &Event<'_>) -> bool {
        match self {
            Condition::All => true,
            Condition::Original(word) => word.is_match(&String::from_utf8_lossy(event.raw())),
            Condition::Field(name, value) => values(event, name).iter().any(|found| value.holds(found)),
            Condition::Not(inner) => !inner.holds(event),
            Condition::And(terms) => terms.iter().all(|term| term.holds(event)),
            Condition::Or(terms) => terms.iter().any(|term| term.holds(event)),
        }
    }
}

impl Value {
    fn new(name: &str, test: &Test) -> Result<Self, Diagnostic> {
        if matches!(name, ecs::TIMESTAMP | store::RECEIVED) && !matches!(test, Test::Exists) {
            let message = format!("the live tail shows what arrives now: `{name}` cannot be asked for");
            return Err(Diagnostic::new("", 1, 1, message).hint("use search for what is stored"));
        }
        let end = |bound: &Bound| match bound {
            Bound::Open => None,
            Bound::Included(pattern) => Some((plain(pattern), true)),
            Bound::Excluded(pattern) => Some((plain(pattern), false)),
        };
        Ok(match test {
            Test::Exists => Value::Exists,
            Test::Is(pattern) => match pattern.literal().and_then(network) {
                Some((address, prefix)) => Value::Network(address, prefix),
                None if matches!(name, ecs::MESSAGE | ecs::ORIGINAL) => Value::Shape(word(pattern)?),
                None => Value::Shape(expression(&format!("^{}$", pieces(pattern)))?),
            },
            Test::Compare(operator, value) => {
                let value = plain(value);
                match operator {
                    Binary::Lt => Value::Between(None, Some((value, false))),
                    Binary::Le => Value::Between(None, Some((value, true))),
                    Binary::Gt => Value::Between(Some((value, false)), None),
                    _ => Value::Between(Some((value, true)), None),
                }
            }
            Test::Range(low, high) => Value::Between(end(low), end(high)),
        })
    }

    fn holds(&self, found: &str) -> bool {
        let within = |end: &End, wanted: Ordering| match end {
            None => true,
            Some((value, included)) => match compare(found, value) {
                Ordering::Equal => *included,
                other => other == wanted,
            },
        };
        match self {
            Value::Exists => true,
            Value::Shape(shape) => shape.is_match(found),
            Value::Network(network, prefix) => {
                found.parse().is_ok_and(|address| common_bits(*network, address) >= Some(*prefix))
            }
            Value::Between(low, high) => within(low, Ordering::Greater) && within(high, Ordering::Less),
        }
    }
}

/// Every value of a field, also of those that the store adds.
fn values<'e>(event: &Event<'e>, name: &str) -> Vec<Cow<'e, str>> {
    let source = event.batch().source();
    let one = |text: String| vec![Cow::Owned(text)];
    match name {
        "event.id" => one(event.id().to_string()),
        ecs::TIMESTAMP => one(event.time().to_string()),
        ecs::ORIGINAL => vec![String::from_utf8_lossy(event.raw())],
        store::RECEIVED => one(event.received().to_string()),
        store::SOURCE => one(source.id.0.to_string()),
        store::SEQ => one(event.seq().to_string()),
        store::SOURCE_NAME => one(source.name.to_string()),
        store::PARSER => event.parser().map(|parser| Cow::Owned(parser.to_string())).into_iter().collect(),
        _ => {
            event.all(name).filter(|value| *value != vedette_event::Value::Null).map(|value| value.to_text()).collect()
        }
    }
}

/// As numbers if both are, else as text without regard to case.
fn compare(found: &str, value: &str) -> Ordering {
    match (found.parse::<f64>(), value.parse::<f64>()) {
        (Ok(found), Ok(value)) => found.total_cmp(&value),
        _ => found.to_lowercase().cmp(&value.to_lowercase()),
    }
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(bits), str::parse).ok()?;
    (prefix <= bits).then_some((address, prefix))
}

/// How many leading bits two addresses of one family share.
fn common_bits(a: IpAddr, b: IpAddr) -> Option<u8> {
    let bits = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => return None,
    };
    u8::try_from(bits).ok()
}

/// A word or phrase, with neither end inside a word unless a wildcard is there.
fn word(pattern: &Pattern) -> Result<Regex, Diagnostic> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begins = matches!(pattern.pieces.first(), Some(Piece::Text(text)) if text.starts_with(is_word));
    let ends = matches!(pattern.pieces.last(), Some(Piece::Text(text)) if text.ends_with(is_word));
    let boundary = |here: bool| if here { r"\b" } else { "" };
    expression(&format!("{}{}{}", boundary(begins), pieces(pattern), boundary(ends)))
}

fn pieces(pattern: &Pattern) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => regex::escape(text),
        Piece::Any => ".*".to_owned(),
        Piece::One => ".".to_owned(),
    };
    pattern.pieces.iter().map(piece).collect()
}

fn plain(pattern: &Pattern) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Any => "*".to_owned(),
        Piece::One => "?".to_owned(),
    };
    pattern.pieces.iter().map(piece).collect()
}

fn expression(text: &str) -> Result<Regex, Diagnostic> {
    let built = RegexBuilder::new(text).case_insensitive(true).dot_matches_new_line(true).size_limit(1 << 20).build();
    built.map_err(|_| Diagnostic::new("", 1, 1, "a value is too long for the live tail"))
}

#[cfg(test)]
mod tests {
    use vedette_event::{BatchBuilder, Source, SourceId, Time, Value as FieldValue};

    use super::*;

    #[test]
    fn searches_hold_or_not() {
        let mut batch = BatchBuilder::new(Source::new(SourceId(3), "file:/var/log/auth.log", "file"));
        batch.begin(42, Time::from_secs(0), b"Failed password for root from 192.0.2.7");
        batch.push("source.ip", FieldValue::Str("192.0.2.7"));
        batch.push("source.port", FieldValue::Int(4711));
        batch.push("tags", FieldValue::Str("one"));
        batch.push("tags", FieldValue::Str("Two words"));
        batch.push("nothing", FieldValue::Null);
        batch.parser(&"sshd@1".into());
        let batch = batch.finish();
        let cases = [
            ("", true),
            ("*", true),
            ("failed PASSWORD", true),
            ("\"password for\"", true),
            ("fail", false),
            ("fail*", true),
            ("*ailed", true),
            ("NOT failed", false),
            ("-accepted", true),
            ("accepted OR failed", true),
            ("source.ip:192.0.2.0/24", true),
            ("source.ip:192.0.3.0/24", false),
            ("source.ip:192.0.2.7", true),
            ("source.ip:192.0.2.70", false),
            ("source.port:4711", true),
            ("source.port>4711", false),
            ("source.port>=4711", true),
            ("source.port:[900 TO 5000]", true),
            ("source.port:{4711 TO *]", false),
            ("tags:two*", true),
            ("tags:two", false),
            ("tags:ONE", true),
            ("tags:*", true),
            ("nothing:*", false),
            ("absent:*", false),
            ("NOT absent:x", true),
            ("event.id:3-42", true),
            ("vedette.source_name:\"file:/var/log/auth.log\"", true),
            ("vedette.parser:sshd*", true),
        ];
        for (query, expected) in cases {
            let filter = filter(query).unwrap_or_else(|error| panic!("{query}: {error:?}"));
            assert_eq!(filter(&batch.event(0)), expected, "{query}");
        }
    }

    #[test]
    fn what_a_tail_cannot_do_is_refused() {
        for query in ["* | take 3", "@timestamp>2026-11-21", "(", "a:["] {
            assert!(matches!(filter(query), Err(SearchError::Refused(_))), "{query}");
        }
    }
}
