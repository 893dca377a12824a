//! States that decide when a window has ended.
//!
//! Whether something stayed *below* a number, and what an average or a percentile is, is known when all of a window
//! has been seen. A window begins with a group's first hit, not on the hour, and is as long as the time span; the
//! next one begins with the first hit after it. Only [`Waiting`] (`a and not b`) has a window for every hit, because
//! what must not be there says nothing about hits before the window.

use std::sync::Arc;

use vedette_event::EventId;

use super::{
    compile::{Absent, Fold},
    hit::Carried,
    sketch::Values,
    snapshot::{Reader, Snapshot, Writer},
    state::{Computed, Entry, Fired, Input, MAX_EVENTS, More, State, Step, named},
};
use crate::rule::Bounds;

/// Most events that a window keeps: the first ones, and the last.
const MAX_KEPT: usize = 64;
/// Most hits that wait in one group.
const MAX_WAITING: usize = 1_024;

type Carry<'a> = &'a mut dyn FnMut(&mut Writer, &Arc<Carried>);
type Recover<'a> = &'a mut dyn FnMut(&mut Reader<'_>) -> Snapshot<Arc<Carried>>;

/// Whom a group is about, for findings that are made without a hit at hand.
#[derive(Clone, Debug, PartialEq)]
struct About {
    values: Box<[Box<str>]>,
    /// Of the last hit.
    carried: Arc<Carried>,
}

impl About {
    fn new(values: &[&str], input: &Input<'_>) -> Self {
        About { values: values.iter().map(|value| Box::from(*value)).collect(), carried: input.carried.clone() }
    }

    fn cost(&self) -> usize {
        self.values.iter().map(|value| 32 + value.len()).sum::<usize>() + self.carried.cost()
    }

    fn write(&self, out: &mut Writer, carry: Carry<'_>) {
        out.count(self.values.len());
        self.values.iter().for_each(|value| out.text(value));
        carry(out, &self.carried);
    }

    fn read(from: &mut Reader<'_>, carry: Recover<'_>) -> Snapshot<Self> {
        let count = from.count(8)?;
        let values = (0..count).map(|_| Ok(Box::from(from.text()?))).collect::<Snapshot<_>>()?;
        Ok(About { values, carried: carry(from)? })
    }
}

/// A window that is open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) start: i64,
    about: About,
    folded: Folded,
    events: Vec<EventId>,
    last: Entry,
}

/// What came of the hits so far.
#[derive(Clone, Debug, PartialEq)]
enum Folded {
    Count(u64),
    /// Sorted hashes. Beyond the highest number that is compared with, more of them say nothing.
    Distinct(Vec<u128>),
    Sum {
        sum: f64,
        count: u64,
    },
    Values(Values),
    /// A bit for each rule.
    Seen(u64),
}

impl Folded {
    fn new(fold: &Fold) -> Folded {
        match fold {
            Fold::Count => Folded::Count(0),
            Fold::Distinct { .. } => Folded::Distinct(Vec::new()),
            Fold::Sum | Fold::Average => Folded::Sum { sum: 0.0, count: 0 },
            Fold::Percentile(_) => Folded::Values(Values::Exact(Vec::new())),
            Fold::Seen => Folded::Seen(0),
        }
    }

    /// True if from now on it is less exact.
    fn add(&mut self, fold: &Fold, input: &Input<'_>) -> bool {
        let mut cut = false;
        match (self, input.values) {
            (Folded::Count(count), _) => *count = count.saturating_add(1),
            (Folded::Seen(members), _) => *members |= 1 << (input.member % 64),
            (Folded::Distinct(known), Computed::Distinct(values)) => {
                let Fold::Distinct { enough } = fold else { return false };
                for value in values {
                    if let Err(at) = known.binary_search(value)
                        && known.len() < *enough
                    {
                        known.insert(at, *value);
                    }
                }
            }
            (Folded::Sum { sum, count }, Computed::Numbers(numbers)) => {
                *sum = numbers.iter().fold(*sum, |sum, number| sum + number);
                *count = count.saturating_add(numbers.len() as u64);
            }
            (Folded::Values(known), Computed::Numbers(numbers)) => {
                numbers.iter().for_each(|number| cut |= known.add(*number));
            }
            _ => {}
        }
        cut
    }
}

