//! What there is to search for: names of fields, their values, and events over time.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use vedette_event::{Time, ecs};
use vedette_store as store;

use super::{
    alerts::time,
    model::rfc3339,
    search::{journalled, turn},
};
use crate::{
    App, Ask, Bins, Language, Problem,
    auth::Principal,
    problem::{Body, Params},
};

/// So many of the newest events are looked at for names, and for so long.
const SAMPLE: usize = 2000;
const SAMPLE_TIME: Duration = Duration::from_secs(3);
/// As many names are told; the sources that make up more are of no use here.
const MAX_NAMES: usize = 5000;
const VALUES: usize = 20;
const MAX_VALUES: usize = 1000;
const BUCKETS: u32 = 60;
const MAX_BUCKETS: u32 = 200;

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FieldType {
    Text,
    Integer,
    Float,
    Ip,
    Time,
    Boolean,
}

impl FieldType {
    /// The type of a value that a parser gave.
    fn of(value: vedette_event::Value<'_>) -> Option<FieldType> {
        use vedette_event::Value;
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => FieldType::Boolean,
            Value::Int(_) => FieldType::Integer,
            Value::Float(_) => FieldType::Float,
            Value::Str(text) if text.parse::<IpAddr>().is_ok() => FieldType::Ip,
            Value::Str(text) if text.len() >= 20 && text.parse::<Time>().is_ok() => FieldType::Time,
            Value::Str(_) => FieldType::Text,
        })
    }

    /// The type of both.
    fn or(self, other: FieldType) -> FieldType {
        match (self, other) {
            (one, other) if one == other => one,
            (FieldType::Integer | FieldType::Float, FieldType::Integer | FieldType::Float) => FieldType::Float,
            _ => FieldType::Text,
        }
    }
}

/// A field.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldModel {
    /// Its name.
    name: String,
    /// What its values are; of a field that is not of the core, as far as was seen.
    #[serde(rename = "type")]
    kind: FieldType,
    /// It is kept as a column. Others are derived again from the original when they are asked for, and are listed because
    /// one of the newest events has them.
    core: bool,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
}

/// Every field.
#[derive(Serialize, ToSchema)]
pub(crate) struct Fields {
    /// The core first, then others by name.
    fields: Vec<FieldModel>,
}

/// The core, and what every event has.
fn core() -> Vec<FieldModel> {
    let field = |name: &str, kind, description| FieldModel { name: name.to_owned(), kind, core: true, description };
    let mut fields = vec![
        field(ecs::TIMESTAMP, FieldType::Time, Some("when it happened; when it was received, if it does not say")),
        field(ecs::ORIGINAL, FieldType::Text, Some("the record as it was received; free words search here")),
        field(ecs::MESSAGE, FieldType::Text, Some("the line for people")),
        field("event.id", FieldType::Text, Some("source and sequence number, such as 3-1042")),
        field(store::RECEIVED, FieldType::Time, Some("when it was received")),
        field(store::SOURCE_NAME, FieldType::Text, Some("the source's name, such as syslog-udp:192.0.2.7")),
        field(store::SOURCE, FieldType::Integer, Some("the source's number")),
        field(store::SEQ, FieldType::Integer, Some("the sequence number within the source")),
        field(store::PARSER, FieldType::Text, Some("the parser that understood it, with version")),
    ];
    fields.extend(ecs::CORE.iter().map(|column| {
        let kind = match column.kind {
            ecs::Kind::Keyword | ecs::Kind::Keywords => FieldType::Text,
            ecs::Kind::Long => FieldType::Integer,
            ecs::Kind::Ip => FieldType::Ip,
        };
        field(column.name, kind, None)
    }));
    fields
}

/// The fields that there are: the ECS core, and those of the newest events.
#[utoipa::path(get, path = "/api/v1/fields", operation_id = "listFields", tag = "events",
    responses((status = 200, description = "The fields", body = Fields), (status = 401, body = Problem),
        (status = 503, description = "Too many searches at once", body = Problem)))]
