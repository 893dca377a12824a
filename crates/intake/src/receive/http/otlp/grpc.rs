//! gRPC, as far as one call with one message needs it
//! ([gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)): a message is one byte that says whether it is
//! compressed, four of length, and its bytes; how a call ended is in the trailers.
//!
//! Not by a library: so a call goes the way of every other request, with the same limits, account and acknowledgement.

use std::{convert::Infallible, io::Read, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Full};

use super::{super::message::MAX_MESSAGE, Outcome, proto};
use crate::receive::http::{
    documents::refusal,
    message::{Message, Unpacked, Unreadable},
    request::{self, Shared},
};

/// Bytes before a message.
const HEAD: usize = 5;

const OK: u16 = 0;
const UNIMPLEMENTED: u16 = 12;
const UNAVAILABLE: u16 = 14;

/// The code of a refusal ([codes](https://github.com/grpc/grpc/blob/master/doc/statuscodes.md)).
pub(super) fn code(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => 3,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE => 3,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => UNAVAILABLE,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        _ => 13,
    }
}

pub(super) async fn export(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request::peer(&request);
    if !is_grpc(request.headers()) {
        let mut response =
            Response::new(Body::from("this address speaks gRPC; OTLP over HTTP is at /v1/logs elsewhere"));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    if !shared.is_allowed(request.headers(), peer) {
        return ended(code(StatusCode::UNAUTHORIZED), "a valid token is required");
    }
    let (place, source) = match shared.admit_patiently(peer).await {
        Ok(admitted) => admitted,
        Err(reason) => return ended(UNAVAILABLE, &reason),
    };
    let (parts, body) = request.into_parts();
    let documents = shared.documents(source).patiently(shared.options.limits.acknowledge_time);
    let message = Message::new(documents, &shared.options.limits, unpack);
    match request::store(&shared, place, &parts, body, message).await {
        Ok((message, _)) => {
            let outcome = Outcome::of(&message.into_documents());
            match outcome.again {
                Some(reason) => ended(UNAVAILABLE, refusal(reason)),
                None => answered(proto::response(outcome.rejected, outcome.reason)),
            }
        }
        Err(failure) => ended(code(failure.status), &failure.reason),
    }
}

/// Whatever else is called.
pub(super) async fn unknown() -> Response {
    ended(UNIMPLEMENTED, "only logs are taken here (LogsService/Export)")
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    kind == "application/grpc" || kind.starts_with("application/grpc+proto") || kind.starts_with("application/grpc;")
}

/// One framed message, perhaps compressed.
fn unpack(framed: &[u8], records: &mut Unpacked) -> Result<(), Unreadable> {
    let Some((head, message)) = framed.split_first_chunk::<HEAD>() else {
        return Err("there is no message in the call".to_owned().into());
    };
    let [compressed, length @ ..] = *head;
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err("the call's message has another length than it says".to_owned().into());
    }
    match compressed {
        0 => proto::unpack(message, records),
        1 => proto::unpack(&inflate(message)?, records),
        _ => Err("the message's compression flag is neither 0 nor 1".to_owned().into()),
    }
}

/// gzip is all that the OTLP specification asks for.
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(MAX_MESSAGE as u64 + 1).read_to_end(&mut message);
    read.map_err(|error| format!("gzip: {error}"))?;
    match message.len() > MAX_MESSAGE {
        true => Err(format!("gzip: the message is larger than {MAX_MESSAGE} bytes")),
        false => Ok(message),
    }
}

/// A reply with a message, and trailers that say that all went well.
fn answered(message: Vec<u8>) -> Response {
    let mut framed = Vec::with_capacity(HEAD + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    let trailers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from(OK))]);
    let body = Full::new(Bytes::from(framed)).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A reply without a message: the status is in the head.
fn ended(code: u16, reason: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code));
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'%';
    let encoded: String = reason
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if let Ok(message) = HeaderValue::from_str(&encoded) {
        headers.insert("grpc-message", message);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::receive::http::message::unpacked;

    fn framed(compressed: u8, message: &[u8]) -> Vec<u8> {
        [&[compressed][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn compressed_messages() {
        // resource_logs { scope_logs { log_records { body { string_value: "x" } } } }
        let message = b"\x0a\x09\x12\x07\x12\x05\x2a\x03\x0a\x01x";
        let plain = unpacked(unpack, &framed(0, message)).unwrap();
        assert_eq!(plain.len(), 1);
        let compressed = gzip(message);
        assert_eq!(unpacked(unpack, &framed(1, &compressed)).unwrap(), plain);
        assert_eq!(unpacked(unpack, &framed(1, &[gzip(&message[..4]), gzip(&message[4..])].concat())).unwrap(), plain);
        for end in 0..compressed.len() {
            assert!(unpacked(unpack, &framed(1, &compressed[..end])).is_err(), "cut off after {end} bytes");
        }
        assert!(unpacked(unpack, &framed(2, message)).is_err());
        let bomb = gzip(&vec![0; MAX_MESSAGE + 1]);
        let refused = unpacked(unpack, &framed(1, &bomb)).unwrap_err();
        assert!(matches!(refused, Unreadable::Malformed(reason) if reason.contains("larger than")));
    }
}
