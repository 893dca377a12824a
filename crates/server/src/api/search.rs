//! Search.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body as HttpBody, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt, stream, stream::BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use vedette_query::FileFormat;

use super::alerts::time;
use crate::{
    App, Ask, Language, Piece, Problem, SearchError, Summary,
    app::Counters,
    auth::{Principal, blocking, write_down},
    problem::{Body, Params},
};

/// An answer holds at most so many rows.
pub(crate) const MAX_ROWS: usize = 100_000;
const MAX_QUERY: usize = 64 << 10;
const MAX_COLUMNS: usize = 1000;
/// How long a search waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Its text; empty means every event.
    #[serde(default)]
    #[schema(example = "source.ip:192.0.2.0/24 event.outcome:failure | summarize n=count() by user.name")]
    pub query: String,
    /// `hunt` (default: search box and pipes) or `sql`.
    #[serde(default)]
    pub language: Language,
    /// Events at or after this time (RFC 3339).
    #[serde(default)]
    pub from: Option<String>,
    /// Events before this time (RFC 3339).
    #[serde(default)]
    pub to: Option<String>,
    /// At most so many rows. A whole answer has 100 if nothing is said, and 100000 at most; a stream has no limit.
    #[serde(default)]
    pub limit: Option<usize>,
    /// The columns of a file (`csv`, `parquet`): fields of whole events, or columns of a table. Other forms have all.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

impl Search {
    fn ask(self, form: Form) -> Result<Ask, Problem> {
        let limit = self.limit.unwrap_or(if form == Form::Whole { 100 } else { usize::MAX });
        let refused = |message: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        if form == Form::Whole && limit > MAX_ROWS {
            return refused(format!("a whole answer has at most {MAX_ROWS} rows; ask for `format=pieces`"));
        }
        if self.query.len() > MAX_QUERY {
            return refused(format!("a query has at most {MAX_QUERY} bytes"));
        }
        let (from, to) = (time(self.from.as_deref())?, time(self.to.as_deref())?);
        Ok(Ask { query: self.query, language: self.language, from, to, limit })
    }
}

/// In which form an answer comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// One JSON object.
    #[default]
    Whole,
    /// One row a line.
    Lines,
    /// One piece a line: `{"columns":..}`, `{"row":..}`, `{"progress":..}`, and at last `{"done":..}` or `{"error":..}`.
    Pieces,
    /// The same as server-sent events.
    Events,
    /// A file of comma-separated values.
    Csv,
    /// A file of Apache Parquet.
    Parquet,
}

impl Form {
    fn of(params: &FormParams, headers: &HeaderMap) -> Form {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match params.format {
            Some(form) => form,
            None if accept.contains("text/event-stream") => Form::Events,
            None if accept.contains("application/x-ndjson") => Form::Lines,
            None => Form::Whole,
        }
    }
}

/// The form of an answer.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormParams {
    /// `whole`, `lines`, `pieces`, `events`, `csv` or `parquet`; goes before the `Accept` header.
    #[param(inline)]
    format: Option<Form>,
}

/// The whole answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The columns of a table; empty if the rows are whole events.
    pub columns: Vec<String>,
    /// Events, or lines of the table, as objects by field or column.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<Map<String, Value>>,
    /// What it took.
    pub summary: Summary,
}

/// A query that runs. Dropping it cancels it.
pub(crate) struct Running {
    pieces: BoxStream<'static, Result<Piece, SearchError>>,
    app: Arc<App>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    /// The next piece; none after the summary or an error.
    pub(crate) async fn next(&mut self) -> Option<Result<Piece, Problem>> {
        if self.ended {
            return None;
        }
        let piece = self.pieces.next().await;
        match &piece {
            Some(Ok(Piece::Done(_))) | None => self.ended = true,
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.ended = true;
                let refused = matches!(error, SearchError::Refused(_));
                let counters = &self.app.counters;
                Counters::add(if refused { &counters.queries_refused } else { &counters.queries_failed });
            }
        }
        piece.map(|piece| piece.map_err(Problem::from))
    }

    /// The next piece that is not progress.
    async fn next_result(&mut self) -> Option<Result<Piece, Problem>> {
        loop {
            match self.next().await {
                Some(Ok(Piece::Progress(_))) => {}
                other => return other,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            Counters::add(&self.app.counters.queries_cancelled);
        }
    }
}

