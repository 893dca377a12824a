//! What shippers send over HTTP (Splunk HEC, OTLP, Loki, GELF) and webhooks, through the routers into a spool.
//!
//! Four bytes choose the route, the encoding, whether the target writes the envelope rightly (compression, gRPC's frame, the
//! signature), and how the body is cut into pieces. The reply is never a server error; what it says of stored and refused records
//! is what the spool and the ledger hold; a stored record is a piece of the body, or the JSON that `docs/receivers.md` makes of
//! it, one for each that the body carries; however the body is cut, what is stored and said is the same; and a delivery of
//! a webhook is stored only if it is signed, once, and at its time.

#![no_main]

use std::{
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ring::hmac;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use vedette_fuzz::{pieces, take};
use vedette_intake::receive::{
    Limits,
    http::{self, Algorithm, Check, Encoding, Signed, Webhook},
};
use vedette_spool::{Position, Spool};

const ROUTES: [(Kind, &str, &str); 17] = [
    (Kind::Events, "/services/collector", "application/json"),
    (Kind::Events, "/services/collector/event?channel=a-1", "text/plain"),
    (Kind::Raw, "/services/collector/raw", "text/plain"),
    (Kind::Raw, "/services/collector/raw?host=a%22b&sourcetype=%FFx", "text/plain"),
    (Kind::Question, "/services/collector/ack?channel=a-1", "application/json"),
    (Kind::OtlpProtobuf, "/v1/logs", "application/x-protobuf"),
    (Kind::OtlpJson, "/v1/logs", "application/json"),
    (Kind::Grpc, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "application/grpc"),
    (Kind::LokiSnappy, "/loki/api/v1/push", "application/x-protobuf"),
    (Kind::LokiJson, "/loki/api/v1/push", "application/json"),
    (Kind::Gelf, "/gelf", "application/json"),
    (Kind::Webhook, "/webhooks/github", "application/json"),
    (Kind::Webhook, "/webhooks/slack", "application/json"),
    (Kind::Webhook, "/webhooks/okta", "application/json"),
    (Kind::Webhook, "/webhooks/standard", "application/json"),
    (Kind::Webhook, "/webhooks/sha1", "application/json"),
    (Kind::Webhook, "/webhooks/sha512", "application/json"),
];
const DOCUMENTS: usize = 40;
const KEY: &[u8] = b"key";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Events,
    Raw,
    Question,
    OtlpProtobuf,
    OtlpJson,
    Grpc,
    LokiSnappy,
    LokiJson,
    Gelf,
    Webhook,
}

struct Call<'a> {
    kind: Kind,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    status: StatusCode,
    /// gRPC's, where it is in the head.
    code: Option<String>,
    reply: Bytes,
    stored: Vec<Bytes>,
    refused: u64,
}

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

fn webhooks() -> Vec<Webhook> {
    let key = || "key".to_owned().into();
    let generic = |algorithm, encoding, prefix: &str, time: Option<&str>| {
        let (header, time_header) = ("x-signature".to_owned(), time.map(str::to_owned));
        Check::Generic(key(), Signed { header, prefix: prefix.to_owned(), algorithm, encoding, time_header })
    };
    let checks = [
        ("github", Check::GitHub(key()), None),
        ("slack", Check::Slack(key()), None),
        ("okta", Check::Okta(key()), Some("data.events")),
        ("standard", Check::Standard(key()), None),
        ("sha1", generic(Algorithm::Sha1, Encoding::Hex, "sha1=", None), Some("items")),
        ("sha512", generic(Algorithm::Sha512, Encoding::Base64, "", Some("x-time")), None),
    ];
    let window = Duration::from_secs(300);
    let webhook = |(name, check, events): (&str, Check, Option<&str>)| {
        let events = events.map(str::to_owned);
        Webhook { name: name.to_owned(), check, window, events, parser: None }
    };
    checks.map(webhook).into()
}

