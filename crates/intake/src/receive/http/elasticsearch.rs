//! The part of the Elasticsearch API that log shippers use: the handshakes before the first document, and
//! `_bulk`, `_doc` and `_create`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};
use vedette_event::{Reason, Source};
use vedette_spool::{Refused, Spool};

use super::{
    Options,
    body::{BodyError, Decompressor, Incoming, Sink},
    bulk::{Bulk, Fatal, Reading},
    documents::{Bad, Documents, Fate, check_object, refusal},
};
use crate::receive::{
    connections::{OpenConnections, Place},
    deliver::Peers,
};

/// Portions of one request that may be on their way to the disk.
const PORTIONS_IN_FLIGHT: usize = 8;
/// The reply is sent in pieces of about this size.
const REPLY_PIECE: usize = 32 << 10;

pub(super) struct Shared {
    pub(super) spool: Spool,
    pub(super) options: Options,
    pub(super) peers: Peers,
    /// Requests whose bodies are being read.
    reading: OpenConnections,
}

impl Shared {
    pub(super) fn new(spool: Spool, receiver: &'static str, options: Options) -> Arc<Shared> {
        let peers = Peers::new(spool.clone(), receiver, options.parser.as_deref());
        Arc::new(Shared { spool, options, peers, reading: OpenConnections::default() })
    }

    pub(super) fn peer_source(&self, peer: Option<SocketAddr>) -> Result<Arc<Source>, Refused> {
        match peer {
            Some(peer) => self.peers.source(peer.ip()),
            None => self.peers.named("local"),
        }
    }

    /// A place among the requests that are read at a time, if there is one for this peer.
    pub(super) fn place(&self, peer: Option<SocketAddr>) -> Option<Place> {
        let limits = &self.options.limits;
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip());
        self.reading.enter(peer, limits.requests, limits.requests_per_peer)
    }

    pub(super) fn is_allowed(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
        self.options.authorize.as_ref().is_none_or(|authorize| authorize.allow(headers, peer))
    }

    pub(super) fn documents(&self, source: Arc<Source>) -> Documents {
        let counters = self.options.counters.clone();
        Documents::new(self.spool.clone(), source, counters, self.options.limits.chunk_bytes)
    }
}

