//! The compiled set: a million indicators in little memory, found by what events say.
//!
//! [`arena`] holds every text once, [`builder`] gathers and settles what holds, [`table`] finds what is there,
//! [`prefixes`] the networks around an address, [`look_up`] everything.

mod arena;
mod builder;
mod look_up;
mod prefixes;
mod table;

use std::sync::Arc;

use vedette_event::{Level, Time};

use self::{arena::Arena, prefixes::Prefixes, table::Table};
use crate::{Indicator, Kind, Observable};

pub(crate) use self::look_up::Scratch;
pub use self::{
    builder::{Builder, Options, Settled},
    look_up::{Known, Look},
};

/// No entry.
const NONE: u32 = u32::MAX;
const LEVELS: [Level; 5] = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

/// An indicator, packed: places of texts in the arena, and numbers.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The kind as a byte, then the observable's key.
    key: u32,
    /// The next entry of the same observable.
    next: u32,
    name: u32,
    reference: u32,
    /// The labels as one text, a line each.
    labels: u32,
    feed: u16,
    /// 0 for any.
    port: u16,
    confidence: u8,
    kind: u8,
    /// The level's number + 1; 0 for none.
    level: u8,
}

/// From when until when an indicator holds, in microseconds; the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    from: i64,
    until: i64,
}

/// Indicators, ready to be looked up. It never changes: a new feed makes a new set.
///
/// ```
/// use vedette_indicator::{Feed, Indicator, Indicators, Look, Observable};
///
/// let feed = Feed::new("example");
/// let indicator = |text| Indicator::new(&feed, Observable::guess(text).unwrap().0);
/// let set = Indicators::compile(["evil.example", "198.51.100.0/24"].map(indicator));
///
/// let mut known = Vec::new();
/// set.look_up(Look::Domain, "www.EVIL.example", &mut known);
/// assert_eq!(known[0].observable().to_string(), "evil.example");
/// known.clear();
/// set.look_up(Look::Domain, "notevil.example", &mut known);
/// assert!(known.is_empty());
/// ```
#[derive(Debug)]
pub struct Indicators {
    arena: Arena,
    entries: Vec<Entry>,
    validity: Vec<Validity>,
    feeds: Vec<Arc<str>>,
    table: Table,
    prefixes: Prefixes,
    /// How many observables there are of each kind.
    counts: [u32; Kind::ALL.len()],
    /// Bit n: there are domains of n labels.
    depths: u128,
    /// Whether there are URLs with a scheme, and without.
    url_forms: (bool, bool),
    lookback: i64,
}

impl Indicators {
    /// A set of these indicators, with the default [`Options`]; see [`Builder`] for withdrawals, and for what was settled.
    pub fn compile(indicators: impl IntoIterator<Item = Indicator>) -> Indicators {
        let mut builder = Builder::new(Options::default());
        indicators.into_iter().for_each(|indicator| builder.push(&indicator));
        builder.finish().0
    }

    /// Number of indicators.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of different observables of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.counts[kind as usize] as usize
    }

    /// The memory that the set takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.arena.len()
            + self.entries.capacity() * size_of::<Entry>()
            + self.validity.capacity() * size_of::<Validity>()
            + self.table.bytes()
            + self.prefixes.bytes()
    }

    /// The feeds that have indicators, in the order in which they came.
    pub fn feeds(&self) -> &[Arc<str>] {
        &self.feeds
    }

    /// Every different observable, in the order in which they came.
    pub fn observables(&self) -> impl Iterator<Item = Known<'_>> {
        let is_first = |entry: &u32| {
            let packed = &self.entries[*entry as usize];
            self.find(Kind::from_number(packed.kind), self.key(packed)) == Some(*entry)
        };
        (0..self.entries.len() as u32).filter(is_first).map(|first| Known { set: self, first })
    }

    /// What is known of an observable, as it stands in the set: an address, not the networks around it.
    pub fn get(&self, observable: &Observable) -> Option<Known<'_>> {
        self.find(observable.kind(), observable.key()).map(|first| Known { set: self, first })
    }

    /// What this set has and the older one had not: observables that are new, or that hold at times or ports at which they did not. They are
    /// to be looked for in history.
    pub fn new_in<'a>(&'a self, old: &'a Indicators) -> impl Iterator<Item = Known<'a>> {
        self.observables().filter(move |known| {
            let Some(before) = old.find(known.kind(), self.key(&self.entries[known.first as usize])) else {
                return true;
            };
            self.chain(known.first).any(|entry| {
                let held = |old_entry| old.window(old_entry).covers(&self.window(entry));
                !old.chain(before).any(held)
            })
        })
    }

    fn find(&self, kind: Kind, key: &[u8]) -> Option<u32> {
        self.table.find(&self.arena, kind, key)
    }

    /// An entry's key without its kind.
    fn key(&self, entry: &Entry) -> &[u8] {
        self.arena.get(entry.key).get(1..).unwrap_or_default()
    }

    /// The entries of one observable.
    fn chain(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let known = |entry: u32| (entry != NONE).then_some(entry);
        std::iter::successors(known(first), move |entry| known(self.entries[*entry as usize].next))
    }

    fn window(&self, entry: u32) -> Window {
        let Validity { from, until } = self.validity[entry as usize];
        Window { from: from.saturating_sub(self.lookback), until, port: self.entries[entry as usize].port }
    }

    fn indicator(&self, entry: u32) -> Indicator {
        let packed = &self.entries[entry as usize];
        let Entry { name, reference, labels, feed, port, confidence, kind, level, .. } = *packed;
        let Validity { from, until } = self.validity[entry as usize];
        let labels = self.arena.text(labels);
        Indicator {
            observable: Observable::from_key(Kind::from_number(kind), self.key(packed)),
            port: (port > 0).then_some(port),
            feed: self.feeds[usize::from(feed)].clone(),
            confidence,
            level: level.checked_sub(1).and_then(|level| LEVELS.get(usize::from(level)).copied()),
            valid_from: (from > i64::MIN).then_some(Time::from_micros(from)),
            valid_until: (until < i64::MAX).then_some(Time::from_micros(until)),
            name: self.arena.text(name).to_owned(),
            labels: labels.lines().map(str::to_owned).collect(),
            reference: self.arena.text(reference).to_owned(),
            modified: None,
        }
    }
}

/// When and where an indicator holds.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: i64,
    until: i64,
    port: u16,
}

impl Window {
    /// Whether it holds for an event of this time that names this port, or none.
    fn holds(&self, time: Time, port: Option<u16>) -> bool {
        let there = self.port == 0 || port.is_none_or(|port| port == self.port);
        self.from <= time.micros() && time.micros() < self.until && there
    }

    fn covers(&self, other: &Window) -> bool {
        self.from <= other.from && other.until <= self.until && (self.port == 0 || self.port == other.port)
    }
}
