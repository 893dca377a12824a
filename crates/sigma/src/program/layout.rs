//! What a partition reads of events that have the same fields in the same order.

use hashbrown::HashMap;
use vedette_event::Event;

use super::{
    CheckId,
    names::Numbers,
    partition::{Implied, Partition, Use},
    scan::Scanner,
};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// Most bytes of remembered layouts of one partition, and most fields of one.
const MAX_BYTES: usize = 512 << 10;
const MAX_FIELDS: usize = 256;
/// Most sets of columns that are fed together; beyond that, each column is fed by itself.
const MAX_FEEDS: usize = 4_096;

/// What is read of an event.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Its number; none if it is not remembered.
    pub(super) id: Option<u64>,
    pub(super) reads: Box<[Read]>,
    pub(super) comparisons: Box<[Comparison]>,
}

/// A value, and the columns it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) from: From,
    pub(super) feed: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// One of the fields that the partition knows.
    Field(u32),
    Implied(Implied),
}

/// Values that a check compares.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) check: CheckId,
    pub(super) values: Box<[From]>,
    pub(super) others: Box<[From]>,
}

/// Columns that are fed by the same values.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) columns: Box<[u32]>,
    /// Values are looked up whole, and that is all.
    pub(super) is_cheap: bool,
    pub(super) habit: Habit,
}

/// Whether remembering pays.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habit {
    pub(super) looked: u32,
    pub(super) known: u32,
    /// Values that will not be looked for in the memory.
    pub(super) without: u32,
}

impl Layout {
    fn bytes(&self) -> usize {
        let froms = |comparison: &Comparison| size_of_val(&*comparison.values) + size_of_val(&*comparison.others);
        let comparisons = size_of_val(&*self.comparisons) + self.comparisons.iter().map(froms).sum::<usize>();
        2 * size_of::<Layout>() + size_of_val(&*self.reads) + comparisons
    }
}

/// The layouts that a partition's events had.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    /// By the numbers of their names, and whether they are null.
    known: HashMap<Box<[u32]>, u32, foldhash::fast::RandomState>,
    /// The first is that of an event whose layout is not remembered.
    list: Vec<Layout>,
    bytes: usize,
    /// How often all were forgotten.
    forgotten: u64,
    feeds: Vec<Feed>,
    by_columns: Map<Box<[u32]>, u32>,
    key: Vec<u32>,
}

impl Layouts {
    /// Finds an event's layout, and appends the places of those of its fields that the partition knows. `made` counts
    /// layouts, so that no two ever have the same number.
    pub(super) fn find(
        &mut self,
        partition: &Partition,
        numbers: &Numbers,
        event: Event<'_>,
        places: &mut Vec<u32>,
        made: &mut u64,
    ) -> u32 {
        self.key.clear();
        for (place, (name, is_null)) in (0..).zip(event.outline()) {
            let number = numbers.of(name);
            if partition.knows(number) {
                places.push(place);
                self.key.push(number << 1 | u32::from(is_null));
            }
        }
        match self.known.get(self.key.as_slice()) {
            Some(known) => *known,
            None => self.make(partition, made),
        }
    }

    /// How often all layouts were forgotten: numbers from before mean nothing now.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// A layout that was found, and what it feeds.
    pub(super) fn get(&mut self, number: u32) -> (&Layout, &mut [Feed]) {
        (&self.list[number as usize], &mut self.feeds)
    }

    fn make(&mut self, partition: &Partition, made: &mut u64) -> u32 {
        if self.list.is_empty() || self.bytes > MAX_BYTES {
            self.known.clear();
            self.list.clear();
            self.list.push(Layout::default());
            self.bytes = 0;
            self.forgotten += 1;
        }
        let mut layout = self.layout(partition);
        if self.key.len() > MAX_FIELDS {
            self.list[0] = layout;
            return 0;
        }
        *made += 1;
        layout.id = Some(*made);
        self.bytes += size_of_val(&*self.key) + layout.bytes();
        self.list.push(layout);
        let number = self.list.len() as u32 - 1;
        self.known.insert(self.key.as_slice().into(), number);
        number
    }

    /// Of each column's names the lowest rank that has a value is read, all its values.
    fn layout(&mut self, partition: &Partition) -> Layout {
        let values = (0..).zip(&self.key).filter(|(_, key)| **key & 1 == 0);
        let values: Vec<(u32, u32)> = values.map(|(field, key)| (field, key >> 1)).collect();
        let mut best: Map<u32, u32> = Map::default();
        for place in values.iter().flat_map(|(_, number)| partition.uses(*number)) {
            let best = best.entry(place.column).or_insert(place.rank);
            *best = place.rank.min(*best);
        }
        let mut implied = Vec::new();
        for (place, what) in &partition.implied {
            if best.get(&place.column).is_none_or(|best| *best > place.rank) {
                best.insert(place.column, place.rank);
                implied.push((*place, *what));
            }
        }
        let is_best = |place: &&Use| best[&place.column] == place.rank;
        let of_column = |column: u32| {
            let feeds = |place: &Use| place.column == column && is_best(&place);
            let fields = values.iter().filter(|(_, number)| partition.uses(*number).iter().any(feeds));
            let fields = fields.map(|(field, _)| From::Field(*field));
            fields
                .chain(implied.iter().filter(|(place, _)| feeds(place)).map(|(_, what)| From::Implied(*what)))
                .collect()
        };
        let comparison = |(check, column, other): &(CheckId, u32, u32)| {
            let (values, others): (Box<[From]>, Box<[From]>) = (of_column(*column), of_column(*other));
            let is_possible = !values.is_empty() && !others.is_empty();
            is_possible.then_some(Comparison { check: *check, values, others })
        };
        let comparisons = partition.comparisons.iter().filter_map(comparison).collect();
        let is_tested = |place: &&Use| !partition.columns[place.column as usize].scanner.is_empty();
        let mut reads = Vec::new();
        for (field, number) in &values {
            let uses = partition.uses(*number).iter().filter(is_best).filter(is_tested);
            let columns: Vec<u32> = uses.map(|place| place.column).collect();
            self.feed(partition, From::Field(*field), &columns, &mut reads);
        }
        for (place, what) in implied.iter().filter(|(place, _)| is_best(&place) && is_tested(&place)) {
            self.feed(partition, From::Implied(*what), &[place.column], &mut reads);
        }
        Layout { id: None, reads: reads.into(), comparisons }
    }

    fn feed(&mut self, partition: &Partition, from: From, columns: &[u32], reads: &mut Vec<Read>) {
        let together = if self.feeds.len() < MAX_FEEDS { columns.len() } else { 1 };
        for columns in columns.chunks(together.max(1)) {
            let feed = match self.by_columns.get(columns) {
                Some(known) => *known,
                None => {
                    let mut scanners = columns.iter().map(|column| &partition.columns[*column as usize].scanner);
                    let is_cheap = scanners.all(Scanner::is_cheap);
                    self.feeds.push(Feed { columns: columns.into(), is_cheap, habit: Habit::default() });
                    let feed = self.feeds.len() as u32 - 1;
                    self.by_columns.insert(columns.into(), feed);
                    feed
                }
            };
            reads.push(Read { from, feed });
        }
    }
}
