//! What matching needs besides the program: memory that is kept from batch to batch, one for each thread.

use std::{
    cell::Cell,
    sync::{Arc, Mutex, PoisonError},
};

use hashbrown::HashMap;
use vedette_event::{Batch, Event, NameId, Value};

use super::{
    CheckId, Program, SlotId,
    gate::Gate,
    memo::{ColumnKey, MAX_VALUE_BYTES, Memo},
    partition::{Implied, Partition, Use, Witnesses},
    scan::{Local, Scanner, Seen, Spelled},
    view::{self, Names, View},
};
use crate::fold::fold_into;

/// Bytes of remembered values.
const MEMO_BYTES: usize = 24 << 20;
/// Most remembered ways from an event's log source fields to its partitions, and the longest that is remembered.
const MAX_ROUTES: usize = 16_384;
const MAX_ROUTE_BYTES: usize = 512;
/// After so many values it is looked how many of them were known; a column where fewer than one in 16 were does
/// without the memory for a while.
const PROBATION: u32 = 256;
const WITHOUT: u32 = 8_192;
/// When the choice of witnesses is looked over for the first time, and how often at least after that.
const FIRST_REVIEW: u64 = 128;
const REVIEW_EVERY: u64 = 1 << 18;

/// The working memory of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) truths: Truths,
    /// Whether each slot of the event has a value, and whether it is null.
    pub(super) states: States,
    /// The event a rule was last a candidate in.
    seen: Vec<u32>,
    pub(super) candidates: Vec<u32>,
    pub(super) routes: Routes,
    /// By the partition's number.
    parts: Vec<Option<Box<Part>>>,
    reader: Reader,
    /// The names of the last batch.
    names: Vec<Box<str>>,
    /// Counts their changes, so that what is known of a batch's names is not taken for another's.
    batch: u64,
}

/// The truth of checks in one event, by the event's number: no event has to begin by forgetting the last.
#[derive(Debug, Default)]
pub(super) struct Truths {
    /// For each check: twice the event's number where it is false there, one more where it is true.
    marks: Vec<Cell<u32>>,
    now: u32,
    /// All checks of values were put: those that are not true are false.
    read: bool,
}

impl Truths {
    /// Forgets all truths.
    pub(super) fn begin(&mut self, checks: usize) {
        if self.now >= u32::MAX - 3 {
            self.marks.clear();
            self.now = 0;
        }
        self.marks.resize(checks, Cell::new(0));
        self.now += 2;
        self.read = false;
    }

    /// Says that all checks of the event's values were put.
    pub(super) fn read(&mut self) {
        self.read = true;
    }

    /// Whether they were.
    pub(super) fn is_read(&self) -> bool {
        self.read
    }

    /// The present event's number.
    pub(super) fn now(&self) -> u32 {
        self.now
    }

    /// What is known of a check.
    pub(super) fn known(&self, check: CheckId) -> Option<bool> {
        let mark = self.marks[check as usize].get();
        (mark & !1 == self.now).then_some(mark & 1 == 1)
    }

    pub(super) fn is_true(&self, check: CheckId) -> bool {
        self.marks[check as usize].get() == self.now | 1
    }

    pub(super) fn set(&self, check: CheckId, truth: bool) {
        self.marks[check as usize].set(self.now | u32::from(truth));
    }
}

/// Which slots have a value in the present event.
#[derive(Debug, Default)]
pub(super) struct States {
    /// The event's number, and whether there is a value and a null.
    slots: Vec<(u32, bool, bool)>,
}

impl States {
    fn add(&mut self, slot: SlotId, now: u32, null: bool) {
        let state = &mut self.slots[slot as usize];
        if state.0 != now {
            *state = (now, false, false);
        }
        state.1 |= !null;
        state.2 |= null;
    }

    pub(super) fn exists(&self, slot: SlotId, now: u32) -> bool {
        self.slots[slot as usize].0 == now
    }

