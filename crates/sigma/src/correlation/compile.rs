//! From correlation rules to what runs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use vedette_event::RuleRef;

use super::{Correlations, Options, clock::Clock, groups::Groups, hit::Need, state::Entry};
use crate::{
    check::Tree,
    mapping::Mapping,
    program::Program,
    rule::{Bounds, Correlation, Kind, Logsource, Refused},
    yaml::Place,
};

/// How a correlation decides.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// With each hit, over the time span before it.
    Count {
        least: usize,
    },
    Distinct {
        least: usize,
    },
    Sum {
        bounds: Bounds,
    },
    Seen {
        condition: Tree<usize>,
    },
    Chain {
        steps: Vec<usize>,
    },
    /// At the end of a window.
    Window {
        fold: Fold,
        bounds: (Bounds, Fold),
    },
    Waiting {
        condition: Absent,
    },
}

/// What a window computes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fold {
    Count,
    Distinct { enough: usize },
    Sum,
    Average,
    Percentile(f64),
    Seen,
}

/// A condition with something that must not be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Absent {
    Boolean(Tree<usize>),
    Ordered { steps: Vec<usize>, never: Vec<usize> },
}

impl Absent {
    /// Whether it holds for the hits of one window, which are in order.
    pub(super) fn holds(&self, hits: &[(u8, Entry)]) -> bool {
        match self {
            Absent::Boolean(tree) => {
                tree.eval(&mut |member| hits.iter().any(|(known, _)| usize::from(*known) == *member))
            }
            Absent::Ordered { steps, never } => {
                if hits.iter().any(|(member, _)| never.contains(&usize::from(*member))) {
                    return false;
                }
                let mut missing = steps.iter();
                let mut next = missing.next();
                let mut before = None;
                for (member, entry) in hits {
                    if next == Some(&usize::from(*member)) && before != Some(entry.event()) {
                        before = Some(entry.event());
                        next = missing.next();
                    }
                }
                next.is_none()
            }
        }
    }
}

impl Plan {
    fn of(kind: &Kind, members: usize) -> Plan {
        let window = |fold: Fold, bounds: &Bounds| Plan::Window { bounds: (bounds.clone(), fold.clone()), fold };
        match kind {
            Kind::EventCount(bounds) if bounds.only_from_below() => Plan::Count { least: bounds.least() },
            Kind::EventCount(bounds) => window(Fold::Count, bounds),
            Kind::ValueCount { bounds, .. } if bounds.only_from_below() => Plan::Distinct { least: bounds.least() },
            Kind::ValueCount { bounds, .. } => window(Fold::Distinct { enough: bounds.highest() as usize + 1 }, bounds),
            Kind::Sum { bounds, .. } if bounds.only_from_below() => Plan::Sum { bounds: bounds.clone() },
            Kind::Sum { bounds, .. } => window(Fold::Sum, bounds),
            Kind::Average { bounds, .. } => window(Fold::Average, bounds),
            Kind::Percentile { percent, bounds, .. } => window(Fold::Percentile(*percent), bounds),
            Kind::Seen(bounds) if bounds.only_from_below() => {
                Plan::Seen { condition: Tree::AtLeast(bounds.least(), (0..members).map(Tree::Leaf).collect()) }
            }
            Kind::Seen(bounds) => window(Fold::Seen, bounds),
            Kind::Boolean(tree) if has_not(tree) => Plan::Waiting { condition: Absent::Boolean(tree.clone()) },
            Kind::Boolean(tree) => Plan::Seen { condition: tree.clone() },
            Kind::Ordered { steps, never } if never.is_empty() => Plan::Chain { steps: steps.clone() },
            Kind::Ordered { steps, never } => {
                Plan::Waiting { condition: Absent::Ordered { steps: steps.clone(), never: never.clone() } }
            }
        }
    }
}

fn has_not(tree: &Tree<usize>) -> bool {
    match tree {
        Tree::Leaf(_) => false,
        Tree::Not(_) => true,
        Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => children.iter().any(has_not),
    }
}