/// Waits until it is one's turn to search; it is over when the permit is dropped.
pub(crate) async fn turn(app: &Arc<App>) -> Result<OwnedSemaphorePermit, Problem> {
    let busy = || Problem {
        retry_after: Some(5),
        ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many searches at once").hint("try again in a moment")
    };
    let turn = tokio::time::timeout(PATIENCE, app.gates.searches.clone().acquire_owned()).await;
    turn.map_err(|_| busy())?.map_err(|_| busy())
}

/// Writes a query down.
pub(crate) async fn journalled<const N: usize>(
    app: &Arc<App>,
    principal: &Principal,
    what: &'static str,
    ask: &Ask,
    more: [(&'static str, String); N],
) -> Result<(), Problem> {
    let mut action = principal.action(app.now(), what, None);
    action.details = ask.details();
    action.details.extend(more);
    let journal = app.clone();
    blocking(move || write_down(&journal, &action)).await
}

/// Writes the query down and starts it, when it is its turn.
pub(crate) async fn start(app: &Arc<App>, principal: &Principal, ask: Ask) -> Result<Running, Problem> {
    let permit = turn(app).await?;
    journalled(app, principal, "query.run", &ask, []).await?;
    Counters::add(&app.counters.queries);
    Ok(Running { pieces: app.rooms.search(ask), app: app.clone(), ended: false, _permit: permit })
}

/// Runs a query to its end.
pub(crate) async fn collect(app: &Arc<App>, principal: &Principal, ask: Ask) -> Result<Answer, Problem> {
    let mut running = start(app, principal, ask).await?;
    let mut answer = Answer { columns: Vec::new(), rows: Vec::new(), summary: Summary::default() };
    while let Some(piece) = running.next_result().await {
        match piece? {
            Piece::Columns(columns) => answer.columns = columns,
            Piece::Row(row) => answer.rows.push(row),
            Piece::Progress(_) => {}
            Piece::Done(summary) => answer.summary = summary,
        }
    }
    Ok(answer)
}

/// Searches events. Closing the connection cancels the query.
///
/// The `format` parameter, else the `Accept` header, chooses the form. `whole` (`application/json`, the default): the
/// whole answer. `lines` (`application/x-ndjson`): one row a line as they are found; the connection breaks off if the
/// query fails underway. `pieces`: one object a line with `columns`, `row`, `progress`, and at last `done` or `error`.
/// `events` (`text/event-stream`): the same as server-sent events. `csv` and `parquet`: a file to download with the
/// `columns`; more than 100000 rows come newest segments first, otherwise unordered.
#[utoipa::path(post, path = "/api/v1/search", operation_id = "search", tag = "events", request_body = Search,
    params(FormParams),
    responses(
        (status = 200, description = "The answer", content(
            (Answer = "application/json"), (String = "application/x-ndjson"), (String = "text/event-stream"),
            (String = "text/csv"), (String = "application/vnd.apache.parquet"))),
        (status = 401, body = Problem),
        (status = 422, description = "The query is wrong (`diagnostics` say where) or over budget", body = Problem),
        (status = 503, description = "Too many searches at once", body = Problem)))]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    principal: Principal,
    headers: HeaderMap,
    Params(params): Params<FormParams>,
    Body(body): Body<Search>,
) -> Result<Response, Problem> {
    let form = Form::of(&params, &headers);
    let columns = body.columns.clone();
    let ask = body.ask(form)?;
    match form {
        Form::Whole => Ok(Json(collect(&app, &principal, ask).await?).into_response()),
        Form::Lines => as_lines(start(&app, &principal, ask).await?).await,
        Form::Pieces => as_pieces(start(&app, &principal, ask).await?).await,
        Form::Events => Ok(as_events(start(&app, &principal, ask).await?).into_response()),
        Form::Csv => as_file(&app, &principal, ask, columns, FileFormat::Csv).await,
        Form::Parquet => as_file(&app, &principal, ask, columns, FileFormat::Parquet).await,
    }
}

