//! States that decide with each hit: what was seen in the time span before it.
//!
//! When the condition holds, the hits that made it are used up: the group begins anew with the next hit. So each
//! hit is in one finding of a correlation and group at most, and an attack that goes on is found again and again,
//! but not with every further event.

use std::collections::VecDeque;

use vedette_event::EventId;

use super::{
    snapshot::{Reader, Snapshot, Writer},
    state::{Computed, Entry, Fired, Input, More, State, Step, named},
};
use crate::{check::Tree, rule::Bounds};

/// Most terms of a sum that are kept one by one.
const MAX_TERMS: usize = 1_024;
/// Then, terms in the same part of the time span are added up.
const PARTS: i64 = 512;

/// Hits of the last time span, each with something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recent<T> {
    entries: VecDeque<(Entry, T)>,
    more: More,
}

impl<T> Recent<T> {
    fn new() -> Self {
        Recent { entries: VecDeque::new(), more: More::default() }
    }

    pub(super) fn last(&self) -> i64 {
        self.entries.back().map_or(i64::MIN, |(entry, _)| entry.time)
    }

    pub(super) fn cost(&self) -> usize {
        80 + self.entries.len() * 2 * size_of::<(Entry, T)>() + self.more.cost()
    }

    fn forget_before(&mut self, time: i64) {
        while self.entries.front().is_some_and(|(entry, _)| entry.time < time) {
            self.entries.pop_front();
        }
        self.more.forget_before(time);
    }

    fn fired(&self, input: &Input<'_>) -> Fired {
        let events = self.entries.iter().map(|(entry, _)| entry.event()).chain(self.more.events());
        Fired {
            start: self.entries.front().map_or(input.entry.time, |(entry, _)| entry.time),
            end: input.entry.time,
            events: named(events, input.entry.event()),
            carried: input.carried.clone(),
            values: None,
        }
    }

    pub(super) fn write(&self, out: &mut Writer, kind: u8, each: impl Fn(&T, &mut Writer)) {
        out.u8(kind);
        out.count(self.entries.len());
        for (entry, thing) in &self.entries {
            entry.write(out);
            each(thing, out);
        }
        self.more.write(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, each: impl Fn(&mut Reader<'_>) -> Snapshot<T>) -> Snapshot<Self> {
        let count = from.count(Entry::WRITTEN)?;
        if count == 0 {
            return from.damaged();
        }
        let mut recent = Recent::new();
        for _ in 0..count {
            let entry = Entry::read(from)?;
            recent.entries.push_back((entry, each(from)?));
        }
        recent.more = More::read(from)?;
        Ok(recent)
    }
}

impl Recent<()> {
    /// So many hits. No more of them than the threshold are ever kept.
    pub(super) fn count(state: &mut Option<State>, least: usize, timespan: i64, input: &Input<'_>) -> Step {
        let since = input.entry.time.saturating_sub(timespan);
        let mut recent = match state.take() {
            Some(State::Count(recent)) => recent,
            Some(State::One(entry)) if entry.time >= since => {
                Box::new(Recent { entries: [(entry, ())].into(), more: More::default() })
            }
            _ if least > 1 && input.more.is_empty() => {
                *state = Some(State::One(input.entry));
                return Step::default();
            }
            _ => Box::new(Recent::new()),
        };
        recent.forget_before(since);
        recent.entries.push_back((input.entry, ()));
        recent.more.add(input);
        if recent.entries.len() >= least {
            return Step { fired: Some(recent.fired(input)), ..Step::default() };
        }
        *state = Some(match recent.entries.make_contiguous() {
            [(entry, ())] if input.more.is_empty() => State::One(*entry),
            _ => State::Count(recent),
        });
        Step::default()
    }
}

impl Recent<u128> {
    /// So many distinct values: the last hit of each is kept.
    pub(super) fn distinct(state: &mut Option<State>, least: usize, timespan: i64, input: &Input<'_>) -> Step {
        let Computed::Distinct(values) = input.values else { return Step::default() };
        let mut recent = match state.take() {
            Some(State::Distinct(recent)) => recent,
            _ => Box::new(Recent::new()),
        };
        recent.forget_before(input.entry.time.saturating_sub(timespan));
        recent.more.add(input);
        for value in values {
            if let Some(at) = recent.entries.iter().position(|(_, known)| known == value) {
                recent.entries.remove(at);
            }
            recent.entries.push_back((input.entry, *value));
        }
        if recent.entries.len() >= least {
            return Step { fired: Some(recent.fired(input)), ..Step::default() };
        }
        *state = Some(State::Distinct(recent));
        Step::default()
    }
}

impl Recent<f64> {
    /// The sum, added up in the order of the hits each time, so that it does not drift.
    pub(super) fn sum(state: &mut Option<State>, bounds: &Bounds, timespan: i64, input: &Input<'_>) -> Step {
        let Computed::Numbers(numbers) = input.values else { return Step::default() };
        let mut recent = match state.take() {
            Some(State::Sum(recent)) => recent,
            _ => Box::new(Recent::new()),
        };
        recent.forget_before(input.entry.time.saturating_sub(timespan));
        recent.more.add(input);
        recent.entries.extend(numbers.iter().map(|number| (input.entry, *number)));
        let sum: f64 = recent.entries.iter().map(|(_, number)| number).sum();
        if bounds.hold(sum) {
            return Step { fired: Some(recent.fired(input)), ..Step::default() };
        }
        let cut = recent.entries.len() > MAX_TERMS;
        if cut {
            recent.join(timespan);
        }
        *state = Some(State::Sum(recent));
        Step { cut, ..Step::default() }
    }

    /// Adds up the terms of each part of the time span. A sum keeps the time of its last term, so that no term
    /// leaves too early, and none more than a part too late.
    fn join(&mut self, timespan: i64) {
        let part = |entry: &Entry| entry.time.div_euclid((timespan / PARTS).max(1));
        let mut joined: VecDeque<(Entry, f64)> = VecDeque::new();
        for (entry, number) in self.entries.drain(..) {
            match joined.back_mut() {
                Some((last, sum)) if part(last) == part(&entry) => {
                    *last = entry;
                    *sum += number;
                }
                _ => joined.push_back((entry, number)),
            }
        }
        self.entries = joined;
    }
}

/// The last hit of each rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    entries: Vec<(u8, Entry)>,
    more: More,
}

impl Seen {
    /// Which of the rules were seen, and whether that is enough.
    pub(super) fn step(state: &mut Option<State>, condition: &Tree<usize>, timespan: i64, input: &Input<'_>) -> Step {
        let mut seen = match state.take() {
            Some(State::Seen(seen)) => seen,
            _ => Box::new(Seen { entries: Vec::new(), more: More::default() }),
        };
        let since = input.entry.time.saturating_sub(timespan);
        let member = input.member as u8;
        seen.entries.retain(|(known, entry)| *known != member && entry.time >= since);
        seen.entries.push((member, input.entry));
        seen.more.forget_before(since);
        seen.more.add(input);
        if condition.eval(&mut |member| seen.entries.iter().any(|(known, _)| usize::from(*known) == *member)) {
            let events = seen.entries.iter().map(|(_, entry)| entry.event()).chain(seen.more.events());
            let start = seen.entries.iter().map(|(_, entry)| entry.time).min().unwrap_or(input.entry.time);
            let events = named(events, input.entry.event());
            let (end, carried) = (input.entry.time, input.carried.clone());
            return Step { fired: Some(Fired { start, end, events, carried, values: None }), ..Step::default() };
        }
        *state = Some(State::Seen(seen));
        Step::default()
    }

