//! What can be said of events without looking at them: from some of their fields, and from the texts they contain.
//!
//! A [`Sieve`] puts a program's conditions to rows of a table that has some of the events' fields. What such a row does
//! not tell is unknown, and conditions are computed in three values (Kleene's); a row is left out only where every rule
//! is certainly false. Each distinct value is tested once, and each combination of what values came to is decided once.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Program, SlotId, partition::Implied};
use crate::{
    check::{Test, Tree},
    fold::fold,
    pattern::{Pattern, Token},
};

/// So many answers are remembered; then all are forgotten.
const MOST_REMEMBERED: usize = 1 << 16;
/// A list of more alternatives than this is not asked of an index.
const MOST_TERMS: usize = 512;

/// A field of an event, as far as a table tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// The event has no such field.
    Missing,
    /// It has this value, as text, and no other.
    Text(&'a str),
    /// Nothing is known.
    Unknown,
}

/// What a cell comes to for a program, by number. Class 0 is that of [`Cell::Unknown`].
pub type Class = u32;

/// The one letter beyond ASCII that rules take for one of ASCII, and lower case does not.
const LONG_S: &str = "ſ";

/// The texts that an event must have, or it matches no rule. Texts are compared in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing is known.
    Anything,
    /// All of these.
    All(Vec<Wanted>),
    /// One of these; never, if there are none.
    Any(Vec<Wanted>),
    /// One of the fields' values, or the original, has this text in it.
    Text {
        /// The text.
        text: String,
        /// A field's value begins with it.
        begins: bool,
        /// A field's value ends with it.
        ends: bool,
    },
}

/// A program's conditions over some of an event's fields.
#[derive(Debug)]
pub struct Sieve {
    columns: Vec<Column>,
    checks: Vec<Leaf>,
    /// Which log source an event is of, and what rules of it ask.
    rules: Vec<(Tree<u32>, Vec<Tree<u32>>)>,
    /// How many of the columns say which log source an event is of.
    routing: usize,
    answers: HashMap<Box<[Class]>, bool, FixedState>,
}

/// A field that the table has, with all tests of its value.
#[derive(Debug)]
struct Column {
    name: Box<str>,
    tests: Vec<Test>,
    /// By what the tests came to.
    numbers: HashMap<Box<[u64]>, Class, FixedState>,
    classes: Vec<Outcome>,
}

/// What the cells of one class come to.
#[derive(Clone, Debug)]
enum Outcome {
    Unknown,
    Missing,
    /// A bit for each test.
    Value(Box<[u64]>),
}

/// A check as the table can answer it.
#[derive(Clone, Debug)]
struct Leaf {
    /// The fields to be asked, best first: which column, and the test's place there.
    asks: Vec<(u32, u32)>,
    /// There are more names than these, which the table does not have.
    goes_on: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A test of the value.
    Value,
    Null,
    Exists,
    /// One that needs more than the value: false where there is none.
    More,
    /// Of the whole event.
    Event,
}

