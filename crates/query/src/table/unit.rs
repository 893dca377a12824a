//! A unit of a scan: rows that are read together.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::{concat_batches, filter},
    datatypes::{Field, Schema},
};
use datafusion::error::{DataFusionError, Result};
use vedette_event::Time;
use vedette_store::{OpenSegment, Segment, Snapshot};

/// A unit reads at most about this many original bytes.
const UNIT_BYTES: u64 = 12 << 20;
/// And this many granules.
const UNIT_GRANULES: usize = 8;

/// Where a unit's rows are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In a segment.
    Segment(Arc<Segment>),
    /// In a batch of the tail.
    Tail(RecordBatch),
}

/// Rows that are read together.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) place: Place,
    /// The granules it has, all of each; empty for the tail and for a part of a large granule.
    pub(crate) granules: Range<usize>,
    /// Its rows there.
    pub(crate) rows: Range<u64>,
    /// Earliest and latest event time.
    pub(crate) time: (Time, Time),
    /// How many granules it counts as in a progress report.
    pub(crate) weight: u64,
}

/// The units of a segment's granules that pass `wanted`.
pub(crate) fn of_segment(segment: &Arc<Segment>, wanted: impl Fn(usize) -> bool, units: &mut Vec<Unit>) {
    let mut bytes = 0;
    let mut open = false;
    for (index, granule) in segment.granules().iter().enumerate() {
        if !wanted(index) {
            open = false;
            continue;
        }
        let count = granule.rows.end - granule.rows.start;
        if granule.raw_bytes > UNIT_BYTES && count > 1 {
            open = false;
            let step = (count * UNIT_BYTES / granule.raw_bytes).max(1);
            let mut start = granule.rows.start;
            while start < granule.rows.end {
                let end = granule.rows.end.min(start + step);
                let weight = u64::from(end == granule.rows.end);
                let place = Place::Segment(segment.clone());
                units.push(Unit { place, granules: 0..0, rows: start..end, time: granule.time, weight });
                start = end;
            }
            continue;
        }
        if open
            && let Some(last) = units.last_mut()
            && last.granules.len() < UNIT_GRANULES
            && bytes + granule.raw_bytes <= UNIT_BYTES
        {
            bytes += granule.raw_bytes;
            last.granules.end = index + 1;
            last.rows.end = granule.rows.end;
            last.time = (last.time.0.min(granule.time.0), last.time.1.max(granule.time.1));
            last.weight += 1;
            continue;
        }
        bytes = granule.raw_bytes;
        open = true;
        let place = Place::Segment(segment.clone());
        units.push(Unit {
            place,
            granules: index..index + 1,
            rows: granule.rows.clone(),
            time: granule.time,
            weight: 1,
        });
    }
}

/// The units of the tail.
pub(crate) fn of_tail(snapshot: &Snapshot, units: &mut Vec<Unit>) {
    use arrow::{
        array::AsArray,
        compute::{max, min},
        datatypes::TimestampMicrosecondType,
    };
    for batch in &snapshot.tail {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        if let (Some(first), Some(last)) = (min(times), max(times)) {
            let time = (Time::from_micros(first), Time::from_micros(last));
            let rows = 0..batch.num_rows() as u64;
            units.push(Unit { place: Place::Tail(batch.clone()), granules: 0..0, rows, time, weight: 1 });
        }
    }
}

/// The segment that was read from last; the next unit is often of the same one.
#[derive(Debug, Default)]
pub(crate) struct LastOpened(Option<(String, OpenSegment)>);

impl LastOpened {
    fn of(&mut self, segment: &Segment) -> vedette_store::Result<&OpenSegment> {
        let opened = match self.0.take() {
            Some((id, opened)) if id == segment.id() => opened,
            _ => segment.open()?,
        };
        Ok(&self.0.insert((segment.id().to_owned(), opened)).1)
    }
}

/// The rows of a unit that are left, and their columns as far as they were read.
pub(crate) struct Rows<'u> {
    unit: &'u Unit,
    opened: &'u mut LastOpened,
    ranges: Vec<Range<u64>>,
    count: usize,
    columns: Vec<(String, ArrayRef)>,
}

impl<'u> Rows<'u> {
    pub(crate) fn all(unit: &'u Unit, opened: &'u mut LastOpened) -> Self {
        let count = (unit.rows.end - unit.rows.start) as usize;
        Rows { unit, opened, ranges: vec![unit.rows.clone()], count, columns: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, column)| column)
    }

    pub(crate) fn set(&mut self, name: String, column: ArrayRef) {
        self.columns.push((name, column));
    }

    /// Reads stored columns that are not there yet.
    pub(crate) fn read(&mut self, names: &[&str]) -> Result<()> {
        let missing: Vec<&str> = names.iter().copied().filter(|name| self.column(name).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let batch = match &self.unit.place {
            Place::Segment(segment) => {
                let batches: Vec<RecordBatch> = self
                    .opened
                    .of(segment)
                    .and_then(|opened| opened.read_rows(&self.ranges, Some(&missing))?.collect())
                    .map_err(|error| DataFusionError::External(Box::new(error)))?;
                match batches.first() {
                    Some(first) => concat_batches(&first.schema(), &batches)?,
                    None => RecordBatch::new_empty(Arc::new(Schema::empty())),
                }
            }
            Place::Tail(batch) => {
                let slices: Vec<RecordBatch> = self
                    .ranges
                    .iter()
                    .map(|range| batch.slice(range.start as usize, (range.end - range.start) as usize))
                    .collect();
                let wanted: Vec<usize> = missing.iter().filter_map(|name| batch.schema().index_of(name).ok()).collect();
                let slices: Vec<RecordBatch> =
                    slices.iter().map(|slice| slice.project(&wanted)).collect::<Result<_, _>>()?;
                match slices.first() {
                    Some(first) => concat_batches(&first.schema(), &slices)?,
                    None => RecordBatch::new_empty(Arc::new(Schema::empty())),
                }
            }
        };
        for name in missing {
            let column = match batch.column_by_name(name) {
                Some(column) => column.clone(),
                // A segment of an older set of columns: the column is null there.
                None => {
                    let schema = vedette_store::schema();
                    arrow::array::new_null_array(schema.field_with_name(name)?.data_type(), self.count)
                }
            };
            if column.len() != self.count {
                let message = format!("read {} rows of `{name}`, expected {}", column.len(), self.count);
                return Err(DataFusionError::Execution(message));
            }
            self.columns.push((name.to_owned(), column));
        }
        Ok(())
    }

    /// Keeps the rows for which the mask is true.
    pub(crate) fn keep(&mut self, mask: &BooleanArray) -> Result<()> {
        let kept = mask.true_count();
        if kept == self.count {
            return Ok(());
        }
        for (_, column) in &mut self.columns {
            *column = filter(column, mask)?;
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let rows = self.ranges.iter().flat_map(Clone::clone);
        for (row, keep) in rows.zip(mask.iter()) {
            if keep != Some(true) {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => ranges.push(row..row + 1),
            }
        }
        self.ranges = ranges;
        self.count = kept;
        Ok(())
    }

    /// The named columns as a batch; they must be there.
    pub(crate) fn batch<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for name in names {
            let column =
                self.column(name).ok_or_else(|| DataFusionError::Execution(format!("column `{name}` was not read")))?;
            fields.push(Field::new(name, column.data_type().clone(), true));
            columns.push(column.clone());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }
}