/// The headers of a delivery that is signed rightly.
fn signature(path: &str, time: i64, body: &[u8]) -> Vec<(&'static str, String)> {
    let sign = |algorithm, parts: &[&[u8]]| hmac::sign(&hmac::Key::new(algorithm, KEY), &parts.concat());
    let hex = |tag: hmac::Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written = time.to_string();
    match path {
        "/webhooks/github" => {
            let event = ("x-github-event", "push".to_owned());
            vec![("x-hub-signature-256", format!("sha256={}", hex(sign(hmac::HMAC_SHA256, &[body])))), event]
        }
        "/webhooks/slack" => {
            let tag = sign(hmac::HMAC_SHA256, &[b"v0:", written.as_bytes(), b":", body]);
            vec![("x-slack-signature", format!("v0={}", hex(tag))), ("x-slack-request-timestamp", written)]
        }
        "/webhooks/okta" => vec![("authorization", "key".to_owned())],
        "/webhooks/standard" => {
            let tag = sign(hmac::HMAC_SHA256, &[b"id1.", written.as_bytes(), b".", body]);
            let signature = ("webhook-signature", format!("v1,AAAA v1,{}", STANDARD.encode(tag)));
            vec![("webhook-id", "id1".to_owned()), ("webhook-timestamp", written), signature]
        }
        "/webhooks/sha1" => {
            vec![("x-signature", format!("sha1={}", hex(sign(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[body]))))]
        }
        _ => {
            let tag = sign(hmac::HMAC_SHA512, &[written.as_bytes(), b".", body]);
            vec![("x-signature", STANDARD.encode(tag)), ("x-time", written)]
        }
    }
}

/// Sends a request, and a webhook's delivery a second time.
fn send(call: &Call<'_>, pieces: &[&[u8]]) -> Outcome {
    let (_folder, spool) = vedette_fuzz::spool();
    let limits = Limits {
        line_bytes: 120,
        document_bytes: 256,
        documents: DOCUMENTS,
        body_bytes: 32 << 10,
        chunk_bytes: 300,
        ..Limits::default()
    };
    let options = http::Options { limits, ..http::Options::default() };
    let router: Router = match call.kind {
        Kind::Grpc => http::otlp_grpc(spool.clone(), options),
        _ => http::every_protocol(&spool, &options, webhooks()),
    };
    let send = || {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let mut request = Request::post(call.path);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from_stream(futures::stream::iter(pieces))).expect("the parts are valid");
        RUNTIME.with(|runtime| {
            runtime.block_on(async {
                let Ok(response) = router.clone().oneshot(request).await;
                let (parts, body) = response.into_parts();
                let reply = axum::body::to_bytes(body, 16 << 20).await.expect("a reply of bounded size");
                (parts.status, code(&parts.headers), reply)
            })
        })
    };
    let (status, code, reply) = send();
    let mut stored = read(&spool);
    let losses = spool.ledger();
    assert_eq!(losses.iter().map(|(_, losses)| losses.stored).sum::<u64>(), stored.len() as u64);
    assert!(losses.iter().all(|(_, losses)| losses.shed.is_empty()));
    let refused = losses.iter().flat_map(|(_, losses)| losses.refused.values()).sum();
    assert!(stored.len() as u64 + refused <= DOCUMENTS as u64 + 1, "more records than a request may have");
    if call.kind == Kind::Webhook {
        let again = send().0;
        let was_taken = !stored.is_empty() || reply.starts_with(b"{\"challenge\":");
        assert_eq!(again, if was_taken { StatusCode::CONFLICT } else { status });
        let stored_again = read(&spool);
        assert_eq!(stored_again, stored, "a delivery is taken once");
        stored = stored_again;
    }
    Outcome { status, code, reply, stored, refused }
}

fn code(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("grpc-status")?.to_str().ok()?.to_owned())
}

fn read(spool: &Spool) -> Vec<Bytes> {
    let mut stored = Vec::new();
    let mut reader = spool.reader(Position::START);
    while let Some(frame) = reader.next(Duration::ZERO).expect("it was just written") {
        stored.extend(frame.records.into_iter().map(|record| record.raw));
    }
    stored
}

