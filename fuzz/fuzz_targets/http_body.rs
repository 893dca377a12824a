//! `_bulk`, `_doc` and `/ingest` bodies, through the routers into a spool.
//!
//! Five bytes choose the route, the content type, the encoding (which the target applies, or leaves for the
//! decompressor to find broken) and how the body is cut into pieces. The reply is never a server error; it says as
//! many stored documents as the spool holds, and the ledger as many refused ones; a stored document is a piece of
//! the body; and however the body is cut, what is stored and said is the same.

#![no_main]

use std::{io::Write, time::Duration};

use axum::{Router, body::Body, http::{Request, StatusCode}};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use vedette_fuzz::{pieces, take};
use vedette_intake::receive::{Limits, http};
use vedette_spool::Position;

const ROUTES: [(&str, &str); 8] = [
    ("/_bulk", "application/x-ndjson"),
    ("/logs-x/_bulk", "application/json"),
    ("/ingest", "application/x-ndjson"),
    ("/ingest?source=fuzz", "application/json"),
    ("/ingest", "text/plain"),
    ("/logs-x/_doc", "application/json"),
    ("/logs-x/_create/7", "application/json"),
    ("/_bulk?pipeline=x&refresh", "text/plain; charset=utf-8"),
];

#[derive(Debug, PartialEq)]
struct Outcome {
    status: StatusCode,
    reply: Value,
    stored: Vec<Bytes>,
    refused: u64,
}

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

fn send(route: (&str, &str), encoding: &str, pieces: &[&[u8]]) -> Outcome {
    let (_folder, spool) = vedette_fuzz::spool();
    let limits = Limits {
        document_bytes: 256,
        documents: 40,
        body_bytes: 32 << 10,
        chunk_bytes: 300,
        ..Limits::default()
    };
    let options = http::Options { limits, ..http::Options::default() };
    let router: Router = match route.0.starts_with("/ingest") {
        true => http::ndjson(spool.clone(), options),
        false => http::elasticsearch(spool.clone(), options),
    };
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let body = Body::from_stream(futures::stream::iter(pieces));
    let mut request = Request::post(route.0).header("content-type", route.1);
    if !encoding.is_empty() {
        request = request.header("content-encoding", encoding);
    }
    let request = request.body(body).expect("the parts are valid");
    let (status, reply) = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let Ok(response) = router.oneshot(request).await;
            let status = response.status();
            (status, axum::body::to_bytes(response.into_body(), 16 << 20).await.expect("a reply of bounded size"))
        })
    });
    let mut reply: Value = serde_json::from_slice(&reply).expect("the reply is JSON");
    if let Some(reply) = reply.as_object_mut() {
        reply.remove("took");
    }
    let mut stored = Vec::new();
    let mut reader = spool.reader(Position::START);
    while let Some(frame) = reader.next(Duration::ZERO).expect("it was just written") {
        stored.extend(frame.records.into_iter().map(|record| record.raw));
    }
    let losses = spool.ledger();
    assert_eq!(losses.iter().map(|(_, losses)| losses.stored).sum::<u64>(), stored.len() as u64);
    assert!(losses.iter().all(|(_, losses)| losses.shed.is_empty()));
    let refused = losses.iter().flat_map(|(_, losses)| losses.refused.values()).sum();
    Outcome { status, reply, stored, refused }
}

/// What a reply says was stored and refused.
fn said(reply: &Value) -> Option<(u64, u64)> {
    if let Some(items) = reply["items"].as_array() {
        let stored = items.iter().filter(|item| {
            let Some((_, item)) = item.as_object().and_then(|item| item.iter().next()) else { return false };
            item["status"] == 201
        });
        let stored = stored.count() as u64;
        return Some((stored, items.len() as u64 - stored));
    }
    let (received, stored) = (reply["received"].as_u64()?, reply["stored"].as_u64()?);
    Some((stored, received - stored))
}

fn compress(encoding: &str, data: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match encoding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
        }
        "zstd" => zstd::bulk::compress(data, 1).expect("memory"),
        _ => data.to_vec(),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut plain = data;
    let [route, encoding, first, second] = take(&mut plain);
    let route = ROUTES[usize::from(route) % ROUTES.len()];
    let is_sound = encoding & 0x10 == 0;
    let encoding = ["", "", "gzip", "deflate", "zstd", "identity"][usize::from(encoding & 0xf) % 6];
    let body = if is_sound { compress(encoding, plain) } else { plain.to_vec() };
    let one = send(route, encoding, &[&body]);
    let many = send(route, encoding, &pieces(&body, &[first, second]));

    for outcome in [&one, &many] {
        assert!(!outcome.status.is_server_error(), "{}: {}", outcome.status, outcome.reply);
        if is_sound {
            assert!(outcome.stored.iter().all(|record| memchr::memmem::find(plain, record).is_some()));
        }
        if outcome.status == StatusCode::OK
            && let Some(said) = said(&outcome.reply)
        {
            assert_eq!(said, (outcome.stored.len() as u64, outcome.refused), "{}", outcome.reply);
        }
    }
    if one.status.is_success() || many.status.is_success() {
        assert_eq!(one, many);
    }
});
