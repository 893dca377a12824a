//! Searches that people keep.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::Time;

use super::{model::rfc3339, session::Done};
use crate::{
    Action, App, Language, Problem, SavedSearch, SearchesError,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
    searches::Search,
};

/// A search to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchToSave {
    /// What people call it.
    name: String,
    /// Its text.
    query: String,
    /// `hunt` (default) or `sql`.
    #[serde(default)]
    language: Language,
    /// The columns that are shown.
    #[serde(default)]
    columns: Vec<String>,
}

impl From<SearchToSave> for Search {
    fn from(search: SearchToSave) -> Self {
        let SearchToSave { name, query, language, columns } = search;
        Search { name, query, language, columns }
    }
}

/// A search that somebody keeps.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedSearchModel {
    /// Its number.
    id: i64,
    /// What people call it.
    name: String,
    /// Its text.
    query: String,
    /// Its language.
    language: Language,
    /// The columns that are shown.
    columns: Vec<String>,
    /// Who saved it first.
    owner: String,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    changed: Time,
}

impl From<SavedSearch> for SavedSearchModel {
    fn from(SavedSearch { id, what, owner, changed }: SavedSearch) -> Self {
        let Search { name, query, language, columns } = what;
        SavedSearchModel { id, name, query, language, columns, owner, changed }
    }
}

/// Every saved search.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedSearches {
    /// By name.
    searches: Vec<SavedSearchModel>,
}

impl From<SearchesError> for Problem {
    fn from(error: SearchesError) -> Self {
        match error {
            SearchesError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            SearchesError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
            _ => Problem::internal(&error),
        }
    }
}

/// Every saved search; all see all of them.
#[utoipa::path(get, path = "/api/v1/searches", operation_id = "listSearches", tag = "events",
    responses((status = 200, description = "The saved searches", body = SavedSearches), (status = 401, body = Problem)))]
pub(crate) async fn list_searches(State(app): State<Arc<App>>) -> Result<Json<SavedSearches>, Problem> {
    let searches = blocking(move || Ok(app.searches.list()?)).await?;
    Ok(Json(SavedSearches { searches: searches.into_iter().map(Into::into).collect() }))
}

fn action(app: &App, principal: &Principal, what: &'static str, id: Option<i64>, search: &SearchToSave) -> Action {
    let mut action = principal.action(app.now(), what, id.map(|id| id.to_string()));
    action.details = vec![("search", search.name.clone()), ("query", search.query.clone())];
    action
}

/// Keeps a search.
#[utoipa::path(post, path = "/api/v1/searches", operation_id = "saveSearch", tag = "events", request_body = SearchToSave,
    responses((status = 200, description = "Saved", body = SavedSearchModel), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, description = "Name, query or columns are refused", body = Problem)))]
pub(crate) async fn save_search(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<SearchToSave>,
) -> Result<Json<SavedSearchModel>, Problem> {
    let action = action(&app, &principal, "search.save", None, &body);
    let (owner, now) = (principal.owner().to_owned(), action.time);
    let saved = act(&app, action, move |app| Ok(app.searches.add(&body.into(), &owner, now)?)).await?;
    Ok(Json(saved.into()))
}

/// Changes a saved search, whoever saved it.
#[utoipa::path(put, path = "/api/v1/searches/{id}", operation_id = "changeSearch", tag = "events",
    params(("id" = i64, Path, description = "The search's number")), request_body = SearchToSave,
    responses((status = 200, description = "Saved", body = SavedSearchModel), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, description = "Name, query or columns are refused", body = Problem)))]
pub(crate) async fn change_search(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<SearchToSave>,
) -> Result<Json<SavedSearchModel>, Problem> {
    let action = action(&app, &principal, "search.change", Some(id), &body);
    let now = action.time;
    let saved = act(&app, action, move |app| Ok(app.searches.change(id, &body.into(), now)?)).await?;
    Ok(Json(saved.into()))
}

/// Keeps a search no more.
#[utoipa::path(delete, path = "/api/v1/searches/{id}", operation_id = "removeSearch", tag = "events",
    params(("id" = i64, Path, description = "The search's number")),
    responses((status = 200, description = "Removed", body = Done), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove_search(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<Done>, Problem> {
    let action = principal.action(app.now(), "search.remove", Some(id.to_string()));
    act(&app, action, move |app| Ok(app.searches.remove(id)?)).await?;
    Ok(Json(Done { done: true }))
}