/// What a reply says of records: how many are stored and how many are refused, as far as it says so.
fn said(kind: Kind, outcome: &Outcome) -> (Option<u64>, Option<u64>) {
    let json = || serde_json::from_slice::<Value>(&outcome.reply).expect("the reply is JSON");
    let is_success = outcome.status.is_success();
    match kind {
        Kind::Events | Kind::Raw => match (is_success, json()["code"].as_u64()) {
            (true, code) => {
                assert_eq!(code, Some(0));
                (None, Some(0))
            }
            (false, Some(5)) => (Some(0), Some(0)),
            (false, code) => {
                assert!(code.is_some_and(|code| code > 5));
                (None, None)
            }
        },
        Kind::Question => (Some(0), Some(0)),
        Kind::OtlpJson => match is_success {
            true => {
                let rejected = &json()["partialSuccess"]["rejectedLogRecords"];
                (None, Some(rejected.as_str().map_or(0, |rejected| rejected.parse().expect("a number"))))
            }
            false => {
                assert!(json()["code"].is_u64() && json()["message"].is_string());
                (Some(0), None)
            }
        },
        Kind::OtlpProtobuf if is_success => (None, Some(rejected(&outcome.reply))),
        Kind::OtlpProtobuf => (Some(0), None),
        Kind::Grpc => {
            assert_eq!(outcome.status, StatusCode::OK);
            match outcome.code {
                Some(_) => (Some(0), None),
                None => {
                    let (head, message) = outcome.reply.split_first_chunk::<5>().expect("a framed message");
                    assert_eq!(head[..], [&[0][..], &(message.len() as u32).to_be_bytes()].concat());
                    (None, Some(rejected(message)))
                }
            }
        }
        Kind::LokiSnappy | Kind::LokiJson if is_success => (None, Some(0)),
        Kind::LokiSnappy | Kind::LokiJson => {
            let reply = String::from_utf8_lossy(&outcome.reply);
            let counts = reply.split_once("; ").and_then(|(_, counts)| counts.strip_suffix(" entries are stored\n"));
            match counts.and_then(|counts| counts.split_once(" of ")) {
                Some((stored, all)) => {
                    let (stored, all): (u64, u64) = (stored.parse().expect("a number"), all.parse().expect("a number"));
                    (Some(stored), Some(all - stored))
                }
                None => (Some(0), None),
            }
        }
        Kind::Gelf if is_success => (None, Some(0)),
        Kind::Gelf => (None, None),
        Kind::Webhook if is_success => match json()["stored"].as_u64() {
            Some(stored) => (Some(stored), Some(0)),
            None => (Some(0), Some(0)),
        },
        Kind::Webhook => {
            assert!(json()["error"].is_string());
            (None, None)
        }
    }
}

/// `partial_success.rejected_log_records` of an `ExportLogsServiceResponse`.
fn rejected(message: &[u8]) -> u64 {
    match message {
        [] => 0,
        [0x0a, _, 0x08, count, ..] if *count < 0x80 => u64::from(*count),
        other => panic!("no response: {}", other.escape_ascii()),
    }
}

fn is_object(record: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok() && record.first() == Some(&b'{')
}

/// A stored record is what the documentation says of the body.
fn assert_from(call: &Call<'_>, body: &[u8], record: &[u8]) {
    let is_piece = |bytes: &[u8]| memchr::memmem::find(body, bytes).is_some();
    match call.kind {
        Kind::Events | Kind::Gelf => {
            assert!(is_object(record) && is_piece(record), "{}", record.escape_ascii());
        }
        Kind::Raw if !call.path.contains('?') => assert!(is_piece(record)),
        Kind::Raw => {
            assert!(record.starts_with("{\"host\":\"a\\\"b\",\"sourcetype\":\"\u{fffd}x\",\"event\":\"".as_bytes()));
            assert!(is_object(record));
        }
        Kind::Webhook => {
            let name = call.path.trim_start_matches("/webhooks/");
            let rest = record.strip_prefix(format!("{{\"webhook\":{{\"name\":\"{name}\"").as_bytes());
            let rest = rest.expect("it says which webhook");
            let end = memchr::memchr(b'}', rest).expect("the member ends");
            let rest = &rest[end + 1..];
            assert!(is_object(record) && is_piece(rest.strip_prefix(b",").unwrap_or(rest)));
        }
        Kind::OtlpJson | Kind::OtlpProtobuf | Kind::Grpc => {
            assert!(is_object(record) && record.starts_with(b"{\"resource\":{"), "{}", record.escape_ascii());
        }
        Kind::LokiJson | Kind::LokiSnappy => {
            assert!(is_object(record) && record.starts_with(b"{\"stream\":{"), "{}", record.escape_ascii());
        }
        Kind::Question => panic!("a question stores nothing"),
    }
}

