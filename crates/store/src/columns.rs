//! The columns of segments and of the hot tail, and how a batch becomes rows.

use std::{
    collections::HashMap,
    net::IpAddr,
    ops::Range,
    path::Path,
    sync::{Arc, LazyLock},
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, ListBuilder, RecordBatch, StringArray, StringBuilder,
        TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
    },
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit},
};
use vedette_event::{
    Batch, Value,
    ecs::{CORE, Column, Kind, ORIGINAL, TIMESTAMP},
};

use crate::{Result, error::ParquetContext};

/// The version of this set of columns. It grows when columns are added; columns are never renamed,
/// retyped or removed, so that a reader of a newer set reads older segments with nulls.
pub const SCHEMA_ID: u32 = 1;

/// The version of ECS that the core columns' names and types are taken from.
pub const ECS_VERSION: &str = "9.1";

/// Number of the source ([`vedette_event::SourceId`]).
pub const SOURCE: &str = "vedette.source";
/// Sequence number within the source.
pub const SEQ: &str = "vedette.seq";
/// The batch: the sequence number of its first event. With the source it names the batch for ever.
pub const BATCH: &str = "vedette.batch";
/// Receive time.
pub const RECEIVED: &str = "vedette.received";
/// The parser that understood the event, `name@version`; null if none did.
pub const PARSER: &str = "vedette.parser";
/// Name of the source.
pub const SOURCE_NAME: &str = "vedette.source_name";

/// Columns before the core columns: `@timestamp`, then the `vedette.*` ones.
const LEADING: usize = 7;

/// The columns of every segment and of the tail, in order:
///
/// | column | type |
/// |---|---|
/// | `@timestamp` | timestamp (µs, UTC), never null |
/// | `vedette.source` | u32 |
/// | `vedette.seq` | u64 |
/// | `vedette.batch` | u64 |
/// | `vedette.received` | timestamp (µs, UTC) |
/// | `vedette.parser` | text, nullable |
/// | `vedette.source_name` | text |
/// | every column of [`vedette_event::ecs::CORE`] | text (keyword, ip), i64 (long), list of text (keywords); nullable |
/// | `event.original` | bytes |
///
/// An event's id is `<vedette.source>-<vedette.seq>`.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new(TIMESTAMP, time.clone(), false),
            Field::new(SOURCE, DataType::UInt32, false),
            Field::new(SEQ, DataType::UInt64, false),
            Field::new(BATCH, DataType::UInt64, false),
            Field::new(RECEIVED, time, false),
            Field::new(PARSER, DataType::Utf8, true),
            Field::new(SOURCE_NAME, DataType::Utf8, false),
        ];
        debug_assert_eq!(fields.len(), LEADING);
        fields.extend(CORE.iter().map(|column| Field::new(column.name, data_type(column.kind), true)));
        fields.push(Field::new(ORIGINAL, DataType::Binary, false));
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Keyword | Kind::Ip => DataType::Utf8,
        Kind::Long => DataType::Int64,
        Kind::Keywords => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    }
}

/// Position in [`CORE`] of the core column of that name.
pub(crate) fn core_index(name: &str) -> Option<usize> {
    static INDEX: LazyLock<HashMap<&'static str, usize>> =
        LazyLock::new(|| CORE.iter().enumerate().map(|(index, column)| (column.name, index)).collect());
    INDEX.get(name).copied()
}

/// Which core column each of a batch's names is, by its position in [`CORE`].
pub(crate) fn cores(batch: &Batch) -> Vec<Option<usize>> {
    batch.names().iter().map(|name| core_index(name)).collect()
}

/// Core columns, as a bit for each position in [`CORE`].
///
/// A segment names those of its columns that are *inexact*: that somewhere do not say all of their field. In an exact
/// column, a value is the text of the field's only value, and null means that the event does not have the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSet(u64);

const _: () = assert!(CORE.len() <= 64);

impl ColumnSet {
    pub(crate) fn insert(&mut self, core: usize) {
        self.0 |= 1 << core;
    }

    pub(crate) fn contains(self, core: usize) -> bool {
        self.0 >> core & 1 == 1
    }

    pub(crate) fn union(self, other: ColumnSet) -> ColumnSet {
        ColumnSet(self.0 | other.0)
    }

