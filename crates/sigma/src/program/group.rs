//! The rules of one log source, and how their candidates are found.

use aho_corasick::{AhoCorasick, MatchKind};
use hashbrown::HashMap;

use super::{Check, CheckId, SlotId};
use crate::{
    check::{Test, Tree},
    fold::fold,
    pattern::Form,
};

type Map<V> = HashMap<Box<str>, V, foldhash::fast::FixedState>;
/// Numbers of rules.
type Rules = Vec<u32>;

/// The rules of one log source.
#[derive(Debug)]
pub(super) struct Group {
    /// Whether an event belongs to the log source.
    pub when: Tree<CheckId>,
    /// Rules that can match without any text we could look for; always candidates.
    always: Rules,
    /// What to look for in each slot.
    probes: Vec<(SlotId, Probe)>,
    /// What to look for in the whole event.
    keywords: Probe,
}

impl Group {
    /// A group of rules, each with its condition.
    pub(super) fn new<'a>(
        when: Tree<CheckId>,
        rules: impl Iterator<Item = (u32, &'a Tree<CheckId>)>,
        checks: &[Check],
    ) -> Group {
        let mut always = Rules::new();
        let mut wanted: HashMap<Option<SlotId>, ProbeBuilder> = HashMap::new();
        for (rule, condition) in rules {
            let Some(witnesses) = witnesses(condition, checks) else {
                always.push(rule);
                continue;
            };
            for check in witnesses.checks {
                let check = &checks[check as usize];
                if let Some(gate) = gate(&check.test) {
                    wanted.entry(check.slot).or_default().add(gate, rule);
                }
            }
        }
        let keywords = wanted.remove(&None).unwrap_or_default().build();
        let mut probes: Vec<(SlotId, Probe)> =
            wanted.into_iter().filter_map(|(slot, probe)| Some((slot?, probe.build()))).collect();
        probes.sort_by_key(|(slot, _)| *slot);
        Group { when, always, probes, keywords }
    }

    /// Calls `found` with the rules that might match, some several times. `values` gives a slot's folded values,
    /// `texts` all of the event's.
    pub(super) fn candidates<'a, V, T>(
        &self,
        values: impl Fn(SlotId) -> V,
        texts: impl Fn() -> T,
        mut found: impl FnMut(&[u32]),
    ) where
        V: Iterator<Item = &'a str>,
        T: Iterator<Item = &'a str>,
    {
        found(&self.always);
        for (slot, probe) in &self.probes {
            values(*slot).for_each(|value| probe.search(value, &mut found));
        }
        if !self.keywords.is_empty() {
            texts().for_each(|text| self.keywords.search(text, &mut found));
        }
    }
}

/// A text without which a check cannot be true.
#[derive(Debug, PartialEq, Eq)]
enum Gate {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
}

impl Gate {
    fn text(&self) -> &str {
        match self {
            Gate::Exact(text) | Gate::Prefix(text) | Gate::Suffix(text) | Gate::Contains(text) => text,
        }
    }

    /// How often it will be found, as a guess: longer texts are rarer.
    fn weight(&self) -> u64 {
        10_000 / (self.text().len() as u64 + 1)
    }
}

fn gate(test: &Test) -> Option<Gate> {
    let Test::Text { pattern, .. } = test else { return None };
    // A cased pattern is not folded; folded values contain its folded text all the same.
    let folded = |text: &str| fold(text).into_owned();
    Some(match pattern.form() {
        Form::Exact(text) => Gate::Exact(folded(text)),
        Form::Prefix(text) => Gate::Prefix(folded(text)),
        Form::Suffix(text) => Gate::Suffix(folded(text)),
        Form::Contains(text) => Gate::Contains(folded(text)),
        Form::Wild(text) if !text.is_empty() => Gate::Contains(folded(text)),
        Form::Wild(_) | Form::Any => return None,
    })
}

/// Checks of which at least one must be true for a condition to be.
struct Witnesses {
    weight: u64,
    checks: Vec<CheckId>,
}

