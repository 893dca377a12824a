//! What is kept of one group, and how a hit changes it.
//!
//! [`recent`](super::recent) has the states that decide with each hit, [`window`](super::window) those that decide
//! when a window has ended.

use std::sync::Arc;

use vedette_event::{EventId, SourceId};

use super::{
    compile::Plan,
    hit::Carried,
    recent::{Chain, Recent, Seen},
    snapshot::{Reader, Snapshot, Writer},
    window::{Waiting, Window},
};

/// Most events that a finding names: the first ones, and the last.
pub(super) const MAX_EVENTS: usize = 1_000;

/// One hit as groups keep it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) time: i64,
    seq: u64,
    source: u32,
    /// Always true. The values it never has are where [`State`] keeps its tag, so that a group of one hit takes 40
    /// bytes and not 48.
    mark: bool,
}

impl Entry {
    pub(super) fn new(time: i64, event: EventId) -> Self {
        Entry { time, seq: event.seq, source: event.source.0, mark: true }
    }

    pub(super) fn event(self) -> EventId {
        EventId { source: SourceId(self.source), seq: self.seq }
    }

    pub(super) fn write(self, out: &mut Writer) {
        out.i64(self.time);
        out.event(self.event());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Snapshot<Self> {
        let time = from.i64()?;
        Ok(Entry::new(time, from.event()?))
    }

    /// Bytes of an entry in a snapshot.
    pub(super) const WRITTEN: usize = 20;
}

/// A hit of a rule, or a finding of a correlation below, on its way into a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// Which of the correlation's rules it is.
    pub(super) member: usize,
    pub(super) entry: Entry,
    /// The other events of a finding of a correlation below.
    pub(super) more: &'a [EventId],
    pub(super) carried: &'a Arc<Carried>,
    pub(super) values: Computed<'a>,
}

/// What of a hit is computed with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Computed<'a> {
    Nothing,
    /// Hashes of the distinct values.
    Distinct(&'a [u128]),
    Numbers(&'a [f64]),
}

/// The events of chained findings beside the last of each, with the time of that.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct More(Vec<(i64, EventId)>);

impl More {
    pub(super) fn add(&mut self, input: &Input<'_>) {
        let room = MAX_EVENTS.saturating_sub(self.0.len());
        self.0.extend(input.more.iter().take(room).map(|event| (input.entry.time, *event)));
    }

    pub(super) fn forget_before(&mut self, time: i64) {
        self.0.retain(|(known, _)| *known >= time);
    }

    pub(super) fn events(&self) -> impl Iterator<Item = EventId> {
        self.0.iter().map(|(_, event)| *event)
    }

    pub(super) fn cost(&self) -> usize {
        self.0.len() * 48
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.0.len());
        for (time, event) in &self.0 {
            out.i64(*time);
            out.event(*event);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Snapshot<Self> {
        let count = from.count(20)?;
        let more = (0..count).map(|_| Ok((from.i64()?, from.event()?))).collect::<Snapshot<_>>()?;
        Ok(More(more))
    }
}

/// A condition that came to hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fired {
    /// Time of the first hit that counts.
    pub(super) start: i64,
    /// Time of the last hit, or the end of the window.
    pub(super) end: i64,
    pub(super) events: Vec<EventId>,
    /// The fields and entities of the last hit.
    pub(super) carried: Arc<Carried>,
    /// The group's values; those of the hit that is being looked at if none.
    pub(super) values: Option<Box<[Box<str>]>>,
}

/// The events in the order of their names, each once, at most [`MAX_EVENTS`].
pub(super) fn named(events: impl Iterator<Item = EventId>, last: EventId) -> Vec<EventId> {
    let mut all: Vec<EventId> = events.collect();
    all.sort_unstable();
    all.dedup();
    if all.len() > MAX_EVENTS {
        all.truncate(MAX_EVENTS);
        if !all.contains(&last) {
            all[MAX_EVENTS - 1] = last;
        }
    }
    all
}

/// What a step did.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) fired: Option<Fired>,
    /// When the group wants to be looked at again.
    pub(super) timer: Option<i64>,
    /// Something was kept less exactly, or not at all.
    pub(super) cut: bool,
}

/// What is kept of one group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// A single hit of an `event_count`.
    One(Entry),
    Count(Box<Recent<()>>),
    Distinct(Box<Recent<u128>>),
    Sum(Box<Recent<f64>>),
    Seen(Box<Seen>),
    Chain(Box<Chain>),
    Window(Box<Window>),
    Waiting(Box<Waiting>),
}

impl State {
    /// Time of the last hit in it.
    pub(super) fn last(&self) -> i64 {
        match self {
            State::One(entry) => entry.time,
            State::Count(recent) => recent.last(),
            State::Distinct(recent) => recent.last(),
            State::Sum(recent) => recent.last(),
            State::Seen(seen) => seen.last(),
            State::Chain(chain) => chain.last(),
            State::Window(window) => window.last(),
            State::Waiting(waiting) => waiting.last(),
        }
    }