/// A correlation as it runs.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) reference: Arc<RuleRef>,
    pub(super) plan: Plan,
    pub(super) timespan: i64,
    pub(super) group_by: Vec<String>,
    pub(super) group_slots: Vec<u32>,
    pub(super) value_slots: Vec<u32>,
    pub(super) numeric: bool,
    pub(super) members: usize,
    /// The correlations that this one is a member of, and which.
    pub(super) above: Vec<(u32, usize)>,
    /// Its findings are only for the correlations above it.
    pub(super) silent: bool,
    /// Tells it from any other, and from itself before a change that its state would not survive.
    pub(super) digest: [u8; 16],
}

/// A rule that correlations are made of.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) id: String,
    pub(super) needs: Vec<Need>,
    /// The correlations it is a member of, and which.
    pub(super) above: Vec<(u32, usize)>,
}

/// A slot of one correlation: a field as it names it.
pub(super) type SlotName = (String, String);

impl Correlations {
    /// Compiles correlations over the rules of a program, for the mapping that the program was compiled for.
    /// Refused are correlations over rules that the program does not have.
    pub fn compile(
        correlations: Vec<Correlation>,
        program: &Program,
        mapping: &Mapping,
        options: Options,
    ) -> (Correlations, Vec<Refused>) {
        let logsources: HashMap<&str, &Logsource> =
            program.rules().map(|(rule, logsource)| (rule.id.as_str(), logsource)).collect();
        let mut refused = Vec::new();
        let mut usable: Vec<Correlation> = Vec::new();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for correlation in correlations {
            let known = |id: &str| logsources.contains_key(id) || numbers.contains_key(id);
            if let Some(member) = correlation.members.iter().find(|member| !known(&member.id)) {
                let reason = format!("its rule `{}` is not among those that run", member.name);
                refused.push(Refused::named(&correlation.file, &correlation.reference, member.place, reason));
                continue;
            }
            let id = correlation.reference.id.clone();
            if logsources.contains_key(id.as_str()) || numbers.contains_key(&id) {
                let place = Place { line: correlation.line, column: 1 };
                let reason = "its id is already taken";
                refused.push(Refused::named(&correlation.file, &correlation.reference, place, reason));
                continue;
            }
            numbers.insert(id, usable.len() as u32);
            usable.push(correlation);
        }
        let mut builder = Builder {
            all: &usable,
            numbers: &numbers,
            logsources: &logsources,
            mapping,
            slots: Vec::new(),
            rules: Vec::new(),
            rule_numbers: HashMap::new(),
        };
        let mut compiled: Vec<Compiled> = Vec::new();
        for number in 0..usable.len() {
            let one = builder.correlation(number, &mut compiled);
            compiled.push(one);
        }
        let (slots, rules, rule_numbers) = (builder.slots, builder.rules, builder.rule_numbers);
        // Who is only part of something says nothing himself, unless that something is to `generate`.
        let mut heard: BTreeSet<&str> = BTreeSet::new();
        let mut parts: BTreeSet<&str> = BTreeSet::new();
        for correlation in &usable {
            parts.extend(correlation.members());
            if correlation.generate {
                heard.extend(correlation.members());
            }
        }
        let silent = parts.difference(&heard).map(|id| (*id).to_owned()).collect::<std::collections::HashSet<_>>();
        for one in &mut compiled {
            one.silent = silent.contains(&one.reference.id);
        }
        let groups = compiled.iter().map(|_| Groups::new()).collect();
        let counts = vec![super::Counts::default(); compiled.len()];
        let correlations = Correlations {
            compiled,
            rules,
            rule_numbers,
            slots,
            silent,
            options,
            arrivals: Default::default(),
            clock: Clock::new(),
            pending: std::collections::BTreeMap::new(),
            pending_bytes: 0,
            groups,
            timers: BTreeSet::new(),
            counts,
            bytes: 0,
        };
        (correlations, refused)
    }
}

