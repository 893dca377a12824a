//! The table as DataFusion asks for it.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Column, DFSchema, ScalarValue},
    error::Result,
    logical_expr::{
        Expr, Operator, TableProviderFilterPushDown, TableType, binary_expr, utils::split_conjunction_owned,
    },
    physical_expr::conjunction,
    physical_plan::ExecutionPlan,
};
use vedette_event::{Time, ecs::TIMESTAMP};
use vedette_store::{Snapshot, TermQuery};

use super::{
    cache::Misses,
    columns::{TableColumns, is_derived},
    derived::Deriver,
    exec::EventsExec,
    prune::{self, Times},
    scan::{Filter, Scan},
    unit,
};
use crate::{Cancel, Progress};

/// One snapshot of the store, within a time range.
#[derive(Debug)]
pub(crate) struct EventsTable {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) columns: TableColumns,
    pub(crate) range: (Option<Time>, Option<Time>),
    pub(crate) deriver: Deriver,
    pub(crate) misses: Arc<Misses>,
    pub(crate) progress: Progress,
    pub(crate) cancel: Cancel,
    pub(crate) partitions: usize,
}

/// A time as a literal.
pub(crate) fn time_literal(time: Time) -> Expr {
    Expr::Literal(ScalarValue::TimestampMicrosecond(Some(time.micros()), Some("UTC".into())), None)
}

impl EventsTable {
    fn range_filters(&self) -> Vec<Expr> {
        let end = |operator, time: Option<Time>| {
            let column = Expr::Column(Column::from_name(TIMESTAMP));
            time.map(|time| binary_expr(column, operator, time_literal(time)))
        };
        [end(Operator::GtEq, self.range.0), end(Operator::Lt, self.range.1)].into_iter().flatten().collect()
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        self.columns.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match filter.is_volatile() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Exact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = self.columns.schema.clone();
        let df_schema = DFSchema::try_from(table.as_ref().clone())?;
        let output: SchemaRef = match projection {
            Some(indices) => Arc::new(table.project(indices)?),
            None => table.clone(),
        };

        let mut logical: Vec<Expr> = Vec::new();
        for filter in filters.iter().cloned().chain(self.range_filters()) {
            // Columns come with the table's name; here there is only one table.
            let filter = datafusion::logical_expr::expr_rewriter::unnormalize_col(filter);
            logical.extend(split_conjunction_owned(filter));
        }
        let mut prepared = Vec::with_capacity(logical.len());
        for filter in &logical {
            let names: Vec<String> = filter.column_refs().iter().map(|column| column.name.clone()).collect();
            prepared.push(Filter::new(state.create_physical_expr(filter.clone(), &df_schema)?, names));
        }
        prepared.sort_by_key(Filter::cost);

        let not_time: Vec<Expr> = logical.iter().filter(|filter| !is_time(filter)).cloned().collect();
        let terms = TermQuery::And(not_time.iter().map(prune::terms).collect());
        let event = prune::event(&not_time);
        let remembered: Option<Arc<str>> = (!not_time.is_empty()).then(|| format!("{not_time:?}").into());
        let time = conjunction(prepared.iter().filter(|filter| filter.is_time()).map(|filter| filter.expr.clone()));
        let time_schema: SchemaRef = Arc::new(Schema::new(vec![table.field_with_name(TIMESTAMP)?.clone()]));
        let time = datafusion::physical_expr::utils::reassign_expr_columns(time, &time_schema)?;

        let snapshot = self.snapshot.clone();
        let misses = self.misses.clone();
        let key = remembered.clone();
        let progress = self.progress.clone();
        // Dictionaries are read from disk: not on a thread of the caller's runtime.
        let units = tokio::task::spawn_blocking(move || {
            let mut units = Vec::new();
            let mut total = 0;
            for segment in &snapshot.segments {
                let granules = segment.granules();
                total += granules.len() as u64;
                let in_time = Times::new(granules.iter().map(|granule| granule.time)).can_match(&time, &time_schema);
                if !in_time.iter().any(|can| *can) {
                    continue;
                }
                if let Some(event) = event {
                    let row = segment.locate(event.source, event.seq).unwrap_or(Some(u64::MAX));
                    let Some(row) = row else { continue };
                    let here = |at: usize| row == u64::MAX || granules[at].rows.contains(&row);
                    unit::of_segment(segment, |at| in_time[at] && here(at), &mut units);
                    continue;
                }
                let missed = key.as_ref().and_then(|key| misses.get(key, segment.id()));
                let candidates = segment.candidates(&terms);
                let wanted = |at: usize| {
                    in_time[at] && candidates.contains(at) && !missed.as_ref().is_some_and(|missed| missed.contains(at))
                };
                unit::of_segment(segment, wanted, &mut units);
            }
            let tail = units.len();
            unit::of_tail(&snapshot, &mut units);
            total += (units.len() - tail) as u64;
            let in_time = Times::new(units.iter().map(|unit| unit.time)).can_match(&time, &time_schema);
            let mut keep = in_time.into_iter();
            units.retain(|_| keep.next().unwrap_or(true));
            units.sort_by_key(|unit| (std::cmp::Reverse(unit.time.1), std::cmp::Reverse(unit.rows.start)));
            let wanted: u64 = units.iter().map(|unit| unit.weight).sum();
            progress.planned(total, wanted);
            units
        })
        .await
        .map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))?;

        let mut derived: Vec<String> = prepared
            .iter()
            .flat_map(|filter| filter.columns.iter())
            .chain(output.fields().iter().map(|field| field.name()))
            .filter(|name| is_derived(name))
            .map(|name| name.strip_suffix("[]").unwrap_or(name).to_owned())
            .collect();
        derived.sort();
        derived.dedup();
        let scan = Scan {
            units,
            filters: prepared,
            derived,
            output,
            limit,
            remembered,
            misses: self.misses.clone(),
            deriver: self.deriver.clone(),
            progress: self.progress.clone(),
            cancel: self.cancel.clone(),
        };
        Ok(Arc::new(EventsExec::new(Arc::new(scan), self.partitions.max(1))))
    }
}

/// True if the filter is about the event's time alone.
fn is_time(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == TIMESTAMP)
}
