//! Records from `vedette import`, over the local socket only.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::StatusCode,
    routing::get,
};
use serde::{Deserialize, Serialize};
use vedette_event::{Reason, Source};
use vedette_spool::{Refused, Spool};

/// The route.
pub const PATH: &str = "/local/import";
/// Records are handed over in portions of about this many bytes.
pub const PORTION: usize = 4 << 20;
/// And of at most this many records.
pub const PORTION_RECORDS: usize = 10_000;
/// How long to wait before a full queue is asked again.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A part of an import: records to store, and how many could not be taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// To be stored.
    pub records: Vec<Bytes>,
    /// Left out, by reason.
    pub refused: BTreeMap<Reason, u64>,
}

/// What is known about a job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Records of it that are durable.
    pub stored: u64,
    /// The longest record that is taken, in bytes.
    pub max_record_bytes: usize,
}

/// Which job.
#[derive(Debug, Deserialize)]
struct Name {
    /// Its source's name, `import:<job>`.
    source: String,
}

#[derive(Clone)]
struct Intake {
    spool: Spool,
    max_record_bytes: usize,
}

/// A router for the local socket: `GET` tells what is known of a job, `POST` takes a [`Portion`].
pub fn router(spool: Spool, max_record_bytes: usize) -> Router {
    // The last record of a portion may be as long as one can be, and each has its length before it.
    let largest = PORTION + max_record_bytes + 4 * PORTION_RECORDS + 4096;
    Router::new()
        .route(PATH, get(job).post(import))
        .layer(DefaultBodyLimit::max(largest))
        .with_state(Intake { spool, max_record_bytes })
}

type Answer<T> = Result<Json<T>, (StatusCode, String)>;

async fn job(State(intake): State<Intake>, Query(name): Query<Name>) -> Answer<Job> {
    Ok(Json(Job { stored: stored(&intake.spool, &name.source), max_record_bytes: intake.max_record_bytes }))
}

async fn import(State(intake): State<Intake>, Query(name): Query<Name>, body: Bytes) -> Answer<Job> {
    let spool = &intake.spool;
    let portion = decode(&body).ok_or((StatusCode::BAD_REQUEST, "the lengths do not fit the body".to_owned()))?;
    let refused = |refused: Refused| (StatusCode::SERVICE_UNAVAILABLE, refused.to_string());
    if !name.source.starts_with("import:") {
        return Err((StatusCode::BAD_REQUEST, "the source of an import is `import:<job>`".to_owned()));
    }
    let source = spool.source(&name.source, "import", None).map_err(refused)?;
    let ticket = loop {
        match spool.append(&source, portion.records.clone()) {
            // Reading files can wait: the client is not told about a queue that is full for now.
            Err(full) if full.reason == Reason::Busy => tokio::time::sleep(PAUSE).await,
            appended => break appended.map_err(refused)?,
        }
    };
    ticket.wait().await.map_err(refused)?;
    count(spool, &source, &portion.refused);
    Ok(Json(Job { stored: stored(spool, &name.source), max_record_bytes: intake.max_record_bytes }))
}

/// Records of a source that are durable.
pub fn stored(spool: &Spool, name: &str) -> u64 {
    spool.ledger().into_iter().find(|(source, _)| &*source.name == name).map_or(0, |(_, losses)| losses.stored)
}

/// Enters what was left out into the loss ledger.
pub fn count(spool: &Spool, source: &Source, refused: &BTreeMap<Reason, u64>) {
    refused.iter().for_each(|(reason, count)| spool.refuse(source, *reason, *count));
}

/// A portion as a request's body: what is refused as JSON, then the records, each with its length before it
/// (u32, little endian).
pub fn encode(portion: &Portion) -> Vec<u8> {
    let refused = Bytes::from(serde_json::to_vec(&portion.refused).expect("reasons and counts are JSON"));
    let mut body = Vec::with_capacity(portion.records.iter().map(|record| record.len() + 4).sum());
    for part in std::iter::once(&refused).chain(&portion.records) {
        body.extend_from_slice(&(part.len() as u32).to_le_bytes());
        body.extend_from_slice(part);
    }
    body
}

fn decode(body: &Bytes) -> Option<Portion> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let length: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        let end = (at + 4).checked_add(u32::from_le_bytes(length) as usize)?;
        body.get(at + 4..end)?;
        parts.push(body.slice(at + 4..end));
        at = end;
    }
    let records = parts.split_off(1.min(parts.len()));
    Some(Portion { records, refused: serde_json::from_slice(parts.first()?).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_survives_the_body() {
        let portion = Portion {
            records: vec!["one".into(), "".into(), Bytes::from_static(b"\xff\n")],
            refused: BTreeMap::from([(Reason::Malformed, 3)]),
        };
        let body = Bytes::from(encode(&portion));
        assert_eq!(decode(&body.slice(..body.len() - 1)), None);
        assert_eq!(decode(&Bytes::from_static(b"\xff\xff\xff\xff")), None);
        assert_eq!(decode(&Bytes::new()), None);
        assert_eq!(decode(&body), Some(portion));
    }
}
