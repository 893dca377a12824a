//! A batch of parsed events of one source.

use std::{ops::Range, sync::Arc};

use crate::{
    EventId, Source, Time, Value, ecs,
    names::{NameId, Names, ShapeId},
};

/// A batch ends at this many events.
pub const MAX_BATCH_EVENTS: usize = 1024;
/// A batch ends once its original bytes reach this size.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str { start: u32, len: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    name: NameId,
    cell: Cell,
}

#[derive(Clone, Debug)]
struct Head {
    seq: u64,
    received: Time,
    time: Option<Time>,
    parser: Option<u16>,
    shape: ShapeId,
    raw_start: usize,
    fields_start: usize,
}

/// A field of an event: its name and value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The name's number; equal names of one batch have equal numbers.
    pub id: NameId,
    /// The dotted name.
    pub name: &'a str,
    /// The value.
    pub value: Value<'a>,
}

/// Events of one source, in sequence order: original bytes and derived fields, in a few flat buffers.
#[derive(Clone, Debug)]
pub struct Batch {
    source: Arc<Source>,
    heads: Vec<Head>,
    raw: Vec<u8>,
    text: String,
    slots: Vec<Slot>,
    names: Names,
    parsers: Vec<Arc<str>>,
}

impl Batch {
    /// The source all events belong to.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// True if it holds no event.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The original bytes of all events together.
    pub fn raw_bytes(&self) -> usize {
        self.raw.len()
    }

    /// The field names that occur, indexed by [`NameId::index`].
    pub fn names(&self) -> &[Box<str>] {
        self.names.list()
    }

    /// The number of a field name, if any event of the batch has the field.
    pub fn name_id(&self, name: &str) -> Option<NameId> {
        self.names.find(name)
    }

    /// How many shapes its events have; greater than each [`ShapeId::index`].
    pub fn shapes(&self) -> usize {
        self.names.shapes()
    }

    /// The event at `index`.
    ///
    /// # Panics
    /// If `index >= self.len()`.
    pub fn event(&self, index: usize) -> Event<'_> {
        assert!(index < self.heads.len(), "event {index} of a batch of {}", self.heads.len());
        Event { batch: self, index }
    }

    /// All events in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        (0..self.heads.len()).map(|index| Event { batch: self, index })
    }
}

/// One event of a [`Batch`].
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    batch: &'a Batch,
    index: usize,
}

impl<'a> Event<'a> {
    #[inline]
    fn head(&self) -> &'a Head {
        &self.batch.heads[self.index]
    }

    #[inline]
    fn next_head(&self) -> Option<&'a Head> {
        self.batch.heads.get(self.index + 1)
    }

    #[inline]
    fn slots(&self) -> &'a [Slot] {
        let end = self.next_head().map_or(self.batch.slots.len(), |next| next.fields_start);
        &self.batch.slots[self.head().fields_start..end]
    }

    /// Its index in the batch.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The batch.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// Its name in the data folder.
    pub fn id(&self) -> EventId {
        EventId { source: self.batch.source.id, seq: self.head().seq }
    }

    /// Sequence number within the source.
    pub fn seq(&self) -> u64 {
        self.head().seq
    }

    /// When it was received.
    pub fn received(&self) -> Time {
        self.head().received
    }

    /// When it happened: its own time, or the receive time where it has none.
    pub fn time(&self) -> Time {
        self.head().time.unwrap_or(self.head().received)
    }

    /// The original bytes.
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        let end = self.next_head().map_or(self.batch.raw.len(), |next| next.raw_start);
        &self.batch.raw[self.head().raw_start..end]
    }

    /// The parser that understood it, `name@version`; none if no parser did.
    pub fn parser(&self) -> Option<&'a Arc<str>> {
        self.head().parser.map(|parser| &self.batch.parsers[usize::from(parser)])
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.get_id(self.batch.name_id(name)?)
    }

    /// The first value of a field, by number.
    pub fn get_id(&self, name: NameId) -> Option<Value<'a>> {
        let batch = self.batch;
        self.slots().iter().find(|slot| slot.name == name).map(|slot| batch.value(slot.cell))
    }

    /// All values of a field (an array is several fields of one name).
    pub fn all(&self, name: &str) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let id = self.batch.name_id(name);
        let batch = self.batch;
        self.slots().iter().filter(move |slot| Some(slot.name) == id).map(move |slot| batch.value(slot.cell))
    }

    /// Every field in the order the parser gave them.
    #[inline]
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'a>> + use<'a> {
        let batch = self.batch;
        self.slots().iter().map(move |slot| Field {
            id: slot.name,
            name: batch.names.name(slot.name),
            value: batch.value(slot.cell),
        })
    }

    /// The number of what its fields are called, and which of them are null.
    pub fn shape(&self) -> ShapeId {
        self.head().shape
    }

    /// The numbers of its fields' names, in the order of [`fields`](Event::fields).
    #[inline]
    pub fn names(&self) -> impl ExactSizeIterator<Item = NameId> + use<'a> {
        self.slots().iter().map(|slot| slot.name)
    }

    /// The value of the field at this place among its [`names`](Event::names).
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub fn value_at(&self, place: usize) -> Value<'a> {
        self.batch.value(self.slots()[place].cell)
    }

    /// The field at this place among its [`names`](Event::names).
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub fn field_at(&self, place: usize) -> Field<'a> {
        let Slot { name, cell } = self.slots()[place];
        Field { id: name, name: self.batch.names.name(name), value: self.batch.value(cell) }
    }

    /// The numbers of its fields' names and which of them are null, in the order of [`fields`](Event::fields).
    #[inline]
    pub fn outline(&self) -> impl ExactSizeIterator<Item = (NameId, bool)> + use<'a> {
        self.slots().iter().map(|slot| (slot.name, matches!(slot.cell, Cell::Null)))
    }

    /// All texts among its values one after the other, with nothing between them: what is nowhere in it is in none.
    #[inline]
    pub fn texts(&self) -> &'a str {
        let text = |slot: &Slot| match slot.cell {
            Cell::Str { start, len } => Some((start as usize, len as usize)),
            _ => None,
        };
        let slots = self.slots();
        let (first, last) = (slots.iter().find_map(text), slots.iter().rev().find_map(text));
        match (first, last) {
            (Some((start, _)), Some((end, len))) => &self.batch.text[start..end + len],
            _ => "",
        }
    }

    /// The fields that have a text, and where it is in [`texts`](Event::texts).
    pub fn places_of_texts(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> + use<'a> {
        let (names, mut begin) = (&self.batch.names, None);
        self.slots().iter().filter_map(move |slot| match slot.cell {
            Cell::Str { start, len } => {
                let start = start as usize - *begin.get_or_insert(start as usize);
                Some((names.name(slot.name), start..start + len as usize))
            }
            _ => None,
        })
    }

    /// The event as the flat JSON object that the API and `-o json` show: `event.id`, `@timestamp`, every
    /// field (several values become an array), and `event.original`.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut json = serde_json::Map::new();
        json.insert("event.id".into(), self.id().to_string().into());
        json.insert(ecs::TIMESTAMP.into(), self.time().to_string().into());
        for field in self.fields() {
            if field.name == ecs::TIMESTAMP || field.name == ecs::ORIGINAL {
                continue;
            }
            let value = field.value.to_json();
            match json.get_mut(field.name) {
                None => drop(json.insert(field.name.to_owned(), value)),
                Some(serde_json::Value::Array(values)) => values.push(value),
                Some(first) => *first = serde_json::Value::Array(vec![first.take(), value]),
            }
        }
        json.insert(ecs::ORIGINAL.into(), String::from_utf8_lossy(self.raw()).into());
        json
    }
}

