//! Erasure: single events leave their segments, their rows stay.
//!
//! An erased event's row keeps its source, sequence number, batch and receive time; everything else in it is gone. The
//! segment's other rows are copied as they are, and the tokens of the granules concerned are made anew from the rows that
//! are left. The segment gives way to the new one as in compaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, new_null_array},
    compute::{kernels::zip::zip, nullif},
    datatypes::{TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use vedette_event::{
    BatchBuilder, Derive, Source, SourceId, Time,
    ecs::{ORIGINAL, TIMESTAMP},
};

use super::{Store, lock};
use crate::{
    Granule, Granules, Result, Segment, StoreError,
    columns::{self, BATCH, PARSER, RECEIVED, SEQ, SOURCE, SOURCE_NAME},
    error::{IoContext, ParquetContext},
    manifest,
    segment::Contents,
    tail,
    tokens::{DictionaryWriter, TokenBuilder, merge},
};

/// What [`crate::PARSER`] says of an erased event.
pub const ERASED: &str = "erased";

/// Gives a source by its number and name, as its events are to be parsed.
pub type SourceOf<'a> = &'a dyn Fn(SourceId, &str) -> Arc<Source>;

impl Store {
    /// Erases events that are in segments. `derive` says again what is to be found of those that stand beside them.
    /// Returns how many rows are erased now, those that were before included; the tail's are not touched.
    ///
    /// # Errors
    /// A segment cannot be read or written. Some of the events may be erased then.
    pub fn erase(&self, events: &BTreeSet<(SourceId, u64)>, derive: &dyn Derive, source: SourceOf<'_>) -> Result<u64> {
        let inner = &*self.inner;
        // No compaction meanwhile.
        let _compaction = lock(&inner.unreadable);
        if inner.read_only {
            return Err(StoreError::ReadOnly);
        }
        lock(&inner.writer).usable()?;
        let segments = lock(&inner.shown).segments.clone();
        let mut erased = 0;
        for old in segments {
            let rows = rows_of(&old, events)?;
            if rows.is_empty() {
                continue;
            }
            erased += rows.len() as u64;
            // Sealing goes on while this is written.
            let row = self.without(&old, &rows, derive, source)?;
            self.replace(std::slice::from_ref(&old), row)?;
        }
        Ok(erased)
    }

    fn without(
        &self,
        old: &Segment,
        erased: &BTreeSet<u64>,
        derive: &dyn Derive,
        source: SourceOf<'_>,
    ) -> Result<manifest::SegmentRow> {
        let mut granules = old.granules().to_vec();
        let mut tokens: BTreeMap<u32, TokenBuilder> = BTreeMap::new();
        for (number, granule) in (0..).zip(&mut granules) {
            if erased.range(granule.rows.clone()).next().is_some() {
                let mut only = Granules::none(old.granules().len());
                only.insert(number as usize);
                tokens.insert(number, index_again(old, &only, granule, erased, derive, source)?);
            }
        }
        let all = Granules::all(granules.len());
        let (mut row, path) = (0, old.path().to_owned());
        let mut rows = old.read(&all, None)?.map(move |records| {
            let records = records?;
            let first = row;
            row += records.num_rows() as u64;
            blank(&records, first, erased).of(&path)
        });
        let count = granules.len() as u32;
        let kept: Vec<u32> =
            (0..count).map(|number| if tokens.contains_key(&number) { merge::NOWHERE } else { number }).collect();
        let contents = Contents {
            hour: old.row().hour,
            granules,
            batches: old.index()?.batches()?,
            longest: old.longest(),
            merges: old.row().merges,
            inexact: old.open()?.inexact(),
            rows: &mut rows,
        };
        self.segment_writer().write(contents, |out, path, batches| {
            let inputs = [merge::Input { index: old.index()?, granules: kept }];
            let mut writer = DictionaryWriter::new(out, count).at(path, "writing")?;
            let mut again: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
            for (number, tokens) in &tokens {
                tokens.tokens().for_each(|token| again.entry(token.to_vec()).or_default().push(*number));
            }
            merge::merge(&inputs, again, &mut writer, path)?;
            writer.finish(batches).at(path, "writing")
        })
    }
}

/// The rows of the events that a segment has.
fn rows_of(segment: &Segment, events: &BTreeSet<(SourceId, u64)>) -> Result<BTreeSet<u64>> {
    let mut rows = BTreeSet::new();
    for run in segment.runs() {
        for (source, seq) in events.range((run.source, run.first_seq)..=(run.source, run.last_seq)) {
            rows.extend(segment.locate(*source, *seq)?);
        }
    }
    Ok(rows)
}

/// The rows with those taken out that are erased: the first of them is row `first` of the segment.
fn blank(records: &RecordBatch, first: u64, erased: &BTreeSet<u64>) -> Result<RecordBatch, arrow::error::ArrowError> {
    let count = records.num_rows();
    if erased.range(first..first + count as u64).next().is_none() {
        return Ok(records.clone());
    }
    let mask: BooleanArray = (first..first + count as u64).map(|row| Some(erased.contains(&row))).collect();
    let schema = records.schema();
    let received = records.column_by_name(RECEIVED);
    let column = |(field, column): (&Arc<arrow::datatypes::Field>, &ArrayRef)| match field.name().as_str() {
        SOURCE | SEQ | BATCH | RECEIVED | SOURCE_NAME => Ok(column.clone()),
        TIMESTAMP => zip(&mask, received.unwrap_or(column), column),
        PARSER => zip(&mask, &StringArray::new_scalar(ERASED), column),
        ORIGINAL => zip(&mask, &arrow::array::BinaryArray::new_scalar(b""), column),
        _ if column.null_count() == count => Ok(new_null_array(column.data_type(), count)),
        _ => nullif(column, &mask),
    };
    let columns = schema.fields().iter().zip(records.columns()).map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema, columns)
}

