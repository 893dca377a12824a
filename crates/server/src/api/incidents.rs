//! Incidents: findings that belong together.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vedette_alert::{
    AlertError, AlertId, Alerts, Incident, IncidentDetail, IncidentFilter, IncidentId, IncidentState,
    IncidentStateName, Sort, TimelineStep, Verdict,
};
use vedette_event::Time;

use super::{
    alerts::{Assign, Close, Note, time},
    model::{ChangeModel, EntityModel, RuleModel, rfc3339},
    names::{LevelModel, VerdictModel},
    risk::{check_kind, refused},
};
use crate::{
    Action, App, Problem,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// Where an incident is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IncidentState)]
pub(crate) enum IncidentStateModel {
    /// It takes further findings.
    Open,
    /// Somebody has judged it.
    Closed,
    /// It came to be linked with another one, which has all that was in it.
    Merged,
}

/// An incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentModel {
    /// Its number.
    id: i64,
    /// Where it is on its way.
    state: IncidentStateModel,
    /// Of a closed incident: what it turned out to be.
    verdict: Option<VerdictModel>,
    /// Of a merged incident: the one that has its findings now.
    merged_into: Option<i64>,
    /// Whose it is.
    assignee: Option<String>,
    /// The entity whose points opened it.
    entity: EntityModel,
    /// The entities that its findings name, those with the most findings first; at most 64.
    entities: Vec<EntityModel>,
    /// True if there are more.
    entities_truncated: bool,
    /// The worst level of its findings.
    level: LevelModel,
    /// The ATT&CK tactics of its findings.
    tactics: Vec<String>,
    /// Number of findings.
    findings: u64,
    /// Of these, those that the time line no longer shows, because their alerts are gone.
    pruned: u64,
    /// Rows of its time line.
    steps: u64,
    /// True if it takes no further rows.
    is_full: bool,
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last: Time,
    /// When it was opened.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened: Time,
    /// When it last changed.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    changed: Time,
}

impl From<Incident> for IncidentModel {
    fn from(incident: Incident) -> Self {
        let (state, verdict, merged_into) = match incident.state {
            IncidentState::Open => (IncidentStateModel::Open, None, None),
            IncidentState::Closed(verdict) => (IncidentStateModel::Closed, Some(verdict.into()), None),
            IncidentState::Merged(into) => (IncidentStateModel::Merged, None, Some(into.0)),
        };
        IncidentModel {
            id: incident.id.0,
            state,
            verdict,
            merged_into,
            assignee: incident.assignee,
            entity: incident.entity.into(),
            entities: incident.entities.into_iter().map(Into::into).collect(),
            entities_truncated: incident.entities_truncated,
            level: incident.level.into(),
            tactics: incident.tactics.into_iter().map(str::to_owned).collect(),
            findings: incident.findings,
            pruned: incident.pruned,
            steps: incident.steps,
            is_full: incident.is_full,
            first: incident.first,
            last: incident.last,
            opened: incident.opened,
            changed: incident.changed,
        }
    }
}

/// A row of an incident's time line: the findings of one alert in one hour about the same entities.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TimelineStep)]
pub(crate) struct TimelineStepModel {
    /// Event time of the earliest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first: Time,
    /// Event time of the latest finding.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last: Time,
    /// The alert; it has the findings themselves.
    alert: i64,
    /// The alert's rule.
    rule: RuleModel,
    /// Users, hosts and addresses.
    entities: Vec<EntityModel>,
    /// Number of findings.
    findings: u64,
    /// True if the alert was judged to be no risk.
    is_void: bool,
}

impl From<TimelineStep> for TimelineStepModel {
    fn from(step: TimelineStep) -> Self {
        TimelineStepModel {
            first: step.first,
            last: step.last,
            alert: step.alert.0,
            rule: step.rule.into(),
            entities: step.entities.into_iter().map(Into::into).collect(),
            findings: step.findings,
            is_void: step.is_void,
        }
    }
}

/// An incident with its time line and its history.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = IncidentDetail)]
pub(crate) struct IncidentDetailModel {
    /// The incident.
    #[serde(flatten)]
    incident: IncidentModel,
    /// What happened, in the order of event time.
    timeline: Vec<TimelineStepModel>,
    /// What was done to it, oldest first.
    history: Vec<ChangeModel>,
}

impl From<IncidentDetail> for IncidentDetailModel {
    fn from(detail: IncidentDetail) -> Self {
        IncidentDetailModel {
            incident: detail.incident.into(),
            timeline: detail.timeline.into_iter().map(Into::into).collect(),
            history: detail.history.into_iter().map(Into::into).collect(),
        }
    }
}

/// Which incidents.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentParams {
    /// States, separated by commas: `open`, `closed`, `merged`. Default: open and closed.
    #[param(example = "open")]
    state: Option<String>,
    /// With a finding of this level or worse: `informational`, `low`, `medium`, `high`, `critical`.
    level: Option<String>,
    /// An entity's name.
    entity: Option<String>,
    /// The entity's kind: `user`, `host` or `ip`.
    entity_kind: Option<String>,
    /// Given to this person.
    assignee: Option<String>,
    /// With findings of this alert.
    alert: Option<i64>,
    /// With findings at or after this time (RFC 3339).
    from: Option<String>,
    /// With findings before this time (RFC 3339).
    to: Option<String>,
    /// `newest` (default) or `worst` first.
    sort: Option<String>,
    /// Skip so many.
    offset: Option<usize>,
    /// At most so many (default 100, most 1000).
    limit: Option<usize>,
}

