//! Why a rule matches an event, or which part of it failed and what the event had instead.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use vedette_event::{Batch, EventId};

use super::{
    model::RuleModel,
    rules::{no_rule, refuse, short_enough},
};
use crate::{
    App, Ask, Explained, ExplainedLine, Language, Problem, RulesOf,
    auth::{Principal, blocking, write_down},
    problem::Body,
};

/// Which rule, and which event: `rule` or `text`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// The event's id, `<source>-<sequence>`.
    event: String,
    /// The id of a loaded rule.
    #[serde(default)]
    rule: Option<String>,
    /// Sigma rules (YAML) that may not be saved yet; at most 256 KiB.
    #[serde(default)]
    text: Option<String>,
}

/// Why rules match an event, or why they do not.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanations {
    /// One for each rule over single events; of a correlation, for each that it is made of.
    explanations: Vec<ExplanationModel>,
}

/// Why a rule matches an event, or why it does not.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplanationModel {
    /// The rule.
    rule: RuleModel,
    /// Whether it matches.
    matched: bool,
    /// What decided, in full; of the rest a line. The first line is the verdict.
    lines: Vec<ExplainedLine>,
    /// Everything: the rule as a tree of what was asked and answered, as `vedette rules why -o json` prints it.
    #[schema(value_type = Object)]
    detail: Value,
}

impl From<Explained> for ExplanationModel {
    fn from(explained: Explained) -> Self {
        let Explained { rule, matched, lines, detail } = explained;
        ExplanationModel { rule: rule.into(), matched, lines, detail }
    }
}

/// Says why a rule matches an event of the store, or which part of it failed and what the event had instead.
///
/// The event's fields are those that the parsers of today derive from its original.
#[utoipa::path(post, path = "/api/v1/rules/why", operation_id = "explainRules", tag = "rules", request_body = Why,
    responses((status = 200, description = "Why, or why not", body = Explanations), (status = 401, body = Problem),
        (status = 404, description = "There is no such rule, or no such event", body = Problem),
        (status = 413, body = Problem),
        (status = 422, description = "A rule is refused (`diagnostics` say why), or it is not said which", body = Problem)))]
pub(crate) async fn explain_rules(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Why>,
) -> Result<Json<Explanations>, Problem> {
    let unclear = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    let rules = match (body.rule, body.text) {
        (Some(rule), None) => RulesOf::Id(rule),
        (None, Some(text)) => {
            short_enough(&text)?;
            RulesOf::Text(text)
        }
        _ => return Err(unclear("either `rule` or `text` says which rules are meant".to_owned())),
    };
    let id: EventId = body.event.parse().map_err(|error| unclear(format!("{error}")))?;
    let mut action = principal.action(app.now(), "rules.why", Some(id.to_string()));
    if let RulesOf::Id(rule) = &rules {
        action.details.push(("rule", rule.clone()));
    }
    let journal = app.clone();
    blocking(move || write_down(&journal, &action)).await?;
    let batch = stored(&app, id).await?;
    blocking(move || {
        let event = batch.events().find(|event| event.id() == id).ok_or_else(|| no_event(id))?;
        match app.rules.why(&rules, &event) {
            Ok(explained) => {
                Ok(Json(Explanations { explanations: explained.into_iter().map(ExplanationModel::from).collect() }))
            }
            Err(wrong) => {
                refuse(wrong)?;
                Err(match &rules {
                    RulesOf::Id(id) => no_rule(id),
                    RulesOf::Text(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "there is no rule in the text"),
                })
            }
        }
    })
    .await
}

/// The batch that has an event.
async fn stored(app: &Arc<App>, id: EventId) -> Result<Batch, Problem> {
    let query = format!("event.id:{id}");
    let ask = Ask { query, language: Language::Hunt, from: None, to: None, limit: 1 };
    let mut events = app.rooms.events(ask);
    events.next().await.transpose()?.ok_or_else(|| no_event(id))
}

fn no_event(id: EventId) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no event {id}")).hint("it may have been removed by retention")
}
