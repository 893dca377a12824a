//! What filters say about granules: terms for the token index, and times.

use std::{any::Any, sync::Arc};

use arrow::{
    array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array},
    datatypes::SchemaRef,
};
use datafusion::{
    common::{Column, ScalarValue, pruning::PruningStatistics},
    logical_expr::{Expr, Operator},
    physical_expr::PhysicalExpr,
    physical_optimizer::pruning::PruningPredicateBuilder,
};
use vedette_event::{EventId, SourceId, Time, ecs::TIMESTAMP};
use vedette_store::{self as store, Term, TermQuery};

use super::columns::{EVENT_ID, Kind, kind};
use crate::functions::FieldTest;

/// Terms that the index has for every event that passes the filter. Whatever is not understood is `Any`.
pub(crate) fn terms(filter: &Expr) -> TermQuery {
    match filter {
        Expr::Alias(alias) => terms(&alias.expr),
        Expr::IsTrue(inner) => terms(inner),
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::And => TermQuery::And(vec![terms(&binary.left), terms(&binary.right)]),
            Operator::Or => TermQuery::Or(vec![terms(&binary.left), terms(&binary.right)]),
            Operator::Eq => match (&*binary.left, &*binary.right) {
                (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => {
                    equal(column, value)
                }
                _ => TermQuery::Any,
            },
            _ => TermQuery::Any,
        },
        Expr::InList(list) if !list.negated && list.list.len() <= 64 => {
            let Expr::Column(column) = &*list.expr else { return TermQuery::Any };
            let member = |member: &Expr| match member {
                Expr::Literal(value, _) => equal(column, value),
                _ => TermQuery::Any,
            };
            TermQuery::Or(list.list.iter().map(member).collect())
        }
        Expr::Like(like) if !like.negated && !like.case_insensitive && like.escape_char.is_none() => {
            match (&*like.expr, &*like.pattern) {
                (Expr::Column(column), Expr::Literal(value, _)) if indexed(&column.name) => {
                    let Some(Some(pattern)) = value.try_as_str() else { return TermQuery::Any };
                    if pattern.contains('\\') {
                        return TermQuery::Any;
                    }
                    let parts = pattern.split(['%', '_']).filter(|part| !part.is_empty());
                    TermQuery::And(parts.map(|part| Term::Contains(part.to_owned()).into()).collect())
                }
                _ => TermQuery::Any,
            }
        }
        Expr::ScalarFunction(call) => match (call.func.inner().as_ref() as &dyn Any).downcast_ref::<FieldTest>() {
            Some(test) => match call.args.first() {
                Some(Expr::Column(column)) if indexed(&column.name) => {
                    test.matcher().terms(kind(&column.name) == Kind::Ip)
                }
                _ => TermQuery::Any,
            },
            None => TermQuery::Any,
        },
        _ => TermQuery::Any,
    }
}

/// The index has the original and all derived fields, not the store's own columns.
fn indexed(column: &str) -> bool {
    column != TIMESTAMP && column != EVENT_ID && !column.starts_with("vedette.")
}

fn equal(column: &Column, value: &ScalarValue) -> TermQuery {
    if !indexed(&column.name) {
        return TermQuery::Any;
    }
    let text = match (kind(&column.name), value) {
        (Kind::Long, ScalarValue::Int64(Some(value))) => Some(value.to_string()),
        // A text column that is compared with the original or with several values in one text is no single value.
        (Kind::Keyword | Kind::Ip, value) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    match text {
        Some(text) if !text.is_empty() => Term::Value(text).into(),
        _ => TermQuery::Any,
    }
}

/// The one event that a conjunction of filters can match, if it names one.
pub(crate) fn event(filters: &[Expr]) -> Option<EventId> {
    let mut source = None;
    let mut seq = None;
    let mut conjuncts: Vec<&Expr> = Vec::new();
    for filter in filters {
        conjuncts.extend(datafusion::logical_expr::utils::split_conjunction(filter));
    }
    for filter in conjuncts {
        let Expr::BinaryExpr(binary) = filter else { continue };
        let (Operator::Eq, Expr::Column(column), Expr::Literal(value, _)) = (binary.op, &*binary.left, &*binary.right)
        else {
            continue;
        };
        match (column.name.as_str(), value) {
            (store::SOURCE, ScalarValue::UInt32(value)) => source = *value,
            (store::SEQ, ScalarValue::UInt64(value)) => seq = *value,
            (EVENT_ID, value) => {
                let id: EventId = value.try_as_str().flatten()?.parse().ok()?;
                return Some(id);
            }
            _ => {}
        }
    }
    Some(EventId { source: SourceId(source?), seq: seq? })
}

/// Event times of a row of granules or units.
pub(crate) struct Times {
    first: ArrayRef,
    last: ArrayRef,
    rows: ArrayRef,
}

impl Times {
    pub(crate) fn new(times: impl Iterator<Item = (Time, Time)> + Clone) -> Self {
        let array =
            |values: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) as ArrayRef;
        let first = array(times.clone().map(|time| time.0.micros()).collect());
        let rows = Arc::new(UInt64Array::from_value(1, first.len()));
        Times { first, last: array(times.map(|time| time.1.micros()).collect()), rows }
    }

    /// For each whether a row in it can pass the filter.
    pub(crate) fn can_match(&self, filter: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Vec<bool> {
        let all = || vec![true; self.first.len()];
        match PruningPredicateBuilder::new().with_file_schema(schema.clone()).build(filter.clone()) {
            Some(predicate) => predicate.prune(self).unwrap_or_else(|_| all()),
            None => all(),
        }
    }
}

impl PruningStatistics for Times {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIMESTAMP).then(|| self.first.clone())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIMESTAMP).then(|| self.last.clone())
    }

    fn num_containers(&self) -> usize {
        self.first.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == TIMESTAMP).then(|| Arc::new(UInt64Array::from_value(0, self.first.len())) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(self.rows.clone())
    }

    fn contained(&self, _: &Column, _: &std::collections::HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