struct Builder<'a> {
    all: &'a [Correlation],
    numbers: &'a HashMap<String, u32>,
    logsources: &'a HashMap<&'a str, &'a Logsource>,
    mapping: &'a Mapping,
    slots: Vec<SlotName>,
    rules: Vec<Fed>,
    rule_numbers: HashMap<String, u32>,
}

impl Builder<'_> {
    fn correlation(&mut self, number: usize, compiled: &mut [Compiled]) -> Compiled {
        let correlation = &self.all[number];
        let fields: &[String] = match &correlation.kind {
            Kind::ValueCount { fields, .. } => fields,
            Kind::Sum { field, .. } | Kind::Average { field, .. } | Kind::Percentile { field, .. } => {
                std::slice::from_ref(field)
            }
            _ => &[],
        };
        let group_slots = correlation.group_by.iter().map(|field| self.slot(number, field)).collect();
        let value_slots = fields.iter().map(|field| self.slot(number, field)).collect();
        for (member, named) in correlation.members.iter().enumerate() {
            let above = (number as u32, member);
            match self.numbers.get(&named.id) {
                Some(inner) => compiled[*inner as usize].above.push(above),
                None => {
                    let rule = self.rule(&named.id);
                    self.rules[rule].above.push(above);
                }
            }
        }
        let members: Vec<&str> = correlation.members().collect();
        let defined = (
            &correlation.reference.id,
            &correlation.kind,
            &members,
            &correlation.group_by,
            correlation.timespan,
            &correlation.aliases,
        );
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(format!("{defined:?}").as_bytes()).as_bytes()[..16]);
        Compiled {
            reference: Arc::new(correlation.reference.clone()),
            plan: Plan::of(&correlation.kind, correlation.members.len()),
            timespan: correlation.timespan,
            group_by: correlation.group_by.clone(),
            group_slots,
            value_slots,
            numeric: !matches!(correlation.kind, Kind::ValueCount { .. }),
            members: correlation.members.len(),
            above: Vec::new(),
            silent: false,
            digest,
        }
    }

    fn rule(&mut self, id: &str) -> usize {
        if let Some(number) = self.rule_numbers.get(id) {
            return *number as usize;
        }
        self.rule_numbers.insert(id.to_owned(), self.rules.len() as u32);
        self.rules.push(Fed { id: id.to_owned(), needs: Vec::new(), above: Vec::new() });
        self.rules.len() - 1
    }

    /// The slot of a field of a correlation: every rule below it is told to carry it.
    fn slot(&mut self, number: usize, field: &str) -> u32 {
        let name = (self.all[number].reference.id.clone(), field.to_owned());
        if let Some(known) = self.slots.iter().position(|known| *known == name) {
            return known as u32;
        }
        let slot = self.slots.len() as u32;
        self.slots.push(name);
        self.carry(number, field, slot);
        slot
    }

    /// Resolves a field by way of the aliases of the correlation and of those below it.
    fn carry(&mut self, number: usize, field: &str, slot: u32) {
        let correlation = &self.all[number];
        let alias = correlation.aliases.iter().find(|alias| alias.name == field);
        for (member, named) in correlation.members.iter().enumerate() {
            let called = alias.and_then(|alias| alias.fields.iter().find(|(known, _)| *known == member));
            let field = called.map_or(field, |(_, field)| field.as_str());
            if let Some(inner) = self.numbers.get(&named.id) {
                self.carry(*inner as usize, field, slot);
                continue;
            }
            let Some(logsource) = self.logsources.get(named.id.as_str()) else { continue };
            let names = self.mapping.view(logsource).names(field);
            let rule = self.rule(&named.id);
            let needs = &mut self.rules[rule].needs;
            // A rule that is below by two ways carries what the first one says.
            if !needs.iter().any(|need| need.slot == slot) {
                needs.push(Need { slot, names });
                needs.sort_by_key(|need| need.slot);
            }
        }
    }
}
