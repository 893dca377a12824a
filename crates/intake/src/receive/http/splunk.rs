//! Splunk's HTTP event collector
//! ([endpoints](https://help.splunk.com/en/splunk-enterprise/leverage-rest-apis/rest-api-reference/10.0/input-endpoints/input-endpoint-descriptions)).
//!
//! `/services/collector` takes JSON objects one after another, `/services/collector/raw` lines. A reply comes when all is durable;
//! so an acknowledgement that is asked for afterwards (`/services/collector/ack`) is positive at once.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    body::Sink,
    documents::{Documents, Fate, check_object},
    request::{self, BodyCutter, Fatal, Shared},
};
use crate::receive::{
    json_elements::{Element, Elements, Layout},
    lines::{Line, Lines},
    places::Place,
};

/// Channels whose acknowledgements are remembered.
const MAX_CHANNELS: usize = 10_000;
const MAX_CHANNEL_NAME: usize = 128;
/// A question for acknowledgements.
const MAX_QUESTION: usize = 1 << 20;
const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");

struct Collector {
    shared: Arc<Shared>,
    channels: Mutex<Channels>,
}

/// How many acknowledgements each channel was given.
#[derive(Default)]
struct Channels {
    given: HashMap<Box<str>, u64>,
    /// The oldest first.
    order: VecDeque<Box<str>>,
}

impl Channels {
    /// The next number of a channel.
    fn next(&mut self, channel: &str) -> u64 {
        if let Some(given) = self.given.get_mut(channel) {
            *given += 1;
            return *given - 1;
        }
        if self.order.len() >= MAX_CHANNELS
            && let Some(oldest) = self.order.pop_front()
        {
            self.given.remove(&oldest);
        }
        self.order.push_back(channel.into());
        self.given.insert(channel.into(), 1);
        0
    }
}

/// A router with the collector's paths. Sources are `hec:<address>`.
pub fn splunk(spool: Spool, options: Options) -> Router {
    let shared = Shared::new(spool, "hec", options);
    let collector = Arc::new(Collector { shared, channels: Mutex::default() });
    Router::new()
        .route("/services/collector", post(events).options(async || ""))
        .route("/services/collector/event", post(events).options(async || ""))
        .route("/services/collector/event/1.0", post(events))
        .route("/services/collector/raw", post(raw))
        .route("/services/collector/raw/1.0", post(raw))
        .route("/services/collector/ack", any(acknowledgements))
        .route("/services/collector/ack/1.0", any(acknowledgements))
        .route("/services/collector/health", any(health))
        .route("/services/collector/health/1.0", any(health))
        .with_state(collector)
}

/// What the collector says, with its number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    TokenRequired,
    InvalidToken,
    NoData,
    InvalidFormat,
    InternalError,
    ServerBusy,
    ChannelMissing,
    InvalidChannel,
    EventRequired,
    EventBlank,
}

impl Said {
    fn parts(self) -> (StatusCode, u8, &'static str) {
        match self {
            Said::TokenRequired => (StatusCode::UNAUTHORIZED, 2, "Token is required"),
            Said::InvalidToken => (StatusCode::FORBIDDEN, 4, "Invalid token"),
            Said::NoData => (StatusCode::BAD_REQUEST, 5, "No data"),
            Said::InvalidFormat => (StatusCode::BAD_REQUEST, 6, "Invalid data format"),
            Said::InternalError => (StatusCode::INTERNAL_SERVER_ERROR, 8, "Internal server error"),
            Said::ServerBusy => (StatusCode::SERVICE_UNAVAILABLE, 9, "Server is busy"),
            Said::ChannelMissing => (StatusCode::BAD_REQUEST, 10, "Data channel is missing"),
            Said::InvalidChannel => (StatusCode::BAD_REQUEST, 11, "Invalid data channel"),
            Said::EventRequired => (StatusCode::BAD_REQUEST, 12, "Event field is required"),
            Said::EventBlank => (StatusCode::BAD_REQUEST, 13, "Event field cannot be blank"),
        }
    }

