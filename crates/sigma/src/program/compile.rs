//! From rules and a mapping to a program.

use std::hash::Hash;

use hashbrown::HashMap;

use super::{Check, CheckId, Code, Compiled, Group, Program, Slot};
use crate::{
    check::{self, Test, Tree},
    mapping::{Mapping, View},
    rule::{Body, Logsource, Refused, Rule},
    yaml::Place,
};

impl Program {
    /// Compiles rules for a mapping. Refused are rules whose placeholders have no values in it, and rules with an
    /// id that an earlier one of the list has.
    pub fn compile(rules: Vec<Rule>, mapping: &Mapping) -> (Program, Vec<Refused>) {
        let mut compiler = Compiler { checks: Numbered::default(), slots: Numbered::default() };
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
            let lowered;
            let body = match &rule.body {
                Body::Ready(tree) => tree,
                Body::Pending(detection) => match detection.lower(mapping.placeholders()) {
                    Ok(tree) => {
                        lowered = tree;
                        &lowered
                    }
                    Err(problem) => {
                        refused.push(Refused::of(&rule, problem.place, problem.reason));
                        continue;
                    }
                },
            };
            let (view, members) =
                views.entry(rule.logsource.clone()).or_insert_with(|| (mapping.view(&rule.logsource), Vec::new()));
            let condition = compiler.condition(body, &mut |field| view.names(field));
            members.push(compiled.len() as u32);
            compiled.push(Compiled {
                reference: rule.reference,
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
        let routing = routing(&whens, &checks, &slots);
        let groups = whens.into_iter().zip(views).map(|(when, (_, rules))| Group { when, rules }).collect();
        let (partitions, scratches) = Default::default();
        (Program { rules: compiled, groups, checks, slots, routing, partitions, scratches }, refused)
    }
}

/// The names of the fields that conditions read, numbered.
fn routing(whens: &[Tree<CheckId>], checks: &[Check], slots: &[Slot]) -> HashMap<Box<str>, u16> {
    let mut names = HashMap::new();
    for when in whens {
        when.each(&mut |check| {
            let check = &checks[*check as usize];
            for slot in check.slot.into_iter().chain(check.other) {
                for name in &slots[slot as usize].names {
                    let next = names.len() as u16;
                    names.entry(name.clone()).or_insert(next);
                }
            }
        });
    }
    names
}

struct Compiler {
    checks: Numbered<Check>,
    slots: Numbered<Slot>,
}

impl Compiler {
    fn condition(&mut self, tree: &Tree<check::Check>, names: &mut impl FnMut(&str) -> Vec<Box<str>>) -> Tree<CheckId> {
        tree.map(&mut |check| {
            let mut slot = |field: &str| self.slots.number(Slot { names: names(field).into() });
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
