//! OTLP logs ([specification](https://opentelemetry.io/docs/specs/otlp/), 1.x): over HTTP as protobuf or JSON, and over gRPC.
//!
//! A request is a tree (resources, their scopes, their log records). Every log record becomes a document of its own, as JSON:
//! what the resource and the scope say, and the record's fields by their OTLP/JSON names, attributes as plain JSON.

mod grpc;
mod json;
mod proto;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use vedette_event::Reason;
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    documents::{Documents, refusal},
    message::{Message, Unpack},
    request::{self, Shared},
};

/// Attributes may be nested so deep.
const MAX_DEPTH: usize = 32;

/// A router with `POST /v1/logs`. Sources are `otlp:<address>`.
pub fn otlp(spool: Spool, options: Options) -> Router {
    Router::new().route("/v1/logs", post(logs)).with_state(shared(spool, options))
}

/// A router with the gRPC method `LogsService/Export`, for a listener that speaks HTTP/2. Sources are `otlp:<address>`.
pub fn otlp_grpc(spool: Spool, options: Options) -> Router {
    let router = Router::new().route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(grpc::export));
    router.fallback(grpc::unknown).with_state(shared(spool, options))
}

fn shared(spool: Spool, options: Options) -> Arc<Shared> {
    Shared::new(spool, "otlp", options)
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Encoding> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
            "application/json" => Some(Encoding::Json),
            _ => None,
        }
    }

    fn unpack(self) -> Unpack {
        match self {
            Encoding::Protobuf => proto::unpack,
            Encoding::Json => json::unpack,
        }
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        })
    }
}

/// What became of a request's log records.
struct Outcome {
    /// Records that will never be stored: their sender must not send them again.
    rejected: u64,
    reason: Option<&'static str>,
    /// Why the request is to be sent again, if it is.
    again: Option<Reason>,
}

impl Outcome {
    fn of(documents: &Documents) -> Outcome {
        let mut outcome = Outcome { rejected: 0, reason: None, again: None };
        for (_, reason) in documents.refusals() {
            match reason {
                Reason::Busy | Reason::DiskFull | Reason::WriteFailed | Reason::TooManySources => {
                    outcome.again = Some(reason);
                }
                reason => {
                    outcome.rejected += 1;
                    outcome.reason = Some(refusal(reason));
                }
            }
        }
        outcome
    }
}

async fn logs(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request::peer(&request);
    let Some(encoding) = Encoding::of(request.headers()) else {
        let reason = "the content type must be application/x-protobuf or application/json";
        return failed(Encoding::Json, StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    };
    if !shared.is_allowed(request.headers(), peer) {
        return failed(encoding, StatusCode::UNAUTHORIZED, "a valid token is required");
    }
    let (place, source) = match shared.admit_patiently(peer).await {
        Ok(admitted) => admitted,
        Err(reason) => return failed(encoding, StatusCode::TOO_MANY_REQUESTS, &reason),
    };
    let (parts, body) = request.into_parts();
    let documents = shared.documents(source).patiently(shared.options.limits.acknowledge_time);
    let message = Message::new(documents, &shared.options.limits, encoding.unpack());
    match request::store(&shared, place, &parts, body, message).await {
        Ok((message, reached)) => {
            let outcome = Outcome::of(&message.into_documents());
            match outcome.again {
                Some(reason) => failed(encoding, StatusCode::SERVICE_UNAVAILABLE, refusal(reason)),
                None => acknowledge::tell(answered(encoding, &outcome), reached),
            }
        }
        Err(failure) => failed(encoding, failure.status, &failure.reason),
    }
}

/// 200, with what was rejected.
fn answered(encoding: Encoding, outcome: &Outcome) -> Response {
    let body = match encoding {
        Encoding::Protobuf => proto::response(outcome.rejected, outcome.reason),
        Encoding::Json => match outcome.reason {
            None => b"{}".to_vec(),
            // 64-bit numbers are text in OTLP/JSON.
            Some(reason) => {
                let rejected = outcome.rejected.to_string();
                json!({"partialSuccess": {"rejectedLogRecords": rejected, "errorMessage": reason}}).to_string().into()
            }
        },
    };
    ([(header::CONTENT_TYPE, encoding.media_type())], body).into_response()
}

/// A `google.rpc.Status`.
fn failed(encoding: Encoding, status: StatusCode, reason: &str) -> Response {
    let code = grpc::code(status);
    let body = match encoding {
        Encoding::Protobuf => proto::status(code, reason),
        Encoding::Json => json!({"code": code, "message": reason}).to_string().into(),
    };
    let mut response = (status, [(header::CONTENT_TYPE, encoding.media_type())], body).into_response();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