    /// With the event that it is about, and more for people.
    fn reply(self, event: Option<usize>, detail: Option<&str>) -> Response {
        let (status, code, text) = self.parts();
        let mut body = json!({"text": text, "code": code});
        if let Some(event) = event {
            body["invalid-event-number"] = event.into();
        }
        if let Some(detail) = detail {
            body["detail"] = detail.into();
        }
        let mut response = (status, Json(body)).into_response();
        if self == Said::ServerBusy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl Collector {
    fn allow(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), Box<Response>> {
        match self.shared.is_allowed(headers, peer) {
            true => Ok(()),
            false if headers.contains_key(header::AUTHORIZATION) => Err(Box::new(Said::InvalidToken.reply(None, None))),
            false => Err(Box::new(Said::TokenRequired.reply(None, None))),
        }
    }

    async fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<(Place, Arc<Source>), Box<Response>> {
        self.allow(headers, peer)?;
        let admitted = self.shared.admit_patiently(peer).await;
        admitted.map_err(|reason| Box::new(Said::ServerBusy.reply(None, Some(&reason))))
    }

    fn documents(&self, source: Arc<Source>) -> Documents {
        self.shared.documents(source).patiently(self.shared.options.limits.acknowledge_time)
    }

    /// The reply to documents whose fates are known.
    fn reply(&self, documents: &Documents, parts: &Parts) -> Response {
        match documents.first_refused() {
            _ if documents.len() == 0 => Said::NoData.reply(None, None),
            Some((at, Reason::TooLarge)) => {
                Said::InvalidFormat.reply(Some(at), Some("the event is longer than the limit"))
            }
            Some((at, Reason::Malformed)) => Said::InvalidFormat.reply(Some(at), None),
            Some((_, Reason::WriteFailed)) => Said::InternalError.reply(None, Some("writing to the disk failed")),
            Some(_) => Said::ServerBusy.reply(None, None),
            None => match channel(&parts.headers, &parts.uri) {
                None => Json(json!({"text": "Success", "code": 0})).into_response(),
                Some(channel) => {
                    let number = self.channels.lock().unwrap_or_else(PoisonError::into_inner).next(&channel);
                    Json(json!({"text": "Success", "code": 0, "ackId": number})).into_response()
                }
            },
        }
    }
}

/// The channel that a request names, if it names a possible one.
fn channel(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let named = headers.get(CHANNEL).and_then(|value| value.to_str().ok());
    let asked = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("channel="));
    let channel = named.or_else(asked)?;
    let plain = channel.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=MAX_CHANNEL_NAME).contains(&channel.len())).then(|| channel.to_ascii_lowercase())
}

async fn health(State(collector): State<Arc<Collector>>) -> Response {
    match collector.shared.is_refusing() {
        None => Json(json!({"text": "HEC is healthy", "code": 17})).into_response(),
        Some(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"text": format!("HEC is unhealthy: {reason}"), "code": 18})))
                .into_response()
        }
    }
}

async fn events(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (place, source) = match collector.admit(request.headers(), request::peer(&request)).await {
        Ok(admitted) => admitted,
        Err(refused) => return *refused,
    };
    let (parts, body) = request.into_parts();
    let limits = &collector.shared.options.limits;
    let cutter = Events {
        taken: Taken { documents: collector.documents(source), wrong: None, limit: limits.documents },
        elements: Elements::new(Layout::Sequence, limits.document_bytes),
    };
    match request::store(&collector.shared, place, &parts, body, cutter).await {
        Ok((events, reached)) => acknowledge::tell(collector.reply(&events.taken.documents, &parts), reached),
        Err(failure) => match failure.reason.split_once(' ').and_then(|(code, at)| Some((code, at.parse().ok()?))) {
            Some(("12", at)) => Said::EventRequired.reply(Some(at), None),
            Some(("13", at)) => Said::EventBlank.reply(Some(at), None),
            Some(("6", at)) => Said::InvalidFormat.reply(Some(at), None),
            _ => refused(&failure),
        },
    }
}

fn refused(failure: &request::Failure) -> Response {
    let mut response = Said::InvalidFormat.reply(None, Some(&failure.reason));
    *response.status_mut() = failure.status;
    response
}

/// Event objects, one after another, with or without white space between them.
struct Events {
    taken: Taken,
    elements: Elements,
}

struct Taken {
    documents: Documents,
    /// What the first wrong event is, and its place.
    wrong: Option<(Said, usize)>,
    limit: usize,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a serde_json::value::RawValue>,
}

impl Taken {
    fn element(&mut self, element: Element<'_>) {
        if self.wrong.is_some() {
            return;
        }
        let at = self.documents.len();
        match element {
            _ if at >= self.limit => self.wrong = Some((Said::InvalidFormat, at)),
            Element::TooLong => self.documents.refuse(Fate::Refused(Reason::TooLarge)),
            Element::Garbage => self.wrong = Some((Said::InvalidFormat, at)),
            Element::Whole(bytes) if check_object(bytes).is_err() => self.wrong = Some((Said::InvalidFormat, at)),
            Element::Whole(bytes) => {
                // An envelope whose text is not UTF-8 has an event too.
                let event = serde_json::from_slice::<Envelope<'_>>(bytes).ok().map(|envelope| envelope.event);
                match event.map(|event| event.map(serde_json::value::RawValue::get)) {
                    Some(None | Some("null")) => self.wrong = Some((Said::EventRequired, at)),
                    Some(Some("\"\"" | "{}")) => self.wrong = Some((Said::EventBlank, at)),
                    Some(Some(_)) | None => self.documents.add(bytes),
                }
            }
        }
    }
}

