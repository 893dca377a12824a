//! `POST /ingest`: NDJSON, a JSON array, or plain lines.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use vedette_event::{Reason, Source};
use vedette_spool::{Refused, Spool};

use super::{
    Options, acknowledge,
    body::Sink,
    documents::{Bad, Documents, Fate, check_object, refusal},
    request::{self, BodyCutter, Fatal, Shared},
};
use crate::receive::{
    json_elements::{Element, Elements, Layout},
    lines::{Line, Lines},
};

/// The reply names at most this many refused records; the others are only counted.
const MAX_REFUSED_LISTED: usize = 1000;
const MAX_SOURCE_NAME: usize = 128;

/// A router with `POST /ingest`. Sources are `http:<address>`, or `http:<name>` when the request gives
/// `?source=<name>` or the header `X-Vedette-Source`.
pub fn ndjson(spool: Spool, options: Options) -> Router {
    Router::new().route("/ingest", post(ingest)).with_state(Shared::new(spool, "http", options))
}

async fn ingest(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let limits = &shared.options.limits;
    let peer = request::peer(&request);
    if !shared.is_allowed(request.headers(), peer) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (challenge, failure(StatusCode::UNAUTHORIZED, "a valid token is required", 0)).into_response();
    }
    let place = match shared.enter(peer) {
        Ok(place) => place,
        Err(reason) => return failure(StatusCode::TOO_MANY_REQUESTS, reason, 0),
    };
    let (parts, body) = request.into_parts();
    let source = match source(&shared, &parts.headers, &parts.uri, peer) {
        Ok(source) => source,
        Err(response) => return *response,
    };
    let body_cutter =
        Body::new(shared.documents(source), Form::of(&parts.headers), limits.document_bytes, limits.documents);
    match request::store(&shared, place, &parts, body, body_cutter).await {
        Ok((body, reached)) => acknowledge::tell(report(&body.taken), reached),
        Err(refused) => failure(refused.status, &refused.reason, refused.stored),
    }
}

/// What was received, stored and refused. 200 when anything was stored (or nothing was sent), otherwise the
/// status that fits the first refusal.
fn report(taken: &Taken) -> Response {
    let fates = taken.documents.fates();
    let stored = taken.documents.stored();
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let mut refused = Vec::new();
    let mut status = StatusCode::OK;
    for (fate, place) in fates.iter().zip(&taken.places) {
        let (counted, reason, would_be) = match fate {
            Fate::Stored(_) | Fate::Waiting => continue,
            Fate::Refused(reason) => (*reason, refusal(*reason).to_owned(), status_of(*reason)),
            Fate::Bad(bad) => (Reason::Malformed, bad.reason(), StatusCode::BAD_REQUEST),
        };
        if stored == 0 && status == StatusCode::OK {
            status = would_be;
        }
        *reasons.entry(counted.as_str()).or_default() += 1;
        if refused.len() < MAX_REFUSED_LISTED {
            refused.push(json!({"line": place, "reason": reason}));
        }
    }
    let body = json!({"received": fates.len(), "stored": stored, "refused": refused, "refused_by_reason": reasons});
    with_retry(status, (status, Json(body)).into_response())
}

fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::WriteFailed => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Malformed => StatusCode::BAD_REQUEST,
        _ => StatusCode::TOO_MANY_REQUESTS,
    }
}

fn failure(status: StatusCode, reason: &str, stored: usize) -> Response {
    with_retry(status, (status, Json(json!({"error": reason, "stored": stored}))).into_response())
}

fn with_retry(status: StatusCode, mut response: Response) -> Response {
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn source(
    shared: &Shared,
    headers: &HeaderMap,
    uri: &Uri,
    peer: Option<SocketAddr>,
) -> Result<Arc<Source>, Box<Response>> {
    let asked = headers.get("x-vedette-source").map(|value| value.to_str().unwrap_or("")).or_else(|| {
        let query = uri.query()?;
        query.split('&').find_map(|pair| pair.strip_prefix("source="))
    });
    let found = match asked {
        None => shared.peer_source(peer),
        Some(name) if !is_source_name(name) => {
            let reason = "a source name has 1 to 128 of the characters A-Z a-z 0-9 . _ : / -";
            return Err(Box::new(failure(StatusCode::BAD_REQUEST, reason, 0)));
        }
        Some(name) => named_or_other(shared, name),
    };
    found.map_err(|refused| Box::new(failure(StatusCode::TOO_MANY_REQUESTS, &refused.to_string(), 0)))
}

fn named_or_other(shared: &Shared, name: &str) -> Result<Arc<Source>, Refused> {
    shared.peers.named(name).or_else(|refused| match refused.reason {
        Reason::TooManySources => shared.peers.other(),
        _ => Err(refused),
    })
}

fn is_source_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=MAX_SOURCE_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

/// What the records of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Every line is a record, whatever it holds.
    Text,
    /// Every line is a JSON object, or the body is one JSON array.
    Lines,
    /// JSON objects one after another, over as many lines as they like, or one JSON array.
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Form {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
        match kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
            "text/plain" => Form::Text,
            "application/json" => Form::Json,
            _ => Form::Lines,
        }
    }
}

