//! What rules come down to: a tree of checks, each one field against one test.

use std::hash::{Hash, Hasher};

use regex::Regex;

use crate::{cidr::Cidr, fold::fold, instant::Part, pattern::Pattern};

/// A logical combination of leaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree<L> {
    Leaf(L),
    /// True if all are; true if empty.
    All(Vec<Tree<L>>),
    /// True if any is; false if empty.
    Any(Vec<Tree<L>>),
    /// True if at least so many are.
    AtLeast(usize, Vec<Tree<L>>),
    Not(Box<Tree<L>>),
}

impl<L> Tree<L> {
    /// [`Tree::All`], without a level for a single child.
    pub(crate) fn all(mut children: Vec<Tree<L>>) -> Self {
        match children.len() {
            1 => children.remove(0),
            _ => Tree::All(children),
        }
    }

    /// [`Tree::Any`], without a level for a single child.
    pub(crate) fn any(mut children: Vec<Tree<L>>) -> Self {
        match children.len() {
            1 => children.remove(0),
            _ => Tree::Any(children),
        }
    }

    pub(crate) fn not(self) -> Self {
        Tree::Not(Box::new(self))
    }

    /// The same tree over other leaves.
    pub(crate) fn map<M>(&self, leaf: &mut impl FnMut(&L) -> M) -> Tree<M> {
        let mut each = |children: &[Tree<L>]| children.iter().map(|child| child.map(leaf)).collect();
        match self {
            Tree::All(children) => Tree::All(each(children)),
            Tree::Any(children) => Tree::Any(each(children)),
            Tree::AtLeast(least, children) => Tree::AtLeast(*least, each(children)),
            Tree::Not(child) => Tree::Not(Box::new(child.map(leaf))),
            Tree::Leaf(inner) => Tree::Leaf(leaf(inner)),
        }
    }

    /// Calls `leaf` with every leaf, from the left.
    pub(crate) fn each(&self, leaf: &mut impl FnMut(&L)) {
        match self {
            Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => {
                children.iter().for_each(|child| child.each(leaf));
            }
            Tree::Not(child) => child.each(leaf),
            Tree::Leaf(inner) => leaf(inner),
        }
    }

    /// Its truth, given the leaves'.
    pub(crate) fn eval(&self, leaf: &mut impl FnMut(&L) -> bool) -> bool {
        match self {
            Tree::Leaf(inner) => leaf(inner),
            Tree::All(children) => children.iter().all(|child| child.eval(leaf)),
            Tree::Any(children) => children.iter().any(|child| child.eval(leaf)),
            Tree::AtLeast(least, children) => {
                let mut missing = *least;
                missing == 0
                    || children.iter().any(|child| {
                        missing -= usize::from(child.eval(leaf));
                        missing == 0
                    })
            }
            Tree::Not(child) => !child.eval(leaf),
        }
    }
}

/// One field, or the whole event, against one test.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Check {
    /// The rule's name for the field; none searches the whole event.
    pub(crate) field: Option<Box<str>>,
    pub(crate) test: Test,
}

/// What a value must be. A field of several values passes if any of them does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// The whole value looks like this; the pattern is folded unless `cased`.
    Text { pattern: Pattern, cased: bool },
    /// The regular expression is found in the value.
    Regex(Expression),
    /// An address of the network.
    Cidr(Cidr),
    /// A number that compares so.
    Number(Compare, Number),
    /// A part of a date that compares so.
    Part(Part, Compare, i64),
    /// The field is missing or null.
    Null,
    /// The field is there, be it empty or null.
    Exists,
    /// The value stands in this relation to another field's.
    Field { other: Box<str>, relation: Relation, cased: bool },
}

impl Test {
    /// Whether it can be put to one value alone, without the rest of the event.
    pub(crate) fn is_of_a_value(&self) -> bool {
        !matches!(self, Test::Null | Test::Exists | Test::Field { .. })
    }

    /// The test of a value that is not null, in both spellings; false for tests that need the rest of the event.
    pub(crate) fn holds(&self, text: &str, folded: &str) -> bool {
        match self {
            Test::Text { pattern, cased: true } => pattern.matches(text),
            Test::Text { pattern, cased: false } => pattern.matches(folded),
            Test::Regex(expression) => expression.0.is_match(text),
            Test::Cidr(network) => network.contains(text),
            Test::Number(compare, number) => Number::parse(text)
                .and_then(|value| value.compare(*number))
                .is_some_and(|ordering| compare.holds(ordering)),
            Test::Part(part, compare, number) => part.of(text).is_some_and(|value| compare.holds(value.cmp(number))),
            Test::Null | Test::Exists | Test::Field { .. } => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Compare {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Compare {
    pub(crate) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Compare::Less => ordering.is_lt(),
            Compare::LessOrEqual => ordering.is_le(),
            Compare::Greater => ordering.is_gt(),
            Compare::GreaterOrEqual => ordering.is_ge(),
            Compare::Equal => ordering.is_eq(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
}

impl Relation {
    pub(crate) fn holds(self, value: &str, other: &str) -> bool {
        match self {
            Relation::Equals => value == other,
            Relation::StartsWith => value.starts_with(other),
            Relation::EndsWith => value.ends_with(other),
            Relation::Contains => value.contains(other),
        }
    }
}

impl Relation {
    /// Whether it holds between two values, with or without regard to case.
    pub(crate) fn holds_between(self, value: &str, other: &str, cased: bool) -> bool {
        match (cased, self) {
            (true, _) => self.holds(value, other),
            (false, Relation::Equals) if value.is_ascii() && other.is_ascii() => value.eq_ignore_ascii_case(other),
            (false, _) => self.holds(&fold(value), &fold(other)),
        }
    }
}

/// A number of a rule; whole numbers stay exact.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn bits(self) -> (bool, u64) {
        match self {
            Number::Int(int) => (false, int.cast_unsigned()),
            Number::Float(float) => (true, float.to_bits()),
        }
    }

    /// A number as text spells it.
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        if let Ok(int) = text.parse() {
            return Some(Number::Int(int));
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Number::Float)
    }

    pub(crate) fn compare(self, other: Number) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// A compiled regular expression, the same as another if written the same.
#[derive(Clone, Debug)]
pub(crate) struct Expression(pub(crate) Regex);

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
