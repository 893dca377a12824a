//! What came, by the second it was received in, until all of that second is there.
//!
//! Batches end where it suits whoever makes them: a live pipeline ends them after a moment, a replay when they are full.
//! So hits wait here until the caller says that everything received in their second has been handed in; then the seconds
//! are handed on one by one. What is late, and which source is idle, is decided at the same borders however batches were cut.

use std::collections::BTreeMap;

use vedette_event::{Batch, Event, EventId, Finding, SourceId, Time};

use super::{
    Correlations, Hit,
    checkpoint::{read_hit, write_hit},
    snapshot::{Reader, Snapshot, Writer},
};

const SECOND: i64 = 1_000_000;

/// By the second since 1970.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    seconds: BTreeMap<i64, Arrived>,
    /// Seconds before it have been handed on.
    next: Option<i64>,
}

#[derive(Debug, Default)]
struct Arrived {
    hits: Vec<Hit>,
    /// The greatest event time of each source, in microseconds.
    greatest: BTreeMap<SourceId, i64>,
}

impl Arrivals {
    /// What came in this second; in a later one if that has been handed on.
    fn of(&mut self, received: Time) -> &mut Arrived {
        let second = received.micros().div_euclid(SECOND);
        self.seconds.entry(self.next.map_or(second, |next| second.max(next))).or_default()
    }

    fn take_before(&mut self, second: i64) -> Option<(i64, Arrived)> {
        let first = self.seconds.first_entry()?;
        (*first.key() < second).then(|| first.remove_entry())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.next.is_some()));
        out.i64(self.next.unwrap_or(0));
        out.count(self.seconds.len());
        for (second, arrived) in &self.seconds {
            out.i64(*second);
            out.count(arrived.greatest.len());
            for (source, time) in &arrived.greatest {
                out.u32(source.0);
                out.i64(*time);
            }
            out.count(arrived.hits.len());
            arrived.hits.iter().for_each(|hit| write_hit(out, hit));
        }
    }

    /// `slots` and `rules` give for each of the snapshot's the own one, if there is one. Adds to `forgotten` the hits of
    /// rules that no correlation is made of any more.
    pub(super) fn read(
        from: &mut Reader<'_>,
        slots: &[Option<u32>],
        rules: &[Option<u32>],
        forgotten: &mut usize,
    ) -> Snapshot<Self> {
        let known = from.u8()? != 0;
        let next = from.i64()?;
        let mut arrivals = Arrivals { next: known.then_some(next), ..Arrivals::default() };
        for _ in 0..from.count(24)? {
            let arrived = arrivals.seconds.entry(from.i64()?).or_default();
            for _ in 0..from.count(12)? {
                let source = SourceId(from.u32()?);
                arrived.greatest.insert(source, from.i64()?);
            }
            for _ in 0..from.count(40)? {
                match read_hit(from, slots, rules)? {
                    Some(hit) => arrived.hits.push(hit),
                    None => *forgotten += 1,
                }
            }
        }
        Ok(arrivals)
    }
}

impl Correlations {
    /// Takes a batch and what a program found in it, without the events before the sequence number `from`, which it had
    /// before. Nothing comes of it until [`settle`](Self::settle) is told that all of its time is there.
    pub fn receive(&mut self, batch: &Batch, found: &[Finding], from: u64) {
        if self.is_empty() {
            return;
        }
        let source = batch.source().id;
        // Neighbours were received in the same second, nearly always.
        let mut events = batch.events().skip_while(|event| event.seq() < from).peekable();
        while let Some(first) = events.next() {
            let second = first.received().micros().div_euclid(SECOND);
            let mut greatest = first.time().micros();
            while let Some(next) =
                events.next_if(|next: &Event<'_>| next.received().micros().div_euclid(SECOND) == second)
            {
                greatest = greatest.max(next.time().micros());
            }
            let known = self.arrivals.of(first.received()).greatest.entry(source).or_insert(greatest);
            *known = greatest.max(*known);
        }
        for finding in found {
            let Some(event) = finding.events.first().and_then(|id| event(batch, *id)) else { continue };
            if event.seq() >= from
                && let Some(hit) = self.hit(finding, event)
            {
                self.arrivals.of(event.received()).hits.push(hit);
            }
        }
    }

    /// Says that everything received before `until` has been handed in; also that so much time has passed, where nothing
    /// was received. Appends what it comes to, in the order of event time. Only whole seconds of `until` count.
    pub fn settle(&mut self, until: Time, out: &mut Vec<Finding>) {
        let until = until.micros().div_euclid(SECOND);
        if self.is_empty() || self.arrivals.next.is_some_and(|next| until <= next) {
            return;
        }
        while let Some((second, arrived)) = self.arrivals.take_before(until) {
            // Whoever said nothing for long was given up before this second, whether or not that was asked for then.
            self.advance(Time::from_micros(second.saturating_mul(SECOND)), out);
            self.hand_on(arrived);
            self.advance(Time::from_micros(second.saturating_add(1).saturating_mul(SECOND)), out);
        }
        self.arrivals.next = Some(until);
        self.advance(Time::from_micros(until.saturating_mul(SECOND)), out);
    }

    fn hand_on(&mut self, arrived: Arrived) {
        arrived.hits.into_iter().for_each(|hit| self.push(hit));
        for (source, time) in arrived.greatest {
            self.observe(source, Time::from_micros(time));
        }
    }

    /// Hands on whatever has arrived.
    pub(super) fn hand_on_all(&mut self) {
        while let Some((second, arrived)) = self.arrivals.take_before(i64::MAX) {
            self.hand_on(arrived);
            self.arrivals.next = Some(second + 1);
        }
    }
}

/// The event of that name in a batch, whose events are in the order of their numbers.
fn event(batch: &Batch, id: EventId) -> Option<Event<'_>> {
    if id.source != batch.source().id {
        return None;
    }
    let (mut low, mut high) = (0, batch.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match batch.event(middle).seq().cmp(&id.seq) {
            std::cmp::Ordering::Equal => return Some(batch.event(middle)),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}