    pub(super) fn is_null(&self, slot: SlotId, now: u32) -> bool {
        let (seen, _, null) = self.slots[slot as usize];
        seen != now || null
    }
}

/// From the values of the fields that tell log sources apart to the partitions of an event.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: HashMap<Box<[u8]>, Arc<[u32]>, foldhash::fast::RandomState>,
    key: Vec<u8>,
    last: Option<(Vec<u8>, Arc<[u32]>)>,
    /// For each name of the batch: its number among the names that tell log sources apart.
    numbers: Vec<u16>,
}

const NO_ROUTE: u16 = u16::MAX;

impl Routes {
    fn begin(&mut self, program: &Program, batch: &Batch) {
        self.numbers.clear();
        let number = |name: &str| program.routing.get(name).copied().unwrap_or(NO_ROUTE);
        self.numbers.extend(batch.names().iter().map(|name| number(name)));
    }

    /// Takes an event's field into account.
    fn add<'b>(&mut self, name: NameId, value: impl FnOnce() -> Value<'b>) {
        let number = self.numbers[name.index()];
        if number == NO_ROUTE {
            return;
        }
        let value = value();
        self.key.extend_from_slice(&number.to_le_bytes());
        self.key.push(u8::from(value == Value::Null));
        let text = value.to_text();
        self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.key.extend_from_slice(text.as_bytes());
    }

    /// The partitions of the event whose fields were added.
    pub(super) fn find(&mut self, find: impl FnOnce() -> Arc<[u32]>) -> Arc<[u32]> {
        if let Some((key, partitions)) = &self.last
            && *key == self.key
        {
            return partitions.clone();
        }
        let partitions = match self.known.get(self.key.as_slice()) {
            Some(partitions) => partitions.clone(),
            None => {
                let partitions = find();
                if self.key.len() <= MAX_ROUTE_BYTES {
                    if self.known.len() >= MAX_ROUTES {
                        self.known.clear();
                    }
                    self.known.insert(self.key.as_slice().into(), partitions.clone());
                }
                partitions
            }
        };
        let (key, last) = self.last.get_or_insert_with(|| (Vec::new(), partitions.clone()));
        key.clone_from(&self.key);
        *last = partitions.clone();
        partitions
    }
}

/// A partition with what this thread has learnt of it.
#[derive(Debug)]
struct Part {
    partition: Arc<Partition>,
    witnesses: Witnesses,
    hits: Vec<Hit>,
    events: u64,
    next_review: u64,
    columns: Vec<ColumnState>,
    keywords: ColumnState,
    /// The batch that the following is about.
    batch: u64,
    /// Where the columns of each of its names begin in `uses`.
    starts: Vec<u32>,
    uses: Vec<Use>,
    /// Whether keywords are searched in fields of the name.
    searched: Vec<bool>,
}

/// Where a check was true.
#[derive(Clone, Copy, Debug, Default)]
struct Hit {
    /// The last event.
    last: u32,
    /// How many events.
    events: u32,
}

#[derive(Clone, Debug, Default)]
struct ColumnState {
    /// The event's number, and the lowest rank of its names that has a value.
    best: (u32, u32),
    looked: u32,
    known: u32,
    /// Values that will not be looked for in the memory.
    without: u32,
}

/// Reads values: remembers, folds, scans.
#[derive(Debug)]
struct Reader {
    memo: Memo,
    seen: Seen,
    folded: String,
    found: Vec<Local>,
}

/// What a column may read in the present event.
pub(super) struct Item<'b> {
    place: Use,
    value: Given<'b>,
}