impl Program {
    /// A sieve over a table that has the fields for which `is_column` holds.
    pub fn sieve(&self, is_column: impl Fn(&str) -> bool) -> Sieve {
        let mut builder = Builder { program: self, is_column, columns: Vec::new(), known: HashMap::default() };
        let mut checks = Vec::new();
        let mut numbers: HashMap<u32, u32, FixedState> = HashMap::default();
        let mut leaf = |builder: &mut Builder<'_, _>, check: &u32| {
            *numbers.entry(*check).or_insert_with(|| {
                checks.push(builder.leaf(*check));
                checks.len() as u32 - 1
            })
        };
        let whens: Vec<Tree<u32>> =
            self.groups.iter().map(|group| group.when.map(&mut |check| leaf(&mut builder, check))).collect();
        let routing = builder.columns.len();
        let rules = self.groups.iter().zip(whens).map(|(group, when)| {
            let conditions = group.rules.iter().map(|rule| &self.rules[*rule as usize].condition);
            (when, conditions.map(|condition| condition.map(&mut |check| leaf(&mut builder, check))).collect())
        });
        let rules = rules.collect();
        let Builder { columns, .. } = builder;
        Sieve { columns, checks, rules, routing, answers: HashMap::default() }
    }

    /// What an event must contain for any rule to match.
    pub fn wanted(&self) -> Wanted {
        let rules = self.groups.iter().flat_map(|group| {
            let when = self.wanted_by(&group.when);
            group
                .rules
                .iter()
                .map(move |rule| all([when.clone(), self.wanted_by(&self.rules[*rule as usize].condition)].into_iter()))
        });
        match any(rules) {
            Wanted::Anything => Wanted::Anything,
            wanted => any([wanted, Wanted::Text { text: LONG_S.to_owned(), begins: false, ends: false }].into_iter()),
        }
    }

    fn wanted_by(&self, tree: &Tree<u32>) -> Wanted {
        match tree {
            Tree::Leaf(check) => {
                let check = &self.checks[*check as usize];
                let in_fields = check.slot.is_some_and(|slot| !self.has_implied(slot));
                match &check.test {
                    Test::Text { pattern, .. } => in_pattern(pattern, in_fields),
                    _ => Wanted::Anything,
                }
            }
            Tree::All(children) => all(children.iter().map(|child| self.wanted_by(child))),
            Tree::Any(children) => any(children.iter().map(|child| self.wanted_by(child))),
            Tree::AtLeast(0, _) | Tree::Not(_) => Wanted::Anything,
            Tree::AtLeast(least, children) if *least == children.len() => {
                all(children.iter().map(|child| self.wanted_by(child)))
            }
            Tree::AtLeast(_, children) => any(children.iter().map(|child| self.wanted_by(child))),
        }
    }

    fn has_implied(&self, slot: SlotId) -> bool {
        self.slots[slot as usize].names.iter().any(|name| Implied::named(name).is_some())
    }
}

fn all(children: impl Iterator<Item = Wanted>) -> Wanted {
    let mut known: Vec<Wanted> = children.filter(|child| *child != Wanted::Anything).collect();
    match known.len() {
        0 => Wanted::Anything,
        1 => known.remove(0),
        _ => Wanted::All(known),
    }
}

fn any(children: impl Iterator<Item = Wanted>) -> Wanted {
    let mut all: Vec<Wanted> = Vec::new();
    for child in children {
        match child {
            Wanted::Anything => return Wanted::Anything,
            Wanted::Any(more) => all.extend(more),
            child => all.push(child),
        }
        if all.len() > MOST_TERMS {
            return Wanted::Anything;
        }
    }
    match all.len() {
        1 => all.remove(0),
        _ => Wanted::Any(all),
    }
}

/// The texts of a pattern. Beyond ASCII, letters without regard to case are another matter to whoever looks for texts:
/// those are left out.
fn in_pattern(pattern: &Pattern, in_fields: bool) -> Wanted {
    let last = pattern.tokens().len().saturating_sub(1);
    let mut wanted = Vec::new();
    for (at, token) in pattern.tokens().iter().enumerate() {
        let Token::Text(text) = token else { continue };
        for part in text.split(|c: char| !c.is_ascii()).filter(|part| !part.is_empty()) {
            let begins = in_fields && at == 0 && text.starts_with(part);
            let ends = in_fields && at == last && text.ends_with(part);
            // A part that stands twice is not known to be at both ends.
            let whole = part.len() == text.len();
            wanted.push(Wanted::Text { text: part.to_owned(), begins: begins && whole, ends: ends && whole });
        }
    }
    all(wanted.into_iter())
}

struct Builder<'p, F> {
    program: &'p Program,
    is_column: F,
    columns: Vec<Column>,
    known: HashMap<Box<str>, u32, FixedState>,
}

