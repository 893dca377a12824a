//! EVTX files as batches in the normal form of Windows events. The product's parser lives in `intake`; this one is
//! just enough for the rules' own regression data, so that the crate's test stands on its own.

use std::path::Path;

use serde_json::{Map, Value as Json};
use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};

/// All events of an EVTX file.
pub fn evtx(path: &Path) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "import:test", "import"));
    let mut parser = evtx::EvtxParser::from_path(path).unwrap();
    for (seq, record) in (0..).zip(parser.records_json_value()) {
        let record = record.unwrap().data;
        batch.begin(seq, Time::from_secs(0), record.to_string().as_bytes());
        push_event(&mut batch, &record["Event"]);
    }
    batch.finish()
}

fn push_event(batch: &mut BatchBuilder, event: &Json) {
    let system = &event["System"];
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let id = system["EventID"].as_i64().or_else(|| system["EventID"]["#text"].as_i64()).unwrap();
    batch.push("event.module", Value::Str("windows"));
    batch.push("event.code", Value::Str(&id.to_string()));
    batch.push("winlog.event_id", Value::Int(id));
    batch.push("event.provider", Value::Str(&text(&system["Provider"]["#attributes"]["Name"])));
    batch.push("winlog.channel", Value::Str(&text(&system["Channel"])));
    batch.push("winlog.computer_name", Value::Str(&text(&system["Computer"])));
    batch.push("host.name", Value::Str(&text(&system["Computer"])));
    if let Some(data) = event["EventData"].as_object() {
        push_data(batch, "winlog.event_data.", data);
    }
    if let Some(data) = event["UserData"].as_object() {
        push_data(batch, "winlog.user_data.", data);
    }
}

fn push_data(batch: &mut BatchBuilder, prefix: &str, data: &Map<String, Json>) {
    for (name, value) in data.iter().filter(|(name, _)| *name != "#attributes") {
        let values = match value {
            Json::Object(inner) => match inner.get("#text") {
                Some(text) => text,
                None => {
                    push_data(batch, prefix, inner);
                    continue;
                }
            },
            value => value,
        };
        let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
        for value in values {
            let name = format!("{prefix}{name}");
            match value {
                Json::String(text) => batch.push(&name, Value::Str(text)),
                Json::Bool(bool) => batch.push(&name, Value::Bool(*bool)),
                Json::Number(number) => batch.push(&name, Value::Int(number.as_i64().unwrap_or_default())),
                _ => batch.push(&name, Value::Null),
            }
        }
    }
}