enum Given<'b> {
    Field(Value<'b>),
    Implied(Implied),
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        let reader =
            Reader { memo: Memo::new(MEMO_BYTES), seen: Seen::default(), folded: String::new(), found: Vec::new() };
        Scratch {
            truths: Truths::default(),
            states: States::default(),
            seen: Vec::new(),
            candidates: Vec::new(),
            routes: Routes::default(),
            parts: Vec::new(),
            reader,
            names: Vec::new(),
            batch: 0,
        }
    }

    pub(super) fn begin(&mut self, program: &Program, batch: &Batch) {
        self.seen.resize(program.rules.len(), 0);
        self.states.slots.resize(program.slots.len(), (0, false, false));
        // Batches of few events have the same names again and again.
        if self.names != batch.names() {
            self.names = batch.names().to_vec();
            self.batch += 1;
            self.routes.begin(program, batch);
        }
    }

    /// Begins an event.
    pub(super) fn next(&mut self, program: &Program, event: Event<'_>) {
        self.truths.begin(program.checks.len());
        if self.truths.now == 2 {
            // The numbers begin anew.
            self.seen.fill(0);
            self.states.slots.fill((0, false, false));
            for part in self.parts.iter_mut().flatten() {
                part.columns.iter_mut().for_each(|column| column.best = (0, 0));
                part.hits.iter_mut().for_each(|hit| hit.last = 0);
            }
        }
        self.candidates.clear();
        self.routes.key.clear();
        for (place, name) in event.names().enumerate() {
            self.routes.add(name, || event.value_at(place));
        }
    }

    /// Puts an event to all checks of values of a partition; adds the rules that may match to the candidates.
    pub(super) fn read<'b>(
        &mut self,
        program: &Program,
        partition: u32,
        (event, names): (Event<'b>, &Names),
        items: &mut Vec<Item<'b>>,
    ) {
        let view = &View::new(program, names, event, &self.truths);
        let at = partition as usize;
        if self.parts.len() <= at {
            self.parts.resize_with(at + 1, || None);
        }
        let part = self.parts[at].get_or_insert_with(|| Box::new(Part::new(program, program.partition(partition))));
        let part = &mut **part;
        let now = self.truths.now;
        part.event(program, view.event().batch(), self.batch);
        part.collect(event, now, items);

        let partition = &*part.partition;
        let mut candidate = |rules: &[u32]| {
            for &rule in rules {
                if std::mem::replace(&mut self.seen[rule as usize], now) != now {
                    self.candidates.push(rule);
                }
            }
        };
        candidate(&part.witnesses.always);
        let mut found = |found: &[Local]| {
            for &local in found {
                let hit = &mut part.hits[local as usize];
                if hit.last != now {
                    *hit = Hit { last: now, events: hit.events + 1 };
                    self.truths.set(partition.checks[local as usize], true);
                    candidate(part.witnesses.of(local));
                }
            }
        };
        let mut read = |number: usize, scanner: &Scanner, state: &mut ColumnState, text: &str| {
            let key = (partition.number, number as u32);
            found(self.reader.read(program, partition, (key, scanner), state, text));
        };
        for Item { place, value } in items.drain(..) {
            let number = place.column as usize;
            let (column, state) = (&partition.columns[number], &mut part.columns[number]);
            if state.best.0 == now && state.best.1 != place.rank {
                continue;
            }
            self.states.add(column.slot, now, matches!(value, Given::Field(Value::Null)));
            match value {
                Given::Field(Value::Null) => {}
                Given::Field(value) => read(number, &column.scanner, state, &value.to_text()),
                Given::Implied(what) => read(number, &column.scanner, state, view.implied(what)),
            }
        }
        let plain = partition.keywords.is_plain();
        if !partition.keywords.is_empty() {
            let number = partition.columns.len();
            let texts = !plain || partition.keywords.may_be_in(event.texts());
            let numbers = !plain || partition.keywords.may_be_in_numbers();
            let fields = if texts || numbers { event.names().len() } else { 0 };
            for (place, name) in event.names().take(fields).enumerate() {
                let value = event.value_at(place);
                let asked = if value.as_str().is_some() { texts } else { numbers && value != Value::Null };
                if asked && part.searched[name.index()] {
                    read(number, &partition.keywords, &mut part.keywords, &value.to_text());
                }
            }
            if let Some(original) = view.searched_original() {
                read(number, &partition.keywords, &mut part.keywords, original.text());
            }
        }
    }
}