pub(crate) async fn list_fields(State(app): State<Arc<App>>) -> Result<Json<Fields>, Problem> {
    let _turn = turn(&app).await?;
    let mut fields = core();
    let mut seen: BTreeMap<String, FieldType> = BTreeMap::new();
    let ask = Ask { query: "*".to_owned(), language: Language::Hunt, from: None, to: None, limit: SAMPLE };
    let mut events = app.rooms.events(ask);
    let look = async {
        while let Some(batch) = events.next().await.transpose()? {
            for field in batch.events().flat_map(|event| event.fields()) {
                let Some(kind) = FieldType::of(field.value) else { continue };
                if let Some(known) = seen.get_mut(field.name) {
                    *known = known.or(kind);
                } else if seen.len() < MAX_NAMES {
                    seen.insert(field.name.to_owned(), kind);
                }
            }
        }
        Ok::<_, Problem>(())
    };
    // What was seen until then is worth telling.
    if let Ok(looked) = tokio::time::timeout(SAMPLE_TIME, look).await {
        looked?;
    }
    seen.retain(|name, _| !fields.iter().any(|core| core.name == *name));
    fields.extend(seen.into_iter().map(|(name, kind)| FieldModel { name, kind, core: false, description: None }));
    Ok(Json(Fields { fields }))
}

/// Which values of which field.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ValuesParams {
    /// The field.
    #[param(example = "user.name")]
    field: String,
    /// Values that begin so, in any case.
    #[serde(default)]
    prefix: String,
    /// Among what this search finds; only the part before the first pipe counts. Default: every event.
    #[serde(default)]
    query: String,
    /// Events at or after this time (RFC 3339).
    from: Option<String>,
    /// Events before this time (RFC 3339).
    to: Option<String>,
    /// At most so many (default 20, most 1000).
    limit: Option<usize>,
}

/// A value and how many events have it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValueModel {
    /// The value.
    value: String,
    /// Number of events.
    count: u64,
}

/// Values of a field.
#[derive(Serialize, ToSchema)]
pub(crate) struct Values {
    /// The most frequent first.
    values: Vec<ValueModel>,
    /// These are all there are.
    complete: bool,
}

/// The most frequent values of a field. An event with several values counts for each.
#[utoipa::path(get, path = "/api/v1/fields/values", operation_id = "listFieldValues", tag = "events",
    params(ValuesParams),
    responses((status = 200, description = "The values", body = Values), (status = 401, body = Problem),
        (status = 422, description = "The query is wrong, or over budget", body = Problem),
        (status = 503, description = "Too many searches at once", body = Problem)))]
pub(crate) async fn list_field_values(
    State(app): State<Arc<App>>,
    principal: Principal,
    Params(params): Params<ValuesParams>,
) -> Result<Json<Values>, Problem> {
    let limit = params.limit.unwrap_or(VALUES);
    if limit > MAX_VALUES || params.field.is_empty() {
        let detail = format!("`field` names a field, and `limit` is {MAX_VALUES} at most");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (from, to) = (time(params.from.as_deref())?, time(params.to.as_deref())?);
    // Events without the field are a group too, and those with several values are taken apart.
    let groups = limit * 4 + 10;
    let ask = Ask { query: params.query, language: Language::Hunt, from, to, limit: groups };
    let _turn = turn(&app).await?;
    journalled(&app, &principal, "query.values", &ask, [("field", params.field.clone())]).await?;
    let found = app.rooms.top_values(ask, params.field.clone(), params.prefix.clone()).await?;
    let is_all = found.len() < groups;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let begins = params.prefix.to_lowercase();
    for group in found {
        let values = members(&params.field, group.value).into_iter();
        for value in values.filter(|value| value.to_lowercase().starts_with(&begins)) {
            *counts.entry(value).or_default() += group.count;
        }
    }
    let mut values: Vec<ValueModel> = counts.into_iter().map(|(value, count)| ValueModel { value, count }).collect();
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    let complete = is_all && values.len() <= limit;
    values.truncate(limit);
    Ok(Json(Values { values, complete }))
}

/// The values in a group's value: several are an array, or its text where the field is derived.
fn members(field: &str, value: Value) -> Vec<String> {
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let mut several = match value {
        Value::Array(values) => values,
        Value::String(array) if array.starts_with('[') && ecs::core(field).is_none() => {
            serde_json::from_str(&array).unwrap_or_else(|_| vec![Value::String(array)])
        }
        one => vec![one],
    };
    several.sort_by_key(Value::to_string);
    several.dedup();
    several.into_iter().filter_map(text).collect()
}

/// What to count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistogramQuery {
    /// A search; only the part before the first pipe counts.
    #[serde(default)]
    query: String,
    /// Events at or after this time (RFC 3339). Default: the earliest that is found.
    #[serde(default)]
    from: Option<String>,
    /// Events before this time (RFC 3339). Default: after the latest that is found.
    #[serde(default)]
    to: Option<String>,
    /// At most so many buckets (default 60, most 200).
    #[serde(default)]
    buckets: Option<u32>,
}

