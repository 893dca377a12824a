//! From rules and a mapping to a program.

use std::hash::Hash;

use hashbrown::HashMap;

use super::{Check, CheckId, Code, Compiled, Group, Names, Program, Slot, SlotId, finding::entity_fields};
use crate::{
    check::{self, Test, Tree},
    mapping::{Mapping, View},
    rule::{Logsource, Refused, Rule},
    yaml::Place,
};

impl Program {
    /// Compiles rules for a mapping. Refused are rules whose placeholders have no values in it, and rules with an
    /// id that an earlier one of the list has.
    pub fn compile(rules: Vec<Rule>, mapping: &Mapping) -> (Program, Vec<Refused>) {
        let mut compiler = Compiler::default();
        let mut refused = Vec::new();
        let mut compiled: Vec<Compiled> = Vec::with_capacity(rules.len());
        let mut views: HashMap<Logsource, (View<'_>, Vec<u32>)> = HashMap::new();
        let mut ids = HashMap::new();
        for rule in rules {
            if let Some(place) = ids.insert(rule.reference.id.clone(), format!("{}:{}", rule.file, rule.line)) {
                let reason = format!("its id is already taken by {place}");
                refused.push(Refused::of(&rule, Place { line: rule.line, column: 1 }, reason));
                continue;
            }
            let parts: Result<Vec<_>, _> = rule.parts.iter().map(|part| part.lower(mapping.placeholders())).collect();
            let parts = match parts {
                Ok(parts) => parts,
                Err(problem) => {
                    refused.push(Refused::of(&rule, problem.place, problem.reason));
                    continue;
                }
            };
            let (view, members) =
                views.entry(rule.logsource.clone()).or_insert_with(|| (mapping.view(&rule.logsource), Vec::new()));
            let mut names = |field: &str| view.names(field);
            let condition = Tree::all(parts.iter().map(|part| compiler.condition(part, &mut names)).collect());
            members.push(compiled.len() as u32);
            compiled.push(Compiled {
                reference: rule.reference.into(),
                logsource: rule.logsource,
                condition,
                code: Code::default(),
                mapped: view.mapped,
            });
        }
        let mut views: Vec<_> = views.into_values().collect();
        views.sort_by_key(|(_, members)| members[0]);
        let whens: Vec<Tree<CheckId>> =
            views.iter().map(|(view, _)| compiler.condition(&view.when, &mut |field| vec![field.into()])).collect();
        let (checks, slots) = (compiler.checks.list, compiler.slots.list);
        for rule in &mut compiled {
            rule.code = Code::new(&rule.condition, &checks);
        }
        let names = names(&whens, &checks, &slots);
        let groups = whens.into_iter().zip(views).map(|(when, (_, rules))| Group { when, rules }).collect();
        let (partitions, scratches) = Default::default();
        (Program { rules: compiled, groups, checks, slots, names, partitions, scratches }, refused)
    }
}

/// The names of what findings are about, then those of all slots, and of which of them conditions of log sources read.
fn names(whens: &[Tree<CheckId>], checks: &[Check], slots: &[Slot]) -> Names {
    let mut names = Names::default();
    for name in entity_fields() {
        names.add(name);
    }
    for name in slots.iter().flat_map(|slot| &slot.names) {
        names.add(name);
    }
    for when in whens {
        when.each(&mut |check| {
            let check = &checks[*check as usize];
            for slot in check.slot.into_iter().chain(check.other) {
                slots[slot as usize].names.iter().for_each(|name| names.add_routing(name));
            }
        });
    }
    names
}

/// Numbers checks and slots.
#[derive(Default)]
pub(super) struct Compiler {
    checks: Numbered<Check>,
    slots: Numbered<Slot>,
}

impl Compiler {
    pub(super) fn slot(&mut self, names: Vec<Box<str>>) -> SlotId {
        self.slots.number(Slot { names: names.into() })
    }

    /// A program of no rules, in which checks can be put to an event.
    pub(super) fn finish(self) -> Program {
        let (rules, groups, names, partitions, scratches) = Default::default();
        Program { rules, groups, checks: self.checks.list, slots: self.slots.list, names, partitions, scratches }
    }

    pub(super) fn condition(
        &mut self,
        tree: &Tree<check::Check>,
        names: &mut impl FnMut(&str) -> Vec<Box<str>>,
    ) -> Tree<CheckId> {
        tree.map(&mut |check| {
            let mut slot = |field: &str| self.slot(names(field));
            let other = match &check.test {
                Test::Field { other, .. } => Some(slot(other)),
                _ => None,
            };
            let slot = check.field.as_deref().map(slot);
            self.checks.number(Check { slot, test: check.test.clone(), other })
        })
    }
}

/// Numbers for equal things, in the order they are first seen.
struct Numbered<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { list: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, thing: T) -> u32 {
        let next = self.list.len() as u32;
        *self.numbers.entry(thing).or_insert_with_key(|thing| {
            self.list.push(thing.clone());
            next
        })
    }
}
