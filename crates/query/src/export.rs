//! An answer as a file: CSV (RFC 4180) or Parquet, written piece by piece as its rows are computed.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use serde_json::{Map, Value};
use vedette_event::Time;

use crate::{
    Answer, Diagnostic, QueryError,
    table::{Kind, kind, time_type},
};

/// A row group of a Parquet file has at most so many rows, and about so many bytes.
const GROUP_ROWS: usize = 65_536;
const GROUP_BYTES: usize = 16 << 20;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// An answer on its way into a file. What [`head`](Self::head), [`rows`](Self::rows) and [`end`](Self::end) give is the
/// file.
pub struct Export {
    columns: Vec<String>,
    out: Out,
}

enum Out {
    Csv,
    Parquet { writer: Box<ArrowWriter<Shared>>, schema: SchemaRef, written: Shared },
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({} columns)", self.columns.len())
    }
}

impl Export {
    /// An export of an answer. Of whole events `columns` are the fields that it has, otherwise [`EVENT_COLUMNS`](crate::EVENT_COLUMNS) and what
    /// `extend` added; of a table they are those of its columns, otherwise all.
    ///
    /// # Errors
    /// The table has no such column, or Parquet has no such type.
    pub fn new(answer: &Answer, columns: Option<Vec<String>>, format: FileFormat) -> Result<Export, QueryError> {
        let columns = columns.unwrap_or_else(|| answer.columns());
        let fields: Vec<Field> = columns.iter().map(|name| field(answer, name)).collect::<Result<_, _>>()?;
        let out = match format {
            FileFormat::Csv => Out::Csv,
            FileFormat::Parquet => {
                let (schema, written) = (Arc::new(Schema::new(fields)), Shared::default());
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(failed)?))
                    .build();
                let writer = ArrowWriter::try_new(written.clone(), schema.clone(), Some(properties)).map_err(failed)?;
                Out::Parquet { writer: Box::new(writer), schema, written }
            }
        };
        Ok(Export { columns, out })
    }

    /// What comes before the rows.
    pub fn head(&self) -> Vec<u8> {
        match &self.out {
            Out::Csv => line(self.columns.iter().map(String::as_str)),
            Out::Parquet { written, .. } => written.take(),
        }
    }

    /// Some rows. May be empty: Parquet is written in groups of rows.
    ///
    /// # Errors
    /// The rows cannot be written.
    pub fn rows(&mut self, answer: &Answer, rows: &RecordBatch) -> Result<Vec<u8>, QueryError> {
        let objects = answer.json(rows);
        match &mut self.out {
            Out::Csv => {
                let mut text = Vec::new();
                for object in &objects {
                    let cells: Vec<String> = self.columns.iter().map(|name| cell(object.get(name))).collect();
                    text.extend(line(cells.iter().map(String::as_str)));
                }
                Ok(text)
            }
            Out::Parquet { writer, schema, written } => {
                let columns = schema.fields().iter().map(|field| match answer.is_events() {
                    true => Ok(column(field, &objects)),
                    false => rows.column_by_name(field.name()).cloned().ok_or_else(|| unknown(field.name())),
                });
                let batch = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, QueryError>>()?);
                writer.write(&batch.map_err(|error| QueryError::Failed(error.to_string()))?).map_err(failed)?;
                if writer.in_progress_rows() >= GROUP_ROWS || writer.in_progress_size() >= GROUP_BYTES {
                    writer.flush().map_err(failed)?;
                }
                Ok(written.take())
            }
        }
    }

    /// What comes after the rows.
    ///
    /// # Errors
    /// The rest cannot be written.
    pub fn end(self) -> Result<Vec<u8>, QueryError> {
        match self.out {
            Out::Csv => Ok(Vec::new()),
            Out::Parquet { writer, written, .. } => {
                writer.close().map_err(failed)?;
                Ok(written.take())
            }
        }
    }
}

/// A column of the file: of whole events a field with the type that the store gives it, of a table the table's own.
fn field(answer: &Answer, name: &str) -> Result<Field, QueryError> {
    if !answer.is_events() {
        let found = answer.schema().field_with_name(name).cloned();
        return found.map_err(|_| unknown(name));
    }
    let data_type = match kind(name) {
        Kind::Time => time_type(),
        Kind::Long => DataType::Int64,
        _ => DataType::Utf8,
    };
    Ok(Field::new(name, data_type, true))
}

fn unknown(name: &str) -> QueryError {
    Diagnostic::new("", 0..0, format!("the answer has no column `{name}`")).into()
}

/// A field of whole events as a column.
fn column(field: &Field, objects: &[Map<String, Value>]) -> ArrayRef {
    let values = objects.iter().map(|object| object.get(field.name()));
    match field.data_type() {
        DataType::Int64 => Arc::new(values.map(|value| value?.as_i64()).collect::<Int64Array>()),
        DataType::Timestamp(..) => {
            let times = values.map(|value| value?.as_str()?.parse().ok().map(Time::micros));
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        _ => {
            let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(|value| cell(Some(value)));
            Arc::new(values.map(present).collect::<StringArray>())
        }
    }
}

/// A value as text: nothing for what is absent, JSON for several.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn line<'c>(cells: impl IntoIterator<Item = &'c str>) -> Vec<u8> {
    let mut line = Answer::csv_line(cells).into_bytes();
    line.extend(b"\r\n");
    line
}

fn failed(error: ParquetError) -> QueryError {
    QueryError::Failed(error.to_string())
}

/// Where the writer writes, and we take from.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