    pub(super) fn last(&self) -> i64 {
        self.entries.iter().map(|(_, entry)| entry.time).max().unwrap_or(i64::MIN)
    }

    pub(super) fn cost(&self) -> usize {
        80 + self.entries.len() * 2 * size_of::<(u8, Entry)>() + self.more.cost()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.entries.len());
        for (member, entry) in &self.entries {
            out.u8(*member);
            entry.write(out);
        }
        self.more.write(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, members: usize) -> Snapshot<Self> {
        let count = from.count(1 + Entry::WRITTEN)?;
        if count == 0 || count > members {
            return from.damaged();
        }
        let entries = (0..count).map(|_| Ok((from.u8()?, Entry::read(from)?))).collect::<Snapshot<Vec<_>>>()?;
        if entries.iter().any(|(member, _)| usize::from(*member) >= members) {
            return from.damaged();
        }
        Ok(Seen { entries, more: More::read(from)? })
    }
}

/// For each number of steps, the way through them that began last: no other can still be finished when it cannot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    ways: Vec<Option<Vec<Entry>>>,
    more: More,
    last: i64,
}

impl Chain {
    /// One rule after another. An event that two rules match does not follow itself.
    pub(super) fn step(state: &mut Option<State>, steps: &[usize], timespan: i64, input: &Input<'_>) -> Step {
        let Some(at) = steps.iter().position(|member| *member == input.member) else { return Step::default() };
        let mut chain = match state.take() {
            Some(State::Chain(chain)) => chain,
            _ => Box::new(Chain { ways: vec![None; steps.len()], more: More::default(), last: 0 }),
        };
        let since = input.entry.time.saturating_sub(timespan);
        let began = |way: &Vec<Entry>| way.first().map_or(i64::MIN, |entry| entry.time);
        for way in &mut chain.ways {
            if way.as_ref().is_some_and(|way| began(way) < since) {
                *way = None;
            }
        }
        chain.more.forget_before(since);
        let before = match at {
            0 => Some(Vec::new()),
            _ => chain.ways[at - 1]
                .clone()
                .filter(|way| way.last().is_none_or(|last| last.event() != input.entry.event())),
        };
        if let Some(mut way) = before {
            way.push(input.entry);
            chain.ways[at] = Some(way);
            chain.more.add(input);
            chain.last = input.entry.time;
        }
        if let Some(Some(way)) = chain.ways.get(steps.len() - 1) {
            let events: Vec<EventId> = way.iter().map(|entry| entry.event()).chain(chain.more.events()).collect();
            let fired = Fired {
                start: began(way),
                end: input.entry.time,
                events: named(events.into_iter(), input.entry.event()),
                carried: input.carried.clone(),
                values: None,
            };
            return Step { fired: Some(fired), ..Step::default() };
        }
        *state = chain.ways.iter().any(Option::is_some).then_some(State::Chain(chain));
        Step::default()
    }

    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn cost(&self) -> usize {
        let entries: usize = self.ways.iter().flatten().map(Vec::len).sum();
        96 + self.ways.len() * 32 + entries * 2 * size_of::<Entry>() + self.more.cost()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for way in &self.ways {
            out.u8(u8::from(way.is_some()));
            way.iter().flatten().for_each(|entry| entry.write(out));
        }
        self.more.write(out);
        out.i64(self.last);
    }

    pub(super) fn read(from: &mut Reader<'_>, steps: usize) -> Snapshot<Self> {
        let mut ways = Vec::new();
        for length in 1..=steps {
            ways.push(match from.u8()? {
                0 => None,
                1 => Some((0..length).map(|_| Entry::read(from)).collect::<Snapshot<Vec<_>>>()?),
                _ => return from.damaged(),
            });
        }
        Ok(Chain { ways, more: More::read(from)?, last: from.i64()? })
    }
}
