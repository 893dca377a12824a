//! Reads values: remembers, folds, scans.

use std::mem;

use vedette_event::{Event, Value};

use super::{
    Program,
    layout::{Feed, Habit},
    memo::Memo,
    outcome::Outcomes,
    partition::Partition,
    scan::{Local, Scanner, Seen, Spelled},
    view::{is_searched, searched_original},
};
use crate::fold::fold_into;

/// Bytes of remembered values.
const MEMO_BYTES: usize = 48 << 20;
/// Longest value that is remembered: encoded commands recur up to what Windows takes as a command line.
const MAX_VALUE_BYTES: usize = 32 << 10;
/// After so many values it is looked how many of them were known; a column where fewer than one in 16 were does
/// without the memory for a while.
const PROBATION: u32 = 4_096;
const WITHOUT: u32 = 16_384;

/// Stands for the feed of values that keywords are searched in.
const KEYWORDS: u32 = u32::MAX;

/// Reads values, and remembers what it found.
#[derive(Debug)]
pub(super) struct Reader {
    memo: Memo<u8>,
    pub(super) outcomes: Outcomes,
    seen: Seen,
    folded: String,
    found: Vec<Local>,
    /// What was found in an event as a whole.
    of_event: Vec<Local>,
    /// Where its texts end, and whether keywords are searched in them.
    places: Vec<(usize, bool)>,
}

impl Reader {
    pub(super) fn new() -> Reader {
        let (seen, folded, found, of_event, places) = Default::default();
        Reader { memo: Memo::new(MEMO_BYTES), outcomes: Outcomes::new(), seen, folded, found, of_event, places }
    }

    /// Forgets all outcomes if there are too many; true if so.
    pub(super) fn begin(&mut self) -> bool {
        let is_full = self.outcomes.is_full();
        if is_full {
            self.outcomes.clear();
            self.memo.clear();
        }
        is_full
    }

    /// The checks of a feed's columns that are true of a value.
    pub(super) fn read(
        &mut self,
        program: &Program,
        partition: &Partition,
        (number, feed): (u32, &mut Feed),
        text: &str,
    ) -> u32 {
        let scanners = feed.columns.iter().map(|column| &partition.columns[*column as usize].scanner);
        if !feed.is_cheap {
            return self.value(program, partition, scanners, (number, &mut feed.habit), text);
        }
        self.found.clear();
        for scanner in scanners.filter(|scanner| scanner.may_be(text)) {
            self.scan(program, partition, scanner, text);
        }
        self.outcomes.number(&mut self.found)
    }

    /// The checks of the whole event that are true.
    pub(super) fn keywords(
        &mut self,
        program: &Program,
        partition: &Partition,
        habit: &mut Habit,
        event: Event<'_>,
    ) -> u32 {
        let scanner = &partition.keywords;
        let mut all = mem::take(&mut self.of_event);
        all.clear();
        let together = scanner.is_plain();
        if together {
            self.seen.begin();
            let places = &mut self.places;
            places.clear();
            scanner.each_in(event.texts(), |place, check| {
                if places.is_empty() {
                    places.extend(event.places_of_texts().map(|(name, text)| (text.end, is_searched(name))));
                }
                // The value that the place's last byte is in; what begins in another is in neither.
                let at = places.partition_point(|(end, _)| *end < place.end);
                let begin = at.checked_sub(1).map_or(0, |before| places[before].0);
                if begin <= place.start && places[at].1 && self.seen.first(check) {
                    all.push(check);
                }
            });
        }
        // What is not ASCII may be the same in more ways than its bytes tell.
        let each_text = !together || !event.texts().is_ascii();
        let each_number = !together || scanner.may_be_in_numbers();
        let is_asked = |value: Value<'_>| match value {
            Value::Null => false,
            Value::Str(text) => !(together && text.is_ascii()),
            _ => each_number,
        };
        let mut read = |text: &str| {
            let outcome = self.value(program, partition, std::iter::once(scanner), (KEYWORDS, &mut *habit), text);
            all.extend_from_slice(self.outcomes.get(outcome));
        };
        if each_text || each_number {
            for field in event.fields().filter(|field| is_asked(field.value) && is_searched(field.name)) {
                read(&field.value.to_text());
            }
        }
        if let Some(original) = searched_original(event) {
            read(&original);
        }
        all.sort_unstable();
        all.dedup();
        let outcome = self.outcomes.number(&mut all);
        self.of_event = all;
        outcome
    }

    /// The checks of some columns that are true of a value, from memory if they are there.
    fn value<'p>(
        &mut self,
        program: &Program,
        partition: &Partition,
        scanners: impl Iterator<Item = &'p Scanner>,
        (feed, habit): (u32, &mut Habit),
        text: &str,
    ) -> u32 {
        let group = u64::from(partition.number) << 32 | u64::from(feed);
        let remembers = habit.remembers(text);
        if remembers {
            let known = self.memo.get(group, text.as_bytes()).and_then(|known| known.first());
            habit.count(known.is_some());
            if let Some(known) = known {
                return *known;
            }
        }
        self.found.clear();
        for scanner in scanners {
            self.scan(program, partition, scanner, text);
        }
        let outcome = self.outcomes.number(&mut self.found);
        if remembers {
            self.memo.put(group, text.as_bytes(), &[outcome]);
        }
        outcome
    }

    /// Appends the checks that are true of a value to those that were found.
    fn scan(&mut self, program: &Program, partition: &Partition, scanner: &Scanner, text: &str) {
        let folded = if scanner.is_plain() && text.is_ascii() {
            text
        } else {
            fold_into(text, &mut self.folded);
            self.folded.as_str()
        };
        let holds = |local: Local| {
            let check = partition.checks[local as usize];
            program.checks[check as usize].test.holds(text, folded)
        };
        scanner.scan(Spelled { text, folded }, &mut self.seen, holds, &mut self.found);
    }
}

impl Habit {
    fn remembers(&mut self, text: &str) -> bool {
        if self.without > 0 {
            self.without -= u32::from(self.without != u32::MAX);
            return false;
        }
        text.len() <= MAX_VALUE_BYTES
    }

    fn count(&mut self, known: bool) {
        self.looked += 1;
        self.known += u32::from(known);
        if self.looked >= PROBATION {
            self.without = if self.known * 16 < PROBATION { WITHOUT } else { 0 };
            (self.looked, self.known) = (0, 0);
        }
    }
}
