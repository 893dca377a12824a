//! The inbox.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, Uri},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vedette_alert::{AlertError, AlertId, Alerts, Filter, Sort, StateName, Verdict};
use vedette_event::Time;

use super::{
    model::{AlertDetailModel, AlertModel},
    names::VerdictModel,
};
use crate::{
    Action, AlertBudget, App, Problem,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// Which alerts.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// States, separated by commas: `new`, `acknowledged`, `closed`; `open` means the first two. May be given several
    /// times. Default: all.
    #[param(example = "new,acknowledged")]
    pub state: Option<String>,
    /// Closed with this verdict: `true_positive`, `false_positive`, `benign`.
    pub verdict: Option<String>,
    /// This level or worse: `informational`, `low`, `medium`, `high`, `critical`.
    pub level: Option<String>,
    /// The rule's id or title.
    pub rule: Option<String>,
    /// An entity's name.
    pub entity: Option<String>,
    /// The entity's kind.
    pub entity_kind: Option<String>,
    /// With findings at or after this time (RFC 3339).
    pub from: Option<String>,
    /// With findings before this time (RFC 3339).
    pub to: Option<String>,
    /// `newest` (default) or `worst` first.
    pub sort: Option<String>,
    /// Skip so many.
    pub offset: Option<usize>,
    /// At most so many (default 100, most 1000).
    pub limit: Option<usize>,
}

impl ListParams {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let wrong = |message: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message);
        let mut states = Vec::new();
        for state in self.state.iter().flat_map(|states| states.split(',')).map(str::trim).filter(|s| !s.is_empty()) {
            match state {
                "open" => states.extend([StateName::New, StateName::Acknowledged]),
                state => states.push(state.parse().map_err(wrong)?),
            }
        }
        let sort: Sort = self.sort.as_deref().map_or(Ok(Sort::Newest), str::parse).map_err(wrong)?;
        Ok(Filter {
            states,
            verdict: self.verdict.as_deref().map(str::parse).transpose().map_err(wrong)?,
            min_level: self.level.as_deref().map(str::parse).transpose().map_err(wrong)?,
            rule: self.rule.clone(),
            entity: self.entity.clone(),
            entity_kind: self.entity_kind.clone(),
            from: time(self.from.as_deref())?,
            to: time(self.to.as_deref())?,
            sort,
            offset: self.offset.unwrap_or(0),
            limit: self.limit.unwrap_or(100),
        })
    }
}

/// Several `state` parameters are as one with commas.
fn joined(uri: &Uri) -> Uri {
    let query = uri.query().unwrap_or_default();
    let (states, mut pairs): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("state="));
    let states: Vec<&str> = states.iter().filter_map(|pair| pair.strip_prefix("state=")).collect();
    let states = format!("state={}", states.join(","));
    if states.len() > "state=".len() {
        pairs.push(&states);
    }
    let pairs: Vec<&str> = pairs.into_iter().filter(|pair| !pair.is_empty()).collect();
    // Of the same characters as before; should it not be a URI all the same, the parameters are as they came.
    format!("/?{}", pairs.join("&")).parse().unwrap_or_else(|_| uri.clone())
}

/// Reads an RFC 3339 time.
pub(crate) fn time(text: Option<&str>) -> Result<Option<Time>, Problem> {
    let parsed = text.map(str::trim).filter(|text| !text.is_empty()).map(str::parse::<Time>).transpose();
    parsed.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
}

/// One page of the inbox.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertPage {
    /// The alerts.
    pub alerts: Vec<AlertModel>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Alerts, newest or worst first.
#[utoipa::path(get, path = "/api/v1/alerts", operation_id = "listAlerts", tag = "alerts", params(ListParams),
    responses((status = 200, description = "A page", body = AlertPage), (status = 401, body = Problem),
        (status = 422, description = "A parameter is wrong", body = Problem)))]
pub(crate) async fn list_alerts(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<AlertPage>, Problem> {
    let params = Query::<ListParams>::try_from_uri(&joined(&uri))
        .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let filter = params.filter()?;
    let page = blocking(move || Ok(app.alerts.list(&filter)?)).await?;
    Ok(Json(AlertPage { alerts: page.alerts.into_iter().map(Into::into).collect(), total: page.total }))
}

/// Today's new alerts (UTC) against the budget, and the rules that opened the most.
#[utoipa::path(get, path = "/api/v1/alerts/budget", operation_id = "alertBudget", tag = "alerts",
    responses((status = 200, description = "Today so far", body = AlertBudget), (status = 401, body = Problem)))]
pub(crate) async fn alert_budget(State(app): State<Arc<App>>) -> Json<AlertBudget> {
    Json(app.health.alert_budget())
}

/// How many alerts there are, by state and level.
#[utoipa::path(get, path = "/api/v1/alerts/counts", operation_id = "countAlerts", tag = "alerts",
    responses((status = 200, description = "state -> level -> count", body = BTreeMap<String, BTreeMap<String, u64>>),
        (status = 401, body = Problem)))]
pub(crate) async fn count_alerts(
    State(app): State<Arc<App>>,
) -> Result<Json<BTreeMap<String, BTreeMap<String, u64>>>, Problem> {
    Ok(Json(counts(app).await?))
}