impl Part {
    fn new(program: &Program, partition: Arc<Partition>) -> Part {
        Part {
            witnesses: partition.witnesses(program, |_| None),
            hits: vec![Hit::default(); partition.checks.len()],
            events: 0,
            next_review: FIRST_REVIEW,
            columns: vec![ColumnState::default(); partition.columns.len()],
            // Reading everything costs less than remembering it, where nothing but texts is looked for.
            keywords: ColumnState {
                without: if partition.keywords.is_plain() { u32::MAX } else { 0 },
                ..ColumnState::default()
            },
            batch: 0,
            starts: Vec::new(),
            uses: Vec::new(),
            searched: Vec::new(),
            partition,
        }
    }

    /// Counts an event. Now and then the checks that were true least often become the witnesses.
    fn event(&mut self, program: &Program, batch: &Batch, number: u64) {
        if self.batch != number {
            self.batch = number;
            self.names(batch);
        }
        self.events += 1;
        if self.events < self.next_review {
            return;
        }
        self.next_review = self.events + (self.events * 3).min(REVIEW_EVERY);
        let events = self.events as f32;
        // What was never seen may be seen next: the guess is worth one event.
        self.witnesses = self.partition.witnesses(program, |local| {
            let gate = &program.checks[self.partition.checks[local as usize] as usize].test;
            Some((self.hits[local as usize].events as f32 + Gate::guess(gate)) / (events + 1.0))
        });
    }

    fn names(&mut self, batch: &Batch) {
        self.starts.clear();
        self.uses.clear();
        self.searched.clear();
        for name in batch.names() {
            self.starts.push(self.uses.len() as u32);
            self.uses.extend_from_slice(self.partition.uses(name));
            self.searched.push(view::is_searched(name));
        }
        self.starts.push(self.uses.len() as u32);
    }

    /// The values that columns may read, and for each column the lowest rank that has one.
    fn collect<'b>(&mut self, event: Event<'b>, now: u32, items: &mut Vec<Item<'b>>) {
        items.clear();
        for (at, name) in event.names().enumerate() {
            let name = name.index();
            for &place in &self.uses[self.starts[name] as usize..self.starts[name + 1] as usize] {
                let value = event.value_at(at);
                let best = &mut self.columns[place.column as usize].best;
                if value != Value::Null && (best.0 != now || place.rank < best.1) {
                    *best = (now, place.rank);
                }
                items.push(Item { place, value: Given::Field(value) });
            }
        }
        for &(place, what) in &self.partition.implied {
            let best = &mut self.columns[place.column as usize].best;
            if best.0 != now || best.1 > place.rank {
                *best = (now, place.rank);
                items.push(Item { place, value: Given::Implied(what) });
            }
        }
    }
}

impl Reader {
    /// The checks of a column that are true of a value.
    fn read(
        &mut self,
        program: &Program,
        partition: &Partition,
        (key, scanner): (ColumnKey, &Scanner),
        state: &mut ColumnState,
        text: &str,
    ) -> &[Local] {
        self.found.clear();
        if scanner.is_empty() {
            return &self.found;
        }
        let remember = if scanner.is_cheap() {
            if !scanner.may_be(text) {
                return &self.found;
            }
            false
        } else if state.without > 0 {
            state.without -= u32::from(state.without != u32::MAX);
            false
        } else {
            text.len() <= MAX_VALUE_BYTES
        };
        if remember {
            state.looked += 1;
            let known = self.memo.get(key, text.as_bytes(), &mut self.found);
            state.known += u32::from(known);
            if state.looked >= PROBATION {
                state.without = if state.known * 16 < PROBATION { WITHOUT } else { 0 };
                (state.looked, state.known) = (0, 0);
            }
            if known {
                return &self.found;
            }
        }
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
        if remember {
            self.memo.put(key, text.as_bytes(), &self.found);
        }
        &self.found
    }
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