/// A file to download. What is wrong before its first bytes is a problem, not a broken file.
async fn as_file(
    app: &Arc<App>,
    principal: &Principal,
    ask: Ask,
    columns: Option<Vec<String>>,
    format: FileFormat,
) -> Result<Response, Problem> {
    let (ending, kind) = match format {
        FileFormat::Csv => ("csv", "text/csv; charset=utf-8"),
        FileFormat::Parquet => ("parquet", "application/vnd.apache.parquet"),
    };
    if columns.as_ref().is_some_and(|columns| columns.is_empty() || columns.len() > MAX_COLUMNS) {
        let detail = format!("`columns` names 1 to {MAX_COLUMNS} columns");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let turn = turn(app).await?;
    journalled(app, principal, "query.export", &ask, [("format", ending.to_owned())]).await?;
    Counters::add(&app.counters.queries);
    let mut bytes = app.rooms.export(ask, columns, format);
    let first = bytes.next().await.transpose()?.unwrap_or_default();
    let rest = bytes.map(move |bytes| {
        let _turn = &turn;
        bytes.map(Bytes::from).map_err(|error| std::io::Error::other(Problem::from(error).detail))
    });
    let file = stream::iter([Ok(Bytes::from(first))]).chain(rest);
    let disposition = format!("attachment; filename=\"vedette-{}.{ending}\"", app.now().secs());
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, HttpBody::from_stream(file)).into_response())
}

/// One piece a line. What is wrong before the first piece is a problem, not a stream.
async fn as_pieces(mut running: Running) -> Result<Response, Problem> {
    let first = running.next().await.transpose()?;
    let rest = stream::unfold(running, |mut running| async { running.next().await.map(|piece| (piece, running)) });
    let lines = stream::iter(first.map(Ok)).chain(rest).map(|piece: Result<Piece, Problem>| {
        let line = match &piece {
            Ok(Piece::Columns(columns)) => json!({ "columns": columns }),
            Ok(Piece::Row(row)) => json!({ "row": row }),
            Ok(Piece::Progress(progress)) => json!({ "progress": progress }),
            Ok(Piece::Done(summary)) => json!({ "done": summary }),
            Err(problem) => json!({ "error": problem }),
        };
        Ok::<_, Infallible>(Bytes::from(format!("{line}\n")))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(lines)).into_response())
}

/// One row a line. What is wrong before the first row is a problem, not a broken stream.
async fn as_lines(mut running: Running) -> Result<Response, Problem> {
    let first = loop {
        match running.next_result().await.transpose()? {
            Some(Piece::Columns(_)) => {}
            other => break other,
        }
    };
    let first = stream::iter(first.map(Ok));
    let rest =
        stream::unfold(running, |mut running| async { running.next_result().await.map(|piece| (piece, running)) });
    let lines = first.chain(rest).filter_map(|piece| async {
        match piece {
            Ok(Piece::Row(row)) => {
                let mut line = Value::Object(row).to_string();
                line.push('\n');
                Some(Ok(Bytes::from(line)))
            }
            Ok(_) => None,
            Err(problem) => Some(Err(std::io::Error::other(problem.detail))),
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(lines)).into_response())
}

fn as_events(running: Running) -> impl IntoResponse {
    let events = stream::unfold(running, |mut running| async {
        let piece = running.next().await?;
        let event = match piece {
            Ok(Piece::Columns(columns)) => event("columns", &columns),
            Ok(Piece::Row(row)) => event("row", &row),
            Ok(Piece::Progress(progress)) => event("progress", &progress),
            Ok(Piece::Done(summary)) => event("done", &summary),
            Err(problem) => event("error", &problem),
        };
        Some((Ok::<_, Infallible>(event), running))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A server-sent event with JSON data.
pub(crate) fn event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).expect("our models always have a JSON form"))
}