/// The tokens of a granule's rows that are not erased, and its bounds.
fn index_again(
    segment: &Segment,
    only: &Granules,
    granule: &mut Granule,
    erased: &BTreeSet<u64>,
    derive: &dyn Derive,
    source: SourceOf<'_>,
) -> Result<TokenBuilder> {
    let mut tokens = TokenBuilder::default();
    let mut bounds = Granule::starting_at(granule.rows.start);
    for records in segment.read(only, None)? {
        let records = records?;
        let first = bounds.rows.end;
        let kept = blank(&records, first, erased).of(segment.path())?;
        let column = |name: &str| {
            kept.column_by_name(name).ok_or_else(|| StoreError::damaged(segment.path(), format!("no column {name}")))
        };
        let sources = column(SOURCE)?.as_primitive::<UInt32Type>();
        let names = column(SOURCE_NAME)?.as_string::<i32>();
        let seqs = column(SEQ)?.as_primitive::<UInt64Type>();
        let time =
            |row, name| Ok(Time::from_micros(column(name)?.as_primitive::<TimestampMicrosecondType>().value(row)));
        let originals = column(ORIGINAL)?.as_binary::<i32>();
        for row in 0..kept.num_rows() {
            let (received, original) = (time(row, RECEIVED)?, originals.value(row));
            bounds.add_row(time(row, TIMESTAMP)?, received, original.len());
            if erased.contains(&(first + row as u64)) {
                continue;
            }
            let source = source(SourceId(sources.value(row)), names.value(row));
            let mut batch = BatchBuilder::new(source.clone());
            derive.derive(&source, seqs.value(row), received, original, &mut batch);
            let batch = batch.finish();
            batch.events().for_each(|event| tail::index(&mut tokens, 0, event, &columns::cores(&batch)));
            // What an older parser made of it is found as well.
            columns::core_values(&kept, row).iter().for_each(|value| tokens.value(value));
        }
    }
    *granule = bounds;
    Ok(tokens)
}