impl<F: Fn(&str) -> bool> Builder<'_, F> {
    fn leaf(&mut self, check: u32) -> Leaf {
        let check = &self.program.checks[check as usize];
        let Some(slot) = check.slot else { return Leaf { asks: Vec::new(), goes_on: true, kind: Kind::Event } };
        let kind = match &check.test {
            Test::Null => Kind::Null,
            Test::Exists => Kind::Exists,
            Test::Field { .. } => Kind::More,
            _ => Kind::Value,
        };
        let names = &self.program.slots[slot as usize].names;
        let told = |name: &str| Implied::named(name).is_none() && (self.is_column)(name);
        let asked: Vec<Box<str>> = names.iter().take_while(|name| told(name)).cloned().collect();
        let goes_on = asked.len() < names.len();
        let asks = asked.into_iter().map(|name| self.ask(name, &check.test)).collect();
        Leaf { asks, goes_on, kind }
    }

    fn ask(&mut self, name: Box<str>, test: &Test) -> (u32, u32) {
        let columns = &mut self.columns;
        let column = *self.known.entry(name).or_insert_with_key(|name| {
            let classes = vec![Outcome::Unknown, Outcome::Missing];
            columns.push(Column { name: name.clone(), tests: Vec::new(), numbers: HashMap::default(), classes });
            columns.len() as u32 - 1
        });
        let tests = &mut columns[column as usize].tests;
        let place = tests.iter().position(|known| known == test).unwrap_or_else(|| {
            tests.push(test.clone());
            tests.len() - 1
        });
        (column, place as u32)
    }
}

impl Sieve {
    /// The class of cells of which nothing is known.
    pub const UNKNOWN: Class = 0;

    /// The fields that it asks. The first [`routing`](Self::routing) of them say which log source an event is of.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// So many of the fields say which log source an event is of; they decide about most events.
    pub fn routing(&self) -> usize {
        self.routing
    }

    /// What a cell of a column comes to. Numbers stay what they are until [`forget`](Self::forget).
    pub fn class(&mut self, column: usize, cell: Cell<'_>) -> Class {
        let column = &mut self.columns[column];
        let text = match cell {
            Cell::Unknown => return Sieve::UNKNOWN,
            Cell::Missing => return 1,
            Cell::Text(text) => text,
        };
        let folded = fold(text);
        let mut bits = vec![0_u64; column.tests.len().div_ceil(64)].into_boxed_slice();
        for (at, test) in column.tests.iter().enumerate() {
            bits[at / 64] |= u64::from(test.holds(text, &folded)) << (at % 64);
        }
        let Column { numbers, classes, .. } = column;
        *numbers.entry(bits).or_insert_with_key(|bits| {
            classes.push(Outcome::Value(bits.clone()));
            classes.len() as Class - 1
        })
    }

    /// Whether some rule may match an event whose cells are of these classes, one for each column.
    pub fn may_match(&mut self, classes: &[Class]) -> bool {
        if let Some(answer) = self.answers.get(classes) {
            return *answer;
        }
        let mut leaf = |check: &u32| self.truth(&self.checks[*check as usize], classes);
        let answer = self.rules.iter().any(|(when, conditions)| {
            maybe(when, &mut leaf) != Some(false)
                && conditions.iter().any(|condition| maybe(condition, &mut leaf) != Some(false))
        });
        self.answers.insert(classes.into(), answer);
        answer
    }

    /// Makes room if it remembers much: true if all numbers of classes are void now.
    pub fn forget(&mut self) -> bool {
        let most = self.columns.iter().map(|column| column.classes.len()).max().unwrap_or_default();
        if self.answers.len().max(most) < MOST_REMEMBERED {
            return false;
        }
        self.answers.clear();
        for column in &mut self.columns {
            column.numbers.clear();
            column.classes.truncate(2);
        }
        true
    }

    fn truth(&self, leaf: &Leaf, classes: &[Class]) -> Option<bool> {
        for (column, test) in &leaf.asks {
            match &self.columns[*column as usize].classes[classes[*column as usize] as usize] {
                Outcome::Missing => {}
                Outcome::Unknown => return None,
                Outcome::Value(bits) => {
                    return match leaf.kind {
                        Kind::Value => Some(bits[*test as usize / 64] >> (test % 64) & 1 == 1),
                        Kind::Null => Some(false),
                        Kind::Exists => Some(true),
                        Kind::More | Kind::Event => None,
                    };
                }
            }
        }
        match leaf.kind {
            _ if leaf.goes_on => None,
            Kind::Null => Some(true),
            _ => Some(false),
        }
    }
}

/// The truth of a tree where that of some leaves is not known.
fn maybe<L>(tree: &Tree<L>, leaf: &mut impl FnMut(&L) -> Option<bool>) -> Option<bool> {
    match tree {
        Tree::Leaf(inner) => leaf(inner),
        Tree::Not(child) => maybe(child, leaf).map(|truth| !truth),
        Tree::All(children) => at_least(children.len(), children, leaf),
        Tree::Any(children) => at_least(1, children, leaf),
        Tree::AtLeast(least, children) => at_least(*least, children, leaf),
    }
}

