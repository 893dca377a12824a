//! The columns of the table: the store's, `event.id`, and the derived ones that a query names.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use vedette_event::ecs::{self, ORIGINAL, TIMESTAMP};
use vedette_store as store;

/// `<source>-<sequence>`.
pub(crate) const EVENT_ID: &str = "event.id";

/// What a field is to a reader of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A point in time.
    Time,
    /// A whole number.
    Long,
    /// Text compared as a whole.
    Keyword,
    /// Several of those.
    Keywords,
    /// An address in canonical form.
    Ip,
    /// Text that is searched: `event.original` and `message`.
    Text,
    /// `event.id`.
    Id,
    /// A field that the store does not keep, with any number of values.
    Derived,
}

/// The kind of an event's field.
pub(crate) fn kind(name: &str) -> Kind {
    match name {
        TIMESTAMP | store::RECEIVED => Kind::Time,
        store::SOURCE | store::SEQ | store::BATCH => Kind::Long,
        store::PARSER | store::SOURCE_NAME => Kind::Keyword,
        EVENT_ID => Kind::Id,
        ORIGINAL | ecs::MESSAGE => Kind::Text,
        _ => match ecs::core(name).map(|column| column.kind) {
            Some(ecs::Kind::Keyword) => Kind::Keyword,
            Some(ecs::Kind::Keywords) => Kind::Keywords,
            Some(ecs::Kind::Long) => Kind::Long,
            Some(ecs::Kind::Ip) => Kind::Ip,
            None => Kind::Derived,
        },
    }
}

/// The columns of one query's table.
#[derive(Clone, Debug)]
pub(crate) struct TableColumns {
    pub(crate) schema: SchemaRef,
}

impl TableColumns {
    /// The store's columns and `event.id`, and of `names` those that are neither. A derived field `x` is a text
    /// column `x` (several values as a JSON array) and a list column `x[]`.
    pub(crate) fn new(names: &BTreeSet<String>) -> TableColumns {
        let stored = store::schema();
        let mut fields: Vec<Field> = stored
            .fields()
            .iter()
            .map(|field| {
                let data_type = match field.name().as_str() {
                    ORIGINAL => DataType::Utf8,
                    _ => field.data_type().clone(),
                };
                Field::new(field.name(), data_type, field.is_nullable())
            })
            .collect();
        fields.push(Field::new(EVENT_ID, DataType::Utf8, false));
        for name in names {
            if name != EVENT_ID && stored.field_with_name(name).is_err() {
                fields.push(Field::new(name, DataType::Utf8, true));
                fields.push(Field::new(list_name(name), list_type(), true));
            }
        }
        TableColumns { schema: Arc::new(Schema::new(fields)) }
    }
}

/// The list column of a derived field.
pub(crate) fn list_name(name: &str) -> String {
    format!("{name}[]")
}

/// The type of `event.category` and of the list columns.
pub(crate) fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The type of times.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The stored columns that a column of the table is made of.
pub(crate) fn made_of(name: &str) -> Vec<&str> {
    if name == EVENT_ID {
        return vec![store::SOURCE, store::SEQ];
    }
    if is_derived(name) {
        return vec![store::SOURCE, store::SEQ, store::RECEIVED, store::SOURCE_NAME, ORIGINAL];
    }
    vec![name]
}

/// True if the column is derived again from the original.
pub(crate) fn is_derived(name: &str) -> bool {
    name != EVENT_ID && store::schema().field_with_name(name).is_err()
}
