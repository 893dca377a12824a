//! Webhooks: `POST /webhooks/<name>`, believed by its signature.
//!
//! What a service sends becomes a document: its JSON as it is, and before it `webhook` with the name and what the headers say.
//! A delivery is taken once: its id (or, without one, its signature) is remembered ([`Deliveries`]), and where the service signs
//! a time, an old one is refused.

mod batch;
mod seen;
mod signature;
mod verification;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
pub use seen::Deliveries;
use serde_json::json;
pub use signature::{Algorithm, Check, Encoding, Secret, Signed};
use signature::{Refusal, Shown};
use vedette_event::Reason;
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    body::Sink,
    documents::{Documents, Fate, check_object, refusal},
    request::{self, BodyCutter, Fatal, Shared},
};
use crate::receive::json_text::{name, text};

/// The longest delivery; what carries several events may be longer than one record.
const MAX_DELIVERY: usize = 4 << 20;
/// So many events are handed over at a time.
const STEP: usize = 256;

/// A webhook that may be called.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name, in the path.
    pub name: String,
    /// How callers show that they know the secret.
    pub check: Check,
    /// How far a signed time may be from ours, and how long ids are remembered where no time is signed.
    pub window: Duration,
    /// Where the events are, if a delivery carries several: a path such as `data.events`. Without it a list and the usual batches are
    /// known by their form, and any other delivery is one event.
    pub events: Option<String>,
    /// The parser of its events; otherwise parsers are chosen by content.
    pub parser: Option<String>,
}

struct Hook {
    webhook: Webhook,
    shared: Arc<Shared>,
}

type Hooks = Arc<HashMap<String, Hook>>;

/// A router with the webhooks. Sources are `webhook:<name>`.
pub fn webhooks(spool: &Spool, options: &Options, webhooks: Vec<Webhook>) -> Router {
    let hook = |webhook: Webhook| {
        let options = Options { parser: webhook.parser.clone(), ..options.clone() };
        let shared = Shared::new(spool.clone(), "webhook", options);
        (webhook.name.clone(), Hook { webhook, shared })
    };
    let hooks: Hooks = Arc::new(webhooks.into_iter().map(hook).collect());
    Router::new().route("/webhooks/{name}", get(verify).post(deliver)).with_state(hooks)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

fn said(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({"error": reason}))).into_response()
}

/// Some services ask whether an address is theirs before they send to it (Okta's one-time verification).
async fn verify(State(hooks): State<Hooks>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(hook) = hooks.get(&name) else { return said(StatusCode::NOT_FOUND, "there is no such webhook") };
    match headers.get("x-okta-verification-challenge").and_then(|value| value.to_str().ok()) {
        Some(challenge) if matches!(hook.webhook.check, Check::Okta(_)) => {
            Json(json!({"verification": challenge})).into_response()
        }
        _ => said(StatusCode::METHOD_NOT_ALLOWED, "this webhook takes POST"),
    }
}

async fn deliver(State(hooks): State<Hooks>, Path(name): Path<String>, request: Request) -> Response {
    let peer = request::peer(&request);
    let Some(hook) = hooks.get(&name) else { return said(StatusCode::NOT_FOUND, "there is no such webhook") };
    let place = match hook.shared.enter(peer) {
        Ok(place) => place,
        Err(reason) => return said(StatusCode::TOO_MANY_REQUESTS, reason),
    };
    let source = match hook.shared.peers.named(&name) {
        Ok(source) => source,
        Err(refused) => return said(StatusCode::TOO_MANY_REQUESTS, &refused.to_string()),
    };
    let (parts, body) = request.into_parts();
    let limits = &hook.shared.options.limits;
    let documents = hook.shared.documents(source).patiently(limits.acknowledge_time);
    let delivery = Delivery {
        hook,
        parts: &parts,
        documents,
        bytes: Vec::new(),
        limit: limits.document_bytes,
        before: Vec::new(),
        events: VecDeque::new(),
        answer: None,
        id: None,
        fatal: None,
    };
    let (delivery, reached) = match request::store(&hook.shared, place, &parts, body, delivery).await {
        Ok(stored) => stored,
        Err(failure) => return said(failure.status, &failure.reason),
    };
    if let Some(answer) = delivery.answer {
        return Json(answer).into_response();
    }
    let stored = delivery.documents.stored();
    match (stored, delivery.id) {
        (0, _) => delivery.forget(),
        (_, Some(id)) => keep(hook, id).await,
        (_, None) => {}
    }
    match delivery.documents.first_refused().map(|(_, reason)| reason) {
        None => acknowledge::tell(Json(json!({"stored": stored})).into_response(), reached),
        Some(Reason::TooLarge) => said(StatusCode::PAYLOAD_TOO_LARGE, refusal(Reason::TooLarge)),
        Some(Reason::Malformed) => said(StatusCode::BAD_REQUEST, refusal(Reason::Malformed)),
        Some(reason) => said(StatusCode::SERVICE_UNAVAILABLE, refusal(reason)),
    }
}