/// A router that speaks enough of the Elasticsearch API for rsyslog, syslog-ng, Beats, Logstash, Vector,
/// Fluent Bit and the language clients. Sources are `bulk:<address>`; the peer's address comes from axum's
/// `ConnectInfo<SocketAddr>`, without it the source is `bulk:local`.
pub fn elasticsearch(spool: Spool, options: Options) -> Router {
    Router::new().fallback(answer).with_state(Shared::new(spool, "bulk", options))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let is_head = request.method() == Method::HEAD;
    let mut response = match shared.is_allowed(request.headers(), peer) {
        true => route(&shared, peer, request).await,
        false => {
            shared.options.counters.requests_refused.add(1);
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
    let counters = &shared.options.counters;
    let limits = &shared.options.limits;
    let Some(_place) = shared.place(peer) else {
        counters.requests_refused.add(1);
        return busy("too many requests at a time");
    };
    let source = match shared.peer_source(peer) {
        Ok(source) => source,
        Err(refused) => return busy(&refused.to_string()),
    };
    let (parts, body) = request.into_parts();
    let index = percent_decoded(index);
    let bulk = Bulk::new(shared.documents(source), &index, limits.document_bytes, limits.documents);
    let read = async {
        let mut incoming = Incoming::new(body, &parts.headers, limits)?;
        let mut decompressor = Decompressor::new(&parts.headers, limits.body_bytes, bulk)?;
        let mut failed = None;
        loop {
            let piece = match incoming.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            if let Err(error) = decompressor.write(&piece).await {
                failed = Some(error);
                break;
            }
            if let Some(bulk) = decompressor.sink() {
                if bulk.reading().fatal.is_some() {
                    break;
                }
                bulk.reading().documents.settle(PORTIONS_IN_FLIGHT).await;
            }
        }
        if failed.is_none() && decompressor.sink().is_some_and(|bulk| bulk.reading().fatal.is_none()) {
            failed = decompressor.finish().err();
        }
        Ok::<_, BodyError>((decompressor, failed))
    };
    let (mut decompressor, failed) = match read.await {
        Ok(read) => read,
        Err(failed) => {
            counters.requests_refused.add(1);
            return error(failed.status(), "illegal_argument_exception", &failed.to_string());
        }
    };
    let Some(mut bulk) = decompressor.take_sink() else {
        return error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "exception",
            "the request's state was lost; please report this",
        );
    };
    if failed.is_none() {
        bulk.finish();
    }
    let mut reading = bulk.into_reading();
    let failure = match (&failed, &reading.fatal) {
        (Some(failed), _) => Some((failed.status(), failed.to_string(), Reason::Truncated)),
        (None, Some(Fatal::Action { line, reason })) => {
            Some((StatusCode::BAD_REQUEST, format!("line {line}: {reason}"), Reason::Malformed))
        }
        (None, Some(Fatal::TooManyDocuments(limit))) => Some((
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("more than {limit} documents in one request; send smaller requests"),
            Reason::TooLarge,
        )),
        (None, None) => None,
    };
    if let Some((status, reason, counted)) = failure {
        counters.requests_refused.add(1);
        reading.documents.abandon(counted);
        if counted == Reason::Malformed {
            reading.documents.refuse(Fate::Refused(counted));
        }
        reading.documents.settle(0).await;
        let stored = reading.documents.stored();
        let reason = match stored {
            0 => reason,
            stored => format!("{reason}; {stored} documents before it are stored"),
        };
        return error(status, "illegal_argument_exception", &reason);
    }
    if reading.documents.len() == 0 {
        return error(StatusCode::BAD_REQUEST, "parse_exception", "request body is required");
    }
    counters.requests.add(1);
    reading.documents.hand_over();
    reading.documents.settle(0).await;
    bulk_reply(reading, began)
}

/// The reply's items are written while they are sent: a million of them would be large.
fn bulk_reply(reading: Reading, began: Instant) -> Response {
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

/// Collects a body that is one document; one byte over the limit says that it is too long.
struct Whole {
    bytes: Vec<u8>,
    limit: usize,
}

impl Sink for Whole {
    fn take(&mut self, bytes: &[u8]) {
        let room = (self.limit + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

async fn document(shared: &Arc<Shared>, peer: Option<SocketAddr>, index: &str, request: Request) -> Response {
    let counters = &shared.options.counters;
    let limits = &shared.options.limits;
    let Some(_place) = shared.place(peer) else {
        counters.requests_refused.add(1);
        return busy("too many requests at a time");
    };
    let source = match shared.peer_source(peer) {
        Ok(source) => source,
        Err(refused) => return busy(&refused.to_string()),
    };
    let (parts, body) = request.into_parts();
    let whole = Whole { bytes: Vec::new(), limit: limits.document_bytes };
    let read = async {
        let mut incoming = Incoming::new(body, &parts.headers, limits)?;
        let mut decompressor = Decompressor::new(&parts.headers, limits.body_bytes, whole)?;
        while let Some(piece) = incoming.next().await? {
            decompressor.write(&piece).await?;
        }
        decompressor.finish()?;
        Ok::<_, BodyError>(decompressor.take_sink().map_or_else(Vec::new, |whole| whole.bytes))
    };
    let bytes = match read.await {
        Ok(bytes) => bytes,
        Err(failed) => {
            counters.requests_refused.add(1);
            return error(failed.status(), "illegal_argument_exception", &failed.to_string());
        }
    };
    counters.requests.add(1);
    let mut documents = shared.documents(source);
    match check_object(&bytes) {
        _ if bytes.len() > limits.document_bytes => documents.refuse(Fate::Refused(Reason::TooLarge)),
        Ok(()) => documents.add(bytes.trim_ascii()),
        Err(bad) => documents.refuse(Fate::Bad(bad)),
    }
    documents.hand_over();
    documents.settle(0).await;
    let fate = documents.fates().first().copied().unwrap_or(Fate::Waiting);
    let (status, outcome) = item(documents.source(), fate);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let index = Value::from(percent_decoded(index));
    let text = match fate {
        Fate::Stored(_) => format!(r#"{{"_index":{index},{outcome}}}"#),
        _ => format!(r#"{{{outcome},"status":{}}}"#, status.as_u16()),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
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

/// `%2E` and the like in an index name.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()))
            .flatten();
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
