//! What matching needs besides the program: memory that is kept from batch to batch, one for each thread.

use std::{
    borrow::Cow,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use vedette_event::{Batch, Event, Value};

use super::{
    Check, CheckId, Program,
    evidence::{Evidence, collect},
    layout::From,
    memo::Memo,
    names::Numbers,
    part::Part,
    partition::Implied,
    read::Reader,
    route::Routes,
    shape::Shapes,
    truths::Truths,
    view::View,
};
use crate::check::Test;

/// Bytes of remembered verdicts.
const MEMO_BYTES: usize = 8 << 20;

/// The working memory of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) numbers: Numbers,
    shapes: Shapes,
    routes: Routes,
    /// By the partition's number.
    parts: Vec<Option<Box<Part>>>,
    reader: Reader,
    /// What was decided, by layout and outcomes: how many candidates there were and which, and for each rule that
    /// matches its number, how many pieces of evidence there are, and these.
    verdicts: Memo<u32>,
    /// Layouts that were made.
    layouts: u64,
    truths: Truths,
    candidates: Vec<u32>,
    /// The decision that a rule was last a candidate in.
    seen: Vec<u32>,
    decisions: u32,
    /// Places of the event's fields that the partition knows.
    places: Vec<u32>,
    /// The outcomes of what is read of it, and of comparisons.
    outcomes: Vec<u32>,
    /// A number as text.
    written: String,
    /// How many are of values.
    of_values: usize,
    verdict: Vec<u32>,
    /// What matches the event.
    pub(super) matches: Matches,
}

/// Rules that match an event, each with its evidence.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The rule, and where its evidence begins and ends.
    rules: Vec<(u32, u32, u32)>,
    evidence: Vec<Evidence>,
}

impl Matches {
    fn clear(&mut self) {
        self.rules.clear();
        self.evidence.clear();
    }

    fn add(&mut self, rule: u32, evidence: impl Iterator<Item = Evidence>) {
        let start = self.evidence.len() as u32;
        self.evidence.extend(evidence);
        self.rules.push((rule, start, self.evidence.len() as u32));
    }

