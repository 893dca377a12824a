//! What a query answers: rows as they are computed, and how they are shown.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, DurationMicrosecondType, Float64Type, SchemaRef, TimestampMicrosecondType},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::StreamExt;
use serde_json::{Map, Value};
use vedette_event::{Batch, Time, ecs};

use crate::{
    Cancel, QueryError, Request,
    table::{Deriver, time_type},
};

/// What the columns of whole events are in a table or CSV, before those that `extend` added.
pub const EVENT_COLUMNS: [&str; 5] = [ecs::TIMESTAMP, "event.id", "event.dataset", "host.name", ecs::ORIGINAL];

/// Rows of an answer in order: a stream that is read with [`next`](Self::next).
pub struct Answer {
    stream: SendableRecordBatchStream,
    schema: SchemaRef,
    /// The answer is whole events, with these columns beside them.
    extended: Option<Vec<String>>,
    deriver: Deriver,
    cancel: Cancel,
    left: usize,
    max_bytes: u64,
    bytes: u64,
    rows: u64,
    truncated: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({} rows so far)", self.rows)
    }
}

impl Answer {
    pub(crate) fn new(
        stream: SendableRecordBatchStream,
        extended: Option<Vec<String>>,
        deriver: Deriver,
        request: &Request,
        cancel: Cancel,
    ) -> Self {
        Answer {
            schema: stream.schema(),
            stream,
            extended,
            deriver,
            cancel,
            left: request.limit,
            max_bytes: request.max_bytes,
            bytes: 0,
            rows: 0,
            truncated: false,
        }
    }

    /// The names of the columns, known before the first row.
    pub fn columns(&self) -> Vec<String> {
        match &self.extended {
            Some(extended) => {
                EVENT_COLUMNS.iter().map(|name| (*name).to_owned()).chain(extended.iter().cloned()).collect()
            }
            None => self.schema.fields().iter().map(|field| field.name().clone()).collect(),
        }
    }

    /// What is computed: of whole events what they are made of.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// True if the rows are whole events.
    pub fn is_events(&self) -> bool {
        self.extended.is_some()
    }

    /// Rows given so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// True once it is known that there are more rows than the request's limit.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// The next rows; none at the end. For whole events they are what an event is made of: show them with
    /// [`json`](Self::json) or [`cells`](Self::cells).
    ///
    /// # Errors
    /// If the query is cancelled, exceeds a budget or fails.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(QueryError::Cancelled);
            }
            if self.truncated {
                return Ok(None);
            }
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(QueryError::Cancelled),
                next = self.stream.next() => next,
            };
            let Some(batch) = next else { return Ok(None) };
            let mut batch = batch?;
            if batch.num_rows() > self.left {
                batch = batch.slice(0, self.left);
                self.truncated = true;
            }
            self.left -= batch.num_rows();
            if batch.num_rows() == 0 {
                continue;
            }
            // Only what the slice shows counts, not buffers that it shares.
            self.bytes += batch
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0) as u64)
                .sum::<u64>();
            if self.bytes > self.max_bytes {
                return Err(QueryError::Bytes(self.max_bytes));
            }
            self.rows += batch.num_rows() as u64;
            return Ok(Some(batch));
        }
    }

    /// Rows as JSON objects: whole events as [`vedette_event::Event::to_json`] gives them, with added columns after
    /// their fields, or the columns of other rows. Absent values of other rows are null.
    pub fn json(&self, batch: &RecordBatch) -> Vec<Map<String, Value>> {
        match &self.extended {
            Some(extended) => self.events(batch, extended),
            None => rows(batch),
        }
    }

    /// Rows as the cells of a table, in the order of [`columns`](Self::columns).
    pub fn cells(&self, batch: &RecordBatch) -> Vec<Vec<String>> {
        let columns = self.columns();
        let cell = |value: Option<&Value>| match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        self.json(batch).iter().map(|row| columns.iter().map(|column| cell(row.get(column))).collect()).collect()
    }

    /// A line of CSV (RFC 4180).
    pub fn csv_line<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
        let quote = |cell: &str| match cell.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => cell.to_owned(),
        };
        cells.into_iter().map(quote).collect::<Vec<_>>().join(",")
    }

    /// Reads the whole answer as JSON objects.
    ///
    /// # Errors
    /// See [`next`](Self::next).
    pub async fn collect(&mut self) -> Result<Vec<Map<String, Value>>, QueryError> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await? {
            all.extend(self.json(&batch));
        }
        Ok(all)
    }

    /// Rows of whole events as batches with every field, each of one source; nothing for other rows.
    pub fn batches(&self, batch: &RecordBatch) -> Vec<Batch> {
        let mut batches = Vec::new();
        if self.is_events() {
            self.deriver.rows(batch, |events| batches.push(events));
        }
        batches
    }

    fn events(&self, batch: &RecordBatch, extended: &[String]) -> Vec<Map<String, Value>> {
        let mut all = Vec::with_capacity(batch.num_rows());
        if !self.deriver.rows(batch, |events| all.extend(events.events().map(|event| event.to_json()))) {
            return rows(batch);
        }
        for name in extended {
            if let Some(column) = batch.column_by_name(name) {
                for (row, json) in all.iter_mut().enumerate() {
                    json.insert(name.clone(), value(column, row));
                }
            }
        }
        all
    }
}

fn rows(batch: &RecordBatch) -> Vec<Map<String, Value>> {
    let schema = batch.schema();
    let row = |row: usize| {
        let cells = schema.fields().iter().zip(batch.columns());
        cells.map(|(field, column)| (field.name().clone(), value(column, row))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A cell as JSON: times as RFC 3339, timespans as `1.5s`, lists as arrays.
fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        data_type if data_type.is_integer() => {
            let wide = arrow::compute::cast(&column.slice(row, 1), &DataType::Int64);
            match wide {
                Ok(wide) if wide.is_valid(0) => wide.as_primitive::<arrow::datatypes::Int64Type>().value(0).into(),
                _ => text(column, row),
            }
        }
        DataType::Float64 => {
            let number = column.as_primitive::<Float64Type>().value(row);
            serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        data_type if *data_type == time_type() => {
            Time::from_micros(column.as_primitive::<TimestampMicrosecondType>().value(row)).to_string().into()
        }
        DataType::Duration(arrow::datatypes::TimeUnit::Microsecond) => {
            let micros = column.as_primitive::<DurationMicrosecondType>().value(row);
            format!("{}s", micros as f64 / 1e6).into()
        }
        DataType::List(_) => {
            let members = column.as_list::<i32>().value(row);
            Value::Array((0..members.len()).map(|member| value(&members, member)).collect())
        }
        _ => text(column, row),
    }
}

fn text(column: &ArrayRef, row: usize) -> Value {
    match ArrayFormatter::try_new(column.as_ref(), &FormatOptions::default()) {
        Ok(formatter) => formatter.value(row).to_string().into(),
        Err(error) => error.to_string().into(),
    }
}
