//! Exceptions: findings that shall not become alerts.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_alert::{Condition, Exception};
use vedette_event::Time;

use super::{
    alerts,
    model::{rfc3339, rfc3339_or_null},
};
use crate::{
    App, Problem,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// A preview looks back so far.
const PREVIEW_DAYS: i64 = 30;
const DAY: i64 = 86_400_000_000;

/// A field and the value that it must have.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionModel {
    /// A matched field, or the field of an entity (`host.name`, `user.name`, `source.ip`, …).
    field: String,
    /// The value; `*` stands for any text, case does not matter.
    value: String,
}

impl From<ConditionModel> for Condition {
    fn from(condition: ConditionModel) -> Self {
        Condition { field: condition.field, value: condition.value }
    }
}

/// An exception.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExceptionModel {
    /// Its number.
    id: i64,
    /// The rule whose findings it hides.
    rule_id: String,
    /// All of them must hold.
    conditions: Vec<ConditionModel>,
    /// Why.
    reason: String,
    /// Who made it.
    author: String,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created: Time,
    /// Until when it holds; none for ever.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires: Option<Time>,
    /// Whether it holds now.
    active: bool,
    /// Findings that it has hidden.
    hidden: u64,
    /// The latest of them, by event time.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_hidden: Option<Time>,
}

impl ExceptionModel {
    fn new(exception: Exception, now: Time) -> Self {
        let condition = |condition: Condition| ConditionModel { field: condition.field, value: condition.value };
        ExceptionModel {
            id: exception.id,
            rule_id: exception.rule_id,
            conditions: exception.conditions.into_iter().map(condition).collect(),
            reason: exception.reason,
            author: exception.author,
            created: exception.created,
            expires: exception.expires,
            active: exception.expires.is_none_or(|expires| expires > now),
            hidden: exception.hidden,
            last_hidden: exception.last_hidden,
        }
    }
}

/// Every exception.
#[derive(Serialize, ToSchema)]
pub(crate) struct Exceptions {
    /// The newest first, also those that have expired.
    exceptions: Vec<ExceptionModel>,
}

/// Every exception with what it has hidden.
#[utoipa::path(get, path = "/api/v1/exceptions", operation_id = "listExceptions", tag = "alerts",
    responses((status = 200, description = "The exceptions", body = Exceptions), (status = 401, body = Problem)))]
pub(crate) async fn list_exceptions(State(app): State<Arc<App>>) -> Result<Json<Exceptions>, Problem> {
    let now = app.now();
    let exceptions = blocking(move || Ok(app.alerts.exceptions()?)).await?;
    let exceptions = exceptions.into_iter().map(|exception| ExceptionModel::new(exception, now)).collect();
    Ok(Json(Exceptions { exceptions }))
}

/// An exception to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewException {
    /// The rule whose findings it hides.
    rule_id: String,
    /// All of them must hold; at least one.
    conditions: Vec<ConditionModel>,
    /// Why; must be given.
    reason: String,
    /// Until when it holds (RFC 3339); without it, for ever.
    expires: Option<String>,
}

/// Makes an exception for what comes from now on; alerts that are there stay.
#[utoipa::path(post, path = "/api/v1/exceptions", operation_id = "makeException", tag = "alerts",
    request_body = NewException,
    responses((status = 200, description = "The exception", body = ExceptionModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, description = "It says too little", body = Problem)))]
pub(crate) async fn make_exception(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(new): Body<NewException>,
) -> Result<Json<ExceptionModel>, Problem> {
    let now = app.now();
    let expires = alerts::time(new.expires.as_deref())?;
    let conditions: Vec<Condition> = new.conditions.into_iter().map(Into::into).collect();
    let mut action = principal.action(now, "exception.make", Some(new.rule_id.clone()));
    let said = conditions.iter().map(|condition| format!("{}={}", condition.field, condition.value));
    action.details.push(("conditions", said.collect::<Vec<_>>().join(" and ")));
    action.details.push(("reason", new.reason.clone()));
    action.details.extend(expires.map(|expires| ("expires", expires.to_string())));
    let who = action.who.clone();
    act(&app, action, move |app| {
        let made = app.alerts.except(&new.rule_id, &conditions, &new.reason, expires, &who, now)?;
        Ok(Json(ExceptionModel::new(made, now)))
    })
    .await
}

/// What an exception would hide.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewException {
    /// The rule.
    rule_id: String,
    /// All of them must hold.
    conditions: Vec<ConditionModel>,
}

/// What an exception would have hidden.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExceptionPreview {
    /// Findings, of those that the alerts still show.
    findings: u64,
    /// Alerts of which none would be left.
    alerts: u64,
    /// Of these, alerts that were judged true positives: think again.
    true_positives: u64,
    /// It looked back so many days.
    days: i64,
}

/// What an exception would have hidden in the last 30 days. Changes nothing.
#[utoipa::path(post, path = "/api/v1/exceptions/preview", operation_id = "previewException", tag = "alerts",
    request_body = PreviewException,
    responses((status = 200, description = "What it would have hidden", body = ExceptionPreview),
        (status = 401, body = Problem), (status = 422, description = "It says too little", body = Problem)))]
pub(crate) async fn preview_exception(
    State(app): State<Arc<App>>,
    Body(preview): Body<PreviewException>,
) -> Result<Json<ExceptionPreview>, Problem> {
    let since = app.now().plus_micros(-PREVIEW_DAYS * DAY);
    let conditions: Vec<Condition> = preview.conditions.into_iter().map(Into::into).collect();
    let found = blocking(move || Ok(app.alerts.preview_exception(&preview.rule_id, &conditions, since)?)).await?;
    Ok(Json(ExceptionPreview {
        findings: found.findings,
        alerts: found.alerts,
        true_positives: found.true_positives,
        days: PREVIEW_DAYS,
    }))
}

/// The number of what was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct RemovedException {
    /// Its number.
    id: i64,
}

/// Takes an exception back; what it has hidden stays hidden.
#[utoipa::path(delete, path = "/api/v1/exceptions/{id}", operation_id = "removeException", tag = "alerts",
    params(("id" = i64, Path, description = "The exception's number")),
    responses((status = 200, description = "It is gone", body = RemovedException),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove_exception(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<RemovedException>, Problem> {
    let action = principal.action(app.now(), "exception.remove", Some(id.to_string()));
    act(&app, action, move |app| {
        app.alerts.remove_exception(id)?;
        Ok(Json(RemovedException { id }))
    })
    .await
}