fn witnesses(condition: &Tree<CheckId>, checks: &[Check]) -> Option<Witnesses> {
    match condition {
        Tree::Leaf(check) => {
            let weight = gate(&checks[*check as usize].test)?.weight();
            Some(Witnesses { weight, checks: vec![*check] })
        }
        // All must be true, so the rarest will do.
        Tree::All(children) => {
            children.iter().filter_map(|child| witnesses(child, checks)).min_by_key(|witnesses| witnesses.weight)
        }
        Tree::Any(children) | Tree::AtLeast(_, children) => {
            let mut all = Witnesses { weight: 0, checks: Vec::new() };
            for child in children {
                let witnesses = witnesses(child, checks)?;
                all.weight += witnesses.weight;
                all.checks.extend(witnesses.checks);
            }
            Some(all)
        }
        Tree::Not(_) => None,
    }
}

#[derive(Default)]
struct ProbeBuilder {
    exact: Map<Rules>,
    prefix: Map<Rules>,
    suffix: Map<Rules>,
    contains: Map<Rules>,
}

impl ProbeBuilder {
    fn add(&mut self, gate: Gate, rule: u32) {
        let (map, text) = match gate {
            Gate::Exact(text) => (&mut self.exact, text),
            Gate::Prefix(text) => (&mut self.prefix, text),
            Gate::Suffix(text) => (&mut self.suffix, text),
            Gate::Contains(text) => (&mut self.contains, text),
        };
        let rules = map.entry(text.into()).or_default();
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }

    fn build(self) -> Probe {
        let mut contains: Vec<(Box<str>, Rules)> = self.contains.into_iter().collect();
        contains.sort_by(|a, b| a.0.cmp(&b.0));
        let scanner = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(contains.iter().map(|(text, _)| text.as_bytes()))
            // The automaton's only limit is 2^31 states; a load has fewer bytes of text.
            .ok();
        // Should that limit be met all the same, every value makes these rules candidates: slower, never wrong.
        let unscanned = match scanner {
            Some(_) => Rules::new(),
            None => contains.iter().flat_map(|(_, rules)| rules.iter().copied()).collect(),
        };
        let scanned: Vec<Rules> = contains.into_iter().map(|(_, rules)| rules).collect();
        Probe {
            exact: self.exact,
            prefix: Affixes::new(self.prefix),
            suffix: Affixes::new(self.suffix),
            scanner: scanner.filter(|_| !scanned.is_empty()),
            scanned,
            unscanned,
        }
    }
}

/// Looks for many texts in a value at once. All folded.
#[derive(Debug)]
struct Probe {
    exact: Map<Rules>,
    prefix: Affixes,
    suffix: Affixes,
    scanner: Option<AhoCorasick>,
    /// For each pattern of the scanner.
    scanned: Vec<Rules>,
    unscanned: Rules,
}

impl Probe {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefix.map.is_empty() && self.suffix.map.is_empty() && self.scanned.is_empty()
    }

    fn search(&self, value: &str, found: &mut impl FnMut(&[u32])) {
        if let Some(rules) = self.exact.get(value) {
            found(rules);
        }
        for &length in self.prefix.lengths.iter().take_while(|length| **length <= value.len()) {
            if let Some(rules) = value.get(..length).and_then(|start| self.prefix.map.get(start)) {
                found(rules);
            }
        }
        for &length in self.suffix.lengths.iter().take_while(|length| **length <= value.len()) {
            if let Some(rules) = value.get(value.len() - length..).and_then(|end| self.suffix.map.get(end)) {
                found(rules);
            }
        }
        if let Some(scanner) = &self.scanner {
            for hit in scanner.find_overlapping_iter(value) {
                found(&self.scanned[hit.pattern().as_usize()]);
            }
        }
        if !self.unscanned.is_empty() {
            found(&self.unscanned);
        }
    }
}

/// Beginnings or ends of values, tried length by length.
#[derive(Debug)]
struct Affixes {
    /// Ascending.
    lengths: Vec<usize>,
    map: Map<Rules>,
}

impl Affixes {
    fn new(map: Map<Rules>) -> Affixes {
        let mut lengths: Vec<usize> = map.keys().map(|text| text.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Affixes { lengths, map }
    }
}
