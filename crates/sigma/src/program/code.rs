//! Conditions as flat code: one step a check, with the step to go on at if it is true and if it is not.

use super::{Check, CheckId};
use crate::check::Tree;

/// Where a condition's code ends.
const MATCH: u32 = u32::MAX;
const NO_MATCH: u32 = u32::MAX - 1;

/// A condition, ready to run. Every step leads to an earlier one, so it ends.
#[derive(Debug, Default)]
pub(super) struct Code {
    steps: Box<[Step]>,
    first: u32,
}

#[derive(Debug)]
struct Step {
    what: Asked,
    yes: u32,
    no: u32,
}

#[derive(Debug)]
enum Asked {
    /// Of one value: known by now.
    Value(CheckId),
    /// Of the event: that a field is missing, or like another.
    Event(CheckId),
    /// `2 of selection_*`: counted, where code would have to say every way to reach the number.
    Counted(Box<Tree<CheckId>>),
}

impl Code {
    pub(super) fn new(condition: &Tree<CheckId>, checks: &[Check]) -> Code {
        let mut steps = Vec::new();
        let of_a_value = |check: CheckId| checks[check as usize].test.is_of_a_value();
        let first = emit(condition, MATCH, NO_MATCH, &of_a_value, &mut steps);
        Code { steps: steps.into(), first }
    }

    /// The condition's truth, given that of the checks of values and of the event.
    pub(super) fn run(&self, value: impl Fn(CheckId) -> bool, event: impl Fn(CheckId) -> bool) -> bool {
        let mut at = self.first;
        while at < NO_MATCH {
            let step = &self.steps[at as usize];
            let holds = match &step.what {
                Asked::Value(check) => value(*check),
                Asked::Event(check) => event(*check),
                Asked::Counted(tree) => tree.eval(&mut |check| value(*check) || event(*check)),
            };
            at = if holds { step.yes } else { step.no };
        }
        at == MATCH
    }
}

/// Writes a tree's steps from the last to the first; gives the first.
fn emit(tree: &Tree<CheckId>, yes: u32, no: u32, of_a_value: &impl Fn(CheckId) -> bool, steps: &mut Vec<Step>) -> u32 {
    let mut emit = |tree, yes, no| emit(tree, yes, no, of_a_value, steps);
    let what = match tree {
        Tree::Leaf(check) if of_a_value(*check) => Asked::Value(*check),
        Tree::Leaf(check) => Asked::Event(*check),
        Tree::AtLeast(..) => Asked::Counted(Box::new(tree.clone())),
        Tree::All(children) => return children.iter().rev().fold(yes, |next, child| emit(child, next, no)),
        Tree::Any(children) => return children.iter().rev().fold(no, |next, child| emit(child, yes, next)),
        Tree::Not(child) => return emit(child, no, yes),
    };
    steps.push(Step { what, yes, no });
    steps.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{check::Test, pattern::Pattern};

    fn any() -> Test {
        Test::Text { pattern: Pattern::parse("*"), cased: false }
    }

    fn tree() -> impl Strategy<Value = Tree<CheckId>> {
        (0..6_u32).prop_map(Tree::Leaf).prop_recursive(4, 32, 4, |inner| {
            let children = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                children.clone().prop_map(Tree::All),
                children.clone().prop_map(Tree::Any),
                (0..3_usize, children).prop_map(|(least, children)| Tree::AtLeast(least, children)),
                inner.prop_map(Tree::not),
            ]
        })
    }

    proptest! {
        #[test]
        fn code_says_what_the_tree_says(tree in tree(), truths in 0..64_u32) {
            let truth = |check: CheckId| truths >> check & 1 == 1;
            let checks: Vec<Check> = (0..6)
                .map(|number| Check { slot: Some(0), test: if number % 2 == 0 { Test::Null } else { any() }, other: None })
                .collect();
            let of_a_value = |check: CheckId| check % 2 == 1;
            let code = Code::new(&tree, &checks);
            let got = code.run(|check| of_a_value(check) && truth(check), |check| !of_a_value(check) && truth(check));
            prop_assert_eq!(got, tree.eval(&mut |check| truth(*check)));
        }
    }
}
