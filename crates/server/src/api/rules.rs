//! What detects, and what was refused.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::RuleModel;
use crate::{App, Problem, RefusedRule};

/// A loaded rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedRuleModel {
    /// The rule.
    #[serde(flatten)]
    rule: RuleModel,
    /// Its file.
    file: String,
    /// Findings since start.
    hits: u64,
}

/// Every loaded rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedRules {
    /// The rules.
    rules: Vec<LoadedRuleModel>,
    /// How many were refused.
    refused: usize,
}

/// Every loaded rule with its hits since start.
#[utoipa::path(get, path = "/api/v1/rules", operation_id = "listRules", tag = "rules",
    responses((status = 200, description = "The rules", body = LoadedRules), (status = 401, body = Problem)))]
pub(crate) async fn list_rules(State(app): State<Arc<App>>) -> Json<LoadedRules> {
    let model = |rule: crate::LoadedRule| LoadedRuleModel { rule: rule.rule.into(), file: rule.file, hits: rule.hits };
    Json(LoadedRules { rules: app.rules.loaded().into_iter().map(model).collect(), refused: app.rules.refused().len() })
}

/// Every refused rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedRules {
    /// The rules and why.
    refused: Vec<RefusedRule>,
}

/// Every rule that was refused, with file, line and reason.
#[utoipa::path(get, path = "/api/v1/rules/refused", operation_id = "listRefusedRules", tag = "rules",
    responses((status = 200, description = "The refused rules", body = RefusedRules), (status = 401, body = Problem)))]
pub(crate) async fn list_refused_rules(State(app): State<Arc<App>>) -> Json<RefusedRules> {
    Json(RefusedRules { refused: app.rules.refused() })
}