impl Batch {
    #[inline]
    fn value(&self, cell: Cell) -> Value<'_> {
        match cell {
            Cell::Null => Value::Null,
            Cell::Bool(bool) => Value::Bool(bool),
            Cell::Int(int) => Value::Int(int),
            Cell::Float(float) => Value::Float(float),
            Cell::Str { start, len } => Value::Str(&self.text[start as usize..][..len as usize]),
        }
    }
}

/// Builds a [`Batch`] event by event: [`begin`](Self::begin), then the event's fields, then the next.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
}

impl BatchBuilder {
    /// An empty batch of a source.
    pub fn new(source: Arc<Source>) -> Self {
        BatchBuilder {
            batch: Batch {
                source,
                heads: Vec::new(),
                raw: Vec::new(),
                text: String::new(),
                slots: Vec::new(),
                names: Names::default(),
                parsers: Vec::new(),
            },
        }
    }

    /// Starts the next event.
    pub fn begin(&mut self, seq: u64, received: Time, raw: &[u8]) {
        self.end();
        self.batch.heads.push(Head {
            seq,
            received,
            time: None,
            parser: None,
            shape: ShapeId::default(),
            raw_start: self.batch.raw.len(),
            fields_start: self.batch.slots.len(),
        });
        self.batch.raw.extend_from_slice(raw);
    }

    /// Ends the current event, if one was begun.
    fn end(&mut self) {
        if let Some(head) = self.batch.heads.last_mut() {
            head.shape = self.batch.names.end();
        }
    }

    fn head(&mut self) -> &mut Head {
        self.batch.heads.last_mut().expect("`begin` comes before an event's fields")
    }

