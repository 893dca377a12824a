//! Rules made ready to run, and run.
//!
//! [`compile`] numbers what rules share ([`names`] of fields, checks) and puts rules of one log source into a [`Group`]. The
//! groups that an event belongs to ([`route`]) are a [`partition`], in which all checks of one field are put to a value at
//! once ([`gate`], [`scan`]). What they come to is an [`outcome`], remembered by value ([`memo`]); so events with the same
//! fields ([`shape`], [`layout`]) whose values come to the same are decided once, with the [`evidence`] for it ([`part`], [`read`]).
//! True checks make rules candidates, those checks that are seldom true; the candidates' conditions are flat [`code`], asked
//! of what is known ([`truths`]). [`view`] is one event as the rest needs it; [`finding`] says what was found, [`effort`]
//! what it took. What a thread needs for all that is kept in [`scratch`].
//!
//! [`explain`] asks a [`view`] one thing after the other, and tells all of it. [`sieve`] leaves out events that only some
//! fields are known of.

mod code;
mod compile;
mod effort;
mod evidence;
pub mod explain;
mod finding;
mod gate;
mod layout;
mod memo;
mod names;
mod outcome;
mod part;
mod partition;
mod read;
mod route;
mod run;
mod scan;
mod scratch;
mod shape;
pub mod sieve;
mod truths;
mod view;

use std::sync::Arc;

use vedette_event::RuleRef;

pub use self::effort::Effort;
use self::{code::Code, names::Names, partition::Partitions, scratch::Scratches};
use crate::{
    check::{Test, Tree},
    rule::Logsource,
};

/// A number of a [`Check`] in the program.
type CheckId = u32;
/// A number of a [`Slot`] in the program.
type SlotId = u32;

/// Compiled rules: events in, findings out. No state that shows, no clock, no I/O; share it between threads as it is.
#[derive(Debug)]
pub struct Program {
    rules: Vec<Compiled>,
    groups: Vec<Group>,
    checks: Vec<Check>,
    slots: Vec<Slot>,
    names: Names,
    partitions: Partitions,
    scratches: Scratches,
}

/// The rules of one log source.
#[derive(Debug)]
struct Group {
    /// Whether an event belongs to the log source.
    when: Tree<CheckId>,
    rules: Vec<u32>,
}

/// A rule as it runs.
#[derive(Debug)]
struct Compiled {
    reference: Arc<RuleRef>,
    logsource: Logsource,
    condition: Tree<CheckId>,
    code: Code,
    mapped: bool,
}

/// A test, and what it is put to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Check {
    /// None is the whole event.
    slot: Option<SlotId>,
    test: Test,
    /// The slot of the field that [`Test::Field`] compares with.
    other: Option<SlotId>,
}

/// A field as rules see it: where events may have it. First present wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    names: Box<[Box<str>]>,
}

impl Program {
    fn partition(&self, number: u32) -> Arc<partition::Partition> {
        self.partitions.get(number)
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True if it has no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order they were given.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&RuleRef, &Logsource)> {
        self.rules.iter().map(|rule| (&*rule.reference, &rule.logsource))
    }

    /// The id of the rule at a place among [`rules`](Program::rules).
    pub fn id(&self, rule: usize) -> Option<&str> {
        self.rules.get(rule).map(|rule| rule.reference.id.as_str())
    }

    /// The rules whose log source no mapping feeds. They are still matched, against events of the dataset
    /// `<product>.<service>`; where no parser makes such events, they see nothing.
    pub fn unfed(&self) -> impl Iterator<Item = (&RuleRef, &Logsource)> {
        self.rules.iter().filter(|rule| !rule.mapped).map(|rule| (&*rule.reference, &rule.logsource))
    }
}
