//! What detects, and what was refused; rules that are written here.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_alert::Fired;
use vedette_event::{Diagnostic, RuleRef, Time};

use super::model::{DiagnosticModel, RuleModel, rfc3339, rfc3339_or_null};
use crate::{
    App, Disabled, FileName, LoadedCorrelation, LoadedRule, Logsource, Problem, RefusedRule, SaveError,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// A text of rules has at most so many bytes.
pub(crate) const MAX_TEXT: usize = 256 << 10;
const MAX_REASON: usize = 4096;

/// A loaded rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedRuleModel {
    /// The rule.
    #[serde(flatten)]
    rule: RuleModel,
    /// `stable`, `test`, `experimental`, ..
    status: Option<String>,
    /// What it is about.
    description: Option<String>,
    /// Which log it reads.
    logsource: Logsource,
    /// What it correlates, and how that is going; none for a rule over single events.
    correlation: Option<LoadedCorrelation>,
    /// Its findings are only for the correlations over it.
    silent: bool,
    /// Its file; `builtin:` and a name if it comes with Vedette.
    file: String,
    /// It comes with Vedette.
    builtin: bool,
    /// It is matched against events: nobody turned it off.
    enabled: bool,
    /// Who turned it off, if somebody did.
    disabled: Option<DisabledModel>,
    /// The name, with ending, of the file that was written here and has it; such a file can be written again and removed.
    own_file: Option<String>,
    /// The file of the rule with the same id whose place it takes.
    replaces: Option<String>,
    /// Findings ever recorded, each once, over all restarts; also those that an exception hides, and those whose events or
    /// alert have gone since. (Of the time before Vedette counted so, those whose alert was still there.)
    hits: u64,
    /// Event time of the latest of them.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_fired: Option<Time>,
    /// Events since start that its condition was asked of; most rules are ruled out of most events by the texts that they
    /// cannot match without. It is what a rule costs.
    tried: u64,
    /// When an event that it reads was last received, to about ten seconds; null: never. Then no source feeds it, and it can
    /// never fire.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    source_seen: Option<Time>,
}

/// Who turned a rule off, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct DisabledModel {
    /// Why.
    reason: String,
    /// Who did it.
    by: String,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    since: Time,
}

impl From<Disabled> for DisabledModel {
    fn from(disabled: Disabled) -> Self {
        DisabledModel { reason: disabled.reason, by: disabled.by, since: disabled.since }
    }
}

impl LoadedRuleModel {
    fn new(rule: LoadedRule, fired: &BTreeMap<String, Fired>) -> Self {
        let fired = fired.get(&rule.rule.id);
        LoadedRuleModel {
            rule: rule.rule.into(),
            status: rule.status,
            description: rule.description,
            logsource: rule.logsource,
            correlation: rule.correlation,
            silent: rule.silent,
            file: rule.file,
            builtin: rule.builtin,
            enabled: rule.disabled.is_none(),
            disabled: rule.disabled.map(Into::into),
            own_file: rule.own_file.as_ref().map(FileName::yml),
            replaces: rule.replaces,
            hits: fired.map_or(0, |fired| fired.count),
            last_fired: fired.map(|fired| fired.last),
            tried: rule.tried,
            source_seen: rule.source_seen,
        }
    }
}

/// Every loaded rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadedRules {
    /// The rules.
    rules: Vec<LoadedRuleModel>,
    /// How many were refused.
    refused: usize,
}

/// Every loaded rule with its hits.
#[utoipa::path(get, path = "/api/v1/rules", operation_id = "listRules", tag = "rules",
    responses((status = 200, description = "The rules", body = LoadedRules), (status = 401, body = Problem)))]
pub(crate) async fn list_rules(State(app): State<Arc<App>>) -> Result<Json<LoadedRules>, Problem> {
    blocking(move || {
        let fired = app.alerts.fired_by_rule()?;
        let rules = app.rules.loaded().into_iter().map(|rule| LoadedRuleModel::new(rule, &fired)).collect();
        Ok(Json(LoadedRules { rules, refused: app.rules.refused().len() }))
    })
    .await
}