enum Cutter {
    Undecided,
    Lines(Lines),
    Elements(Elements),
}

struct Body {
    form: Form,
    limit: usize,
    cutter: Cutter,
    taken: Taken,
}

struct Taken {
    documents: Documents,
    /// Line (or element) number of each document, from 1.
    places: Vec<u32>,
    max_documents: usize,
    number: u32,
    full: bool,
}

impl Body {
    fn new(documents: Documents, form: Form, limit: usize, max_documents: usize) -> Self {
        let cutter = if form == Form::Text { Cutter::Lines(Lines::new(limit)) } else { Cutter::Undecided };
        let taken = Taken { documents, places: Vec::new(), max_documents, number: 0, full: false };
        Body { form, limit, cutter, taken }
    }

    fn decide(&mut self, bytes: &[u8]) {
        if let Cutter::Undecided = self.cutter
            && let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.cutter = match (first, self.form) {
                (b'[', _) => Cutter::Elements(Elements::new(Layout::Array, self.limit)),
                (_, Form::Json) => Cutter::Elements(Elements::new(Layout::Sequence, self.limit)),
                _ => Cutter::Lines(Lines::new(self.limit)),
            };
        }
    }
}

impl BodyCutter for Body {
    fn documents(&mut self) -> &mut Documents {
        &mut self.taken.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        self.taken.full.then(|| Fatal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: format!("more than {} records in one request; send smaller requests", self.taken.max_documents),
            counted: Reason::TooLarge,
        })
    }

    fn finish(&mut self) {
        let (taken, form) = (&mut self.taken, self.form);
        let Ok(()) = match &mut self.cutter {
            Cutter::Undecided => Ok(()),
            Cutter::Lines(lines) => lines.finish(|line| {
                taken.line(line, form);
                Ok::<(), Infallible>(())
            }),
            Cutter::Elements(elements) => elements.finish(|element| {
                taken.element(element);
                Ok::<(), Infallible>(())
            }),
        };
    }
}

impl Sink for Body {
    fn take(&mut self, bytes: &[u8]) {
        self.decide(bytes);
        let (taken, form) = (&mut self.taken, self.form);
        let Ok(()) = match &mut self.cutter {
            Cutter::Undecided => {
                // Blank lines before the first record count as lines.
                let blank = bytes.iter().filter(|byte| **byte == b'\n').count();
                taken.number = taken.number.saturating_add(u32::try_from(blank).unwrap_or(u32::MAX));
                Ok(())
            }
            Cutter::Lines(lines) => lines.push(bytes, |line| {
                taken.line(line, form);
                Ok::<(), Infallible>(())
            }),
            Cutter::Elements(elements) => elements.push(bytes, |element| {
                taken.element(element);
                Ok::<(), Infallible>(())
            }),
        };
    }
}

impl Taken {
    fn line(&mut self, line: Line<'_>, form: Form) {
        self.number = self.number.saturating_add(1);
        match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => {}
            Line::Whole(line) if form == Form::Text => self.add(line),
            Line::Whole(line) => self.check(line),
            Line::TooLong => self.refuse(Fate::Refused(Reason::TooLarge)),
        }
    }

    fn element(&mut self, element: Element<'_>) {
        self.number = self.number.saturating_add(1);
        match element {
            Element::Whole(element) => self.check(element),
            Element::TooLong => self.refuse(Fate::Refused(Reason::TooLarge)),
            Element::Garbage => self.refuse(Fate::Bad(Bad::Garbage)),
        }
    }

    fn check(&mut self, document: &[u8]) {
        match check_object(document) {
            Ok(()) => self.add(document),
            Err(bad) => self.refuse(Fate::Bad(bad)),
        }
    }

    fn add(&mut self, document: &[u8]) {
        if self.has_room() {
            self.places.push(self.number);
            self.documents.add(document);
        }
    }

    fn refuse(&mut self, fate: Fate) {
        if self.has_room() {
            self.places.push(self.number);
            self.documents.refuse(fate);
        }
    }

    fn has_room(&mut self) -> bool {
        self.full |= self.places.len() >= self.max_documents;
        !self.full
    }
}
