//! Gathering indicators, and settling which of them hold.

use std::{collections::HashMap, hash::BuildHasher, sync::Arc};

use hashbrown::{HashTable, hash_table};
use vedette_event::Level;

use super::{
    Entry, Indicators, NONE, Validity,
    arena::{Interner, Place},
    prefixes::Prefixes,
    table::Table,
};
use crate::{Indicator, Item, Kind, Observable, Withdrawal};

/// Most indicators of one observable.
const MAX_PER_OBSERVABLE: usize = 64;
/// Longest name, reference and label kept, in bytes; what is longer is cut.
const MAX_NAME: usize = 1 << 10;
/// Most labels kept of one indicator.
const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 128;

/// What a set may take, and how it reads time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most indicators; those that come later are left out and counted.
    pub indicators: usize,
    /// Most bytes of texts (values, names, labels, references); the same.
    pub text_bytes: usize,
    /// How long before its `valid_from` an indicator also holds, in microseconds. Feeds mostly say when they learnt of something, not when it
    /// began; matched against history, that would find nothing.
    pub lookback: i64,
}

impl Default for Options {
    /// Four million indicators, 1 GiB of texts, and every indicator holds from its `valid_from` on.
    fn default() -> Self {
        Options { indicators: 4_000_000, text_bytes: 1 << 30, lookback: 0 }
    }
}

/// What became of what was pushed: every indicator is in the set or in one of the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Indicators in the set.
    pub indicators: u64,
    /// The same once more, or a later word of the same reference about the same observable, which replaced the earlier.
    pub repeated: u64,
    /// Older versions of references.
    pub superseded: u64,
    /// Withdrawn by their feed.
    pub withdrawn: u64,
    /// More than 64 of one observable.
    pub crowded: u64,
    /// More than the [`Options`] allow.
    pub over_limit: u64,
}

/// Gathers indicators for a set.
#[derive(Debug)]
pub struct Builder {
    options: Options,
    texts: Interner,
    /// The key that is interned next.
    key: Vec<u8>,
    entries: Vec<Entry>,
    validity: Vec<Validity>,
    /// By entry: when its version was made.
    modified: Vec<i64>,
    withdrawals: Vec<(u16, Place, i64)>,
    /// Whether there are versions to be settled at all.
    versioned: bool,
    feeds: Vec<Arc<str>>,
    feed_numbers: HashMap<Arc<str>, u16>,
    over_limit: u64,
}

impl Builder {
    /// An empty one.
    pub fn new(options: Options) -> Builder {
        Builder {
            options,
            texts: Interner::default(),
            key: Vec::new(),
            entries: Vec::new(),
            validity: Vec::new(),
            modified: Vec::new(),
            withdrawals: Vec::new(),
            versioned: false,
            feeds: Vec::new(),
            feed_numbers: HashMap::new(),
            over_limit: 0,
        }
    }

    /// Adds what a reader hands out. Feeds may come in any order; files of one feed in any order too, if its indicators have times of
    /// modification, else the older first.
    pub fn add(&mut self, item: &Item) {
        match item {
            Item::Indicator(indicator) => self.push(indicator),
            Item::Withdrawal(withdrawal) => self.withdraw(withdrawal),
        }
    }

    /// Adds an indicator.
    pub fn push(&mut self, indicator: &Indicator) {
        let full = self.entries.len() >= self.options.indicators || self.is_full();
        let entry = if full { None } else { self.pack(indicator) };
        let Some(entry) = entry else {
            self.over_limit += 1;
            return;
        };
        self.versioned |= indicator.modified.is_some() && !indicator.reference.is_empty();
        self.entries.push(entry);
        self.validity.push(Validity {
            from: indicator.valid_from.map_or(i64::MIN, |from| from.micros()),
            until: indicator.valid_until.map_or(i64::MAX, |until| until.micros()),
        });
        self.modified.push(indicator.modified.map_or(i64::MIN, |modified| modified.micros()));
    }

