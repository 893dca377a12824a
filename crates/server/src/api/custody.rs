//! Evidence, erasure, legal holds.

use std::sync::Arc;

use axum::{
    Json,
    body::Body as HttpBody,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;

use super::alerts::time;
use crate::{
    App, CustodyError, Erased, Hold, Problem, Selection,
    auth::{Principal, blocking},
    problem::{Body, Id},
};

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        match error {
            CustodyError::Query(diagnostics) => crate::SearchError::Refused(diagnostics).into(),
            CustodyError::Refused(detail) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            CustodyError::Conflict(detail) => Problem::new(StatusCode::CONFLICT, detail),
            CustodyError::Failed(detail) => {
                tracing::error!(%detail, "custody of the history failed");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

/// What to export.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// A search without pipes.
    #[schema(example = "event.id:3-1042")]
    query: String,
    /// Events at or after this time (RFC 3339).
    #[serde(default)]
    from: Option<String>,
    /// Events before this time (RFC 3339).
    #[serde(default)]
    to: Option<String>,
    /// Of every source with a found event, all events from the first found to the last: proves that none was left out.
    #[serde(default)]
    whole: bool,
}

/// The bytes of a bundle.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only described: the bytes are streamed from a file")]
pub(crate) struct Bundle(Vec<u8>);

/// Makes an evidence bundle: original events with everything that proves them, for `vedette verify` and other verifiers.
///
/// The answer is a ZIP file (`docs/formats.md`, Evidence). The export is itself an event, which is in the bundle too.
#[utoipa::path(post, path = "/api/v1/evidence", operation_id = "exportEvidence", tag = "custody", request_body = Export,
    responses((status = 200, description = "The bundle, a ZIP file", body = Bundle, content_type = "application/octet-stream"),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, description = "The search is wrong, or finds nothing or too much", body = Problem)))]
pub(crate) async fn export_evidence(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Export>,
) -> Result<Response, Problem> {
    let selection = selection(body.query, body.from.as_deref(), body.to.as_deref())?;
    let action = principal.action(app.now(), "evidence.export", None);
    let file = blocking(move || Ok(app.custody.export(&selection, body.whole, action)?)).await?;
    let stream = ReaderStream::new(tokio::fs::File::from_std(file));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"case.vev\""),
    ];
    Ok((headers, HttpBody::from_stream(stream)).into_response())
}

/// What to erase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erase {
    /// A search without pipes.
    #[schema(example = "event.id:3-1042")]
    query: String,
    /// Events at or after this time (RFC 3339).
    #[serde(default)]
    from: Option<String>,
    /// Events before this time (RFC 3339).
    #[serde(default)]
    to: Option<String>,
    /// Why.
    reason: String,
    /// Only count.
    #[serde(default)]
    dry_run: bool,
}

/// Erases events for good, by law: of each only its hash, its receive time and its source are left, and every other event's
/// proof stays whole. What is on legal hold is refused.
#[utoipa::path(post, path = "/api/v1/erasure", operation_id = "eraseEvents", tag = "custody", request_body = Erase,
    responses((status = 200, description = "What was (or would be) erased", body = Erased),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, description = "An event is on legal hold", body = Problem),
        (status = 422, description = "The search is wrong or finds too much", body = Problem)))]
pub(crate) async fn erase_events(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Erase>,
) -> Result<Json<Erased>, Problem> {
    let selection = selection(body.query, body.from.as_deref(), body.to.as_deref())?;
    let action = principal.action(app.now(), "event.erase", None);
    let erased = blocking(move || {
        Ok(if body.dry_run {
            app.custody.erasable(&selection)?
        } else {
            app.custody.erase(&selection, &body.reason, action)?
        })
    });
    erased.await.map(Json)
}

/// Every legal hold.
#[derive(Serialize, ToSchema)]
pub(crate) struct Holds {
    holds: Vec<Hold>,
}

/// The legal holds.
#[utoipa::path(get, path = "/api/v1/holds", operation_id = "listHolds", tag = "custody",
    responses((status = 200, description = "The holds", body = Holds), (status = 401, body = Problem)))]
pub(crate) async fn list_holds(State(app): State<Arc<App>>) -> Result<Json<Holds>, Problem> {
    blocking(move || Ok(Json(Holds { holds: app.custody.holds() }))).await
}

/// Sets a legal hold: nothing that it covers is deleted by retention or erased.
#[utoipa::path(post, path = "/api/v1/holds", operation_id = "setHold", tag = "custody", request_body = Hold,
    responses((status = 200, description = "It is there", body = Hold), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, description = "There is one of this name", body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn set_hold(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(mut hold): Body<Hold>,
) -> Result<Json<Hold>, Problem> {
    if hold.name.is_empty()
        || hold.name.len() > 200
        || hold.name.contains(|char: char| char == '/' || char.is_control())
    {
        let detail = "a hold's name has 1 to 200 bytes and no `/`";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    time(hold.from.as_deref())?;
    time(hold.to.as_deref())?;
    (hold.by, hold.since) = (principal.name.clone(), app.now().to_string());
    let action = principal.action(app.now(), "hold.set", Some(hold.name.clone()));
    let set = hold.clone();
    blocking(move || Ok(app.custody.hold(hold, action)?)).await?;
    Ok(Json(set))
}

/// Lifts a legal hold.
#[utoipa::path(delete, path = "/api/v1/holds/{name}", operation_id = "liftHold", tag = "custody",
    params(("name" = String, Path, description = "The hold's name")),
    responses((status = 200, description = "The holds that are left", body = Holds), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 409, description = "There is none of this name", body = Problem)))]
pub(crate) async fn lift_hold(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
) -> Result<Json<Holds>, Problem> {
    let action = principal.action(app.now(), "hold.lift", Some(name.clone()));
    let left = blocking(move || {
        app.custody.lift(&name, action)?;
        Ok(Holds { holds: app.custody.holds() })
    });
    left.await.map(Json)
}

fn selection(query: String, from: Option<&str>, to: Option<&str>) -> Result<Selection, Problem> {
    if query.trim().is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "say which events: the query is empty")
            .hint("`*` means every event"));
    }
    Ok(Selection { query, from: time(from)?, to: time(to)? })
}