impl Sink for Events {
    fn take(&mut self, bytes: &[u8]) {
        let taken = &mut self.taken;
        let Ok(()) = self.elements.push(bytes, |element| {
            taken.element(element);
            Ok::<(), Infallible>(())
        });
    }
}

impl BodyCutter for Events {
    fn documents(&mut self) -> &mut Documents {
        &mut self.taken.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        let (said, at) = self.taken.wrong?;
        let reason = format!("{} {at}", said.parts().1);
        Some(Fatal { status: StatusCode::BAD_REQUEST, reason, counted: Reason::Malformed })
    }

    fn finish(&mut self) {
        let taken = &mut self.taken;
        let Ok(()) = self.elements.finish(|element| {
            taken.element(element);
            Ok::<(), Infallible>(())
        });
    }
}

async fn raw(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (place, source) = match collector.admit(request.headers(), request::peer(&request)).await {
        Ok(admitted) => admitted,
        Err(refused) => return *refused,
    };
    let (parts, body) = request.into_parts();
    let limits = &collector.shared.options.limits;
    let about: BTreeMap<&str, String> = ["host", "source", "sourcetype", "index"]
        .into_iter()
        .filter_map(|name| {
            let value = parts.uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
            Some((name, request::percent_decoded(value)))
        })
        .collect();
    let cutter = Raw { documents: collector.documents(source), lines: Lines::new(limits.line_bytes), about };
    match request::store(&collector.shared, place, &parts, body, cutter).await {
        Ok((raw, reached)) => acknowledge::tell(collector.reply(&raw.documents, &parts), reached),
        Err(failure) => refused(&failure),
    }
}

/// Lines. What the query says about them comes before each, as in an event object.
struct Raw {
    documents: Documents,
    lines: Lines,
    about: BTreeMap<&'static str, String>,
}

fn raw_line(documents: &mut Documents, about: &BTreeMap<&str, String>, line: Line<'_>) {
    match line {
        Line::Whole(line) if line.trim_ascii().is_empty() => {}
        Line::Whole(line) if about.is_empty() => documents.add(line),
        Line::Whole(line) => {
            let mut json = b"{".to_vec();
            for (name, value) in about {
                crate::receive::json_text::name(name, &mut json);
                crate::receive::json_text::text(value.as_bytes(), &mut json);
            }
            crate::receive::json_text::name("event", &mut json);
            crate::receive::json_text::text(line, &mut json);
            json.push(b'}');
            documents.add(&json);
        }
        Line::TooLong => documents.refuse(Fate::Refused(Reason::TooLarge)),
    }
}

impl Sink for Raw {
    fn take(&mut self, bytes: &[u8]) {
        let (documents, about) = (&mut self.documents, &self.about);
        let Ok(()) = self.lines.push(bytes, |line| {
            raw_line(documents, about, line);
            Ok::<(), Infallible>(())
        });
    }
}

impl BodyCutter for Raw {
    fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        None
    }

    fn finish(&mut self) {
        let (documents, about) = (&mut self.documents, &self.about);
        let Ok(()) = self.lines.finish(|line| {
            raw_line(documents, about, line);
            Ok::<(), Infallible>(())
        });
    }
}

#[derive(Deserialize)]
struct Question {
    acks: Vec<u64>,
}

async fn acknowledgements(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    if let Err(refused) = collector.allow(request.headers(), request::peer(&request)) {
        return *refused;
    }
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (parts, body) = request.into_parts();
    let Some(channel) = channel(&parts.headers, &parts.uri) else {
        let named = parts.headers.contains_key(CHANNEL) || parts.uri.query().is_some_and(|q| q.contains("channel="));
        return if named { Said::InvalidChannel } else { Said::ChannelMissing }.reply(None, None);
    };
    let Ok(body) = to_bytes(body, MAX_QUESTION).await else { return Said::InvalidFormat.reply(None, None) };
    let Ok(Question { acks }) = serde_json::from_slice(&body) else { return Said::InvalidFormat.reply(None, None) };
    let channels = collector.channels.lock().unwrap_or_else(PoisonError::into_inner);
    let given = channels.given.get(&*channel).copied().unwrap_or(0);
    // What was given a number was durable before.
    let acks: serde_json::Map<String, Value> =
        acks.into_iter().map(|number| (number.to_string(), Value::from(number < given))).collect();
    Json(json!({"acks": acks})).into_response()
}
