//! From the syntax tree to a plan.

mod aggregate;
mod call;
mod compare;
mod expression;
mod names;
mod search;
mod stage;
mod times;

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{Column, DFSchema, ScalarValue},
    datasource::{TableProvider, provider_as_source},
    error::DataFusionError,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr, binary_expr},
};
use vedette_event::{Time, ecs::TIMESTAMP};
use vedette_store as store;

pub(crate) use names::fields;
pub(crate) use times::parse_time;

use crate::{
    error::first_line,
    syntax::{Ast, Diagnostic, Span, Stage, StageKind, suggest},
    table::EventsTable,
};

/// What a plan needs beside the tree.
pub(crate) struct Compiler<'a> {
    pub(crate) text: &'a str,
    pub(crate) events: Arc<EventsTable>,
    pub(crate) tables: &'a HashMap<String, Arc<dyn TableProvider>>,
    /// What `now()` is.
    pub(crate) now: Time,
}

/// A plan under construction.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) plan: LogicalPlan,
    /// Its rows are still events: every field can be named, and the answer shows whole events.
    pub(crate) events: bool,
    /// Columns that `extend` added to events.
    pub(crate) extended: Vec<String>,
    /// A `sort` or `top` decided the order.
    ordered: bool,
    /// The columns that give unordered rows an order.
    groups: Vec<String>,
    /// No later stage makes an order of its own before rows are cut or shown.
    order_shows: bool,
}

pub(crate) type Compiled<T> = Result<T, Diagnostic>;

/// The columns from which an event is made again.
pub(crate) const EVENT_COLUMNS: [&str; 6] =
    [TIMESTAMP, store::SOURCE, store::SEQ, store::RECEIVED, store::SOURCE_NAME, vedette_event::ecs::ORIGINAL];

pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

impl<'a> Compiler<'a> {
    /// The whole query, ordered and cut to `limit` rows.
    pub(crate) fn query(&self, ast: &Ast, limit: Option<usize>) -> Compiled<Flow> {
        let mut flow = self.flow(ast)?;
        let end = Span { start: self.text.len(), end: self.text.len() };
        let ordered = flow.ordered;
        if !ordered {
            flow = self.in_order(flow, limit, end)?;
        } else if let Some(limit) = limit {
            flow.plan = self.build(end, |plan| plan.limit(0, Some(limit)), flow.plan)?;
        }
        self.shown(flow, end)
    }

    /// The whole query cut to `limit` rows, in whatever order they are found: nothing has to be held to sort it.
    pub(crate) fn unordered(&self, ast: &Ast, limit: Option<usize>) -> Compiled<Flow> {
        let mut flow = self.flow(ast)?;
        let end = Span { start: self.text.len(), end: self.text.len() };
        if let Some(limit) = limit {
            flow.plan = self.build(end, |plan| plan.limit(0, Some(limit)), flow.plan)?;
        }
        self.shown(flow, end)
    }

    /// Whole events as what they are made of.
    fn shown(&self, mut flow: Flow, end: Span) -> Compiled<Flow> {
        if flow.events {
            let names = EVENT_COLUMNS.iter().copied().chain(flow.extended.iter().map(String::as_str));
            let columns: Vec<Expr> = names.map(column).collect();
            flow.plan = self.build(end, |plan| plan.project(columns), flow.plan)?;
        }
        Ok(flow)
    }

    /// The rows of a query, without a final order.
    fn flow(&self, ast: &Ast) -> Compiled<Flow> {
        let source = provider_as_source(self.events.clone());
        let plan = LogicalPlanBuilder::scan("events", source, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.failed(Span::default(), &error))?;
        let mut flow =
            Flow { plan, events: true, extended: Vec::new(), ordered: false, groups: Vec::new(), order_shows: true };
        flow = self.search_stage(flow, &ast.search, Span::default())?;
        for (index, stage) in ast.stages.iter().enumerate() {
            flow.order_shows = order_shows(&ast.stages[index + 1..]);
            flow = self.stage(flow, stage)?;
        }
        Ok(flow)
    }