/// A loaded rule with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleDetail {
    /// The rule.
    #[serde(flatten)]
    rule: LoadedRuleModel,
    /// The text of its file (YAML); none if the file has gone since.
    text: Option<String>,
    /// What else could look like it.
    falsepositives: Vec<String>,
    /// Further reading.
    references: Vec<String>,
}

/// One loaded rule with the text of its file.
#[utoipa::path(get, path = "/api/v1/rules/{id}", operation_id = "getRule", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")),
    responses((status = 200, description = "The rule", body = RuleDetail), (status = 401, body = Problem),
        (status = 404, description = "No such rule is loaded", body = Problem)))]
pub(crate) async fn get_rule(State(app): State<Arc<App>>, Id(id): Id<String>) -> Result<Json<RuleDetail>, Problem> {
    blocking(move || {
        let rule = app.rules.loaded().into_iter().find(|rule| rule.rule.id == id).ok_or_else(|| no_rule(&id))?;
        let (falsepositives, references) = (rule.false_positives.clone(), rule.references.clone());
        let rule = LoadedRuleModel::new(rule, &app.alerts.fired_by_rule()?);
        Ok(Json(RuleDetail { rule, text: app.rules.text(&id), falsepositives, references }))
    })
    .await
}

pub(crate) fn no_rule(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no rule `{id}`"))
        .hint("if it was refused, the list of refused rules says why")
}

/// Why a rule is turned off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisableRule {
    /// For who wonders in a year; at most 4096 bytes.
    reason: String,
}

/// Whether a rule is matched against events.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleState {
    /// The rule's id.
    id: String,
    /// It is matched.
    enabled: bool,
}

/// Turns a rule off, at once and for good. It stays listed, with who did it and why; for single cases an exception is
/// better.
#[utoipa::path(put, path = "/api/v1/rules/{id}/disabled", operation_id = "disableRule", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")), request_body = DisableRule,
    responses((status = 200, description = "It is not matched any more", body = RuleState),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, description = "No such rule is loaded", body = Problem),
        (status = 422, description = "There is no reason, or it is too long", body = Problem)))]
pub(crate) async fn disable_rule(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<String>,
    Body(body): Body<DisableRule>,
) -> Result<Json<RuleState>, Problem> {
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > MAX_REASON {
        let detail =
            format!("a reason is needed, of at most {MAX_REASON} bytes: who reads it in a year must understand");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let mut action = principal.action(app.now(), "rules.disable", Some(id.clone()));
    action.details.push(("reason", reason.clone()));
    let disabled = Disabled { reason, by: action.who.clone(), since: action.time };
    act(&app, action, move |app| match app.rules.disable(&id, disabled)? {
        true => Ok(Json(RuleState { id, enabled: false })),
        false => Err(no_rule(&id)),
    })
    .await
}

/// Turns a rule on again, at once.
#[utoipa::path(delete, path = "/api/v1/rules/{id}/disabled", operation_id = "enableRule", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")),
    responses((status = 200, description = "It is matched again", body = RuleState),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, description = "It was not turned off", body = Problem)))]
pub(crate) async fn enable_rule(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<String>,
) -> Result<Json<RuleState>, Problem> {
    let action = principal.action(app.now(), "rules.enable", Some(id.clone()));
    act(&app, action, move |app| match app.rules.enable(&id)? {
        true => Ok(Json(RuleState { id, enabled: true })),
        false => Err(Problem::new(StatusCode::NOT_FOUND, format!("the rule `{id}` is not turned off"))),
    })
    .await
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

/// A text with rules.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    /// Sigma rules (YAML), one or several; at most 256 KiB.
    pub text: String,
}

/// What came of a text with rules.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleCheck {
    /// Every rule in it would be loaded.
    loads: bool,
    /// The rules that were understood.
    rules: Vec<RuleModel>,
    /// What is wrong with the others, and where.
    diagnostics: Vec<DiagnosticModel>,
}

/// Refuses a text that is too long to be looked at.
pub(crate) fn short_enough(text: &str) -> Result<(), Problem> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a text has at most {MAX_TEXT} bytes")))
}

