//! Runs the filters over units and makes the output.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringBuilder},
    datatypes::{SchemaRef, UInt32Type, UInt64Type},
};
use datafusion::{
    error::{DataFusionError, Result},
    physical_expr::{PhysicalExpr, utils::reassign_expr_columns},
};
use vedette_event::ecs::{ORIGINAL, TIMESTAMP};
use vedette_store as store;

use super::{
    cache::Misses,
    columns::{EVENT_ID, is_derived, list_name, made_of},
    derived::{Deriver, Stored, as_text},
    prune::Times,
    unit::{LastOpened, Place, Rows, Unit},
};
use crate::{Cancel, Progress, engine::Cancelled};

/// The original as text, beside the original as bytes.
const TEXT: &str = "event.original as text";

/// One conjunct of the filters.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Over the table's columns, found by name.
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    pub(crate) columns: Vec<String>,
}

impl Filter {
    pub(crate) fn new(expr: Arc<dyn PhysicalExpr>, columns: Vec<String>) -> Self {
        Filter { expr, columns }
    }

    /// The order in which filters run.
    pub(crate) fn cost(&self) -> u8 {
        let cost = |name: &String| match name.as_str() {
            TIMESTAMP => 0,
            ORIGINAL => 2,
            name if is_derived(name) => 3,
            _ => 1,
        };
        self.columns.iter().map(cost).max().unwrap_or(0)
    }

    pub(crate) fn is_time(&self) -> bool {
        !self.columns.is_empty() && self.columns.iter().all(|name| name == TIMESTAMP)
    }
}

/// A planned scan.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Newest first.
    pub(crate) units: Vec<Unit>,
    /// Cheapest first.
    pub(crate) filters: Vec<Filter>,
    /// Names of the fields that filters or output derive again.
    pub(crate) derived: Vec<String>,
    pub(crate) output: SchemaRef,
    pub(crate) limit: Option<usize>,
    pub(crate) remembered: Option<Arc<str>>,
    pub(crate) misses: Arc<Misses>,
    pub(crate) deriver: Deriver,
    pub(crate) progress: Progress,
    pub(crate) cancel: Cancel,
}

/// How far one partition's reading of a [`Scan`] has come.
#[derive(Debug)]
pub(crate) struct Reading {
    scan: Arc<Scan>,
    next: usize,
    step: usize,
    sent: usize,
    /// Filters that may become narrower meanwhile; they only save work.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    opened: LastOpened,
}

impl Reading {
    /// Reads every `of`-th unit from `first` on.
    pub(crate) fn new(scan: Arc<Scan>, (first, of): (usize, usize), dynamic: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Reading { scan, next: first, step: of, sent: 0, dynamic, opened: LastOpened::default() }
    }