    /// Takes back what a feed said, whether it was pushed already or is pushed later.
    pub fn withdraw(&mut self, withdrawal: &Withdrawal) {
        let full = self.withdrawals.len() >= self.options.indicators || self.is_full();
        let reference = cut(&withdrawal.reference, MAX_NAME);
        let place = if full || reference.is_empty() { None } else { self.texts.intern(reference.as_bytes()) };
        let (Some(feed), Some(place)) = (self.feed(&withdrawal.feed), place) else {
            self.over_limit += 1;
            return;
        };
        self.versioned = true;
        self.withdrawals.push((feed, place, withdrawal.modified.map_or(i64::MAX, |modified| modified.micros())));
    }

    fn is_full(&self) -> bool {
        self.texts.arena.len() >= self.options.text_bytes
    }

    fn pack(&mut self, indicator: &Indicator) -> Option<Entry> {
        self.key.clear();
        self.key.push(indicator.observable.kind() as u8);
        self.key.extend_from_slice(indicator.observable.key());
        let labels: Vec<String> = indicator
            .labels
            .iter()
            .take(MAX_LABELS)
            .map(|label| cut(label, MAX_LABEL).replace(['\n', '\r'], " "))
            .filter(|label| !label.trim().is_empty())
            .collect();
        Some(Entry {
            key: self.texts.intern(&self.key)?,
            next: NONE,
            name: self.texts.intern(cut(&indicator.name, MAX_NAME).as_bytes())?,
            reference: self.texts.intern(cut(&indicator.reference, MAX_NAME).as_bytes())?,
            labels: self.texts.intern(labels.join("\n").as_bytes())?,
            feed: self.feed(&indicator.feed)?,
            port: indicator.port.unwrap_or(0),
            confidence: indicator.confidence.min(100),
            kind: indicator.observable.kind() as u8,
            level: indicator.level.map_or(0, level_number),
        })
    }

    fn feed(&mut self, name: &Arc<str>) -> Option<u16> {
        if let Some(number) = self.feed_numbers.get(name) {
            return Some(*number);
        }
        let number = u16::try_from(self.feeds.len()).ok()?;
        self.feeds.push(name.clone());
        self.feed_numbers.insert(name.clone(), number);
        Some(number)
    }

    /// The set, and what became of everything.
    pub fn finish(mut self) -> (Indicators, Settled) {
        let mut settled = Settled { over_limit: self.over_limit, ..Settled::default() };
        let gone = self.settle_versions(&mut settled);
        let no_reference = self.texts.intern(b"").unwrap_or(NONE);
        let Builder { options, texts, mut entries, mut validity, feeds, .. } = self;
        let Interner { mut arena, .. } = texts;
        arena.shrink();

        // Equal keys have one place, so places stand for observables. Which they are, no feed chooses.
        let hasher = foldhash::fast::RandomState::default();
        let mut firsts: HashTable<u32> = HashTable::new();
        let mut counts = [0; Kind::ALL.len()];
        let (mut depths, mut url_forms) = (0_u128, (false, false));
        let mut kept = 0;
        for at in 0..entries.len() {
            if gone.get(at).copied().unwrap_or(false) {
                continue;
            }
            let (entry, valid) = (entries[at], validity[at]);
            let hash_of = |entry: &Entry| hasher.hash_one(entry.key);
            let same = |first: &u32| entries[*first as usize].key == entry.key;
            let slot = firsts.entry(hash_of(&entry), same, |first| hash_of(&entries[*first as usize]));
            let mut last = None;
            match slot {
                hash_table::Entry::Vacant(vacant) => {
                    vacant.insert(kept as u32);
                    let kind = Kind::from_number(entry.kind);
                    counts[kind as usize] += 1;
                    let key = arena.get(entry.key).get(1..).unwrap_or_default();
                    match kind {
                        Kind::Domain => depths |= 1 << (key.iter().filter(|byte| **byte == b'.').count() + 1).min(127),
                        Kind::Url if key.starts_with(b"//") => url_forms.1 = true,
                        Kind::Url => url_forms.0 = true,
                        _ => {}
                    }
                }
                hash_table::Entry::Occupied(occupied) => {
                    let mut chained = 0;
                    let mut link = *occupied.get();
                    let replaced = loop {
                        chained += 1;
                        let earlier = &entries[link as usize];
                        if replaces((&entry, &valid), (earlier, &validity[link as usize]), no_reference) {
                            break true;
                        }
                        if earlier.next == NONE {
                            break false;
                        }
                        link = earlier.next;
                    };
                    if replaced {
                        let next = entries[link as usize].next;
                        entries[link as usize] = Entry { next, ..entry };
                        validity[link as usize] = valid;
                        settled.repeated += 1;
                        continue;
                    }
                    if chained >= MAX_PER_OBSERVABLE {
                        settled.crowded += 1;
                        continue;
                    }
                    last = Some(link);
                }
            }
            if let Some(last) = last {
                entries[last as usize].next = kept as u32;
            }
            entries[kept] = entry;
            validity[kept] = valid;
            kept += 1;
        }
        entries.truncate(kept);
        entries.shrink_to_fit();
        validity.truncate(kept);
        validity.shrink_to_fit();
        settled.indicators = kept as u64;

        let networks = firsts.iter().filter_map(|first| {
            let (kind, key) = arena.get(entries[*first as usize].key).split_first()?;
            let (address, length) = if *kind == Kind::Network as u8 {
                Observable::from_key(Kind::Network, key).network()?
            } else {
                return None;
            };
            Some((address, length, *first))
        });
        let prefixes = Prefixes::build(networks);
        let observables = firsts.iter().map(|first| (entries[*first as usize].key, *first));
        let table = Table::build(&arena, firsts.len(), observables);
        let lookback = options.lookback.max(0);
        (Indicators { arena, entries, validity, feeds, table, prefixes, counts, depths, url_forms, lookback }, settled)
    }

