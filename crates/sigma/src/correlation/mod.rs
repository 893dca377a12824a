//! Correlations: matches in, findings over several of them out, in event time.
//!
//! [`compile`] makes rules ready. A match becomes a [`hit`], which waits with the other [`arrivals`] of its second, and
//! then until the watermark of the [`clock`] has passed it; then hits are looked at in the order of their times, whatever order they came in. Each goes to its
//! [`groups`], whose [`state`] decides at once ([`recent`]) or at the end of a window ([`window`]). [`run`] is that
//! way; [`budget`] keeps it within its bytes, [`checkpoint`] writes all of it down and reads it again.

mod arrivals;
mod budget;
mod checkpoint;
mod clock;
mod compile;
mod groups;
mod hit;
mod recent;
mod run;
mod sketch;
mod snapshot;
mod state;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use vedette_event::RuleRef;

use self::{
    arrivals::Arrivals,
    clock::Clock,
    compile::{Compiled, Fed, SlotName},
    groups::{GroupId, Groups},
    snapshot::Key,
};
pub use self::{checkpoint::Restored, hit::Hit, snapshot::RestoreError};

/// How correlations are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How much later than a later event of its source an event may come, in microseconds of event time. Hits that
    /// come later still are counted and left out.
    pub lateness: i64,
    /// How long a source may say nothing, in microseconds, before the others no longer wait for it.
    pub idle: i64,
    /// How far from the present, in microseconds, times are still believed: hits from further ahead are left out, and a
    /// source whose newest event is further behind is not waited for. `i64::MAX` where the present is not known, but
    /// guessed from the events.
    pub skew: i64,
    /// Bytes for all groups.
    pub budget: usize,
    /// Bytes for hits that wait. A room of their own, because how many wait depends on how they arrive, and what
    /// groups are given up must not.
    pub waiting: usize,
    /// Key of the hashes that groups are told apart by. With one that others do not know, nobody can make values
    /// collide; state can only be restored with the key it was made with.
    pub key: [u8; 32],
}

impl Default for Options {
    /// 5 minutes of lateness and idleness, an hour of skew, 512 MiB and 128 MiB, a key of zeros.
    fn default() -> Self {
        const MINUTE: i64 = 60_000_000;
        Options {
            lateness: 5 * MINUTE,
            idle: 5 * MINUTE,
            skew: 60 * MINUTE,
            budget: 512 << 20,
            waiting: 128 << 20,
            key: [0; 32],
        }
    }
}

impl Options {
    /// For a history that is looked at when it is whole: however late or early events come, none is left out.
    #[must_use]
    pub fn whole(self) -> Self {
        Options { lateness: i64::MAX, idle: i64::MAX, skew: i64::MAX, ..self }
    }
}

