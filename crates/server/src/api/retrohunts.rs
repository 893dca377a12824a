//! Rules over stored history, in the background.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rules::{ids, refuse, short_enough};
use crate::{
    App, NewRetrohunt, Problem, Retrohunt, RetrohuntError, SaveError,
    auth::{Principal, act, blocking},
    problem::{Body, Id, Params},
};

const DAY_MICROS: i64 = 86_400 * 1_000_000;
const DAYS: u32 = 30;
const MAX_DAYS: u32 = 3650;

/// What to hunt for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginRetrohunt {
    /// Sigma rules (YAML), one or several; at most 256 KiB.
    text: String,
    /// Events that were received in the last so many days (default 30, most 3650).
    #[serde(default)]
    days: Option<u32>,
}

/// Retro-hunts.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetrohuntList {
    /// Those that wait, run, or ended of late, newest first.
    retrohunts: Vec<Retrohunt>,
}

/// Which rules are told of.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetrohuntParams {
    /// Only retro-hunts that have this rule (an id), and of their rules only this: one that began by itself can have thousands.
    #[serde(default)]
    rule: Option<String>,
}

impl RetrohuntParams {
    /// What is asked for of a retro-hunt.
    fn part(&self, mut hunt: Retrohunt) -> Option<Retrohunt> {
        let Some(rule) = &self.rule else { return Some(hunt) };
        hunt.rules.retain(|hunted| hunted.id == *rule);
        (!hunt.rules.is_empty()).then_some(hunt)
    }
}

/// Runs rules over stored history in the background. Nothing is saved, and no alert is made.
///
/// The rules are read as if they were saved: correlations find the rules they are made of among the loaded ones. Poll the
/// answer's `id` for progress and results.
#[utoipa::path(post, path = "/api/v1/retrohunts", operation_id = "beginRetrohunt", tag = "rules",
    request_body = BeginRetrohunt,
    responses((status = 202, description = "It waits or runs", body = Retrohunt), (status = 401, body = Problem),
        (status = 413, body = Problem),
        (status = 422, description = "A rule is refused (`diagnostics` say why), or a parameter is", body = Problem),
        (status = 503, description = "Too many wait", body = Problem)))]
pub(crate) async fn begin_retrohunt(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<BeginRetrohunt>,
) -> Result<(StatusCode, Json<Retrohunt>), Problem> {
    short_enough(&body.text)?;
    let days = body.days.unwrap_or(DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        let detail = format!("`days` is a number from 1 to {MAX_DAYS}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (view, text) = (app.clone(), body.text.clone());
    let checked = blocking(move || Ok(view.rules.check(&text))).await?;
    refuse(checked.diagnostics)?;
    let from = app.now().plus_micros(-i64::from(days) * DAY_MICROS);
    let mut action = principal.action(app.now(), "rules.retrohunt", None);
    action.details.extend([("rules", ids(&checked.rules)), ("from", from.to_string())]);
    let by = action.who.clone();
    act(&app, action, move |app| {
        let begun = app.retrohunts.begin(NewRetrohunt { text: body.text, from, by })?;
        Ok((StatusCode::ACCEPTED, Json(begun)))
    })
    .await
}

/// Retro-hunts: also those that were begun because rules in force are new or changed.
#[utoipa::path(get, path = "/api/v1/retrohunts", operation_id = "listRetrohunts", tag = "rules",
    params(RetrohuntParams),
    responses((status = 200, description = "The retro-hunts", body = RetrohuntList), (status = 401, body = Problem)))]
pub(crate) async fn list_retrohunts(
    State(app): State<Arc<App>>,
    Params(params): Params<RetrohuntParams>,
) -> Result<Json<RetrohuntList>, Problem> {
    let told = move || app.retrohunts.list().into_iter().filter_map(|hunt| params.part(hunt)).collect();
    blocking(move || Ok(Json(RetrohuntList { retrohunts: told() }))).await
}

/// One retro-hunt: how far it is, and what it has found.
#[utoipa::path(get, path = "/api/v1/retrohunts/{id}", operation_id = "getRetrohunt", tag = "rules",
    params(("id" = u64, Path, description = "Its number"), RetrohuntParams),
    responses((status = 200, description = "The retro-hunt", body = Retrohunt), (status = 401, body = Problem),
        (status = 404, description = "There is none of this number, or it does not have the rule", body = Problem)))]
pub(crate) async fn get_retrohunt(
    State(app): State<Arc<App>>,
    Id(id): Id<u64>,
    Params(params): Params<RetrohuntParams>,
) -> Result<Json<Retrohunt>, Problem> {
    let told = move || app.retrohunts.get(id).and_then(|hunt| params.part(hunt));
    blocking(move || told().map(Json).ok_or_else(|| none(id))).await
}

/// Ends a retro-hunt early. What it has found so far stays.
#[utoipa::path(delete, path = "/api/v1/retrohunts/{id}", operation_id = "cancelRetrohunt", tag = "rules",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, description = "It ends", body = Retrohunt), (status = 401, body = Problem),
        (status = 404, description = "There is none of this number, or it has ended", body = Problem)))]
pub(crate) async fn cancel_retrohunt(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<u64>,
) -> Result<Json<Retrohunt>, Problem> {
    let action = principal.action(app.now(), "rules.retrohunt.cancel", Some(id.to_string()));
    act(&app, action, move |app| match app.retrohunts.cancel(id) {
        true => app.retrohunts.get(id).map(Json).ok_or_else(|| none(id)),
        false => Err(none(id)),
    })
    .await
}

fn none(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("no retro-hunt {id} waits or runs, nor ended of late"))
}

impl From<RetrohuntError> for Problem {
    fn from(error: RetrohuntError) -> Self {
        match error {
            RetrohuntError::Refused(diagnostics) => SaveError::Refused(diagnostics).into(),
            RetrohuntError::Busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "as many retro-hunts wait as may")
                .hint("try again when one is done, or cancel one"),
            RetrohuntError::Failed(error) => Problem::internal(&error),
        }
    }
}
