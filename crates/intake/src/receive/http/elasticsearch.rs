//! The part of the Elasticsearch API that log shippers use: the handshakes before the first document, and
//! `_bulk`, `_doc` and `_create`.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    body::Sink,
    bulk::{Bulk, Reading},
    documents::{Bad, Documents, Fate, check_object, refusal},
    request::{self, BodyCutter, Failure, Fatal, Shared},
};
/// The reply is sent in pieces of about this size.
const REPLY_PIECE: usize = 32 << 10;

/// A router that speaks enough of the Elasticsearch API for rsyslog, syslog-ng, Beats, Logstash, Vector,
/// Fluent Bit and the language clients. Sources are `bulk:<address>`; the peer's address comes from axum's
/// `ConnectInfo<SocketAddr>`, without it the source is `bulk:local`.
pub fn elasticsearch(spool: Spool, options: Options) -> Router {
    Router::new().fallback(answer).with_state(Shared::new(spool, "bulk", options))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request::peer(&request);
    let is_head = request.method() == Method::HEAD;
    let mut response = match shared.is_allowed(request.headers(), peer) {
        true => route(&shared, peer, request).await,
        false => {
            let mut response = error(StatusCode::UNAUTHORIZED, "security_exception", "a valid token is required");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer, ApiKey, Basic"));
            response
        }
    };
    // Official clients refuse a server that does not say this.
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn route(shared: &Arc<Shared>, peer: Option<SocketAddr>, request: Request) -> Response {
    let path = request.uri().path().trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let method = request.method().clone();
    let writes = method == Method::POST || method == Method::PUT;
    let reads = method == Method::GET || method == Method::HEAD;
    match segments.as_slice() {
        ["_bulk"] if writes => bulk(shared, peer, "", request).await,
        [index, "_bulk"] if writes => bulk(shared, peer, index, request).await,
        [index, "_doc" | "_create"] | [index, "_doc" | "_create", _] if writes => {
            document(shared, peer, index, request).await
        }
        [""] if reads => reply(&json!({
            "name": "vedette", "cluster_name": "vedette", "cluster_uuid": "dmVkZXR0ZS1pbmdlc3Q",
            "version": {
                "number": shared.options.elasticsearch_version, "build_flavor": "default", "build_type": "tar",
                "build_hash": "0000000000000000000000000000000000000000", "build_date": "2025-07-23T22:10:18Z",
                "build_snapshot": false, "lucene_version": "9.12.2",
                "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        })),
        ["_license"] if reads => reply(&json!({"license": {
            "status": "active", "uid": "00000000-0000-0000-0000-000000000000", "type": "basic",
            "issue_date": "2025-01-01T00:00:00.000Z", "issue_date_in_millis": 1_735_689_600_000_u64,
            "max_nodes": 1000, "issued_to": "vedette", "issuer": "elasticsearch", "start_date_in_millis": -1,
        }})),
        ["_xpack"] if reads => reply(&json!({
            "license": {"uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic", "status": "active"},
            "features": {"ilm": {"available": true, "enabled": true}, "security": {"available": true, "enabled": false}},
        })),
        ["_cluster", "health", ..] if reads => reply(&json!({
            "cluster_name": "vedette", "status": "green", "timed_out": false, "number_of_nodes": 1,
            "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0,
            "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
        })),
        // What is set up here concerns an index that does not exist; it is agreed to and changes nothing.
        [
            "_ilm"
            | "_index_template"
            | "_component_template"
            | "_template"
            | "_ingest"
            | "_nodes"
            | "_data_stream"
            | "_cluster"
            | "_alias"
            | "_aliases",
            ..,
        ]
        | ["_refresh" | "_flush"]
        | [_, "_refresh" | "_flush"]
            if reads || writes =>
        {
            reply(&if reads { json!({}) } else { json!({"acknowledged": true}) })
        }
        [index] | [index, "_alias" | "_settings" | "_mapping" | "_mappings", ..]
            if !index.starts_with('_') && (reads || method == Method::PUT) =>
        {
            reply(&if reads { json!({}) } else { json!({"acknowledged": true}) })
        }
        _ if method == Method::DELETE => error(
            StatusCode::METHOD_NOT_ALLOWED,
            "illegal_argument_exception",
            "the store is append-only: nothing can be deleted",
        ),
        _ => error(
            StatusCode::NOT_FOUND,
            "invalid_index_name_exception",
            "not offered here: this address takes documents (_bulk, _doc, _create); to search use `vedette hunt`",
        ),
    }
}

async fn bulk(shared: &Arc<Shared>, peer: Option<SocketAddr>, index: &str, request: Request) -> Response {
    let began = Instant::now();
    let limits = &shared.options.limits;
    let (place, source) = match shared.admit(peer) {
        Ok(admitted) => admitted,
        Err(refused) => return busy(&refused),
    };
    let (parts, body) = request.into_parts();
    let bulk =
        Bulk::new(shared.documents(source), &request::percent_decoded(index), limits.document_bytes, limits.documents);
    match request::store(shared, place, &parts, body, bulk).await {
        Ok((bulk, reached)) => acknowledge::tell(bulk_reply(bulk.into_reading(), began), reached),
        Err(failure) => refused(&failure),
    }
}

fn refused(failure: &Failure) -> Response {
    let reason = match failure.stored {
        0 => failure.reason.clone(),
        stored => format!("{}; {stored} documents before it are stored", failure.reason),
    };
    error(failure.status, "illegal_argument_exception", &reason)
}

/// The reply's items are written while they are sent: a million of them would be large.
fn bulk_reply(reading: Reading, began: Instant) -> Response {
    if reading.documents.len() == 0 {
        return error(StatusCode::BAD_REQUEST, "parse_exception", "request body is required");
    }
    let errors = reading.documents.fates().iter().any(|fate| !matches!(fate, Fate::Stored(_)));
    let took = began.elapsed().as_millis();
    let mut piece = format!(r#"{{"took":{took},"errors":{errors},"items":["#);
    let names: Vec<String> = reading.indices.iter().map(|name| Value::from(&**name).to_string()).collect();
    let mut next = 0;
    let pieces = std::iter::from_fn(move || {
        if next > reading.actions.len() {
            return None;
        }
        while piece.len() < REPLY_PIECE && next < reading.actions.len() {
            let (operation, index) = reading.actions[next];
            let (status, outcome) = item(reading.documents.source(), reading.documents.fates()[next]);
            let comma = if next == 0 { "" } else { "," };
            let index = names.get(usize::from(index)).map_or("\"\"", String::as_str);
            let operation = operation.as_str();
            piece.push_str(&format!(r#"{comma}{{"{operation}":{{"_index":{index},{outcome},"status":{status}}}}}"#));
            next += 1;
        }
        if next == reading.actions.len() {
            piece.push_str("]}");
            next += 1;
        }
        Some(Ok::<Bytes, std::convert::Infallible>(Bytes::from(std::mem::take(&mut piece))))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(futures::stream::iter(pieces))).into_response()
}

/// The status of one document and the members of its item that tell it.
fn item(source: &Source, fate: Fate) -> (u16, String) {
    let refused = |status: StatusCode, kind: &str, reason: &str| {
        let error = json!({"type": kind, "reason": reason});
        (status.as_u16(), format!(r#""error":{error}"#))
    };
    match fate {
        Fate::Stored(seq) => (
            201,
            format!(
                r#""_id":"{}-{seq}","_version":1,"result":"created","_shards":{{"total":1,"successful":1,"failed":0}},"_seq_no":{seq},"_primary_term":1"#,
                source.id.0
            ),
        ),
        Fate::Refused(reason) => {
            let (status, kind) = refused_as(reason);
            refused(status, kind, refusal(reason))
        }
        Fate::Bad(bad @ (Bad::Update | Bad::Delete)) => {
            refused(StatusCode::BAD_REQUEST, "illegal_argument_exception", &bad.reason())
        }
        Fate::Bad(bad) => refused(StatusCode::BAD_REQUEST, "document_parsing_exception", &bad.reason()),
        // Every portion was settled before the reply.
        Fate::Waiting => refused(StatusCode::INTERNAL_SERVER_ERROR, "exception", "the document's fate is unknown"),
    }
}

fn refused_as(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::Busy | Reason::DiskFull | Reason::TooManySources => {
            (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception")
        }
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "illegal_argument_exception"),
        Reason::WriteFailed => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception"),
        _ => (StatusCode::BAD_REQUEST, "document_parsing_exception"),
    }
}

/// A body that is one document.
struct Whole {
    documents: Documents,
    /// One byte over the limit says that it is too long.
    bytes: Vec<u8>,
    limit: usize,
}

impl Sink for Whole {
    fn take(&mut self, bytes: &[u8]) {
        let room = (self.limit + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl BodyCutter for Whole {
    fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        None
    }

    fn finish(&mut self) {
        match check_object(&self.bytes) {
            _ if self.bytes.len() > self.limit => self.documents.refuse(Fate::Refused(Reason::TooLarge)),
            Ok(()) => self.documents.add(self.bytes.trim_ascii()),
            Err(bad) => self.documents.refuse(Fate::Bad(bad)),
        }
    }
}

async fn document(shared: &Arc<Shared>, peer: Option<SocketAddr>, index: &str, request: Request) -> Response {
    let (place, source) = match shared.admit(peer) {
        Ok(admitted) => admitted,
        Err(refused) => return busy(&refused),
    };
    let (parts, body) = request.into_parts();
    let limit = shared.options.limits.document_bytes;
    let whole = Whole { documents: shared.documents(source), bytes: Vec::new(), limit };
    let (documents, reached) = match request::store(shared, place, &parts, body, whole).await {
        Ok((whole, reached)) => (whole.documents, reached),
        Err(failure) => return refused(&failure),
    };
    let fate = documents.fates().first().copied().unwrap_or(Fate::Waiting);
    let (status, outcome) = item(documents.source(), fate);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let index = Value::from(request::percent_decoded(index));
    let text = match fate {
        Fate::Stored(_) => format!(r#"{{"_index":{index},{outcome}}}"#),
        _ => format!(r#"{{{outcome},"status":{}}}"#, status.as_u16()),
    };
    let response = (status, [(header::CONTENT_TYPE, "application/json")], text).into_response();
    acknowledge::tell(response, reached)
}

fn reply(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn busy(reason: &str) -> Response {
    error(StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception", reason)
}

fn error(status: StatusCode, kind: &str, reason: &str) -> Response {
    let cause = json!({"type": kind, "reason": reason});
    let text = json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status.as_u16()});
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
