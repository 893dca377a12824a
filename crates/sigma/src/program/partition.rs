//! The rules of one set of log sources, arranged by the fields they read.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{HashMap, hash_map::Entry};
use vedette_event::ecs;

use super::{
    Check, CheckId, Program, SlotId,
    gate::Gate,
    scan::{Local, Scanner},
};
use crate::check::Tree;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Partitions of several groups have at most so many times the program's rules in all.
const MAX_COMBINED: usize = 4;

/// Rules that see the same events. Made when the first such event comes.
#[derive(Debug)]
pub(super) struct Partition {
    /// Which of the program's partitions it is.
    pub(super) number: u32,
    /// Numbers of rules in the program, ascending.
    pub(super) rules: Box<[u32]>,
    pub(super) columns: Box<[Column]>,
    /// Which columns a field feeds, by the program's number of its name.
    by_name: Map<u32, Vec<Use>>,
    /// Bits of those numbers.
    known: Box<[u64]>,
    /// Columns that are fed by what an event has without a field.
    pub(super) implied: Vec<(Use, Implied)>,
    /// Checks of the whole event.
    pub(super) keywords: Scanner,
    /// Checks that compare two fields: the program's number of the check, and the columns.
    pub(super) comparisons: Box<[(CheckId, u32, u32)]>,
    /// The program's numbers of this partition's checks.
    pub(super) checks: Box<[CheckId]>,
    locals: Map<CheckId, Local>,
}

/// A field as rules see it, with all checks of its value.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) slot: SlotId,
    pub(super) scanner: Scanner,
}

/// A name's place in a column: of a column's names the lowest rank with a value is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) column: u32,
    pub(super) rank: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Implied {
    /// The event's time.
    Time,
    /// Its original bytes.
    Original,
}

impl Implied {
    pub(super) fn named(name: &str) -> Option<Implied> {
        match name {
            ecs::TIMESTAMP => Some(Implied::Time),
            ecs::ORIGINAL => Some(Implied::Original),
            _ => None,
        }
    }
}

impl Partition {
    pub(super) fn new(program: &Program, number: u32, mut rules: Vec<u32>) -> Partition {
        rules.sort_unstable();
        rules.dedup();
        let mut checks = Vec::new();
        let mut locals: Map<CheckId, Local> = Map::default();
        let mut slots: Vec<SlotId> = Vec::new();
        for &rule in &rules {
            program.rules[rule as usize].condition.each(&mut |id| {
                if let Entry::Vacant(entry) = locals.entry(*id) {
                    entry.insert(checks.len() as Local);
                    checks.push(*id);
                    let Check { slot, other, .. } = &program.checks[*id as usize];
                    slots.extend(slot.iter().chain(other));
                }
            });
        }
        slots.sort_unstable();
        slots.dedup();
        let mut tests: Map<Option<SlotId>, Vec<Local>> = Map::default();
        for (local, id) in (0..).zip(&checks) {
            let check = &program.checks[*id as usize];
            if check.test.is_of_a_value() {
                tests.entry(check.slot).or_default().push(local);
            }
        }
        let mut scanner = |slot: Option<SlotId>| {
            let locals = tests.remove(&slot).unwrap_or_default();
            Scanner::new(locals.iter().map(|local| (*local, &program.checks[checks[*local as usize] as usize].test)))
        };
        let columns: Box<[Column]> =
            slots.into_iter().map(|slot| Column { slot, scanner: scanner(Some(slot)) }).collect();
        let keywords = scanner(None);
        let column = |slot: &SlotId| columns.binary_search_by_key(slot, |column| column.slot).ok().map(|at| at as u32);
        let comparison = |id: &CheckId| match &program.checks[*id as usize] {
            Check { slot: Some(slot), other: Some(other), .. } => Some((*id, column(slot)?, column(other)?)),
            _ => None,
        };
        let comparisons = checks.iter().filter_map(comparison).collect();
        let (mut by_name, mut implied) = (Map::<u32, Vec<Use>>::default(), Vec::new());
        let mut known = vec![0; program.names.len().div_ceil(64)];
        for (column, Column { slot, .. }) in (0..).zip(&columns) {
            for (rank, name) in (0..).zip(&program.slots[*slot as usize].names) {
                let place = Use { column, rank };
                let number = program.names.of(name);
                by_name.entry(number).or_default().push(place);
                known[number as usize / 64] |= 1 << (number % 64);
                implied.extend(Implied::named(name).map(|what| (place, what)));
            }
        }
        let (rules, checks, known) = (rules.into(), checks.into(), known.into());
        Partition { number, rules, columns, by_name, known, implied, keywords, comparisons, checks, locals }
    }

    /// Whether a field of this name feeds any column, by the program's number of the name.
    pub(super) fn knows(&self, name: u32) -> bool {
        self.known.get(name as usize / 64).is_some_and(|bits| bits >> (name % 64) & 1 == 1)
    }

