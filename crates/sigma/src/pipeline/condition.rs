//! For which rules, items and fields a step is.

use regex::Regex;

use super::subject::{Attribute, Part, Subject};
use crate::{
    check::Tree,
    pattern::Pattern,
    rule::{Logsource, Modifier},
    yaml::Scalar,
};

/// The conditions of a step: all three kinds must hold, where there are any.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) rule: Option<Tree<OfRule>>,
    pub(super) item: Option<Tree<OfItem>>,
    pub(super) field: Option<Tree<OfField>>,
}

/// What is asked of a rule.
#[derive(Clone, Debug)]
pub(super) enum OfRule {
    Logsource(Logsource),
    ContainsField(String),
    ContainsItem(String, Scalar),
    Applied(String),
    State(State),
    IsRule,
    IsCorrelation,
    Attribute(String, Compare, Scalar),
    Tag(String),
}

/// What is asked of an item.
#[derive(Clone, Debug)]
pub(super) enum OfItem {
    /// Of any of its values, or of all.
    Values(Quantity, OfValue),
    Applied(String),
    State(State),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    Any,
    All,
}

/// What is asked of a value.
#[derive(Clone, Debug)]
pub(super) enum OfValue {
    Matches { regex: Regex, negate: bool },
    Is(Scalar),
    HasWildcard,
    IsNull,
}

/// What is asked of a field.
#[derive(Clone, Debug)]
pub(super) enum OfField {
    /// It is one of these.
    Named(Vec<String>),
    /// It begins as one of these expressions says.
    Like(Vec<Regex>),
    Applied(String),
    State(State),
}

/// What is asked of a state that a step has set.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) key: String,
    pub(super) compare: Compare,
    pub(super) value: Scalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
    In,
    NotIn,
}

impl Compare {
    pub(super) fn named(name: &str) -> Option<Compare> {
        Some(match name {
            "eq" => Compare::Equal,
            "ne" => Compare::NotEqual,
            "gte" => Compare::GreaterOrEqual,
            "gt" => Compare::Greater,
            "lte" => Compare::LessOrEqual,
            "lt" => Compare::Less,
            "in" => Compare::In,
            "not_in" => Compare::NotIn,
            _ => return None,
        })
    }

    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Compare::Equal => left == right,
            Compare::NotEqual => left != right,
            Compare::GreaterOrEqual => left >= right,
            Compare::Greater => left > right,
            Compare::LessOrEqual => left <= right,
            Compare::Less => left < right,
            Compare::In | Compare::NotIn => false,
        }
    }

    fn scalars(self, left: &Scalar, right: &Scalar) -> bool {
        match (number(left), number(right)) {
            (Some(left), Some(right)) => self.holds(left, right),
            (None, None) => self.holds(left.to_text(), right.to_text()),
            _ => self == Compare::NotEqual,
        }
    }
}

fn number(scalar: &Scalar) -> Option<f64> {
    match scalar {
        Scalar::Int(int) => Some(*int as f64),
        Scalar::Float(float) => Some(*float),
        _ => None,
    }
}

impl Conditions {
    pub(super) fn rule(&self, subject: &Subject) -> bool {
        self.rule.as_ref().is_none_or(|tree| tree.eval(&mut |one| one.holds(subject)))
    }

    /// Whether a step that changes items is for this one.
    pub(super) fn item(&self, part: &Part, subject: &Facts<'_>) -> bool {
        let item = self.item.as_ref().is_none_or(|tree| tree.eval(&mut |one| one.holds(part, subject)));
        item && self.field.as_ref().is_none_or(|tree| tree.eval(&mut |one| one.holds_for_item(part, subject)))
    }

    /// Whether a step that renames fields is for this one; none searches the whole event.
    pub(super) fn field(&self, field: Option<&str>, subject: &Facts<'_>) -> bool {
        self.field.as_ref().is_none_or(|tree| tree.eval(&mut |one| one.holds(field, subject)))
    }
}

/// What items and fields are asked about beside themselves.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) state: &'a std::collections::HashMap<String, Scalar>,
    pub(super) field_steps: &'a std::collections::HashMap<String, std::collections::BTreeSet<String>>,
}

impl State {
    fn holds(&self, state: &std::collections::HashMap<String, Scalar>) -> bool {
        state.get(&self.key).is_some_and(|value| self.compare.scalars(value, &self.value))
    }
}