    /// Adds what matched an event like this one.
    fn repeat(&mut self, verdict: &[u32], places: &[u32], tried: &mut impl FnMut(usize)) {
        let (candidates, mut rest) = counted(verdict);
        candidates.iter().for_each(|rule| tried(*rule as usize));
        while let [rule, others @ ..] = rest {
            let (evidence, others) = counted(others);
            self.add(*rule, evidence.iter().map(|number| Evidence::from_number(*number).by_place(places)));
            rest = others;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// In the order of the rules.
    pub(super) fn sorted(&mut self) -> impl ExactSizeIterator<Item = (u32, &[Evidence])> {
        self.rules.sort_unstable();
        self.rules.iter().map(|(rule, start, end)| (*rule, &self.evidence[*start as usize..*end as usize]))
    }
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        let (numbers, shapes, routes, parts, layouts, truths, candidates, seen, decisions) = Default::default();
        let (places, outcomes, written, of_values, verdict, matches) = Default::default();
        let (reader, verdicts) = (Reader::new(), Memo::new(MEMO_BYTES));
        Scratch {
            numbers,
            shapes,
            routes,
            parts,
            reader,
            verdicts,
            layouts,
            truths,
            candidates,
            seen,
            decisions,
            places,
            outcomes,
            written,
            of_values,
            verdict,
            matches,
        }
    }

    pub(super) fn begin(&mut self, program: &Program, batch: &Batch) {
        self.numbers.read(&program.names, batch);
        self.shapes.begin(batch);
    }

    /// Begins an event; gives its partitions.
    pub(super) fn next(&mut self, program: &Program, event: Event<'_>) -> Arc<[u32]> {
        self.matches.clear();
        if self.reader.begin() {
            self.verdicts.clear();
        }
        let Scratch { shapes, routes, numbers, truths, .. } = self;
        let places = shapes.routing(&program.names, numbers, event);
        routes.of(numbers, event, places, || {
            truths.begin(program.checks.len());
            program.partitions_of(&View::new(program, event, truths))
        })
    }

    /// Finds out which rules of a partition match an event. `tried` is told of each whose condition had to be asked, now
    /// or of an event like this one.
    pub(super) fn run(&mut self, program: &Program, partition: u32, event: Event<'_>, tried: &mut impl FnMut(usize)) {
        let at = partition as usize;
        if self.parts.len() <= at {
            self.parts.resize_with(at + 1, || None);
        }
        let mut part =
            self.parts[at].take().unwrap_or_else(|| Box::new(Part::new(program, program.partition(partition))));
        let layout = self.read(program, &mut part, event);
        match layout {
            Some(layout) => match self.verdicts.get(layout, &self.outcomes) {
                Some(verdict) => self.matches.repeat(verdict, &self.places, tried),
                None => {
                    self.decide(program, &mut part, event, tried);
                    self.verdicts.put(layout, &self.outcomes, &self.verdict);
                }
            },
            None => self.decide(program, &mut part, event, tried),
        }
        self.parts[at] = Some(part);
    }

    /// Reads an event's values: their outcomes, and the number of its layout, if that is remembered.
    fn read(&mut self, program: &Program, part: &mut Part, event: Event<'_>) -> Option<u64> {
        let Scratch { numbers, shapes, places, layouts: made, outcomes, reader, written, .. } = self;
        let Part { partition, layouts, keywords, .. } = part;
        let number = shapes.layout(layouts, partition, numbers, event, places, made);
        let (layout, feeds) = layouts.get(number);
        outcomes.clear();
        for read in &layout.reads {
            let feed = (read.feed, &mut feeds[read.feed as usize]);
            let text = text(event, places, read.from, written);
            outcomes.push(reader.read(program, partition, feed, &text));
        }
        if !partition.keywords.is_empty() {
            outcomes.push(reader.keywords(program, partition, keywords, event));
        }
        self.of_values = outcomes.len();
        for comparison in &layout.comparisons {
            let Test::Field { relation, cased, .. } = &program.checks[comparison.check as usize].test else { continue };
            let mut second = String::new();
            let mut holds = |value: &From| {
                let value = text(event, places, *value, written);
                let mut others = comparison.others.iter();
                others.any(|other| relation.holds_between(&value, &text(event, places, *other, &mut second), *cased))
            };
            // Which value it is tells what speaks for a match.
            outcomes.push(comparison.values.iter().position(&mut holds).map_or(0, |at| at as u32 + 1));
        }
        layout.id
    }

    /// Decides about an event by what its values' outcomes are, and keeps that as a verdict.
    fn decide(&mut self, program: &Program, part: &mut Part, event: Event<'_>, tried: &mut impl FnMut(usize)) {
        part.event(program);
        self.candidates.clear();
        self.seen.resize(program.rules.len(), 0);
        self.decisions = self.decisions.wrapping_add(1);
        if self.decisions == 0 {
            self.seen.fill(0);
            self.decisions = 1;
        }
        self.truths.begin(program.checks.len());
        let now = self.decisions;
        let mut candidate = |rules: &[u32]| {
            for &rule in rules {
                if mem::replace(&mut self.seen[rule as usize], now) != now {
                    self.candidates.push(rule);
                }
            }
        };
        candidate(&part.witnesses.always);
        for outcome in &self.outcomes[..self.of_values] {
            for &local in self.reader.outcomes.get(*outcome) {
                let check = part.partition.checks[local as usize];
                if self.truths.known(check).is_none() {
                    self.truths.set(check, true);
                    part.hit(local);
                    candidate(part.witnesses.of(local));
                }
            }
        }
        self.truths.read();
        self.candidates.sort_unstable();
        let Scratch { verdict, candidates, truths, matches, places, .. } = self;
        verdict.clear();
        verdict.push(candidates.len() as u32);
        verdict.extend_from_slice(candidates);
        let view = View::new(program, event, truths);
        for &rule in candidates.iter() {
            tried(rule as usize);
            if let Some(evidence) = ask(program, rule, &view, truths) {
                verdict.extend([rule, evidence.len() as u32]);
                verdict.extend(evidence.iter().map(|evidence| evidence.by_field(places).to_number()));
                matches.add(rule, evidence.into_iter());
            }
        }
    }
}

/// A value of an event; a number is written over what `written` held.
fn text<'a>(event: Event<'a>, places: &[u32], from: From, written: &'a mut String) -> Cow<'a, str> {
    match from {
        From::Field(field) => match event.value_at(places[field as usize] as usize) {
            Value::Int(int) => {
                written.clear();
                written.push_str(itoa::Buffer::new().format(int));
                Cow::Borrowed(written)
            }
            other => other.to_text(),
        },
        From::Implied(Implied::Time) => Cow::Owned(event.time().to_string()),
        From::Implied(Implied::Original) => String::from_utf8_lossy(event.raw()),
    }
}

/// A list that begins with its length, and what comes after it.
fn counted(numbers: &[u32]) -> (&[u32], &[u32]) {
    numbers.split_first().map_or((&[], &[]), |(count, rest)| rest.split_at(*count as usize))
}

/// What makes a rule match, if it does, given the truths of all checks of single values.
fn ask(program: &Program, rule: u32, view: &View<'_, '_>, truths: &Truths) -> Option<Vec<Evidence>> {
    let rule = &program.rules[rule as usize];
    let of_event = |check: CheckId| match &program.checks[check as usize] {
        Check { test: Test::Null | Test::Exists | Test::Field { .. }, .. } => view.truth(check),
        _ => false,
    };
    if !rule.code.run(|check| truths.is_true(check), of_event) {
        return None;
    }
    let mut evidence = Vec::new();
    collect(program, &rule.condition, view, &mut evidence);
    Some(evidence)
}

/// The working memories that no thread uses at present.
#[derive(Debug, Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    pub(super) fn take(&self) -> Scratch {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(Scratch::new)
    }

    pub(super) fn give(&self, scratch: Scratch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}
