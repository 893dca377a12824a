//! Rules tried on stored events before they are saved.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{Json, extract::State, http::StatusCode};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::{Finding, Time};

use super::{
    alerts::time,
    model::rfc3339,
    rules::{ids, refuse, short_enough},
    search::turn,
};
use crate::{
    App, Ask, Language, Problem,
    auth::{Principal, blocking, write_down},
    problem::Body,
};

/// A trial reads at most so many events.
const MAX_EVENTS: usize = 1_000_000;
const FINDINGS: usize = 100;
const MAX_FINDINGS: usize = 1000;
const AN_HOUR_MICROS: i64 = 3_600_000_000;
/// What the pipeline does not match either: a rule that matched its own finding would never end.
const NO_FINDINGS: &str = "-event.dataset:vedette.findings";

/// Rules, and what to try them on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// Sigma rules (YAML), one or several; at most 256 KiB.
    text: String,
    /// Events at or after this time (RFC 3339). Default: an hour before `to`.
    #[serde(default)]
    from: Option<String>,
    /// Events before this time (RFC 3339). Default: now.
    #[serde(default)]
    to: Option<String>,
    /// At most so many findings (default 100, most 1000).
    #[serde(default)]
    limit: Option<usize>,
}

/// What a rule would have found.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialFinding {
    /// The rule's id.
    rule_id: String,
    /// The event's id.
    event_id: String,
    /// When the event happened.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// The fields that matched, and their values; the name is empty for a keyword. Several values are on lines of
    /// their own.
    summary: BTreeMap<String, String>,
}

impl From<Finding> for TrialFinding {
    fn from(finding: Finding) -> Self {
        let event_id = finding.events.first().map(ToString::to_string).unwrap_or_default();
        let mut summary: BTreeMap<String, String> = BTreeMap::new();
        for matched in finding.matched {
            let values = summary.entry(matched.field).or_default();
            values.push_str(if values.is_empty() { "" } else { "\n" });
            values.push_str(&matched.value);
        }
        TrialFinding { rule_id: finding.rule.id.clone(), event_id, time: finding.time, summary }
    }
}

/// What rules would have found.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialResult {
    /// Events that were read.
    events_read: u64,
    /// What was found, latest first.
    findings: Vec<TrialFinding>,
    /// True if not every event of the time range was read, or more was found than the limit.
    truncated: bool,
    /// Milliseconds.
    elapsed_ms: u64,
}

/// Tries rules on stored events: of the last hour, unless told. Nothing is saved, and no alert is made.
///
/// Newest segments are read first, at most a million events and for 20 s; `truncated` says whether that was not all.
/// Closing the connection ends it.
#[utoipa::path(post, path = "/api/v1/rules/test", operation_id = "testRules", tag = "rules", request_body = Trial,
    responses((status = 200, description = "What they would have found", body = TrialResult),
        (status = 401, body = Problem), (status = 413, body = Problem),
        (status = 422, description = "A rule is refused (`diagnostics` say why), or a parameter is", body = Problem),
        (status = 503, description = "Too many searches at once", body = Problem)))]
pub(crate) async fn test_rules(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Trial>,
) -> Result<Json<TrialResult>, Problem> {
    short_enough(&body.text)?;
    let limit = body.limit.unwrap_or(FINDINGS);
    if limit > MAX_FINDINGS {
        let detail = format!("a trial answers with at most {MAX_FINDINGS} findings");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let to = time(body.to.as_deref())?.unwrap_or_else(|| app.now());
    let from = time(body.from.as_deref())?.unwrap_or_else(|| to.plus_micros(-AN_HOUR_MICROS));
    let view = app.clone();
    let checked = blocking(move || Ok(view.rules.check(&body.text))).await?;
    refuse(checked.diagnostics)?;
    let _turn = turn(&app).await?;
    let mut action = principal.action(app.now(), "rules.test", None);
    let range = [("from", from.to_string()), ("to", to.to_string())];
    action.details.extend([("rules", ids(&checked.rules))].into_iter().chain(range));
    let journal = app.clone();
    blocking(move || write_down(&journal, &action)).await?;

    let started = Instant::now();
    let deadline = tokio::time::Instant::now() + app.gates.trial;
    let ask = Ask {
        query: NO_FINDINGS.to_owned(),
        language: Language::Hunt,
        from: Some(from),
        to: Some(to),
        limit: MAX_EVENTS + 1,
    };
    let mut events = app.rooms.events(ask);
    let mut trial = checked.trial;
    let mut result = TrialResult { events_read: 0, findings: Vec::new(), truncated: false, elapsed_ms: 0 };
    loop {
        let next = tokio::time::timeout_at(deadline, events.next()).await;
        let (Ok(next), true) = (next, started.elapsed() < app.gates.trial) else {
            result.truncated = true;
            break;
        };
        let Some(batch) = next.transpose()? else { break };
        result.events_read += batch.len() as u64;
        let taken = blocking(move || {
            let mut found = Vec::new();
            trial.take(&batch, &mut found);
            Ok((trial, found))
        });
        let found;
        (trial, found) = taken.await?;
        result.findings.extend(found.into_iter().map(TrialFinding::from));
        if result.findings.len() > limit || result.events_read > MAX_EVENTS as u64 {
            result.truncated = true;
            break;
        }
    }
    let together = blocking(move || {
        let mut found = Vec::new();
        trial.end(&mut found);
        Ok(found)
    });
    result.findings.extend(together.await?.into_iter().map(TrialFinding::from));
    result.truncated |= result.findings.len() > limit;
    result.findings.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| b.event_id.cmp(&a.event_id)));
    result.findings.truncate(limit);
    result.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(result))
}
