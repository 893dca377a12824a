//! What the console shows beside a hunt: counts over time and the values of a field.

use serde::Serialize;
use serde_json::Value;
use vedette_event::{Time, ecs::TIMESTAMP};

use crate::{
    Cancel, Engine, Progress, QueryError, Request,
    syntax::{
        self, Aggregate, Assign, Ast, Binary, Diagnostic, Expr, ExprKind, Literal, Name, Order, SortKey, Span, Stage,
        StageKind, TextTest,
    },
};

/// Events of a hunt over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// When the first bin begins.
    pub start: Time,
    /// How long a bin is, in microseconds.
    pub step: i64,
    /// Events in each bin.
    pub counts: Vec<u64>,
}

/// A value of a field and how many events of a hunt have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopValue {
    /// The value; null for events without the field.
    pub value: Value,
    /// Number of events.
    pub count: u64,
}

/// The lengths that bins have: 1 s to 30 d.
const STEPS: [i64; 15] =
    [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400];

impl Engine {
    /// Counts a hunt's events in at most about `bins` bins. The request needs both ends of its time range; its limit
    /// does not apply.
    ///
    /// # Errors
    /// As [`run`](Self::run); also if the hunt's rows are not events, or an end of the range is missing.
    pub async fn histogram(
        &self,
        request: &Request,
        bins: u32,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Histogram, QueryError> {
        let refuse = |message: &str| Diagnostic::new(&request.text, 0..0, message);
        let (Some(from), Some(to)) = (request.from, request.to) else {
            return Err(refuse("a histogram needs both ends of the time range").into());
        };
        let length = i128::from(to.micros()) - i128::from(from.micros());
        if length <= 0 {
            return Err(refuse("the time range is empty").into());
        }
        let wanted = length / i128::from(bins.clamp(1, 1000));
        let step = STEPS.iter().map(|secs| secs * 1_000_000).find(|step| i128::from(*step) >= wanted);
        // Longer ranges: whole multiples of the longest step.
        let longest = STEPS[STEPS.len() - 1] * 1_000_000;
        let step = step
            .unwrap_or_else(|| i64::try_from(wanted / i128::from(longest) + 1).unwrap_or(1).saturating_mul(longest));
        let start = from.micros().saturating_sub(from.micros().rem_euclid(step));
        let count = ((i128::from(to.micros()) - i128::from(start) - 1) / i128::from(step) + 1).clamp(1, 4096) as usize;

        let mut ast = self.event_search(&request.text)?;
        let bin = call("bin", vec![field(TIMESTAMP), literal(Literal::Timespan(step))]);
        ast.stages.push(summarize(bin));
        let request = Request { limit: count + 1, ..request.clone() };
        let mut answer = self.plan(Some(ast), request, progress, cancel).await?;
        let mut counts = vec![0; count];
        for row in answer.collect().await? {
            let time: Option<Time> = row.get("value").and_then(Value::as_str).and_then(|time| time.parse().ok());
            let events = row.get("n").and_then(Value::as_u64).unwrap_or(0);
            let bin = time.and_then(|time| usize::try_from((time.micros() - start) / step).ok());
            if let Some(cell) = bin.and_then(|bin| counts.get_mut(bin)) {
                *cell += events;
            }
        }
        Ok(Histogram { start: Time::from_micros(start), step, counts })
    }

    /// The event times of the earliest and the latest of a hunt's events; none if it has none.
    ///
    /// # Errors
    /// As [`run`](Self::run); also if the hunt's rows are not events.
    pub async fn bounds(
        &self,
        request: &Request,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Option<(Time, Time)>, QueryError> {
        let mut ast = self.event_search(&request.text)?;
        let aggregates = ["min", "max"].map(|function| aggregate(function, function, vec![field(TIMESTAMP)]));
        ast.stages.push(stage(StageKind::Summarize { aggregates: aggregates.into(), by: Vec::new() }));
        let request = Request { limit: 1, ..request.clone() };
        let rows = self.plan(Some(ast), request, progress, cancel).await?.collect().await?;
        let time = |name: &str| rows.first()?.get(name)?.as_str()?.parse().ok();
        Ok(time("min").zip(time("max")))
    }

    /// The most frequent values of a field among a hunt's events, of those that begin with `prefix` in any case. Events with
    /// several values of the field are a group of their own: of what they have, in an array or its text.
    ///
    /// # Errors
    /// As [`run`](Self::run); also if the hunt's rows are not events.
    pub async fn top_values(
        &self,
        request: &Request,
        name: &str,
        prefix: &str,
        most: usize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<TopValue>, QueryError> {
        let mut ast = self.event_search(&request.text)?;
        if !prefix.is_empty() {
            let begins = Binary::Text(TextTest::StartsWith, false, false);
            let test =
                ExprKind::Binary(begins, Box::new(field(name)), Box::new(literal(Literal::Text(prefix.to_owned()))));
            ast.stages.push(stage(StageKind::Where(expr(test))));
        }
        ast.stages.push(summarize(field(name)));
        ast.stages
            .push(stage(StageKind::Top(most as u64, vec![SortKey { value: field("n"), order: Order::Descending }])));
        let request = Request { limit: most, ..request.clone() };
        let mut answer = self.plan(Some(ast), request, progress, cancel).await?;
        let row = |row: serde_json::Map<String, Value>| TopValue {
            value: row.get("value").cloned().unwrap_or_default(),
            count: row.get("n").and_then(Value::as_u64).unwrap_or(0),
        };
        Ok(answer.collect().await?.into_iter().map(row).collect())
    }

    /// A hunt without the stages that only order or cut; the others must leave events.
    fn event_search(&self, text: &str) -> Result<Ast, QueryError> {
        let mut ast = syntax::parse(text).map_err(QueryError::Text)?;
        ast.stages.retain(|stage| !matches!(stage.kind, StageKind::Sort(_) | StageKind::Take(_) | StageKind::Top(..)));
        let other = ast
            .stages
            .iter()
            .find(|stage| !matches!(stage.kind, StageKind::Where(_) | StageKind::Search(_) | StageKind::Extend(_)));
        match other {
            None => Ok(ast),
            Some(stage) => {
                let span = stage.span.start..stage.span.end;
                Err(Diagnostic::new(text, span, "the rows after this stage are not events").into())
            }
        }
    }
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

fn name(text: &str) -> Name {
    Name { text: text.to_owned(), span: Span::default() }
}

fn field(text: &str) -> Expr {
    expr(ExprKind::Field(text.to_owned()))
}

fn literal(value: Literal) -> Expr {
    expr(ExprKind::Literal(value))
}

fn call(function: &str, arguments: Vec<Expr>) -> Expr {
    expr(ExprKind::Call(name(function), arguments))
}

fn stage(kind: StageKind) -> Stage {
    Stage { kind, span: Span::default() }
}

/// `<called> = <function>(…)`
fn aggregate(called: &str, function: &str, arguments: Vec<Expr>) -> Aggregate {
    Aggregate { name: Some(name(called)), function: name(function), arguments, span: Span::default() }
}

/// `summarize n = count() by value = …`
fn summarize(by: Expr) -> Stage {
    stage(StageKind::Summarize {
        aggregates: vec![aggregate("n", "count", Vec::new())],
        by: vec![Assign { name: Some(name("value")), value: by }],
    })
}