    /// The names, joined by commas.
    pub(crate) fn to_text(self) -> String {
        let names = CORE.iter().enumerate().filter(|(core, _)| self.contains(*core)).map(|(_, column)| column.name);
        names.collect::<Vec<_>>().join(",")
    }

    /// Names that this version does not know are of no column that it has.
    pub(crate) fn parse(text: &str) -> ColumnSet {
        let mut set = ColumnSet::default();
        text.split(',').filter_map(core_index).for_each(|core| set.insert(core));
        set
    }
}

/// The values of a row's core columns.
pub(crate) fn core_values(records: &RecordBatch, row: usize) -> Vec<String> {
    let mut values = Vec::new();
    for column in CORE.iter().filter_map(|column| records.column_by_name(column.name)) {
        if column.is_null(row) {
        } else if let Some(texts) = column.as_string_opt::<i32>() {
            values.push(texts.value(row).to_owned());
        } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
            values.push(numbers.value(row).to_string());
        } else if let Some(list) = column.as_list_opt::<i32>().map(|lists| lists.value(row))
            && let Some(texts) = list.as_string_opt::<i32>()
        {
            values.extend(texts.iter().flatten().map(str::to_owned));
        }
    }
    values
}

/// The value that an [`Kind::Ip`] column keeps: the address in its canonical text, or nothing if the value is no address.
pub fn canonical_ip(value: Value<'_>) -> Option<String> {
    Some(value.as_str()?.trim().parse::<IpAddr>().ok()?.to_string())
}

enum ColumnBuilder {
    /// No event of the batch has the field.
    Absent(DataType),
    Keyword(StringBuilder),
    Ip(StringBuilder),
    Long(Int64Builder),
    Keywords(ListBuilder<StringBuilder>),
}