    /// Orders rows that no stage ordered: events newest first, groups by their keys.
    fn in_order(&self, mut flow: Flow, limit: Option<usize>, span: Span) -> Compiled<Flow> {
        let schema = flow.plan.schema();
        let has = |name: &str| schema.has_column_with_unqualified_name(name);
        let mut keys: Vec<SortExpr> = Vec::new();
        if flow.events {
            keys.extend(newest_first());
        } else {
            keys.extend(flow.groups.iter().filter(|name| has(name)).map(|name| column(name).sort(true, true)));
        }
        flow.plan = self.build(
            span,
            |plan| match keys.is_empty() {
                true => plan.limit(0, limit),
                false => plan.sort_with_limit(keys, limit),
            },
            flow.plan,
        )?;
        if flow.plan.schema().fields().is_empty() {
            return Err(self.error(span, "no column is left"));
        }
        flow.ordered = true;
        Ok(flow)
    }

    /// Applies one step of DataFusion's builder; its refusal points at `span`.
    fn build(
        &self,
        span: Span,
        step: impl FnOnce(LogicalPlanBuilder) -> Result<LogicalPlanBuilder, DataFusionError>,
        plan: LogicalPlan,
    ) -> Compiled<LogicalPlan> {
        step(LogicalPlanBuilder::from(plan))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| self.failed(span, &error))
    }

    fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.text, span.range(), message)
    }

    fn failed(&self, span: Span, error: &DataFusionError) -> Diagnostic {
        self.error(span, first_line(&error.strip_backtrace()))
    }

    /// A column of the flow by name.
    fn resolve(&self, flow: &Flow, name: &str, span: Span) -> Compiled<Expr> {
        let schema = flow.plan.schema();
        if schema.has_column_with_unqualified_name(name) {
            return Ok(column(name));
        }
        let known: Vec<&str> = visible(schema).collect();
        let error = self.error(span, format!("no column `{name}` here"));
        let list = known.iter().take(12).copied().collect::<Vec<_>>().join(", ");
        Err(match suggest(name, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("the columns are: {list}")),
        })
    }

    fn type_of(&self, flow: &Flow, expr: &Expr, span: Span) -> Compiled<DataType> {
        use datafusion::logical_expr::ExprSchemable;
        expr.get_type(flow.plan.schema().as_ref()).map_err(|error| self.failed(span, &error))
    }
}

/// True if the order of rows is seen after these stages, or decides which rows `take` keeps.
fn order_shows(later: &[Stage]) -> bool {
    for stage in later {
        match stage.kind {
            StageKind::Take(_) => return true,
            StageKind::Summarize { .. } | StageKind::Distinct(_) | StageKind::Count => return false,
            StageKind::Sort(_) | StageKind::Top(..) | StageKind::Join(_) => return false,
            _ => {}
        }
    }
    true
}

/// Newest event first; events of one time by source and sequence.
pub(crate) fn newest_first() -> [SortExpr; 3] {
    [
        column(TIMESTAMP).sort(false, false),
        column(store::SOURCE).sort(false, false),
        column(store::SEQ).sort(false, false),
    ]
}

/// The columns that people see: not the list columns of derived fields.
fn visible(schema: &DFSchema) -> impl Iterator<Item = &str> {
    schema.fields().iter().map(|field| field.name().as_str()).filter(|name| !name.ends_with("[]"))
}

/// One tree of `and`s or `or`s whose depth is the logarithm of their number.
fn balanced(mut exprs: Vec<Expr>, operator: Operator) -> Expr {
    while exprs.len() > 1 {
        let mut next = Vec::with_capacity(exprs.len().div_ceil(2));
        let mut exprs_left = exprs.into_iter();
        while let Some(left) = exprs_left.next() {
            next.push(match exprs_left.next() {
                Some(right) => binary_expr(left, operator, right),
                None => left,
            });
        }
        exprs = next;
    }
    exprs.pop().unwrap_or_else(|| literal(operator == Operator::And))
}

fn literal(value: impl Into<ScalarValue>) -> Expr {
    Expr::Literal(value.into(), None)
}

/// The test that an `event.id` is `id`, in the columns that keep it.
fn is_event(id: &str) -> Expr {
    match id.parse::<vedette_event::EventId>() {
        Ok(id) => binary_expr(
            binary_expr(column(store::SOURCE), Operator::Eq, literal(ScalarValue::UInt32(Some(id.source.0)))),
            Operator::And,
            binary_expr(column(store::SEQ), Operator::Eq, literal(ScalarValue::UInt64(Some(id.seq)))),
        ),
        Err(_) => literal(false),
    }
}
