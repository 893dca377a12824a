//! Conditions: `when: {field: event.code, equals: ["4624", "4625"]}`.

use regex::Regex;

use crate::parse::{
    draft::{Digits, Draft, Val},
    vocabulary::Sym,
};

/// A condition.
#[derive(Debug)]
pub(super) enum Condition {
    Exists(Sym),
    Equals(Sym, Vec<Box<str>>),
    Matches(Sym, Regex),
    Starts(Sym, Vec<Box<str>>),
    Contains(Sym, Vec<Box<str>>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

impl Condition {
    /// True if it holds for the event so far.
    pub fn holds(&self, draft: &Draft) -> bool {
        match self {
            Condition::Exists(field) => draft.has(*field),
            Condition::Equals(field, values) => any(draft, *field, |text| values.iter().any(|value| **value == *text)),
            Condition::Matches(field, regex) => any(draft, *field, |text| regex.is_match(text)),
            Condition::Starts(field, values) => {
                any(draft, *field, |text| values.iter().any(|value| text.starts_with(&**value)))
            }
            Condition::Contains(field, values) => {
                any(draft, *field, |text| values.iter().any(|value| text.contains(&**value)))
            }
            Condition::All(conditions) => conditions.iter().all(|condition| condition.holds(draft)),
            Condition::Any(conditions) => conditions.iter().any(|condition| condition.holds(draft)),
            Condition::Not(condition) => !condition.holds(draft),
        }
    }
}

/// True if one of the field's values, as text, is what is asked for.
fn any(draft: &Draft, field: Sym, mut test: impl FnMut(&str) -> bool) -> bool {
    draft.positions(field).any(|at| match draft.slots[at].value {
        Val::Null => false,
        Val::Str(span) => {
            let text = draft.str(span);
            test(&text[..text.floor_char_boundary(crate::parse::draft::MAX_TEXT)])
        }
        Val::Bool(bool) => test(if bool { "true" } else { "false" }),
        Val::Int(int) => test(Digits::of(int).as_str()),
        Val::Float(float) => test(&float.to_string()),
    })
}