/// Events in a span of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// When the span begins.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Number of events.
    count: u64,
}

/// Events over time.
#[derive(Serialize, ToSchema)]
pub(crate) struct HistogramModel {
    /// Where the counted time range begins.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// Before which it ends.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// How long a bucket is: a round length, such as 1 s, 30 s, 5 min, 1 h, 1 d.
    bucket_ms: i64,
    /// Number of events.
    total: u64,
    /// Every bucket, also those without events. The first may begin before `from`.
    buckets: Vec<Bucket>,
    /// Some segments are missing or damaged: their events are not counted.
    partial: bool,
}

/// Counts what a search finds over time.
#[utoipa::path(post, path = "/api/v1/search/histogram", operation_id = "histogram", tag = "events",
    request_body = HistogramQuery,
    responses((status = 200, description = "Events over time", body = HistogramModel), (status = 401, body = Problem),
        (status = 422, description = "The query is wrong (`diagnostics` say where) or over budget", body = Problem),
        (status = 503, description = "Too many searches at once", body = Problem)))]
pub(crate) async fn histogram(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<HistogramQuery>,
) -> Result<Json<HistogramModel>, Problem> {
    let buckets = body.buckets.unwrap_or(BUCKETS);
    let refused = |detail: String| Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    if !(1..=MAX_BUCKETS).contains(&buckets) {
        return refused(format!("`buckets` is 1 to {MAX_BUCKETS}"));
    }
    let (from, to) = (time(body.from.as_deref())?, time(body.to.as_deref())?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return refused("the time range is empty".to_owned());
    }
    let ask = Ask { query: body.query, language: Language::Hunt, from, to, limit: 1 };
    let _turn = turn(&app).await?;
    journalled(&app, &principal, "query.histogram", &ask, []).await?;
    let found = app.rooms.histogram(ask, buckets).await?;
    let partial = app.rooms.store().damaged_segments > 0;
    let nothing = || {
        let to = to.unwrap_or_else(|| app.now());
        let from = from.unwrap_or(to);
        Bins { from, to, start: from, step: 1_000_000, counts: Vec::new() }
    };
    let bins = found.unwrap_or_else(nothing);
    let at = |bin: usize| bins.start.plus_micros(i64::try_from(bin).unwrap_or(i64::MAX).saturating_mul(bins.step));
    let buckets = bins.counts.iter().enumerate().map(|(bin, &count)| Bucket { at: at(bin), count });
    Ok(Json(HistogramModel {
        from: bins.from,
        to: bins.to,
        bucket_ms: bins.step / 1000,
        total: bins.counts.iter().sum(),
        buckets: buckets.collect(),
        partial,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_values_are_taken_apart() {
        let cases = [
            ("user.name", json!(null), vec![]),
            ("user.name", json!("[a]"), vec!["[a]"]),
            ("source.port", json!(22), vec!["22"]),
            ("event.category", json!(["b", "a", "a"]), vec!["a", "b"]),
            ("tags", json!("[\"one\",2]"), vec!["one", "2"]),
            ("tags", json!("[no json"), vec!["[no json"]),
        ];
        for (field, value, expected) in cases {
            assert_eq!(members(field, value), expected, "{field}");
        }
    }

    #[test]
    fn types_are_what_was_seen() {
        use vedette_event::Value::{Float, Int, Null, Str};
        let cases: [(&[vedette_event::Value<'_>], Option<FieldType>); 6] = [
            (&[Int(1), Float(0.5)], Some(FieldType::Float)),
            (&[Str("192.0.2.7"), Str("2001:db8::1")], Some(FieldType::Ip)),
            (&[Str("192.0.2.7"), Str("host")], Some(FieldType::Text)),
            (&[Str("2026-11-21T04:11:52Z")], Some(FieldType::Time)),
            (&[Int(1), Str("x")], Some(FieldType::Text)),
            (&[Null], None),
        ];
        for (values, expected) in cases {
            let seen = values.iter().filter_map(|value| FieldType::of(*value)).reduce(FieldType::or);
            assert_eq!(seen, expected, "{values:?}");
        }
    }
}