/// How many records a body in JSON carries, and the lines of Loki's.
fn carried(kind: Kind, body: &[u8]) -> Option<(usize, Vec<String>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    match kind {
        Kind::OtlpJson => {
            let scopes = list(&body, "resourceLogs").into_iter().flat_map(|resource| list(&resource, "scopeLogs"));
            Some((scopes.map(|scope| list(&scope, "logRecords").len()).sum(), Vec::new()))
        }
        Kind::LokiJson => {
            let entries = list(&body, "streams").into_iter().flat_map(|stream| list(&stream, "values"));
            let lines: Vec<_> = entries.map(|entry| entry[1].as_str().unwrap_or_default().to_owned()).collect();
            Some((lines.len(), lines))
        }
        _ => None,
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
}

fuzz_target!(|data: &[u8]| {
    let mut plain = data;
    let [route, flags, first, second] = take(&mut plain);
    let (kind, path, content_type) = ROUTES[usize::from(route) % ROUTES.len()];
    let is_sound = flags & 0x10 == 0;
    let encoding = ["", "gzip", "deflate", "zstd"][usize::from(flags & 3)];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let time = [now, now - 100_000, i64::MIN, i64::MAX][usize::from(flags >> 2 & 3)];

    let mut headers = vec![("content-type", content_type.to_owned())];
    let mut body = plain.to_vec();
    if is_sound {
        body = match kind {
            Kind::Grpc => {
                let is_compressed = flags & 3 != 0;
                let message = if is_compressed { gzip(plain) } else { plain.to_vec() };
                [&[u8::from(is_compressed)][..], &(message.len() as u32).to_be_bytes(), &message].concat()
            }
            Kind::LokiSnappy => snap::raw::Encoder::new().compress_vec(plain).expect("it is short"),
            Kind::Webhook => {
                headers.extend(signature(path, time, plain));
                body
            }
            _ => body,
        };
    } else if kind == Kind::Webhook {
        // Signed for another body.
        headers.extend(signature(path, time, b"{}"));
        if path == "/webhooks/okta" {
            headers.retain(|(name, _)| *name != "authorization");
        }
    }
    if !encoding.is_empty() && kind != Kind::Grpc {
        headers.push(("content-encoding", encoding.to_owned()));
        body = match encoding {
            "gzip" => gzip(&body),
            "deflate" => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&body).and_then(|()| encoder.finish()).expect("memory")
            }
            _ => zstd::bulk::compress(&body, 1).expect("memory"),
        };
    }
    let call = Call { kind, path, headers };
    let one = send(&call, &[&body]);
    let many = send(&call, &pieces(&body, &[first, second]));

    for outcome in [&one, &many] {
        let reply = outcome.reply.escape_ascii();
        assert!(!outcome.status.is_server_error(), "{}: {reply}", outcome.status);
        let (stored, refused) = said(kind, outcome);
        assert!(stored.is_none_or(|stored| stored == outcome.stored.len() as u64), "{reply}");
        assert!(refused.is_none_or(|refused| refused == outcome.refused), "{reply}");
        for record in &outcome.stored {
            assert_from(&call, plain, record);
        }
        let is_whole = outcome.status.is_success() && outcome.code.is_none();
        if is_whole && let Some((count, lines)) = carried(kind, plain) {
            assert_eq!(outcome.stored.len() as u64 + outcome.refused, count as u64);
            for (record, line) in outcome.stored.iter().zip(lines) {
                let record: Value = serde_json::from_slice(record).expect("a document of a JSON request is JSON");
                assert_eq!(record["line"], line);
            }
        }
        if kind == Kind::Webhook && !outcome.stored.is_empty() {
            let is_timed = matches!(path, "/webhooks/slack" | "/webhooks/standard" | "/webhooks/sha512");
            assert!(is_sound || plain == b"{}", "stored without a right signature");
            assert!(!is_timed || time == now, "stored at another time");
        }
    }
    let is_success = |outcome: &Outcome| outcome.status.is_success() && outcome.code.is_none();
    if is_success(&one) || is_success(&many) {
        assert_eq!(one, many);
    }
});
