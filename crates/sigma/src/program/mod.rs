//! Rules made ready to run, and run.
//!
//! [`compile`] numbers what rules share and puts rules of one log source into a [`Group`](group::Group);
//! [`view`] is one event as rules see it; [`run`] finds the candidates of each group by the texts that a rule
//! cannot match without, and lets the conditions decide; [`finding`] says what was found.

mod compile;
mod finding;
mod group;
mod run;
mod view;

use vedette_event::RuleRef;

use self::group::Group;
use crate::{
    check::{Test, Tree},
    rule::Logsource,
};

/// A number of a [`Check`] in the program.
type CheckId = u32;
/// A number of a [`Slot`] in the program.
type SlotId = u32;

/// Compiled rules: events in, findings out. No state, no clock, no I/O; share it between threads as it is.
#[derive(Debug)]
pub struct Program {
    rules: Vec<Compiled>,
    groups: Vec<Group>,
    checks: Vec<Check>,
    slots: Vec<Slot>,
    /// Slots whose values decide to which groups an event belongs.
    routing: Vec<SlotId>,
}

/// A rule as it runs.
#[derive(Debug)]
struct Compiled {
    reference: RuleRef,
    logsource: Logsource,
    condition: Tree<CheckId>,
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
        self.rules.iter().map(|rule| (&rule.reference, &rule.logsource))
    }

    /// The rules whose log source no mapping feeds. They are still matched, against events of the dataset
    /// `<product>.<service>`; where no parser makes such events, they see nothing.
    pub fn unfed(&self) -> impl Iterator<Item = (&RuleRef, &Logsource)> {
        self.rules.iter().filter(|rule| !rule.mapped).map(|rule| (&rule.reference, &rule.logsource))
    }
}
