//! Reads granules and columns.

use std::{
    fs::File,
    iter,
    ops::Range,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema, SchemaRef},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
        RowSelection,
    },
};
use parquet::{errors::ParquetError, file::metadata::PageIndexPolicy};

use vedette_event::ecs::{CORE, Kind};

use super::{Segment, write::INEXACT};
use crate::{
    GRANULE_ROWS, Granules, Result,
    columns::{ColumnSet, core_index},
    error::{IoContext, ParquetContext},
};

/// The most original bytes in one record batch that is read.
const MAX_READ_BYTES: u64 = 256 << 20;

impl Segment {
    /// The rows of a set of granules: ascending ranges that do not touch.
    pub fn rows_of(&self, granules: &Granules) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for granule in granules.iter() {
            let rows = &self.row().granules[granule].rows;
            match ranges.last_mut() {
                Some(last) if last.end == rows.start => last.end = rows.end,
                _ => ranges.push(rows.clone()),
            }
        }
        ranges
    }

    /// Reads granules. `columns` names those to read, `None` all; a name that the segment does not have is left
    /// out, and the columns come in the segment's order.
    pub fn read(
        &self,
        granules: &Granules,
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        self.read_rows(&self.rows_of(granules), columns)
    }

    /// Reads ascending, disjoint ranges of rows; see [`read`](Self::read).
    pub fn read_rows(
        &self,
        rows: &[Range<u64>],
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        self.open()?.read_rows(rows, columns)
    }

    /// Opens the segment for several reads: what describes its columns and pages is read once.
    pub fn open(&self) -> Result<OpenSegment> {
        let path = self.path();
        let file = File::open(path).at(path, "opening")?;
        // Only the offset index is needed to find pages; column indexes serve predicates.
        let options = ArrowReaderOptions::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Skip);
        let metadata = guarded(path, || ArrowReaderMetadata::load(&file, options).of(path))?;
        Ok(OpenSegment { path: path.to_owned(), file, metadata, rows: self.rows(), longest: self.longest() })
    }
}

/// A segment's file, ready to be read from.
#[derive(Debug)]
pub struct OpenSegment {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    rows: u64,
    longest: u64,
}

impl OpenSegment {
    /// As [`Segment::read_rows`]. One read at a time: they share the place in the file.
    pub fn read_rows(
        &self,
        rows: &[Range<u64>],
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let path = self.path.clone();
        let reader = guarded(&path, || self.reader(&self.metadata, rows, columns))?;
        Ok(guarded_rows(path, reader))
    }

    /// As [`read_rows`](Self::read_rows), with text columns as dictionaries (`Dictionary(Int32, Utf8)`): whoever looks
    /// at values looks at each but once. Neighbouring record batches often share one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_dictionaries(
        &self,
        rows: &[Range<u64>],
        columns: &[&str],
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let options = ArrowReaderOptions::new().with_schema(with_dictionaries(self.metadata.schema()));
        let metadata = self.metadata.metadata().clone();
        let metadata = guarded(&self.path, || ArrowReaderMetadata::try_new(metadata, options).of(&self.path))?;
        let reader = guarded(&self.path, || self.reader(&metadata, rows, Some(columns)))?;
        Ok(guarded_rows(self.path.clone(), reader))
    }

    /// The columns that do not say all of their fields; none if the file does not say which.
    pub(crate) fn inexact(&self) -> Option<ColumnSet> {
        let metadata = self.metadata.metadata().file_metadata().key_value_metadata()?;
        let inexact = metadata.iter().find(|entry| entry.key == INEXACT)?;
        Some(ColumnSet::parse(inexact.value.as_deref()?))
    }

    /// True if the column says all of its field: a value is the text of the field's only value, and null means that the
    /// event has no such field.
    pub fn is_exact(&self, column: &str) -> bool {
        let inexact = core_index(column).filter(|core| CORE[*core].kind != Kind::Keywords).zip(self.inexact());
        inexact.is_some_and(|(core, inexact)| !inexact.contains(core))
    }

    fn reader(
        &self,
        metadata: &ArrowReaderMetadata,
        rows: &[Range<u64>],
        columns: Option<&[&str]>,
    ) -> Result<ParquetRecordBatchReader> {
        let file = self.file.try_clone().at(&self.path, "opening")?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
        let total = self.rows as usize;
        let ranges = rows.iter().map(|range| range.start as usize..(range.end as usize).min(total));
        let selection = RowSelection::from_consecutive_ranges(ranges, total);
        let mask = match columns {
            None => ProjectionMask::all(),
            Some(columns) => {
                let roots = builder.schema().fields().iter().enumerate();
                let wanted = roots.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(root, _)| root);
                ProjectionMask::roots(builder.parquet_schema(), wanted)
            }
        };
        // A batch's originals must fit into one array even if all are as long as the longest.
        let batch_rows = (MAX_READ_BYTES / self.longest.max(1)).clamp(1, GRANULE_ROWS) as usize;
        let builder = builder.with_projection(mask).with_row_selection(selection).with_batch_size(batch_rows);
        builder.build().of(&self.path)
    }
}

fn guarded_rows(path: PathBuf, reader: ParquetRecordBatchReader) -> impl Iterator<Item = Result<RecordBatch>> {
    let mut reader = Some(reader);
    iter::from_fn(move || {
        let next = guarded(&path, || reader.as_mut().and_then(Iterator::next).transpose().of(&path)).transpose();
        // After an error there is nothing to go on with.
        if !matches!(next, Some(Ok(_))) {
            reader = None;
        }
        next
    })
}

fn with_dictionaries(schema: &SchemaRef) -> SchemaRef {
    let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let field = |field: &std::sync::Arc<arrow::datatypes::Field>| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(texts.clone()),
        _ => field.as_ref().clone(),
    };
    std::sync::Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(field).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Damaged files have made the reader of Parquet panic. Then too, it is an error of this file, and harms nothing else.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(ParquetError::General("it is damaged so that it cannot be read at all".into())).of(path);
    panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}