/// Remembers that a delivery was taken, also for the time after a restart.
async fn keep(hook: &Hook, id: seen::Id) {
    let (deliveries, webhook) = (hook.shared.options.deliveries.clone(), hook.webhook.name.clone());
    let kept = tokio::task::spawn_blocking(move || {
        // It is stored, and the sender shall not send it again.
        deliveries.keep(&webhook, &id).unwrap_or_else(|error| {
            tracing::warn!(webhook, %error, "a delivery is not remembered and could be repeated after a restart");
        });
    });
    if let Err(error) = kept.await {
        tracing::error!(%error, "remembering a delivery failed");
    }
}

/// One delivery, whose signature is known to be right only at its end.
struct Delivery<'a> {
    hook: &'a Hook,
    parts: &'a Parts,
    documents: Documents,
    bytes: Vec<u8>,
    /// The longest record.
    limit: usize,
    /// How every record begins.
    before: Vec<u8>,
    events: VecDeque<Bytes>,
    /// What is to be answered instead of storing anything.
    answer: Option<serde_json::Value>,
    id: Option<seen::Id>,
    fatal: Option<Fatal>,
}

impl Delivery<'_> {
    fn check(&mut self) -> Result<(), Refusal> {
        let webhook = &self.hook.webhook;
        let shown: Shown = webhook.check.shown(&self.parts.headers, &self.bytes)?;
        let now = now();
        let window = webhook.window.as_secs() as i64;
        if let Some(time) = shown.time
            && time.abs_diff(now) > window.unsigned_abs()
        {
            return Err(Refusal::Stale);
        }
        let deliveries = &self.hook.shared.options.deliveries;
        // A time that is still in the window may be in our future by as much.
        if !deliveries.is_new(&webhook.name, shown.id, now, now.saturating_add(window.saturating_mul(2))) {
            return Err(Refusal::Repeated);
        }
        self.id = Some(shown.id);
        Ok(())
    }

    /// It was not taken, and may come again.
    fn forget(&self) {
        if let Some(id) = &self.id {
            self.hook.shared.options.deliveries.forget(&self.hook.webhook.name, id);
        }
    }

    /// Finds the events.
    fn open(&mut self) -> Result<(), Fatal> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let bytes = bytes.slice_ref(bytes.trim_ascii());
        if !bytes.starts_with(b"[") {
            check_object(&bytes).map_err(|bad| fatal(StatusCode::BAD_REQUEST, &bad.reason(), Reason::Malformed))?;
        }
        self.answer = verification::answer(&self.hook.webhook.check, &bytes);
        if self.answer.is_some() {
            return Ok(());
        }
        let mut before = b"{\"webhook\":{".to_vec();
        name("name", &mut before);
        text(self.hook.webhook.name.as_bytes(), &mut before);
        for (header, key) in [
            ("x-github-event", "event"),
            ("x-github-delivery", "delivery"),
            ("webhook-id", "delivery"),
            ("user-agent", "user_agent"),
        ] {
            if let Some(value) = self.parts.headers.get(header) {
                name(key, &mut before);
                text(value.as_bytes(), &mut before);
            }
        }
        before.push(b'}');
        self.before = before;
        self.events = batch::events(&bytes, self.hook.webhook.events.as_deref())?;
        Ok(())
    }
}

fn fatal(status: StatusCode, reason: &str, counted: Reason) -> Fatal {
    Fatal { status, reason: reason.to_owned(), counted }
}

impl Sink for Delivery<'_> {
    fn take(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > MAX_DELIVERY {
            let reason = "the delivery is longer than the limit";
            self.fatal = Some(fatal(StatusCode::PAYLOAD_TOO_LARGE, reason, Reason::TooLarge));
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl BodyCutter for Delivery<'_> {
    fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        self.fatal.clone()
    }

    fn finish(&mut self) {
        match self.check() {
            Err(refusal) => {
                let (status, reason) = refusal.said();
                tracing::warn!(webhook = self.hook.webhook.name, reason, "a delivery is refused");
                self.fatal = Some(fatal(status, reason, Reason::Malformed));
            }
            Ok(()) => {
                self.fatal = self.open().err();
                if self.fatal.is_some() {
                    self.forget();
                }
            }
        }
    }

    fn unpack(&mut self) -> bool {
        for event in self.events.drain(..STEP.min(self.events.len())) {
            let members = event.strip_prefix(b"{").unwrap_or_default();
            let comma: &[u8] = if members.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
            let document = [&self.before, comma, members].concat();
            match document.len() > self.limit {
                true => self.documents.refuse(Fate::Refused(Reason::TooLarge)),
                false => self.documents.add(&document),
            }
        }
        !self.events.is_empty()
    }
}