    /// Which entries are older versions of a reference, or withdrawn.
    fn settle_versions(&mut self, settled: &mut Settled) -> Vec<bool> {
        if !self.versioned {
            return Vec::new();
        }
        let mut gone = vec![false; self.entries.len()];
        let of = |entry: &Entry| (entry.feed, entry.reference);
        let mut order: Vec<u32> = (0..self.entries.len() as u32)
            .filter(|at| !self.texts.arena.get(self.entries[*at as usize].reference).is_empty())
            .collect();
        order.sort_unstable_by_key(|at| of(&self.entries[*at as usize]));
        self.withdrawals.sort_unstable();
        for versions in order.chunk_by(|a, b| of(&self.entries[*a as usize]) == of(&self.entries[*b as usize])) {
            let (feed, reference) = of(&self.entries[versions[0] as usize]);
            let behind =
                self.withdrawals.partition_point(|withdrawal| (withdrawal.0, withdrawal.1) <= (feed, reference));
            let withdrawn = behind.checked_sub(1).map(|last| self.withdrawals[last]);
            let withdrawn = withdrawn.filter(|last| (last.0, last.1) == (feed, reference)).map(|last| last.2);
            let newest = versions.iter().map(|at| self.modified[*at as usize]).max().unwrap_or(i64::MIN);
            for at in versions {
                let modified = self.modified[*at as usize];
                if withdrawn.is_some_and(|withdrawn| modified <= withdrawn) {
                    gone[*at as usize] = true;
                    settled.withdrawn += 1;
                } else if modified < newest {
                    gone[*at as usize] = true;
                    settled.superseded += 1;
                }
            }
        }
        gone
    }
}

/// Whether an entry takes the place of an earlier one of its observable: it is the same, or a later word of the same reference.
fn replaces(later: (&Entry, &Validity), earlier: (&Entry, &Validity), no_reference: Place) -> bool {
    let ((later, later_valid), (earlier, earlier_valid)) = (later, earlier);
    let same_place = later.feed == earlier.feed && later.port == earlier.port && later.reference == earlier.reference;
    let same_words = later.name == earlier.name
        && later.labels == earlier.labels
        && later.confidence == earlier.confidence
        && later.level == earlier.level
        && later_valid == earlier_valid;
    same_place && (later.reference != no_reference || same_words)
}

fn level_number(level: Level) -> u8 {
    match level {
        Level::Informational => 1,
        Level::Low => 2,
        Level::Medium => 3,
        Level::High => 4,
        Level::Critical => 5,
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
