//! Single events, unparsed ones, and the live tail.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;
use utoipa::{IntoParams, ToSchema};
use vedette_event::EventId;

use super::{
    alerts::time,
    search::{Answer, collect, event},
    stream::{Outlet, RECHECK, open},
};
use crate::{
    App, Ask, Language, Problem,
    auth::Principal,
    problem::{Id, Params},
    rooms::LiveFilter,
};

/// One event by its id, with all its fields and its original text.
#[utoipa::path(get, path = "/api/v1/events/{id}", operation_id = "getEvent", tag = "events",
    params(("id" = String, Path, description = "The event's id, `<source>-<sequence>`", example = "3-1042")),
    responses((status = 200, description = "The event", body = Object), (status = 401, body = Problem),
        (status = 404, description = "No such event", body = Problem),
        (status = 422, description = "Not an event id", body = Problem)))]
pub(crate) async fn get_event(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<Json<Map<String, Value>>, Problem> {
    one_event(&app, &principal, &id).await.map(Json)
}

pub(crate) async fn one_event(app: &Arc<App>, principal: &Principal, id: &str) -> Result<Map<String, Value>, Problem> {
    let id: EventId = id.parse().map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{error}")))?;
    let query = format!("event.id:{id}");
    let ask = Ask { query, language: Language::Hunt, from: None, to: None, limit: 1 };
    let answer = collect(app, principal, ask).await?;
    answer.rows.into_iter().next().ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no event {id}"))
            .hint("it may have been removed by retention")
    })
}

/// Which unparsed events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnparsedParams {
    /// At or after this time (RFC 3339).
    from: Option<String>,
    /// Before this time (RFC 3339).
    to: Option<String>,
    /// At most so many (default 100, most 1000).
    limit: Option<usize>,
}

/// Events that no parser understood, latest first.
#[utoipa::path(get, path = "/api/v1/unparsed", operation_id = "listUnparsed", tag = "events", params(UnparsedParams),
    responses((status = 200, description = "The events", body = Answer), (status = 401, body = Problem)))]
pub(crate) async fn list_unparsed(
    State(app): State<Arc<App>>,
    principal: Principal,
    Params(params): Params<UnparsedParams>,
) -> Result<Json<Answer>, Problem> {
    let (from, to) = (time(params.from.as_deref())?, time(params.to.as_deref())?);
    let limit = params.limit.unwrap_or(100).min(1000);
    let ask = Ask { query: "NOT vedette.parser:*".to_owned(), language: Language::Hunt, from, to, limit };
    collect(&app, &principal, ask).await.map(Json)
}

/// Which events to show.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TailParams {
    /// A search (the language of the search box, without pipes); default: every event.
    #[serde(default)]
    query: String,
}

/// What a watcher missed.
#[derive(Serialize, ToSchema)]
struct Gap {
    /// So many batches (of up to 1,024 events) were not shown. They are stored: search finds them.
    missed_batches: u64,
}

/// Events as they are stored: server-sent events `event`; a client that cannot keep up gets `gap` and how much it missed.
#[utoipa::path(get, path = "/api/v1/events/tail", operation_id = "tailEvents", tag = "events", params(TailParams),
    responses((status = 200, description = "Events `event` and `gap`", body = Object, content_type = "text/event-stream"),
        (status = 401, body = Problem), (status = 422, description = "The query is wrong", body = Problem),
        (status = 503, description = "Too many streams", body = Problem)))]
pub(crate) async fn tail_events(
    State(app): State<Arc<App>>,
    principal: Principal,
    Params(params): Params<TailParams>,
) -> Result<Response, Problem> {
    let filter = app.rooms.live_filter(&params.query)?;
    let mut action = principal.action(app.now(), "query.tail", None);
    action.details.push(("query", params.query));
    let journal = app.clone();
    crate::auth::blocking(move || crate::auth::write_down(&journal, &action)).await?;
    open(&app.clone(), principal, move |outlet| {
        let batches = app.live.watch();
        follow_batches(batches, filter, outlet)
    })
}

async fn follow_batches(
    mut batches: tokio::sync::broadcast::Receiver<Arc<vedette_event::Batch>>,
    filter: LiveFilter,
    mut outlet: Outlet,
) {
    // A filter that lets little through must not outlive its session.
    let mut recheck = tokio::time::interval(RECHECK);
    loop {
        let received = tokio::select! {
            received = batches.recv() => received,
            () = outlet.closed() => return,
            _ = recheck.tick() => match outlet.may_go_on().await {
                true => continue,
                false => return,
            },
        };
        match received {
            Ok(batch) => {
                for index in 0..batch.len() {
                    if !filter(&batch.event(index)) {
                        continue;
                    }
                    let shown = event("event", &batch.event(index).to_json());
                    if !outlet.send(shown).await {
                        return;
                    }
                }
            }
            Err(RecvError::Lagged(missed_batches)) => {
                if !outlet.send(event("gap", &Gap { missed_batches })).await {
                    return;
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}