pub(crate) async fn counts(app: Arc<App>) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Problem> {
    let counts = blocking(move || Ok(app.alerts.counts()?)).await?;
    let mut by: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for ((state, level), count) in counts.by {
        by.entry(state.to_string()).or_default().insert(level.to_string(), count);
    }
    Ok(by)
}

/// An alert with its latest findings and its history.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", operation_id = "getAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")),
    responses((status = 200, description = "The alert", body = AlertDetailModel), (status = 401, body = Problem),
        (status = 404, description = "No such alert", body = Problem)))]
pub(crate) async fn get_alert(State(app): State<Arc<App>>, Id(id): Id<i64>) -> Result<Json<AlertDetailModel>, Problem> {
    get(app, AlertId(id)).await.map(Json)
}

pub(crate) async fn get(app: Arc<App>, id: AlertId) -> Result<AlertDetailModel, Problem> {
    blocking(move || Ok(app.alerts.get(id)?.into())).await
}

/// Journals and carries out one step on one alert; answers with the alert as it is then.
pub(crate) async fn step(
    app: &Arc<App>,
    action: Action,
    id: AlertId,
    f: impl FnOnce(&Alerts) -> Result<(), AlertError> + Send + 'static,
) -> Result<AlertDetailModel, Problem> {
    act(app, action, move |app| {
        f(&app.alerts)?;
        Ok(app.alerts.get(id)?.into())
    })
    .await
}

/// Takes a new alert.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", operation_id = "acknowledgeAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")),
    responses((status = 200, description = "The alert, now yours", body = AlertDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is not new", body = Problem)))]
pub(crate) async fn acknowledge_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<AlertDetailModel>, Problem> {
    acknowledge(&app, &principal, AlertId(id)).await.map(Json)
}

pub(crate) async fn acknowledge(
    app: &Arc<App>,
    principal: &Principal,
    id: AlertId,
) -> Result<AlertDetailModel, Problem> {
    let action = principal.action(app.now(), "alert.acknowledge", Some(id.to_string()));
    let (who, now) = (action.who.clone(), action.time);
    step(app, action, id, move |alerts| alerts.acknowledge(id, &who, now)).await
}

/// A verdict.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    /// What it turned out to be.
    #[schema(value_type = VerdictModel)]
    pub verdict: String,
    /// Why.
    pub note: Option<String>,
}

/// Judges an alert. Further findings of its group open a new one.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/close", operation_id = "closeAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")), request_body = Close,
    responses((status = 200, description = "The closed alert", body = AlertDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is closed already", body = Problem),
        (status = 422, description = "No such verdict", body = Problem)))]
pub(crate) async fn close_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Close>,
) -> Result<Json<AlertDetailModel>, Problem> {
    close(&app, &principal, AlertId(id), &body.verdict, body.note).await.map(Json)
}

pub(crate) async fn close(
    app: &Arc<App>,
    principal: &Principal,
    id: AlertId,
    verdict: &str,
    note: Option<String>,
) -> Result<AlertDetailModel, Problem> {
    let verdict: Verdict =
        verdict.parse().map_err(|message: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message))?;
    let mut action = principal.action(app.now(), "alert.close", Some(id.to_string()));
    action.details.push(("verdict", verdict.to_string()));
    action.details.extend(note.clone().map(|note| ("note", note)));
    let (who, now) = (action.who.clone(), action.time);
    step(app, action, id, move |alerts| alerts.close(id, verdict, &who, note.as_deref(), now)).await
}

/// Makes a closed alert new again.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/reopen", operation_id = "reopenAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")),
    responses((status = 200, description = "The alert", body = AlertDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is not closed, or its group has a newer open alert", body = Problem)))]
pub(crate) async fn reopen_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<AlertDetailModel>, Problem> {
    reopen(&app, &principal, AlertId(id)).await.map(Json)
}

pub(crate) async fn reopen(app: &Arc<App>, principal: &Principal, id: AlertId) -> Result<AlertDetailModel, Problem> {
    let action = principal.action(app.now(), "alert.reopen", Some(id.to_string()));
    let (who, now) = (action.who.clone(), action.time);
    step(app, action, id, move |alerts| alerts.reopen(id, &who, now)).await
}

/// Whom to give it to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// A user's name; null takes it from whoever has it.
    pub to: Option<String>,
}

/// Gives an alert to somebody.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/assign", operation_id = "assignAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")), request_body = Assign,
    responses((status = 200, description = "The alert", body = AlertDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is closed", body = Problem)))]
pub(crate) async fn assign_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Assign>,
) -> Result<Json<AlertDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "alert.assign", Some(id.to_string()));
    action.details.extend(body.to.clone().map(|to| ("assignee", to)));
    let (who, now, id) = (action.who.clone(), action.time, AlertId(id));
    step(&app, action, id, move |alerts| alerts.assign(id, body.to.as_deref(), &who, now)).await.map(Json)
}

/// A note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// Its text.
    pub note: String,
}

/// Writes a note on an alert.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/note", operation_id = "noteAlert", tag = "alerts",
    params(("id" = i64, Path, description = "The alert's number")), request_body = Note,
    responses((status = 200, description = "The alert", body = AlertDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn note_alert(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Note>,
) -> Result<Json<AlertDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "alert.note", Some(id.to_string()));
    action.details.push(("note", body.note.clone()));
    let (who, now, id) = (action.who.clone(), action.time, AlertId(id));
    step(&app, action, id, move |alerts| alerts.note(id, &body.note, &who, now)).await.map(Json)
}