impl OfRule {
    fn holds(&self, subject: &Subject) -> bool {
        let contains = |holds: &dyn Fn(&Part) -> bool| {
            subject.selections.iter().any(|(_, group)| group.any(&|part: &Part| holds(part)))
        };
        match self {
            OfRule::Logsource(wanted) => subject.logsources.iter().any(|own| wanted.covers(own)),
            OfRule::ContainsField(field) => contains(&|part| names(part).any(|name| name == field)),
            OfRule::ContainsItem(field, value) => {
                contains(&|part| names(part).any(|name| name == field) && has_value(part, value))
            }
            OfRule::Applied(id) => subject.applied.contains(id),
            OfRule::State(state) => state.holds(&subject.state),
            OfRule::IsRule => subject.is_rule,
            OfRule::IsCorrelation => !subject.is_rule,
            OfRule::Attribute(name, compare, value) => {
                subject.attributes.get(name).is_some_and(|own| attribute(name, own, *compare, value))
            }
            OfRule::Tag(tag) => subject.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)),
        }
    }
}

fn names(part: &Part) -> impl Iterator<Item = &str> {
    part.item.field.iter().chain(&part.item.also).map(AsRef::as_ref)
}

fn has_value(part: &Part, wanted: &Scalar) -> bool {
    match wanted {
        Scalar::Text(text) => {
            let wanted = Pattern::parse(text).to_string();
            part.texts().flatten().any(|own| own == wanted)
        }
        other => part.is_text() && part.item.values.iter().any(|(_, own)| own == other),
    }
}

/// Levels and statuses are compared by their rank.
fn attribute(name: &str, own: &Attribute, compare: Compare, wanted: &Scalar) -> bool {
    let text = wanted.to_text();
    let ranks: &[&str] = match name {
        "level" => &["informational", "low", "medium", "high", "critical"],
        "status" => &["unsupported", "deprecated", "experimental", "test", "stable"],
        _ => &[],
    };
    let rank = |text: &str| ranks.iter().position(|known| text.eq_ignore_ascii_case(known));
    match own {
        // A list equals no single value.
        Attribute::Many(texts) => match compare {
            Compare::In => texts.contains(&text),
            Compare::NotIn => !texts.contains(&text),
            _ => compare == Compare::NotEqual,
        },
        Attribute::One(own) => match (rank(&own.to_text()), rank(&text)) {
            (Some(own), Some(wanted)) => compare.holds(own, wanted),
            _ => compare.scalars(own, wanted),
        },
    }
}

impl OfItem {
    fn holds(&self, part: &Part, facts: &Facts<'_>) -> bool {
        match self {
            OfItem::Values(Quantity::Any, asked) => values(part).any(|value| asked.holds(value)),
            OfItem::Values(Quantity::All, asked) => values(part).all(|value| asked.holds(value)),
            OfItem::Applied(id) => part.applied.contains(id),
            OfItem::State(state) => state.holds(facts.state),
        }
    }
}

/// Each value with its text, if it is one.
fn values(part: &Part) -> impl Iterator<Item = (&Scalar, Option<String>)> {
    part.item.values.iter().map(|(_, value)| value).zip(part.texts())
}

impl OfValue {
    fn holds(&self, (value, text): (&Scalar, Option<String>)) -> bool {
        match self {
            OfValue::Matches { regex, negate } => text.is_some_and(|text| starts(regex, &text)) != *negate,
            OfValue::Is(Scalar::Text(wanted)) => text.is_some_and(|text| text == *wanted),
            OfValue::Is(wanted) => value == wanted,
            OfValue::HasWildcard => text.is_some() && has_wildcard(value, &text.unwrap_or_default()),
            OfValue::IsNull => *value == Scalar::Null,
        }
    }
}

fn has_wildcard(value: &Scalar, text: &str) -> bool {
    // The text shows plain `*` and wildcards alike; a value without any wildcard reads as itself.
    let plain = Pattern::parse(&value.to_text());
    plain != Pattern::literal(plain.to_string()) || plain.to_string() != text
}

/// Python's `match`: at the beginning.
fn starts(regex: &Regex, text: &str) -> bool {
    regex.find(text).is_some_and(|found| found.start() == 0)
}

impl OfField {
    fn holds(&self, field: Option<&str>, facts: &Facts<'_>) -> bool {
        match (self, field) {
            (OfField::State(state), _) => state.holds(facts.state),
            (_, None) => false,
            (OfField::Named(names), Some(field)) => names.iter().any(|name| name == field),
            (OfField::Like(patterns), Some(field)) => patterns.iter().any(|regex| starts(regex, field)),
            (OfField::Applied(id), Some(field)) => facts.field_steps.get(field).is_some_and(|steps| steps.contains(id)),
        }
    }

    fn holds_for_item(&self, part: &Part, facts: &Facts<'_>) -> bool {
        if let OfField::Applied(id) = self {
            return part.applied.contains(id);
        }
        let own = self.holds(part.item.field.as_deref(), facts);
        // A field that a value refers to
        let referred = part.item.has(Modifier::FieldRef)
            && part.item.values.iter().any(|(_, value)| self.holds(Some(&value.to_text()), facts));
        own || referred
    }
}