    /// When it wants to be looked at again.
    pub(super) fn timer(&self, timespan: i64) -> Option<i64> {
        match self {
            State::Window(window) => Some(window.start.saturating_add(timespan)),
            State::Waiting(waiting) => Some(waiting.first().saturating_add(timespan)),
            _ => None,
        }
    }

    /// Bytes beside those of the group itself, about.
    pub(super) fn cost(&self) -> usize {
        match self {
            State::One(_) => 0,
            State::Count(recent) => recent.cost(),
            State::Distinct(recent) => recent.cost(),
            State::Sum(recent) => recent.cost(),
            State::Seen(seen) => seen.cost(),
            State::Chain(chain) => chain.cost(),
            State::Window(window) => window.cost(),
            State::Waiting(waiting) => waiting.cost(),
        }
    }

    /// A hit comes to a group; none is a new one, or one that is done.
    pub(super) fn step(
        state: &mut Option<State>,
        plan: &Plan,
        timespan: i64,
        values: &[&str],
        input: &Input<'_>,
    ) -> Step {
        match plan {
            Plan::Count { least } => Recent::count(state, *least, timespan, input),
            Plan::Distinct { least } => Recent::distinct(state, *least, timespan, input),
            Plan::Sum { bounds } => Recent::sum(state, bounds, timespan, input),
            Plan::Seen { condition } => Seen::step(state, condition, timespan, input),
            Plan::Chain { steps } => Chain::step(state, steps, timespan, input),
            Plan::Window { fold, .. } => Window::step(state, fold, timespan, values, input),
            Plan::Waiting { .. } => Waiting::step(state, timespan, values, input),
        }
    }

    /// The time has come that the group's timer named.
    pub(super) fn ring(state: &mut Option<State>, plan: &Plan, timespan: i64) -> Step {
        match (state.take(), plan) {
            (Some(State::Window(window)), Plan::Window { bounds, .. }) => {
                Step { fired: window.decide(bounds, timespan), ..Step::default() }
            }
            (Some(State::Waiting(waiting)), Plan::Waiting { condition }) => {
                let (rest, fired) = waiting.decide(condition, timespan);
                *state = rest.map(|rest| State::Waiting(Box::new(rest)));
                let timer = state.as_ref().and_then(|state| state.timer(timespan));
                Step { fired, timer, cut: false }
            }
            _ => Step::default(),
        }
    }

    pub(super) fn write(&self, out: &mut Writer, carry: &mut dyn FnMut(&mut Writer, &Arc<Carried>)) {
        match self {
            State::One(entry) => {
                out.u8(0);
                entry.write(out);
            }
            State::Count(recent) => recent.write(out, 1, |(), _| ()),
            State::Distinct(recent) => recent.write(out, 2, |hash, out| out.bytes(&hash.to_le_bytes())),
            State::Sum(recent) => recent.write(out, 3, |value, out| out.f64(*value)),
            State::Seen(seen) => {
                out.u8(4);
                seen.write(out);
            }
            State::Chain(chain) => {
                out.u8(5);
                chain.write(out);
            }
            State::Window(window) => {
                out.u8(6);
                window.write(out, carry);
            }
            State::Waiting(waiting) => {
                out.u8(7);
                waiting.write(out, carry);
            }
        }
    }

    /// Reads a state that this plan can have made.
    pub(super) fn read(
        from: &mut Reader<'_>,
        plan: &Plan,
        members: usize,
        carry: &mut dyn FnMut(&mut Reader<'_>) -> Snapshot<Arc<Carried>>,
    ) -> Snapshot<Self> {
        Ok(match (from.u8()?, plan) {
            (0, Plan::Count { .. }) => State::One(Entry::read(from)?),
            (1, Plan::Count { .. }) => State::Count(Box::new(Recent::read(from, |_| Ok(()))?)),
            (2, Plan::Distinct { .. }) => {
                State::Distinct(Box::new(Recent::read(from, |from| Ok(u128::from_le_bytes(from.array()?)))?))
            }
            (3, Plan::Sum { .. }) => State::Sum(Box::new(Recent::read(from, |from| from.f64())?)),
            (4, Plan::Seen { .. }) => State::Seen(Box::new(Seen::read(from, members)?)),
            (5, Plan::Chain { steps }) => State::Chain(Box::new(Chain::read(from, steps.len())?)),
            (6, Plan::Window { fold, .. }) => State::Window(Box::new(Window::read(from, fold, carry)?)),
            (7, Plan::Waiting { .. }) => State::Waiting(Box::new(Waiting::read(from, members, carry)?)),
            _ => return from.damaged(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_small() {
        assert_eq!(size_of::<Entry>(), 24);
        assert_eq!(size_of::<State>(), 24);
        assert_eq!(size_of::<Option<State>>(), 24);
    }

    #[test]
    fn a_finding_names_a_bounded_number_of_events() {
        let event = |seq| EventId { source: SourceId(1), seq };
        let events = named((0..5_000).map(event), event(4_999));
        assert_eq!((events.len(), events[0], events[999]), (MAX_EVENTS, event(0), event(4_999)));
        assert_eq!(named([2, 1, 2].map(event).into_iter(), event(2)), [event(1), event(2)]);
    }
}