    /// The columns that it feeds.
    pub(super) fn uses(&self, name: u32) -> &[Use] {
        self.by_name.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Which checks make which rules candidates, if they are true as often as `frequency` says (0 to 1; none where
    /// nothing is known).
    pub(super) fn witnesses(&self, program: &Program, frequency: impl Fn(Local) -> Option<f32>) -> Witnesses {
        let weights: Vec<Option<f32>> = (0..)
            .zip(&self.checks)
            .map(|(local, id)| {
                let test = &program.checks[*id as usize].test;
                test.is_of_a_value().then(|| frequency(local).unwrap_or_else(|| Gate::guess(test)))
            })
            .collect();
        let weight = |check: CheckId| weights[self.locals[&check] as usize];
        let mut always = Vec::new();
        let mut pairs: Vec<(Local, u32)> = Vec::new();
        for &rule in &self.rules {
            let mut chosen = Vec::new();
            match choose(&program.rules[rule as usize].condition, &weight, &mut chosen) {
                None => always.push(rule),
                Some(_) => pairs.extend(chosen.iter().map(|check| (self.locals[check], rule))),
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; self.checks.len() + 1];
        pairs.iter().for_each(|(local, _)| starts[*local as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Witnesses { always, starts, rules: pairs.into_iter().map(|(_, rule)| rule).collect() }
    }
}

/// The partitions of a program, as events ask for them.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    /// By groups, ascending.
    by_groups: HashMap<Vec<u32>, Arc<[u32]>>,
    partitions: Vec<Arc<Partition>>,
    /// Rules in partitions of several groups.
    combined: usize,
}

impl Partitions {
    /// The partitions that hold the rules of these groups (ascending): one, unless events belonged to so many
    /// different sets of groups that no more are combined; an event with arrays can belong to any.
    pub(super) fn of(&self, program: &Program, groups: Vec<u32>) -> Arc<[u32]> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.by_groups.get(&groups) {
            return known.clone();
        }
        let count: usize = groups.iter().map(|group| program.groups[*group as usize].rules.len()).sum();
        if groups.len() > 1 && made.combined + count > MAX_COMBINED * (program.rules.len() + 1_000) {
            return groups.iter().map(|group| made.partition(program, vec![*group])).collect();
        }
        made.combined += if groups.len() > 1 { count } else { 0 };
        if groups.is_empty() { [].into() } else { [made.partition(program, groups)].into() }
    }

    pub(super) fn get(&self, number: u32) -> Arc<Partition> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).partitions[number as usize].clone()
    }
}

impl Made {
    fn partition(&mut self, program: &Program, groups: Vec<u32>) -> u32 {
        if let Some(known) = self.by_groups.get(&groups) {
            return known[0];
        }
        let number = self.partitions.len() as u32;
        let rules = groups.iter().flat_map(|group| program.groups[*group as usize].rules.iter().copied());
        self.partitions.push(Arc::new(Partition::new(program, number, rules.collect())));
        self.by_groups.insert(groups, [number].into());
        number
    }
}

/// By which checks the candidates among rules are found.
#[derive(Debug)]
pub(super) struct Witnesses {
    /// Rules that can match without any check of a value; candidates always.
    pub(super) always: Vec<u32>,
    /// Where each check's rules begin.
    starts: Vec<u32>,
    rules: Vec<u32>,
}

impl Witnesses {
    /// The rules that become candidates if this check is true.
    pub(super) fn of(&self, check: Local) -> &[u32] {
        let at = check as usize;
        &self.rules[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Appends checks of which at least one must be true for the condition to be, those that are seldomest together;
/// gives how often. None, and nothing appended, where the condition can hold without any.
fn choose(
    condition: &Tree<CheckId>,
    weight: &impl Fn(CheckId) -> Option<f32>,
    chosen: &mut Vec<CheckId>,
) -> Option<f32> {
    match condition {
        Tree::Leaf(check) => {
            let weight = weight(*check)?;
            chosen.push(*check);
            Some(weight)
        }
        // All must be true, so the rarest will do.
        Tree::All(children) => {
            let from = chosen.len();
            let mut best: Option<(f32, Vec<CheckId>)> = None;
            for child in children {
                let Some(weight) = choose(child, weight, chosen) else { continue };
                if best.as_ref().is_none_or(|(least, _)| weight < *least) {
                    best = Some((weight, chosen[from..].to_vec()));
                }
                chosen.truncate(from);
            }
            let (weight, checks) = best?;
            chosen.extend(checks);
            Some(weight)
        }
        Tree::Any(children) | Tree::AtLeast(1.., children) => {
            let from = chosen.len();
            let mut sum = 0.0;
            for child in children {
                match choose(child, weight, chosen) {
                    Some(weight) => sum += weight,
                    None => {
                        chosen.truncate(from);
                        return None;
                    }
                }
            }
            Some(sum)
        }
        Tree::AtLeast(0, _) | Tree::Not(_) => None,
    }
}
