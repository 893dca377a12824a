//! Loki's push API ([reference](https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs)): JSON, or protobuf
//! compressed with Snappy.
//!
//! Every entry becomes a document: `{"stream": {…labels}, "ts": "…", "line": "…", "metadata": {…}}`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, json};
use vedette_event::Reason;
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    documents::refusal,
    message::{MAX_MESSAGE, Message, Unpack, Unpacked, Unreadable},
    protobuf::{self, fields},
    request::{self, Shared},
};
use crate::receive::json_text::{name, text};

/// A router with `POST /loki/api/v1/push` and what clients ask before it. Sources are `loki:<address>`.
pub fn loki(spool: Spool, options: Options) -> Router {
    let shared = Shared::new(spool, "loki", options);
    Router::new()
        .route("/loki/api/v1/push", post(push))
        .route("/api/prom/push", post(push))
        .route("/ready", get(async || "ready\n"))
        .with_state(shared)
}

async fn push(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request::peer(&request);
    if !shared.is_allowed(request.headers(), peer) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic, Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, "a valid token is required\n").into_response();
    }
    let (place, source) = match shared.admit_patiently(peer).await {
        Ok(admitted) => admitted,
        Err(reason) => return failed(StatusCode::TOO_MANY_REQUESTS, &reason),
    };
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    // As Loki does: whatever does not say that it is JSON is protobuf.
    let unpack: Unpack = match kind.split(';').next().unwrap_or("").trim() {
        "application/json" => from_json,
        _ => from_snappy,
    };
    let documents = shared.documents(source).patiently(shared.options.limits.acknowledge_time);
    let message = Message::new(documents, &shared.options.limits, unpack);
    match request::store(&shared, place, &parts, body, message).await {
        Ok((message, reached)) => {
            let documents = message.into_documents();
            match documents.first_refused().map(|(_, reason)| reason) {
                None => acknowledge::tell(StatusCode::NO_CONTENT.into_response(), reached),
                Some(reason @ (Reason::TooLarge | Reason::Malformed)) => {
                    let (stored, all) = (documents.stored(), documents.len());
                    failed(
                        StatusCode::BAD_REQUEST,
                        &format!("{}; {stored} of {all} entries are stored", refusal(reason)),
                    )
                }
                Some(Reason::WriteFailed) => failed(StatusCode::SERVICE_UNAVAILABLE, refusal(Reason::WriteFailed)),
                Some(reason) => failed(StatusCode::TOO_MANY_REQUESTS, refusal(reason)),
            }
        }
        Err(failure) => failed(failure.status, &failure.reason),
    }
}

fn failed(status: StatusCode, reason: &str) -> Response {
    let mut response = (status, format!("{reason}\n")).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[derive(Deserialize)]
struct Push {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    stream: Map<String, Value>,
    #[serde(default)]
    values: Vec<Entry>,
}

/// `["<nanoseconds>", "<line>"]`, perhaps with metadata.
struct Entry {
    time: String,
    line: String,
    metadata: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values: Vec<Value> = Vec::deserialize(deserializer)?;
        let mut values = values.into_iter();
        let time = match values.next() {
            Some(Value::String(time)) => time,
            Some(Value::Number(time)) => time.to_string(),
            _ => return Err(D::Error::custom("an entry has no time")),
        };
        let Some(Value::String(line)) = values.next() else { return Err(D::Error::custom("an entry has no line")) };
        let metadata = match values.next() {
            Some(Value::Object(metadata)) => metadata,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(D::Error::custom("an entry's metadata is no object")),
        };
        Ok(Entry { time, line, metadata })
    }
}

fn from_json(message: &[u8], documents: &mut Unpacked) -> Result<(), Unreadable> {
    let push: Push = serde_json::from_slice(message).map_err(|error| format!("this is no push request: {error}"))?;
    for stream in push.streams {
        let labels = Value::Object(stream.stream).to_string();
        for entry in stream.values {
            let metadata = Value::Object(entry.metadata).to_string();
            documents.add(document(&labels, &entry.time, entry.line.as_bytes(), metadata.as_bytes()))?;
        }
    }
    Ok(())
}

fn document(labels: &str, time: &str, line: &[u8], metadata: &[u8]) -> Vec<u8> {
    let mut json = Vec::with_capacity(labels.len() + line.len() + metadata.len() + 80);
    json.extend_from_slice(b"{\"stream\":");
    json.extend_from_slice(labels.as_bytes());
    name("ts", &mut json);
    text(time.as_bytes(), &mut json);
    name("line", &mut json);
    text(line, &mut json);
    if metadata != b"{}" {
        name("metadata", &mut json);
        json.extend_from_slice(metadata);
    }
    json.push(b'}');
    json
}

fn from_snappy(message: &[u8], documents: &mut Unpacked) -> Result<(), Unreadable> {
    let length = snap::raw::decompress_len(message).map_err(|error| format!("the body is no Snappy block: {error}"))?;
    if length > MAX_MESSAGE {
        let reason = format!("the body decompresses to more than {MAX_MESSAGE} bytes; send smaller requests");
        return Err(reason.into());
    }
    let message = snap::raw::Decoder::new()
        .decompress_vec(message)
        .map_err(|error| format!("the body is no Snappy block: {error}"))?;
    from_protobuf(&message, documents)
}