/// Reads rules without loading them.
#[utoipa::path(post, path = "/api/v1/rules/check", operation_id = "checkRules", tag = "rules", request_body = RuleText,
    responses((status = 200, description = "Whether they would load, and if not, why", body = RuleCheck),
        (status = 401, body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn check_rules(
    State(app): State<Arc<App>>,
    Body(body): Body<RuleText>,
) -> Result<Json<RuleCheck>, Problem> {
    short_enough(&body.text)?;
    blocking(move || {
        let checked = app.rules.check(&body.text);
        Ok(Json(RuleCheck {
            loads: checked.diagnostics.is_empty(),
            rules: checked.rules.into_iter().map(Into::into).collect(),
            diagnostics: checked.diagnostics.into_iter().map(Into::into).collect(),
        }))
    })
    .await
}

/// A file of rules as it is in force now.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedRules {
    /// Its name, with ending.
    pub(crate) file: String,
    /// The rules in it; none if it was removed.
    pub(crate) rules: Vec<RuleModel>,
}

/// Writes a file of rules into the data folder, and loads it at once. A rule of it takes the place of one that has the
/// same id elsewhere.
#[utoipa::path(put, path = "/api/v1/rules/files/{name}", operation_id = "saveRules", tag = "rules",
    params(("name" = String, Path, description = "The file's name, with or without `.yml`", example = "ssh-at-night")),
    request_body = RuleText,
    responses((status = 200, description = "Written and in force", body = SavedRules), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 413, body = Problem),
        (status = 422, description = "A rule in it is refused (`diagnostics` say why), or the name is", body = Problem)))]
pub(crate) async fn save_rules(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
    Body(body): Body<RuleText>,
) -> Result<Json<SavedRules>, Problem> {
    short_enough(&body.text)?;
    let name = file_name(&name)?;
    let (view, text) = (app.clone(), body.text.clone());
    let checked = blocking(move || Ok(view.rules.check(&text))).await?;
    refuse(checked.diagnostics)?;
    let mut action = principal.action(app.now(), "rules.save", Some(name.yml()));
    action.details.push(("rules", ids(&checked.rules)));
    action.details.push(("blake3", blake3::hash(body.text.as_bytes()).to_hex().to_string()));
    act(&app, action, move |app| {
        let rules = app.rules.save(&name, &body.text)?;
        Ok(Json(SavedRules { file: name.yml(), rules: rules.into_iter().map(RuleModel::from).collect() }))
    })
    .await
}

/// Removes a file of rules from the data folder. Rules whose place it had taken are in force again.
#[utoipa::path(delete, path = "/api/v1/rules/files/{name}", operation_id = "removeRules", tag = "rules",
    params(("name" = String, Path, description = "The file's name, with or without `.yml`")),
    responses((status = 200, description = "Removed", body = SavedRules), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, description = "There is no such file", body = Problem)))]
pub(crate) async fn remove_rules(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
) -> Result<Json<SavedRules>, Problem> {
    let name = file_name(&name)?;
    let action = principal.action(app.now(), "rules.remove", Some(name.yml()));
    act(&app, action, move |app| match app.rules.remove(&name)? {
        true => Ok(Json(SavedRules { file: name.yml(), rules: Vec::new() })),
        false => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no file `{}`", name.yml()))
            .hint("only files that were written here can be removed here")),
    })
    .await
}

/// Reads the name of a file.
pub(crate) fn file_name(name: &str) -> Result<FileName, Problem> {
    name.parse().map_err(|message: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}

/// A problem, if there are diagnostics.
pub(crate) fn refuse(diagnostics: Vec<Diagnostic>) -> Result<(), Problem> {
    if diagnostics.is_empty() { Ok(()) } else { Err(SaveError::Refused(diagnostics).into()) }
}

impl From<SaveError> for Problem {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Refused(diagnostics) => {
                let detail = diagnostics.first().map_or("the text is wrong", |first| &first.message).to_owned();
                let hint = diagnostics.first().and_then(|first| first.hint.clone());
                Problem { hint, diagnostics, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
            }
            SaveError::Failed(error) => Problem::internal(&error),
        }
    }
}

/// The ids of rules, for the journal.
pub(crate) fn ids(rules: &[RuleRef]) -> String {
    rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>().join(" ")
}