impl Window {
    pub(super) fn step(
        state: &mut Option<State>,
        fold: &Fold,
        timespan: i64,
        values: &[&str],
        input: &Input<'_>,
    ) -> Step {
        let (mut window, timer) = match state.take() {
            Some(State::Window(window)) => (window, None),
            _ => {
                let start = input.entry.time;
                let window = Window {
                    start,
                    about: About::new(values, input),
                    folded: Folded::new(fold),
                    events: Vec::new(),
                    last: input.entry,
                };
                (Box::new(window), Some(start.saturating_add(timespan)))
            }
        };
        let cut = window.folded.add(fold, input);
        window.about.carried = input.carried.clone();
        window.last = input.entry;
        let room = MAX_KEPT.saturating_sub(window.events.len());
        window.events.extend([input.entry.event()].iter().chain(input.more).take(room));
        *state = Some(State::Window(window));
        Step { fired: None, timer, cut }
    }

    pub(super) fn decide(self, bounds: &(Bounds, Fold), timespan: i64) -> Option<Fired> {
        let (bounds, fold) = bounds;
        let value = match (&self.folded, fold) {
            (Folded::Count(count), _) => *count as f64,
            (Folded::Distinct(known), _) => known.len() as f64,
            (Folded::Sum { sum, count }, Fold::Average) => sum / (*count).max(1) as f64,
            (Folded::Sum { sum, .. }, _) => *sum,
            (Folded::Values(values), Fold::Percentile(percent)) => values.percentile(*percent),
            (Folded::Values(_), _) => return None,
            (Folded::Seen(members), _) => f64::from(members.count_ones()),
        };
        let last = self.last.event();
        bounds.hold(value).then(|| Fired {
            start: self.start,
            end: self.start.saturating_add(timespan),
            events: named(self.events.into_iter().chain([last]), last),
            carried: self.about.carried,
            values: Some(self.about.values),
        })
    }

    pub(super) fn last(&self) -> i64 {
        self.last.time
    }

    pub(super) fn cost(&self) -> usize {
        let folded = match &self.folded {
            Folded::Count(_) | Folded::Sum { .. } | Folded::Seen(_) => 0,
            Folded::Distinct(known) => known.len() * 32,
            Folded::Values(values) => values.cost(),
        };
        // The timer is kept beside it.
        256 + self.about.cost() + folded + self.events.len() * 32
    }

    pub(super) fn write(&self, out: &mut Writer, carry: Carry<'_>) {
        out.i64(self.start);
        self.about.write(out, carry);
        match &self.folded {
            Folded::Count(count) => out.u64(*count),
            Folded::Distinct(known) => {
                out.count(known.len());
                known.iter().for_each(|hash| out.bytes(&hash.to_le_bytes()));
            }
            Folded::Sum { sum, count } => {
                out.f64(*sum);
                out.u64(*count);
            }
            Folded::Values(values) => values.write(out),
            Folded::Seen(members) => out.u64(*members),
        }
        out.count(self.events.len());
        self.events.iter().for_each(|event| out.event(*event));
        self.last.write(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, fold: &Fold, carry: Recover<'_>) -> Snapshot<Self> {
        let start = from.i64()?;
        let about = About::read(from, carry)?;
        let folded = match fold {
            Fold::Count => Folded::Count(from.u64()?),
            Fold::Distinct { .. } => {
                let count = from.count(16)?;
                let hashes = (0..count).map(|_| Ok(u128::from_le_bytes(from.array()?)));
                let mut known = hashes.collect::<Snapshot<Vec<_>>>()?;
                known.sort_unstable();
                Folded::Distinct(known)
            }
            Fold::Sum | Fold::Average => Folded::Sum { sum: from.f64()?, count: from.u64()? },
            Fold::Percentile(_) => Folded::Values(Values::read(from)?),
            Fold::Seen => Folded::Seen(from.u64()?),
        };
        let count = from.count(12)?;
        if count > MAX_KEPT {
            return from.damaged();
        }
        let events = (0..count).map(|_| from.event()).collect::<Snapshot<_>>()?;
        Ok(Window { start, about, folded, events, last: Entry::read(from)? })
    }
}

/// Hits in their order. The first one's window is the next that ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    about: About,
    hits: Vec<(u8, Entry)>,
    more: More,
}

