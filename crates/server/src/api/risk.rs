//! Risk: how many points users, hosts and addresses have, and why.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vedette_alert::{EntityRisk, RISK_KINDS, RiskFilter, RuleRisk};
use vedette_event::{Entity, Time};

use super::{
    alerts::time,
    model::{EntityModel, rfc3339},
};
use crate::{App, Problem, auth::blocking};

/// What one rule brings to an entity's points.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RuleRisk)]
pub(crate) struct RuleRiskModel {
    /// The rule's id.
    rule_id: String,
    /// Its title.
    title: String,
    /// Points, before the tactics multiply.
    points: f64,
    /// Its findings within the window.
    findings: u64,
}

impl From<RuleRisk> for RuleRiskModel {
    fn from(rule: RuleRisk) -> Self {
        let RuleRisk { rule_id, title, points, findings } = rule;
        RuleRiskModel { rule_id, title, points, findings }
    }
}

/// An entity's points at a moment, and what makes them: the sum over `rules` times `factor`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EntityRisk)]
pub(crate) struct EntityRiskModel {
    /// The entity.
    entity: EntityModel,
    /// Its points.
    points: f64,
    /// What the tactics multiply by.
    factor: f64,
    /// The ATT&CK tactics of its findings.
    tactics: Vec<String>,
    /// What brought the points, most first.
    rules: Vec<RuleRiskModel>,
    /// True if it links nothing to incidents, because it was named together with too many others.
    is_hub: bool,
}

impl From<EntityRisk> for EntityRiskModel {
    fn from(risk: EntityRisk) -> Self {
        EntityRiskModel {
            entity: risk.entity.into(),
            points: risk.points,
            factor: risk.factor,
            tactics: risk.tactics.into_iter().map(str::to_owned).collect(),
            rules: risk.rules.into_iter().map(Into::into).collect(),
            is_hub: risk.is_hub,
        }
    }
}

/// Which entities.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct RiskParams {
    /// Only `user`, `host` or `ip`.
    kind: Option<String>,
    /// With so many points at least.
    min_points: Option<f64>,
    /// At this time (RFC 3339) instead of now.
    at: Option<String>,
    /// Skip so many.
    offset: Option<usize>,
    /// At most so many (default 100, most 1000).
    limit: Option<usize>,
}

/// One page of entities.
#[derive(Serialize, ToSchema)]
pub(crate) struct RiskPage {
    /// Most points first.
    entities: Vec<EntityRiskModel>,
    /// How many there are on all pages.
    total: u64,
    /// When they have these points.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// An incident opens when an entity has so many.
    threshold: u32,
}

/// Users, hosts and addresses with points, most first, and why they have them.
#[utoipa::path(get, path = "/api/v1/risk", operation_id = "listRisk", tag = "incidents", params(RiskParams),
    responses((status = 200, description = "A page", body = RiskPage), (status = 401, body = Problem),
        (status = 422, description = "A parameter is wrong", body = Problem)))]
pub(crate) async fn list_risk(
    State(app): State<Arc<App>>,
    params: Result<Query<RiskParams>, QueryRejection>,
) -> Result<Json<RiskPage>, Problem> {
    let Query(params) = params.map_err(refused)?;
    let at = time(params.at.as_deref())?.unwrap_or_else(|| app.now());
    if let Some(kind) = &params.kind {
        check_kind(kind)?;
    }
    let filter = RiskFilter {
        kind: params.kind,
        min_points: params.min_points.filter(|points| points.is_finite()).unwrap_or(0.0),
        offset: params.offset.unwrap_or(0),
        limit: params.limit.unwrap_or(100),
    };
    let threshold = app.alerts.risk_options().threshold;
    let page = blocking(move || Ok(app.alerts.risk(&filter, at)?)).await?;
    let entities = page.entities.into_iter().map(Into::into).collect();
    Ok(Json(RiskPage { entities, total: page.total, at, threshold }))
}

/// Which entity.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntityParams {
    /// `user`, `host` or `ip`.
    kind: String,
    /// Its name.
    value: String,
    /// At this time (RFC 3339) instead of now.
    at: Option<String>,
}

/// One entity's points, and why it has them; one that was never seen has none.
#[utoipa::path(get, path = "/api/v1/risk/entity", operation_id = "getRisk", tag = "incidents", params(EntityParams),
    responses((status = 200, description = "Its points", body = EntityRiskModel), (status = 401, body = Problem),
        (status = 422, description = "A parameter is wrong", body = Problem)))]
pub(crate) async fn get_risk(
    State(app): State<Arc<App>>,
    params: Result<Query<EntityParams>, QueryRejection>,
) -> Result<Json<EntityRiskModel>, Problem> {
    let Query(params) = params.map_err(refused)?;
    check_kind(&params.kind)?;
    let at = time(params.at.as_deref())?.unwrap_or_else(|| app.now());
    let entity = Entity { kind: params.kind, value: params.value };
    let risk = blocking(move || Ok(app.alerts.risk_of(&entity, at)?)).await?;
    Ok(Json(risk.into()))
}

pub(super) fn check_kind(kind: &str) -> Result<(), Problem> {
    if RISK_KINDS.contains(&kind) {
        return Ok(());
    }
    let message = format!("`{kind}` is not a kind of entity that has points: user, host or ip");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}

pub(super) fn refused(rejection: QueryRejection) -> Problem {
    Problem::new(rejection.status(), rejection.body_text())
}