impl ColumnBuilder {
    fn new(column: &Column, present: bool, rows: usize) -> Self {
        match column.kind {
            kind if !present => ColumnBuilder::Absent(data_type(kind)),
            Kind::Keyword => ColumnBuilder::Keyword(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Ip => ColumnBuilder::Ip(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Long => ColumnBuilder::Long(Int64Builder::with_capacity(rows)),
            Kind::Keywords => ColumnBuilder::Keywords(ListBuilder::new(StringBuilder::new())),
        }
    }

    /// Ends a row: `first` is its first value that is not null. A list has its values already.
    fn append(&mut self, first: Option<Value<'_>>) {
        match self {
            ColumnBuilder::Absent(_) => {}
            ColumnBuilder::Keyword(builder) => builder.append_option(first.map(Value::to_text)),
            ColumnBuilder::Ip(builder) => builder.append_option(first.and_then(canonical_ip)),
            ColumnBuilder::Long(builder) => builder.append_option(first.and_then(Value::as_int)),
            ColumnBuilder::Keywords(builder) => builder.append(first.is_some()),
        }
    }

    fn finish(self, rows: usize) -> ArrayRef {
        match self {
            ColumnBuilder::Absent(data_type) => new_null_array(&data_type, rows),
            ColumnBuilder::Keyword(mut builder) | ColumnBuilder::Ip(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Long(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Keywords(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// The rows of `events` of a batch, in the store's columns; `vedette.batch` is the first of them.
///
/// A keyword column keeps the first value of its field, a keywords column all. A value that its column's
/// type cannot hold is null there; it is still in the original bytes and in the token index.
pub(crate) fn rows(batch: &Batch, events: Range<usize>) -> Result<RecordBatch> {
    let count = events.len();
    // Which core column each of the batch's names is.
    let core_of = cores(batch);
    let mut present = [false; CORE.len()];
    core_of.iter().flatten().for_each(|&core| present[core] = true);
    let mut builders: Vec<ColumnBuilder> =
        CORE.iter().zip(present).map(|(column, present)| ColumnBuilder::new(column, present, count)).collect();

    let mut times = Vec::with_capacity(count);
    let mut seqs = Vec::with_capacity(count);
    let mut received = Vec::with_capacity(count);
    let mut parsers = StringBuilder::with_capacity(count, count * 16);
    let raw_bytes = events.clone().map(|index| batch.event(index).raw().len()).sum();
    let mut originals = BinaryBuilder::with_capacity(count, raw_bytes);
    for event in events.map(|index| batch.event(index)) {
        times.push(event.time().micros());
        seqs.push(event.seq());
        received.push(event.received().micros());
        parsers.append_option(event.parser());
        originals.append_value(event.raw());
        let mut first = [None; CORE.len()];
        for field in event.fields().filter(|field| field.value != Value::Null) {
            let Some(core) = core_of[field.id.index()] else {
                continue;
            };
            first[core] = first[core].or(Some(field.value));
            if let ColumnBuilder::Keywords(builder) = &mut builders[core] {
                builder.values().append_value(field.value.to_text());
            }
        }
        builders.iter_mut().zip(first).for_each(|(builder, first)| builder.append(first));
    }

    let source = batch.source();
    let first_seq = seqs.first().copied().unwrap_or_default();
    let names = StringArray::from_iter_values(std::iter::repeat_n(&*source.name, count));
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(UInt32Array::from_value(source.id.0, count)),
        Arc::new(UInt64Array::from(seqs)),
        Arc::new(UInt64Array::from_value(first_seq, count)),
        Arc::new(TimestampMicrosecondArray::from(received).with_timezone("UTC")),
        Arc::new(parsers.finish()),
        Arc::new(names),
    ];
    columns.extend(builders.into_iter().map(|builder| builder.finish(count)));
    columns.push(Arc::new(originals.finish()));
    RecordBatch::try_new(schema(), columns).of(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int64Type, UInt64Type};
    use vedette_event::{BatchBuilder, Source, SourceId, Time};

    #[test]
    fn the_first_columns_are_the_stores_own() {
        let schema = schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names[..LEADING], [TIMESTAMP, SOURCE, SEQ, BATCH, RECEIVED, PARSER, SOURCE_NAME]);
        assert_eq!(names[LEADING..names.len() - 1], CORE.iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(names.last(), Some(&ORIGINAL));
    }

    /// One event with one field; what its column holds.
    fn column(name: &str, values: &[Value<'_>]) -> ArrayRef {
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        batch.begin(5, Time::from_secs(9), b"\xffx");
        values.iter().for_each(|value| batch.push(name, *value));
        let rows = rows(&batch.finish(), 0..1).unwrap();
        rows.column_by_name(name).unwrap().clone()
    }

    #[test]
    fn values_are_converted_by_the_columns_kind() {
        let text = |name, values: &[Value<'_>]| {
            let array = column(name, values);
            array.is_valid(0).then(|| array.as_string::<i32>().value(0).to_owned())
        };
        let long = |value| {
            let array = column("source.port", &[value]);
            array.is_valid(0).then(|| array.as_primitive::<Int64Type>().value(0))
        };
        assert_eq!(text("user.name", &["bob".into(), "eve".into()]).as_deref(), Some("bob"));
        assert_eq!(text("user.name", &[Value::Null, "eve".into()]).as_deref(), Some("eve"));
        assert_eq!(text("user.name", &[7.into()]).as_deref(), Some("7"));
        assert_eq!(text("user.name", &[Value::Null]), None);
        assert_eq!(text("source.ip", &["2001:DB8:0::1".into()]).as_deref(), Some("2001:db8::1"));
        assert_eq!(text("source.ip", &["-".into()]), None);
        assert_eq!((long(443.into()), long("0443".into())), (Some(443), Some(443)));
        assert_eq!((long("https".into()), long(Value::Float(1.5))), (None, None));
        let list = column("event.category", &["a".into(), Value::Null, 2.into()]);
        let list = list.as_list::<i32>().value(0);
        assert_eq!(list.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "2"]);
    }

    #[test]
    fn the_batch_is_named_by_its_first_event() {
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        for seq in 10..14 {
            batch.begin(seq, Time::from_secs(9), b"");
        }
        let rows = rows(&batch.finish(), 1..4).unwrap();
        let column = |name| rows.column_by_name(name).unwrap().as_primitive::<UInt64Type>().values().to_vec();
        assert_eq!((column(SEQ), column(BATCH)), (vec![11, 12, 13], vec![11, 11, 11]));
    }
}
