//! What a reader looks for, and the look-ups in the dictionary that find where it can be.

use super::split::{self, MAX_FRAGMENT, MAX_TOKEN, Part, fold};

/// A text that a matching event has. Texts are compared when folded ([`fold`]).
///
/// "The event's texts" are its original bytes (as UTF-8, what is not becoming U+FFFD) and each value of each
/// field that was derived when it was stored, core column or not, as [`vedette_event::Value::to_text`]
/// gives it and as its core column holds it. Not among them: `@timestamp` and the `vedette.*` columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// It occurs anywhere in one of the event's texts.
    Contains(String),
    /// It occurs in one of the event's texts, with neither end inside a word.
    Word(String),
    /// It occurs in one of the event's texts, and does not begin inside a word.
    WordStart(String),
    /// It occurs in one of the event's texts, and does not end inside a word.
    WordEnd(String),
    /// A field's value is equal to it.
    Value(String),
    /// A field's value begins with it.
    ValueStart(String),
    /// A field's value ends with it.
    ValueEnd(String),
}

/// Terms combined. Granules that cannot hold a matching event are found with
/// [`crate::Segment::candidates`]; it never misses one that can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermQuery {
    /// Nothing is known: every event may match. Stands for whatever terms cannot express, such as a negation.
    Any,
    /// The event has this text.
    Term(Term),
    /// All of these hold; an empty list always holds.
    And(Vec<TermQuery>),
    /// One of these holds; an empty list never does.
    Or(Vec<TermQuery>),
}

impl From<Term> for TermQuery {
    fn from(term: Term) -> Self {
        TermQuery::Term(term)
    }
}

/// One look-up in a dictionary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lookup {
    /// The token itself: one block.
    Exact(Vec<u8>),
    /// Tokens that begin with it: neighbouring blocks.
    Prefix(Vec<u8>),
    /// Tokens that end with it: every block.
    Suffix(Vec<u8>),
    /// Tokens that contain it: every block.
    Infix(Vec<u8>),
}

impl Term {
    /// Look-ups that all succeed in a granule that holds a matching event, cheapest kind first. None: every
    /// granule may.
    pub(crate) fn lookups(&self) -> Vec<Lookup> {
        let (text, open_left, open_right) = match self {
            Term::Contains(text) => (text, true, true),
            Term::Word(text) | Term::Value(text) => (text, false, false),
            Term::WordStart(text) | Term::ValueStart(text) => (text, false, true),
            Term::WordEnd(text) | Term::ValueEnd(text) => (text, true, false),
        };
        let folded = fold(text);
        if matches!(self, Term::Value(_)) && split::whole_value(&folded) {
            // The value itself is a token; its words would only repeat that.
            return vec![Lookup::Exact(folded.as_bytes().to_vec())];
        }
        let mut lookups = Vec::new();
        split::split(&folded, |part| {
            let (Part::Word(range) | Part::Shape(range)) = &part;
            // The text may go on beyond this end with more of the same word.
            let open = (open_left && range.start == 0, open_right && range.end == folded.len());
            let bytes = &folded.as_bytes()[range.clone()];
            match (part, open) {
                (Part::Shape(_), (false, false)) => lookups.push(Lookup::Exact(bytes.to_vec())),
                (Part::Shape(_), _) => {}
                (Part::Word(_), (false, false)) if split::is_indexed(bytes) => {
                    lookups.extend(split::pieces(bytes).map(|piece| Lookup::Exact(piece.to_vec())));
                }
                (Part::Word(_), (false, false)) => {}
                // What is left out of the index may be just what the fragment is part of.
                (Part::Word(_), _) if may_be_left_out(bytes, open.1) => {}
                (Part::Word(_), (false, true)) => {
                    lookups.push(Lookup::Prefix(bytes[..bytes.len().min(MAX_TOKEN)].to_vec()));
                }
                (Part::Word(_), (true, false)) => {
                    lookups.push(Lookup::Suffix(bytes[bytes.len().saturating_sub(MAX_FRAGMENT)..].to_vec()));
                }
                (Part::Word(_), (true, true)) => {
                    lookups.push(Lookup::Infix(bytes[..bytes.len().min(MAX_FRAGMENT)].to_vec()));
                }
            }
        });
        lookups.sort();
        lookups.dedup();
        lookups
    }
}

/// True if a word that begins or ends with this fragment, and goes on to the right if `open_right`, may be one
/// that the index leaves out.
fn may_be_left_out(fragment: &[u8], open_right: bool) -> bool {
    let digits = match fragment {
        [digits @ .., b'z'] => digits,
        _ if open_right => fragment,
        _ => return false,
    };
    digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(term: Term, expected: expect_test::Expect) {
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lookups: Vec<String> = term
            .lookups()
            .iter()
            .map(|lookup| match lookup {
                Lookup::Exact(token) => show(token),
                Lookup::Prefix(start) => show(start) + "*",
                Lookup::Suffix(end) => format!("*{}", show(end)),
                Lookup::Infix(part) => format!("*{}*", show(part)),
            })
            .collect();
        expected.assert_eq(&lookups.join(" "));
    }

    #[test]
    fn terms_become_lookups() {
        use Term::{Contains, Value, ValueEnd, ValueStart, Word};
        use expect_test::expect;
        check(Word("10.23.44.7".into()), expect!["10 10.23.44.7 23 44 7"]);
        check(Contains("10.23.44.7".into()), expect!["23 44 *10"]);
        check(Contains("Mimi".into()), expect!["*mimi*"]);
        check(Contains("\\cmd.exe".into()), expect!["cmd exe*"]);
        check(Value("C:\\Windows\\CMD.exe".into()), expect![r"c:\windows\cmd.exe"]);
        check(Value("two words".into()), expect!["two words"]);
        check(ValueStart("/etc/pass".into()), expect!["etc pass*"]);
        check(ValueEnd("word.exe".into()), expect!["exe *word"]);
        check(Word("2026-11-21T04:11:52.000123Z".into()), expect!["11 2026 21t04 52"]);
        check(Contains("123".into()), expect![""]);
        check(Contains("--".into()), expect![""]);
    }
}
