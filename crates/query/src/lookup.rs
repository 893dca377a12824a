//! Tables that come with a request.

use std::{collections::BTreeSet, io::Cursor, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    csv::ReaderBuilder,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{catalog::MemTable, datasource::TableProvider};
use serde_json::{Map, Value};

use crate::QueryError;

/// A larger table is refused.
const MAX_BYTES: usize = 32 << 20;

/// Reads CSV with a header line, a JSON array of objects, or JSON lines. Every column is text; an empty CSV cell
/// and an absent JSON value are null.
pub(crate) fn table(name: &str, text: &str) -> Result<Arc<dyn TableProvider>, QueryError> {
    let refuse = |reason: String| QueryError::Table { name: name.to_owned(), reason };
    if name == "events" {
        return Err(refuse("the name is taken".to_owned()));
    }
    if text.len() > MAX_BYTES {
        return Err(refuse(format!("larger than {MAX_BYTES} bytes")));
    }
    let batches = match text.trim_start().as_bytes().first() {
        None => return Err(refuse("empty".to_owned())),
        Some(b'[' | b'{') => vec![json(text).map_err(refuse)?],
        Some(_) => csv(text).map_err(refuse)?,
    };
    let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| refuse("no rows".to_owned()))?;
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}

fn schema(names: impl Iterator<Item = String>) -> Result<SchemaRef, String> {
    let fields: Vec<Field> = names.map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let distinct: BTreeSet<&String> = fields.iter().map(Field::name).collect();
    if distinct.len() < fields.len() || distinct.iter().any(|name| name.is_empty()) {
        return Err("column names must be there and differ".to_owned());
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn csv(text: &str) -> Result<Vec<RecordBatch>, String> {
    let header = arrow::csv::reader::Format::default().with_header(true);
    let (inferred, _) = header.infer_schema(Cursor::new(text), Some(0)).map_err(|error| error.to_string())?;
    let schema = schema(inferred.fields().iter().map(|field| field.name().clone()))?;
    let reader = ReaderBuilder::new(schema.clone()).with_header(true).build(Cursor::new(text));
    let mut batches = vec![RecordBatch::new_empty(schema)];
    for batch in reader.map_err(|error| error.to_string())? {
        batches.push(batch.map_err(|error| error.to_string())?);
    }
    Ok(batches)
}

fn json(text: &str) -> Result<RecordBatch, String> {
    let values: Vec<Value> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_json::Deserializer::from_str(text)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?
    };
    let mut rows: Vec<Map<String, Value>> = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::Object(row) => rows.push(row),
            _ => return Err("every row must be a JSON object".to_owned()),
        }
    }
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        for name in row.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        if names.len() > 256 {
            return Err("more than 256 columns".to_owned());
        }
    }
    let column = |name: &String| -> ArrayRef {
        let cell = |row: &Map<String, Value>| match row.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        Arc::new(rows.iter().map(cell).collect::<StringArray>())
    };
    let columns = names.iter().map(column).collect();
    RecordBatch::try_new(schema(names.iter().cloned())?, columns).map_err(|error| error.to_string())
}