fn at_least<L>(least: usize, children: &[Tree<L>], leaf: &mut impl FnMut(&L) -> Option<bool>) -> Option<bool> {
    let (mut certain, mut possible) = (0, children.len());
    for child in children {
        if certain >= least || possible < least {
            break;
        }
        match maybe(child, leaf) {
            Some(true) => certain += 1,
            Some(false) => possible -= 1,
            None => {}
        }
    }
    match (certain >= least, possible < least) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mapping, load_str};

    fn program(detection: &str) -> Program {
        let mapping = "logsources:\n  - {product: p, when: {kind: p}}\n";
        let mapping = Mapping::parse("mapping", mapping).unwrap();
        let rule = format!("title: t\nlogsource: {{product: p}}\ndetection:\n{detection}");
        let loaded = load_str("rule", &rule);
        assert_eq!(loaded.refused, []);
        Program::compile(loaded.rules, &mapping).0
    }

    fn may_match(program: &Program, table: &[&str], row: &[(&str, Cell<'_>)]) -> bool {
        let mut sieve = program.sieve(|name| table.contains(&name));
        let columns: Vec<String> = sieve.columns().map(str::to_owned).collect();
        let cell = |name: &String| row.iter().find(|(known, _)| known == name).map_or(Cell::Missing, |(_, cell)| *cell);
        let classes: Vec<Class> = columns.iter().enumerate().map(|(at, name)| sieve.class(at, cell(name))).collect();
        sieve.may_match(&classes)
    }

    #[test]
    fn rows_are_left_out_where_nothing_can_match() {
        let program = program(
            "  a: {x|contains: evil}\n  b: {y: 1}\n  not_c: {z|endswith: ok}\n  condition: a and b and not not_c\n",
        );
        let table = ["kind", "x", "z"];
        let (p, evil) = (("kind", Cell::Text("p")), ("x", Cell::Text("an EVIL one")));
        assert!(may_match(&program, &table, &[p, evil]), "y is not in the table");
        assert!(!may_match(&program, &["kind", "x", "y", "z"], &[p, evil]), "y is missing");
        assert!(!may_match(&program, &table, &[("kind", Cell::Text("q")), evil]));
        assert!(!may_match(&program, &table, &[p, ("x", Cell::Text("good"))]));
        assert!(!may_match(&program, &table, &[p, evil, ("z", Cell::Text("is ok"))]));
        assert!(may_match(&program, &table, &[p, ("x", Cell::Unknown)]));
        assert!(!may_match(&program, &table, &[("kind", Cell::Unknown)]), "x is missing whatever it is");
    }

    #[test]
    fn texts_that_must_be_there() {
        let show = |detection: &str| {
            fn text(wanted: &Wanted) -> String {
                let list = |all: &[Wanted], by: &str| all.iter().map(text).collect::<Vec<_>>().join(by);
                match wanted {
                    Wanted::Anything => "-".into(),
                    Wanted::All(all) => format!("({})", list(all, " & ")),
                    Wanted::Any(any) => format!("({})", list(any, " | ")),
                    Wanted::Text { text, begins, ends } => {
                        format!("{}{text}{}", if *begins { "" } else { "*" }, if *ends { "" } else { "*" })
                    }
                }
            }
            text(&program(detection).wanted())
        };
        assert_eq!(
            show("  a: {x|contains: [evil, bad*one]}\n  b: {y|endswith: .exe}\n  condition: a and b\n"),
            "((p & ((*evil* | (*bad* & *one*)) & *.exe)) | *ſ*)",
        );
        assert_eq!(show("  a: {x: Evil}\n  condition: not a\n"), "(p | *ſ*)");
        assert_eq!(show("  a: {x|startswith: aäb}\n  condition: a\n"), "((p & (*a* & *b*)) | *ſ*)");
        assert_eq!(show("  a: {x|re: a.b}\n  b: ['word']\n  condition: 1 of them\n"), "(p | *ſ*)");
    }
}