    /// The rows that pass from the next unit that has some; `None` after the limit or the last unit.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let scan = &*self.scan;
        let rest = scan.limit.map_or(usize::MAX, |limit| limit - self.sent);
        while rest > 0
            && let Some(unit) = scan.units.get(self.next)
        {
            if scan.cancel.is_cancelled() {
                return Err(DataFusionError::External(Box::new(Cancelled)));
            }
            self.next += self.step;
            if !scan.may_match(unit, &self.dynamic) {
                scan.progress.skipped(unit.weight);
                continue;
            }
            let mut rows = Rows::all(unit, &mut self.opened);
            scan.filter(unit, &mut rows)?;
            scan.progress.scanned(unit.weight, rows.len() as u64);
            if rows.len() > 0 {
                let batch = scan.finish(&mut rows)?;
                let batch = batch.slice(0, batch.num_rows().min(rest));
                self.sent += batch.num_rows();
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

impl Scan {
    fn may_match(&self, unit: &Unit, dynamic: &[Arc<dyn PhysicalExpr>]) -> bool {
        let times = Times::new(std::iter::once(unit.time));
        for filter in dynamic {
            if !times.can_match(filter, &self.output)[0] {
                return false;
            }
        }
        true
    }

    fn filter(&self, unit: &Unit, rows: &mut Rows<'_>) -> Result<()> {
        let mut cut_by_time = false;
        for filter in &self.filters {
            if rows.len() == 0 {
                break;
            }
            for name in &filter.columns {
                self.provide(rows, name)?;
            }
            let batch = rows.batch(filter.columns.iter().map(|name| column_of(name)))?;
            let renamed = rename(batch, &filter.columns)?;
            let expr = reassign_expr_columns(filter.expr.clone(), &renamed.schema())?;
            let mask = expr.evaluate(&renamed)?.into_array(renamed.num_rows())?;
            let before = rows.len();
            rows.keep(mask.as_boolean())?;
            cut_by_time |= filter.is_time() && rows.len() < before;
        }
        if rows.len() == 0
            && !cut_by_time
            && let (Some(key), Place::Segment(segment)) = (&self.remembered, &unit.place)
        {
            self.misses.add(key, segment.id(), segment.granules().len(), unit.granules.clone());
        }
        Ok(())
    }

    /// Reads or makes a column of the table.
    fn provide(&self, rows: &mut Rows<'_>, name: &str) -> Result<()> {
        if rows.column(column_of(name)).is_some() {
            return Ok(());
        }
        rows.read(&made_of(name))?;
        let column = |name: &str| -> Result<ArrayRef> {
            rows.column(name)
                .cloned()
                .ok_or_else(|| DataFusionError::Execution(format!("column `{name}` was not read")))
        };
        if name == ORIGINAL {
            let text = as_text(&column(ORIGINAL)?);
            rows.set(TEXT.to_owned(), text);
        } else if name == EVENT_ID {
            let ids = event_ids(&column(store::SOURCE)?, &column(store::SEQ)?);
            rows.set(EVENT_ID.to_owned(), ids);
        } else if is_derived(name) {
            let (source, seq, received) = (column(store::SOURCE)?, column(store::SEQ)?, column(store::RECEIVED)?);
            let (source_name, original) = (column(store::SOURCE_NAME)?, column(ORIGINAL)?);
            let stored = Stored {
                source: &source,
                seq: &seq,
                received: &received,
                source_name: &source_name,
                original: &original,
            };
            let columns = self.deriver.columns(&stored, &self.derived);
            for (name, (text, list)) in self.derived.iter().zip(columns) {
                rows.set(name.clone(), text);
                rows.set(list_name(name), list);
            }
        }
        Ok(())
    }

    fn finish(&self, rows: &mut Rows<'_>) -> Result<RecordBatch> {
        let stored: Vec<&str> = self.output.fields().iter().flat_map(|field| made_of(field.name())).collect();
        rows.read(&stored)?;
        let mut columns = Vec::with_capacity(self.output.fields().len());
        for field in self.output.fields() {
            self.provide(rows, field.name())?;
            columns.push(
                rows.column(column_of(field.name()))
                    .cloned()
                    .ok_or_else(|| DataFusionError::Execution(format!("column `{}` was not made", field.name())))?,
            );
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?)
    }
}

/// The name under which a table's column is kept among a unit's columns.
fn column_of(name: &str) -> &str {
    if name == ORIGINAL { TEXT } else { name }
}

fn rename(batch: RecordBatch, names: &[String]) -> Result<RecordBatch> {
    use arrow::datatypes::{Field, Schema};
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(names)
        .map(|(field, name)| Field::new(name, field.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), batch.columns().to_vec(), &options)?)
}

fn event_ids(sources: &dyn Array, seqs: &dyn Array) -> ArrayRef {
    let (sources, seqs) = (sources.as_primitive::<UInt32Type>(), seqs.as_primitive::<UInt64Type>());
    let mut ids = StringBuilder::with_capacity(seqs.len(), seqs.len() * 12);
    for (source, seq) in sources.values().iter().zip(seqs.values()) {
        ids.append_value(format!("{source}-{seq}"));
    }
    Arc::new(ids.finish())
}