impl Waiting {
    pub(super) fn step(state: &mut Option<State>, timespan: i64, values: &[&str], input: &Input<'_>) -> Step {
        let (mut waiting, new) = match state.take() {
            Some(State::Waiting(waiting)) => (waiting, false),
            _ => {
                let about = About::new(values, input);
                (Box::new(Waiting { about, hits: Vec::new(), more: More::default() }), true)
            }
        };
        // With too many, the newest is left out: windows that have begun keep what they saw.
        let cut = waiting.hits.len() >= MAX_WAITING;
        if !cut {
            waiting.hits.push((input.member as u8, input.entry));
            waiting.more.add(input);
            waiting.about.carried = input.carried.clone();
        }
        let timer = new.then(|| waiting.first().saturating_add(timespan));
        *state = Some(State::Waiting(waiting));
        Step { fired: None, timer, cut }
    }

    /// The first hit's window has ended: what remains, and what was found.
    pub(super) fn decide(mut self, condition: &Absent, timespan: i64) -> (Option<Waiting>, Option<Fired>) {
        let start = self.first();
        let end = start.saturating_add(timespan);
        let inside = self.hits.partition_point(|(_, entry)| entry.time <= end);
        if condition.holds(&self.hits[..inside]) {
            let events = self.hits[..inside].iter().map(|(_, entry)| entry.event()).chain(self.more.events());
            let last = self.hits[inside.saturating_sub(1)].1.event();
            let events = named(events.take(4 * MAX_EVENTS), last);
            let fired = Fired {
                start,
                end,
                events,
                carried: self.about.carried.clone(),
                values: Some(self.about.values.clone()),
            };
            self.hits.drain(..inside);
            self.more.forget_before(end.saturating_add(1));
            return ((!self.hits.is_empty()).then_some(self), Some(fired));
        }
        self.hits.remove(0);
        let next = self.first();
        self.more.forget_before(next);
        ((!self.hits.is_empty()).then_some(self), None)
    }

    pub(super) fn first(&self) -> i64 {
        self.hits.first().map_or(i64::MAX, |(_, entry)| entry.time)
    }

    pub(super) fn last(&self) -> i64 {
        self.hits.last().map_or(i64::MIN, |(_, entry)| entry.time)
    }

    pub(super) fn cost(&self) -> usize {
        256 + self.about.cost() + self.hits.len() * 64 + self.more.cost()
    }

    pub(super) fn write(&self, out: &mut Writer, carry: Carry<'_>) {
        self.about.write(out, carry);
        out.count(self.hits.len());
        for (member, entry) in &self.hits {
            out.u8(*member);
            entry.write(out);
        }
        self.more.write(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, members: usize, carry: Recover<'_>) -> Snapshot<Self> {
        let about = About::read(from, carry)?;
        let count = from.count(1 + Entry::WRITTEN)?;
        if count == 0 || count > MAX_WAITING {
            return from.damaged();
        }
        let mut hits = (0..count).map(|_| Ok((from.u8()?, Entry::read(from)?))).collect::<Snapshot<Vec<_>>>()?;
        if hits.iter().any(|(member, _)| usize::from(*member) >= members) {
            return from.damaged();
        }
        hits.sort_by_key(|(_, entry)| entry.time);
        Ok(Waiting { about, hits, more: More::read(from)? })
    }
}