/// `PushRequest` ([push.proto](https://github.com/grafana/loki/blob/main/pkg/push/push.proto)).
fn from_protobuf(message: &[u8], documents: &mut Unpacked) -> Result<(), Unreadable> {
    use protobuf::Value::{Bytes, Varint};
    for stream in fields(message) {
        let (1, Bytes(stream)) = stream? else { continue };
        let mut labels = String::from("{}");
        for field in fields(stream) {
            if let (1, Bytes(written)) = field? {
                let written = String::from_utf8_lossy(written);
                labels = self::labels(&written).unwrap_or_else(|| json!({"labels": written}).to_string());
            }
        }
        for entry in fields(stream) {
            let (2, Bytes(entry)) = entry? else { continue };
            let (mut seconds, mut nanos, mut line) = (0_u64, 0_u64, &b""[..]);
            let mut metadata = b"{".to_vec();
            for field in fields(entry) {
                match field? {
                    (1, Bytes(time)) => {
                        for field in fields(time) {
                            match field? {
                                (1, Varint(value)) => seconds = value,
                                (2, Varint(value)) => nanos = value,
                                _ => {}
                            }
                        }
                    }
                    (2, Bytes(value)) => line = value,
                    (3, Bytes(pair)) => {
                        let (mut key, mut value) = (&b""[..], &b""[..]);
                        for field in fields(pair) {
                            match field? {
                                (1, Bytes(bytes)) => key = bytes,
                                (2, Bytes(bytes)) => value = bytes,
                                _ => {}
                            }
                        }
                        name(&String::from_utf8_lossy(key), &mut metadata);
                        text(value, &mut metadata);
                    }
                    _ => {}
                }
            }
            metadata.push(b'}');
            let time = i128::from(seconds as i64) * 1_000_000_000 + i128::from(nanos as i64);
            documents.add(document(&labels, &time.to_string(), line, &metadata))?;
        }
    }
    Ok(())
}

/// `{name="value", …}` as a JSON object.
fn labels(written: &str) -> Option<String> {
    let mut rest = written.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut json = b"{".to_vec();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        // A value is written as Go does, whose escapes of these are JSON's.
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
        let value = values.next()?.ok()?;
        rest = after[values.byte_offset()..].trim_start();
        rest = rest.strip_prefix(',').map_or(rest, str::trim_start);
        name(key.trim(), &mut json);
        text(value.as_bytes(), &mut json);
    }
    json.push(b'}');
    String::from_utf8(json).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{super::message::unpacked, *};

    fn texts(documents: Vec<Bytes>) -> Vec<String> {
        documents.iter().map(|document| String::from_utf8(document.to_vec()).unwrap()).collect()
    }

    const EXPECTED: [&str; 2] = [
        r#"{"stream":{"job":"a","x":"say \"hi\""},"ts":"1700000000000000001","line":"one","metadata":{"trace":"7"}}"#,
        r#"{"stream":{"job":"a","x":"say \"hi\""},"ts":"1700000000000000002","line":"two\n"}"#,
    ];

    #[test]
    fn json() {
        let request = r#"{"streams":[{"stream":{"job":"a","x":"say \"hi\""},
            "values":[["1700000000000000001","one",{"trace":"7"}],["1700000000000000002","two\n"]]}]}"#;
        assert_eq!(texts(unpacked(from_json, request.as_bytes()).unwrap()), EXPECTED);
        for bad in ["", "{}", r#"{"streams":[{"values":[["1"]]}]}"#, r#"{"streams":[{"values":[[{},"x"]]}]}"#] {
            assert!(unpacked(from_json, bad.as_bytes()).is_err(), "{bad}");
        }
    }

    fn field(number: u8, parts: &[&[u8]]) -> Vec<u8> {
        let bytes = parts.concat();
        [&[number << 3 | 2, bytes.len() as u8][..], &bytes].concat()
    }

    #[test]
    fn snappy_protobuf() {
        let time = |nanos: u8| field(1, &[&[0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x10, nanos]]);
        let metadata = field(3, &[&field(1, &[b"trace"]), &field(2, &[b"7"])]);
        let stream = [
            field(1, &[br#"{job="a", x="say \"hi\""}"#]),
            field(2, &[&time(1), &field(2, &[b"one"]), &metadata]),
            field(2, &[&time(2), &field(2, &[b"two\n"])]),
        ];
        let message = field(1, &[&stream.concat()]);
        let compressed = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        assert_eq!(texts(unpacked(from_snappy, &compressed).unwrap()), EXPECTED);
        assert!(unpacked(from_snappy, &compressed[1..]).is_err());
        for end in 0..compressed.len() {
            assert!(unpacked(from_snappy, &compressed[..end]).is_err(), "cut off after {end} bytes");
        }
        let refused = unpacked(from_snappy, b"\xff\xff\xff\xff\x0f").unwrap_err();
        assert!(matches!(refused, Unreadable::Malformed(reason) if reason.contains("more than")));
    }

    /// A stream's labels stand in the request once and in each of its entries.
    #[test]
    fn what_entries_share_is_bounded() {
        let entries = vec![r#"["1",""]"#; 1000].join(",");
        let request = format!(r#"{{"streams":[{{"stream":{{"a":"{}"}},"values":[{entries}]}}]}}"#, "x".repeat(1 << 20));
        assert_eq!(unpacked(from_json, request.as_bytes()), Err(Unreadable::TooLarge));
        let length = [0x80 | (1 << 20 & 0x7f) as u8, 0x80, 0x40];
        let mut stream = [&[0x0a][..], &length, &vec![b'x'; 1 << 20]].concat();
        stream.extend(b"\x12\0".repeat(1000));
        let count = stream.len();
        let length = [0x80 | (count & 0x7f) as u8, 0x80 | (count >> 7 & 0x7f) as u8, (count >> 14) as u8];
        let message = [&[0x0a][..], &length, &stream].concat();
        assert_eq!(unpacked(from_protobuf, &message), Err(Unreadable::TooLarge));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_json_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120), labels in "\\PC{0,40}") {
            for document in unpacked(from_protobuf, &bytes).unwrap_or_default() {
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&document).is_ok());
            }
            if let Some(json) = super::labels(&labels) {
                prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
            }
        }
    }
}