    /// Adds a field to the current event. The same name again makes an array.
    ///
    /// # Panics
    /// If no event was begun.
    pub fn push(&mut self, name: &str, value: Value<'_>) {
        assert!(!self.batch.heads.is_empty(), "`begin` comes before an event's fields");
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Bool(bool) => Cell::Bool(bool),
            Value::Int(int) => Cell::Int(int),
            Value::Float(float) => Cell::Float(float),
            Value::Str(text) => {
                let start = self.batch.text.len();
                self.batch.text.push_str(text);
                let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(text.len())) else {
                    // Unreachable within the size limits of a batch; an absent value is still better than a wrong one.
                    self.batch.text.truncate(start);
                    return;
                };
                Cell::Str { start, len }
            }
        };
        let name = self.batch.names.intern(name, matches!(cell, Cell::Null));
        self.batch.slots.push(Slot { name, cell });
    }

    /// The first value that the current event has for `name` so far.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        let index = self.batch.heads.len().checked_sub(1)?;
        Event { batch: &self.batch, index }.get(name)
    }

    /// Sets when the current event happened.
    pub fn time(&mut self, time: Time) {
        self.head().time = Some(time);
    }

    /// Says which parser (`name@version`) understood the current event.
    pub fn parser(&mut self, parser: &Arc<str>) {
        let parsers = &mut self.batch.parsers;
        let known = parsers.iter().position(|known| known == parser).unwrap_or_else(|| {
            parsers.push(parser.clone());
            parsers.len() - 1
        });
        self.head().parser = u16::try_from(known).ok();
    }

    /// Number of events so far.
    pub fn len(&self) -> usize {
        self.batch.heads.len()
    }

    /// True if no event was begun.
    pub fn is_empty(&self) -> bool {
        self.batch.heads.is_empty()
    }

    /// True once the batch has reached its size; end it and start another.
    pub fn is_full(&self) -> bool {
        self.batch.heads.len() >= MAX_BATCH_EVENTS || self.batch.raw.len() >= MAX_BATCH_BYTES
    }

    /// The finished batch.
    pub fn finish(mut self) -> Batch {
        self.end();
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceId;

    fn two_events() -> Batch {
        let mut batch = BatchBuilder::new(Source::new(SourceId(7), "test:1", "test"));
        batch.begin(10, Time::from_secs(5), b"first");
        batch.push("a", Value::Str("x"));
        batch.push("tags", Value::Str("one"));
        batch.push("tags", Value::Int(2));
        batch.time(Time::from_secs(1));
        batch.parser(&"p@1".into());
        batch.begin(11, Time::from_secs(6), b"\xff");
        batch.push("a", Value::Null);
        batch.finish()
    }

    #[test]
    fn events_keep_their_own_bytes_fields_and_times() {
        let batch = two_events();
        let (first, second) = (batch.event(0), batch.event(1));
        assert_eq!((first.raw(), second.raw()), (&b"first"[..], &b"\xff"[..]));
        assert_eq!((first.time(), second.time()), (Time::from_secs(1), Time::from_secs(6)));
        assert_eq!((first.get("a"), second.get("a")), (Some(Value::Str("x")), Some(Value::Null)));
        assert_eq!(second.get("tags"), None);
        assert_eq!(first.all("tags").count(), 2);
        assert_eq!(first.parser().map(|parser| &**parser), Some("p@1"));
        assert_eq!(second.parser(), None);
        assert_eq!(second.id().to_string(), "7-11");
        assert_eq!((first.texts(), second.texts()), ("xone", ""));
        assert_eq!(first.places_of_texts().collect::<Vec<_>>(), [("a", 0..1), ("tags", 1..4)]);
    }

    #[test]
    fn names_have_one_number_whatever_order_they_come_in() {
        let orders = ["abc", "abc", "acb", "", "aabbcc", "cba", "ad", "abc"];
        let mut batch = BatchBuilder::new(Source::new(SourceId(7), "test:1", "test"));
        for (seq, order) in orders.iter().enumerate() {
            batch.begin(seq as u64, Time::from_secs(5), b"");
            for at in 0..order.len() {
                batch.push(&order[at..=at], Value::Int(at as i64));
            }
        }
        let batch = batch.finish();
        let names: Vec<&str> = batch.names().iter().map(|name| &**name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        for (event, order) in batch.events().zip(orders) {
            let fields: String = event.fields().map(|field| field.name).collect();
            assert_eq!(fields, order);
            assert!(event.fields().all(|field| batch.name_id(field.name) == Some(field.id)), "{order}");
        }
        assert_eq!(batch.name_id("e"), None);
        let shapes: Vec<usize> = batch.events().map(|event| event.shape().index()).collect();
        assert_eq!(shapes, [0, 0, 1, 2, 3, 4, 5, 0]);
        assert_eq!(batch.shapes(), 6);
    }

    #[test]
    fn events_of_one_shape_are_null_in_the_same_places() {
        let mut batch = BatchBuilder::new(Source::new(SourceId(7), "test:1", "test"));
        for (seq, values) in [[Value::Null, Value::Int(1)], [Value::Int(1), Value::Null], [Value::Null, Value::Str("")]]
            .into_iter()
            .enumerate()
        {
            batch.begin(seq as u64, Time::from_secs(5), b"");
            values.into_iter().for_each(|value| batch.push("a", value));
        }
        let batch = batch.finish();
        let shapes: Vec<usize> = batch.events().map(|event| event.shape().index()).collect();
        assert_eq!(shapes, [0, 1, 0]);
    }

    #[test]
    fn json_shows_arrays_and_the_original() {
        let batch = two_events();
        let json = serde_json::to_string(&batch.event(0).to_json()).unwrap();
        expect_test::expect![[
            r#"{"event.id":"7-10","@timestamp":"1970-01-01T00:00:01.000000Z","a":"x","tags":["one",2],"event.original":"first"}"#
        ]]
        .assert_eq(&json);
    }
}