impl IncidentParams {
    fn filter(self) -> Result<IncidentFilter, Problem> {
        if let Some(kind) = &self.entity_kind {
            check_kind(kind)?;
        }
        let states: Vec<IncidentStateName> = names(self.state.as_deref())?;
        let by_default = IncidentFilter::default();
        Ok(IncidentFilter {
            states: if states.is_empty() { by_default.states } else { states },
            min_level: self.level.as_deref().map(str::parse).transpose().map_err(wrong)?,
            entity: self.entity,
            entity_kind: self.entity_kind,
            assignee: self.assignee,
            alert: self.alert.map(AlertId),
            from: time(self.from.as_deref())?,
            to: time(self.to.as_deref())?,
            sort: self.sort.as_deref().map_or(Ok(Sort::Newest), str::parse).map_err(wrong)?,
            offset: self.offset.unwrap_or(0),
            limit: self.limit.unwrap_or(100),
        })
    }
}

/// Names separated by commas.
pub(super) fn names<T: std::str::FromStr<Err = String>>(text: Option<&str>) -> Result<Vec<T>, Problem> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(wrong)).collect()
}

pub(super) fn wrong(message: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message)
}

/// One page of incidents.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentPage {
    /// The incidents.
    incidents: Vec<IncidentModel>,
    /// How many there are on all pages.
    total: u64,
}

/// Incidents, newest or worst first.
#[utoipa::path(get, path = "/api/v1/incidents", operation_id = "listIncidents", tag = "incidents",
    params(IncidentParams),
    responses((status = 200, description = "A page", body = IncidentPage), (status = 401, body = Problem),
        (status = 422, description = "A parameter is wrong", body = Problem)))]
pub(crate) async fn list_incidents(
    State(app): State<Arc<App>>,
    params: Result<Query<IncidentParams>, QueryRejection>,
) -> Result<Json<IncidentPage>, Problem> {
    let filter = params.map_err(refused)?.0.filter()?;
    let page = blocking(move || Ok(app.alerts.incidents(&filter)?)).await?;
    Ok(Json(IncidentPage { incidents: page.incidents.into_iter().map(Into::into).collect(), total: page.total }))
}

/// An incident with its time line and its history.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", operation_id = "getIncident", tag = "incidents",
    params(("id" = i64, Path, description = "The incident's number")),
    responses((status = 200, description = "The incident", body = IncidentDetailModel), (status = 401, body = Problem),
        (status = 404, description = "No such incident", body = Problem)))]
pub(crate) async fn get_incident(
    State(app): State<Arc<App>>,
    Id(id): Id<i64>,
) -> Result<Json<IncidentDetailModel>, Problem> {
    blocking(move || Ok(Json(app.alerts.incident(IncidentId(id))?.into()))).await
}

/// Journals and carries out one step on one incident; answers with the incident as it is then.
async fn step(
    app: &Arc<App>,
    action: Action,
    id: IncidentId,
    f: impl FnOnce(&Alerts) -> Result<(), AlertError> + Send + 'static,
) -> Result<Json<IncidentDetailModel>, Problem> {
    act(app, action, move |app| {
        f(&app.alerts)?;
        Ok(Json(app.alerts.incident(id)?.into()))
    })
    .await
}

/// Judges an incident. Its findings are spent; its alerts keep their own verdicts.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/close", operation_id = "closeIncident", tag = "incidents",
    params(("id" = i64, Path, description = "The incident's number")), request_body = Close,
    responses((status = 200, description = "The closed incident", body = IncidentDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is not open", body = Problem),
        (status = 422, description = "No such verdict", body = Problem)))]
pub(crate) async fn close_incident(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Close>,
) -> Result<Json<IncidentDetailModel>, Problem> {
    let verdict: Verdict = body.verdict.parse().map_err(wrong)?;
    let mut action = principal.action(app.now(), "incident.close", Some(id.to_string()));
    action.details.push(("verdict", verdict.to_string()));
    action.details.extend(body.note.clone().map(|note| ("note", note)));
    let (who, now, id) = (action.who.clone(), action.time, IncidentId(id));
    step(&app, action, id, move |alerts| alerts.close_incident(id, verdict, &who, body.note.as_deref(), now)).await
}

/// Gives an incident to somebody.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/assign", operation_id = "assignIncident", tag = "incidents",
    params(("id" = i64, Path, description = "The incident's number")), request_body = Assign,
    responses((status = 200, description = "The incident", body = IncidentDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "It is not open", body = Problem)))]
pub(crate) async fn assign_incident(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Assign>,
) -> Result<Json<IncidentDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "incident.assign", Some(id.to_string()));
    action.details.extend(body.to.clone().map(|to| ("assignee", to)));
    let (who, now, id) = (action.who.clone(), action.time, IncidentId(id));
    step(&app, action, id, move |alerts| alerts.assign_incident(id, body.to.as_deref(), &who, now)).await
}

/// Writes a note into an incident's history.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/note", operation_id = "noteIncident", tag = "incidents",
    params(("id" = i64, Path, description = "The incident's number")), request_body = Note,
    responses((status = 200, description = "The incident", body = IncidentDetailModel),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn note_incident(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
    Body(body): Body<Note>,
) -> Result<Json<IncidentDetailModel>, Problem> {
    let mut action = principal.action(app.now(), "incident.note", Some(id.to_string()));
    action.details.push(("note", body.note.clone()));
    let (who, now, id) = (action.who.clone(), action.time, IncidentId(id));
    step(&app, action, id, move |alerts| alerts.note_incident(id, &body.note, &who, now)).await
}
