//! Indicators of compromise: what is looked for, where it is from, and how often it was seen.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::search::collect;
use crate::{
    App, Ask, IndicatorStatus, KnownIndicator, Language, Problem,
    auth::{Principal, blocking},
    problem::Params,
};

/// The longest value that is asked about.
const MAX_VALUE: usize = 4096;

/// What is in force, and where it is from.
#[utoipa::path(get, path = "/api/v1/indicators", operation_id = "getIndicators", tag = "rules",
    responses((status = 200, description = "The indicators", body = IndicatorStatus), (status = 401, body = Problem)))]
pub(crate) async fn get_indicators(State(app): State<Arc<App>>) -> Result<Json<IndicatorStatus>, Problem> {
    blocking(move || Ok(Json(app.indicators.status()))).await
}

/// What is asked about.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindParams {
    /// An address, network, domain, URL, hash or mail address, as it is or written so that nobody clicks it
    /// (`evil[.]example`).
    value: String,
}

/// What is known of a value.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundIndicators {
    /// The indicators that name it, a network around it, or a name above it.
    indicators: Vec<SeenIndicator>,
}

/// An indicator, and how often it was seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct SeenIndicator {
    /// The indicator.
    #[serde(flatten)]
    indicator: KnownIndicator,
    /// Findings about this value, by any feed, that are still stored.
    sightings: u64,
    /// Event time of the first.
    first_seen: Option<String>,
    /// Event time of the last.
    last_seen: Option<String>,
}

/// What is known of a value, and how often it was seen.
#[utoipa::path(get, path = "/api/v1/indicators/find", operation_id = "findIndicators", tag = "rules", params(FindParams),
    responses((status = 200, description = "What is known; may be nothing", body = FoundIndicators),
        (status = 401, body = Problem),
        (status = 422, description = "It is no value of a kind that is looked for", body = Problem)))]
pub(crate) async fn find_indicators(
    State(app): State<Arc<App>>,
    principal: Principal,
    Params(params): Params<FindParams>,
) -> Result<Json<FoundIndicators>, Problem> {
    let unfit = |reason: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason);
    if params.value.len() > MAX_VALUE {
        return Err(unfit(format!("a value has at most {MAX_VALUE} bytes")));
    }
    let view = app.clone();
    let known = blocking(move || view.indicators.find(params.value.trim()).map_err(unfit)).await?;
    let mut indicators: Vec<SeenIndicator> = Vec::new();
    for indicator in known {
        let same = indicators.iter().find(|seen| seen.indicator.value == indicator.value);
        let (sightings, first_seen, last_seen) = match same {
            Some(same) => (same.sightings, same.first_seen.clone(), same.last_seen.clone()),
            None => sightings(&app, &principal, &indicator.value).await?,
        };
        indicators.push(SeenIndicator { indicator, sightings, first_seen, last_seen });
    }
    Ok(Json(FoundIndicators { indicators }))
}

async fn sightings(
    app: &Arc<App>,
    principal: &Principal,
    value: &str,
) -> Result<(u64, Option<String>, Option<String>), Problem> {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    let query = format!(
        "event.dataset:vedette.findings rule.id:indicator* \"{quoted}\" | where threat.indicator.name == \"{quoted}\" \
         | summarize sightings = count(), first = min(@timestamp), last = max(@timestamp)"
    );
    let ask = Ask { query, language: Language::Hunt, from: None, to: None, limit: 1 };
    let answer = collect(app, principal, ask).await?;
    let Some(row) = answer.rows.first() else { return Ok((0, None, None)) };
    let time = |key: &str| row.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    Ok((row.get("sightings").and_then(Value::as_u64).unwrap_or(0), time("first"), time("last")))
}
