//! Thresholds: a rule that alone says little makes an alert when it matches often.
//!
//! A threshold is a Sigma correlation over the rule, in a file of the data folder's own rules like any other: it can be
//! read, changed and tried there. The rule itself is silent then.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use vedette_event::RuleRef;

use super::{
    model::RuleModel,
    rules::{SavedRules, file_name, no_rule},
};
use crate::{
    App, FileName, Problem,
    auth::{Principal, act},
    problem::{Body, Id},
};

const MAX_TEXT: usize = 4096;
const MAX_FIELDS: usize = 8;

/// When a rule makes an alert.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// So many matches, at least 2, ..
    count: u32,
    /// .. within so long: `30s`, `10m`, `1h`, `7d`.
    timespan: String,
    /// .. of one of these: fields as rules name them. Default: `host.name`.
    #[serde(default = "hosts")]
    group_by: Vec<String>,
    /// Why, for who wonders in a year.
    reason: String,
}

fn hosts() -> Vec<String> {
    vec!["host.name".to_owned()]
}

impl Threshold {
    fn check(&self) -> Result<(), Problem> {
        let wrong = |detail: &str| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        let is_short = |text: &str| text.len() <= MAX_TEXT;
        if self.count < 2 {
            return wrong("a threshold is at least 2: a rule makes an alert of one match by itself");
        }
        if self.reason.trim().is_empty() || !is_short(&self.reason) {
            return wrong("a reason is needed, of at most 4096 bytes: who reads it in a year must understand");
        }
        if self.group_by.len() > MAX_FIELDS || !self.group_by.iter().all(|field| is_short(field)) {
            return wrong("at most 8 fields");
        }
        Ok(())
    }

    /// The correlation. Texts are written as JSON does, which YAML reads as they are.
    fn document(&self, rule: &RuleRef) -> String {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let title = format!("{} ({} in {})", rule.title, self.count, self.timespan);
        let techniques = rule.techniques.iter().map(|technique| format!("attack.{}", technique.to_lowercase()));
        let tags: Vec<String> = techniques
            .chain(rule.tactics.iter().map(|tactic| format!("attack.{tactic}")))
            .map(|tag| json(&tag))
            .collect();
        let fields: Vec<String> = self.group_by.iter().map(|field| json(field)).collect();
        let mut text =
            format!("title: {}\nid: {}\nlevel: {}\n", json(&title), threshold_id(&rule.id), rule.level.as_str());
        let mut line = |key: &str, value: String| text.push_str(&format!("{key}: {value}\n"));
        line("description", json(self.reason.trim()));
        if !tags.is_empty() {
            line("tags", format!("[{}]", tags.join(", ")));
        }
        line("correlation", String::new());
        line("  type", "event_count".to_owned());
        line("  rules", format!("[{}]", json(&rule.id)));
        line("  group-by", format!("[{}]", fields.join(", ")));
        line("  timespan", json(&self.timespan));
        line("  condition", format!("{{gte: {}}}", self.count));
        text
    }
}

/// The id of a rule's threshold: always the same, so that its alerts go on when it is changed.
fn threshold_id(rule: &str) -> String {
    let hex = blake3::hash(format!("threshold of {rule}").as_bytes()).to_hex();
    // A UUID of version 8: made by rules of one's own (RFC 9562, section 5.8).
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn file_of(rule: &str) -> Result<FileName, Problem> {
    file_name(&format!("threshold-{}", &threshold_id(rule)[..8]))
}

/// Makes a rule silent until it matches often: a correlation over it is written as an own rule, and in force at once.
#[utoipa::path(put, path = "/api/v1/rules/{id}/threshold", operation_id = "setThreshold", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")), request_body = Threshold,
    responses((status = 200, description = "It is in force", body = SavedRules), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, description = "No such rule is loaded", body = Problem),
        (status = 422, description = "The threshold is refused", body = Problem)))]
pub(crate) async fn set_threshold(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<String>,
    Body(threshold): Body<Threshold>,
) -> Result<Json<SavedRules>, Problem> {
    threshold.check()?;
    let mut action = principal.action(app.now(), "rules.threshold", Some(id.clone()));
    let what = format!("{} in {} by {}", threshold.count, threshold.timespan, threshold.group_by.join(", "));
    action.details.extend([("threshold", what), ("reason", threshold.reason.clone())]);
    act(&app, action, move |app| {
        let rule = app.rules.loaded().into_iter().find(|rule| rule.rule.id == id).ok_or_else(|| no_rule(&id))?;
        let name = file_of(&id)?;
        let rules = app.rules.save(&name, &threshold.document(&rule.rule))?;
        Ok(Json(SavedRules { file: name.yml(), rules: rules.into_iter().map(RuleModel::from).collect() }))
    })
    .await
}

/// Takes a rule's threshold away: it makes alerts of single matches again.
#[utoipa::path(delete, path = "/api/v1/rules/{id}/threshold", operation_id = "removeThreshold", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")),
    responses((status = 200, description = "It has none any more", body = SavedRules), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, description = "It has none", body = Problem)))]
pub(crate) async fn remove_threshold(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<Json<SavedRules>, Problem> {
    let action = principal.action(app.now(), "rules.threshold.remove", Some(id.clone()));
    act(&app, action, move |app| {
        let name = file_of(&id)?;
        match app.rules.remove(&name)? {
            true => Ok(Json(SavedRules { file: name.yml(), rules: Vec::new() })),
            false => Err(Problem::new(StatusCode::NOT_FOUND, format!("the rule `{id}` has no threshold"))),
        }
    })
    .await
}