/// Compiled correlations and what they have seen. No clock, no I/O: the same hits give the same findings.
///
/// A caller hands in batches with what a program found in them ([`receive`](Self::receive)) and says up to which time he
/// has handed in everything ([`settle`](Self::settle)); at the end of a history, that nothing more will come
/// ([`finish`](Self::finish)). Below that, hits can be pushed one by one ([`hit`](Self::hit), [`push`](Self::push)) by
/// whoever keeps the time himself ([`observe`](Self::observe), [`advance`](Self::advance)).
///
/// ```
/// use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
/// use vedette_sigma::{Correlations, Mapping, Options, Program, load_str};
///
/// let loaded = load_str("brute.yml", r"
/// title: Failed login
/// name: failed
/// logsource: {product: test}
/// detection: {s: {Result: failed}, condition: s}
/// ---
/// title: Brute force
/// level: high
/// correlation:
///   type: event_count
///   rules: [failed]
///   group-by: [User]
///   timespan: 5m
///   condition: {gte: 3}
/// ");
/// assert!(loaded.refused.is_empty());
/// let mapping = Mapping::parse("m.yml", "logsources: [{product: test, when: {kind: login}}]").unwrap();
/// let (program, _) = Program::compile(loaded.rules, &mapping);
/// let (mut correlations, refused) =
///     Correlations::compile(loaded.correlations, &program, &mapping, Options::default());
/// assert!(refused.is_empty());
///
/// let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
/// for (seq, second) in [90, 10, 50].into_iter().enumerate() {
///     batch.begin(seq as u64, Time::from_secs(second), b"");
///     batch.push("kind", Value::Str("login"));
///     batch.push("Result", Value::Str("failed"));
///     batch.push("User", Value::Str("alice"));
/// }
/// let batch = batch.finish();
///
/// let mut found = Vec::new();
/// program.run(&batch, &mut found);
/// correlations.receive(&batch, &found, 0);
/// // The rule is only part of the correlation and makes no findings of its own.
/// found.retain(|finding| !correlations.is_silent(&finding.rule.id));
/// assert!(found.is_empty());
///
/// correlations.settle(Time::from_secs(91), &mut found);
/// assert!(found.is_empty(), "events of up to five minutes before may still come");
/// correlations.settle(Time::from_secs(600), &mut found);
/// assert_eq!(found[0].rule.title, "Brute force");
/// assert_eq!((found[0].events.len(), found[0].time), (3, Time::from_secs(90)));
/// assert_eq!((found[0].matched[0].field.as_str(), found[0].matched[0].value.as_str()), ("User", "alice"));
/// ```
#[derive(Debug)]
pub struct Correlations {
    /// Each after those it is made of.
    compiled: Vec<Compiled>,
    rules: Vec<Fed>,
    rule_numbers: HashMap<String, u32>,
    slots: Vec<SlotName>,
    silent: HashSet<String>,
    options: Options,
    arrivals: Arrivals,
    clock: Clock,
    /// Hits that the watermark has not passed.
    pending: BTreeMap<Key, Hit>,
    pending_bytes: usize,
    groups: Vec<Groups>,
    /// When which group wants to be looked at.
    timers: BTreeSet<(i64, u32, GroupId)>,
    counts: Vec<Counts>,
    /// Of all groups.
    bytes: usize,
}

/// What a correlation did not see as it should have: counted since the state was made, and kept with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Hits that came after the watermark had passed them.
    pub late: u64,
    /// Hits from too far in the future.
    pub ahead: u64,
    /// Hits without a value for a field of `group-by`, or without one to compute with.
    pub unusable: u64,
    /// Groups that were given up for the budget.
    pub evicted: u64,
    /// Hits that were looked at before their time, because too many waited.
    pub hurried: u64,
    /// Times that a limit within one group was hit: values left out, sums joined, percentiles sketched.
    pub cut: u64,
}

impl Counts {
    /// Whether findings may be missing or wrong for want of room. Late and unusable hits are the sources' doing.
    pub fn is_degraded(&self) -> bool {
        self.evicted > 0 || self.hurried > 0
    }
}

/// How one correlation is doing.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The correlation.
    pub rule: &'a RuleRef,
    /// Whether its findings are only for the correlations over it.
    pub silent: bool,
    /// Groups that something is kept of.
    pub groups: usize,
    /// What it did not see as it should have.
    pub counts: Counts,
}

impl Correlations {
    /// Number of correlations.
    pub fn len(&self) -> usize {
        self.compiled.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// True for a rule or correlation, by its id, that is only part of correlations none of which is to `generate`:
    /// its findings are for them alone.
    pub fn is_silent(&self, rule: &str) -> bool {
        self.silent.contains(rule)
    }

    /// How each correlation is doing, those that others are made of first.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = Report<'_>> {
        self.compiled.iter().zip(&self.groups).zip(&self.counts).map(|((compiled, groups), counts)| Report {
            rule: &compiled.reference,
            silent: compiled.silent,
            groups: groups.len(),
            counts: *counts,
        })
    }

    /// Bytes that groups take, about and at worst; never more than the budget for long.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hits that wait for the watermark.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}
