//! Fields that the store does not keep, derived again from the original bytes.

use std::{collections::HashMap, fmt, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, ListBuilder, RecordBatch, StringArray, StringBuilder},
    compute::cast,
    datatypes::{DataType, TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use vedette_event::{Batch, BatchBuilder, Derive, Source, SourceId, Time, Value, ecs};
use vedette_store as store;

/// Finds a source's description by number and name, where the caller knows more than the store does (the parser
/// that the configuration names for it).
pub type SourceLookup = Arc<dyn Fn(SourceId, &str) -> Option<Arc<Source>> + Send + Sync>;

/// Derives events again.
#[derive(Clone)]
pub(crate) struct Deriver {
    pub(crate) derive: Arc<dyn Derive>,
    pub(crate) sources: Option<SourceLookup>,
}

impl fmt::Debug for Deriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deriver")
    }
}

/// The stored columns that events are derived from.
pub(crate) struct Stored<'a> {
    pub(crate) source: &'a dyn Array,
    pub(crate) seq: &'a dyn Array,
    pub(crate) received: &'a dyn Array,
    pub(crate) source_name: &'a dyn Array,
    pub(crate) original: &'a dyn Array,
}

impl Deriver {
    fn source(&self, id: SourceId, name: &str) -> Arc<Source> {
        let found = self.sources.as_ref().and_then(|lookup| lookup(id, name));
        found.unwrap_or_else(|| Source::new(id, name, name.split(':').next().unwrap_or(name)))
    }

    /// Derives rows that have all columns this takes, as [`batches`](Self::batches) does; false if they have not.
    pub(crate) fn rows(&self, rows: &RecordBatch, use_batch: impl FnMut(Batch)) -> bool {
        let column = |name: &str| rows.column_by_name(name);
        let (Some(source), Some(seq), Some(received), Some(source_name), Some(original)) = (
            column(store::SOURCE),
            column(store::SEQ),
            column(store::RECEIVED),
            column(store::SOURCE_NAME),
            column(ecs::ORIGINAL),
        ) else {
            return false;
        };
        let original = cast(original, &DataType::Binary).unwrap_or_else(|_| original.clone());
        self.batches(&Stored { source, seq, received, source_name, original: &original }, use_batch);
        true
    }

    /// Derives the rows in order and hands over batches of one source each.
    pub(crate) fn batches(&self, stored: &Stored<'_>, mut use_batch: impl FnMut(Batch)) {
        let ids = stored.source.as_primitive::<UInt32Type>();
        let seqs = stored.seq.as_primitive::<UInt64Type>();
        let received = stored.received.as_primitive::<TimestampMicrosecondType>();
        let names = stored.source_name.as_string::<i32>();
        let originals = stored.original.as_binary::<i32>();
        let mut known: HashMap<u32, Arc<Source>> = HashMap::new();
        let mut builder: Option<BatchBuilder> = None;
        let mut current = None;
        for row in 0..ids.len() {
            let id = ids.value(row);
            if (current != Some(id) || builder.as_ref().is_some_and(BatchBuilder::is_full))
                && let Some(full) = builder.take()
            {
                use_batch(full.finish());
            }
            current = Some(id);
            let source = known.entry(id).or_insert_with(|| self.source(SourceId(id), names.value(row))).clone();
            let builder = builder.get_or_insert_with(|| BatchBuilder::new(source.clone()));
            let received = Time::from_micros(received.value(row));
            self.derive.derive(&source, seqs.value(row), received, originals.value(row), builder);
        }
        if let Some(last) = builder {
            use_batch(last.finish());
        }
    }

    /// For each of `names` a text column and a list column.
    pub(crate) fn columns(&self, stored: &Stored<'_>, names: &[String]) -> Vec<(ArrayRef, ArrayRef)> {
        let mut builders: Vec<_> =
            names.iter().map(|_| (StringBuilder::new(), ListBuilder::new(StringBuilder::new()))).collect();
        self.batches(stored, |batch| {
            for event in batch.events() {
                for (name, (text, list)) in names.iter().zip(&mut builders) {
                    append(text, list, event.all(name));
                }
            }
        });
        builders
            .into_iter()
            .map(|(mut text, mut list)| (Arc::new(text.finish()) as ArrayRef, Arc::new(list.finish()) as ArrayRef))
            .collect()
    }
}

fn append<'a>(
    text: &mut StringBuilder,
    list: &mut ListBuilder<StringBuilder>,
    values: impl Iterator<Item = Value<'a>>,
) {
    let values: Vec<Value<'a>> = values.filter(|value| *value != Value::Null).collect();
    match values.as_slice() {
        [] => text.append_null(),
        [value] => text.append_value(value.to_text()),
        values => {
            let json: Vec<serde_json::Value> = values.iter().map(|value| value.to_json()).collect();
            text.append_value(serde_json::Value::Array(json).to_string());
        }
    }
    for value in &values {
        list.values().append_value(value.to_text());
    }
    list.append(!values.is_empty());
}

/// Original bytes as text; what is not UTF-8 becomes U+FFFD.
pub(crate) fn as_text(bytes: &dyn Array) -> ArrayRef {
    let bytes = bytes.as_binary::<i32>();
    match StringArray::try_from_binary(bytes.clone()) {
        Ok(text) => Arc::new(text),
        Err(_) => Arc::new(bytes.iter().map(|value| value.map(String::from_utf8_lossy)).collect::<StringArray>()),
    }
}
