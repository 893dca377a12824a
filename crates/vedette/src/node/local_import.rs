//! Records from `vedette import`, over the local socket only.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::StatusCode,
    routing::post,
};
use serde::{Deserialize, Serialize};
use vedette_spool::{Refused, Spool};

/// The route.
pub const PATH: &str = "/local/import";
/// Records of one request, with their lengths, take at most this much.
pub const MAX_BODY: usize = 8 << 20;

/// Which import.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// Its source's name, `import:<job>`.
    source: String,
}

/// What came of a portion.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stored {
    /// Records that are durable.
    pub stored: usize,
}

/// A router for the local socket. The body is records, each with its length before it (u32, little endian).
pub fn router(spool: Spool) -> Router {
    Router::new().route(PATH, post(import)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(spool)
}

async fn import(
    State(spool): State<Spool>,
    Query(job): Query<Job>,
    body: Bytes,
) -> Result<Json<Stored>, (StatusCode, String)> {
    let records = decode(&body).ok_or((StatusCode::BAD_REQUEST, "the lengths do not fit the body".to_owned()))?;
    let refused = |refused: Refused| (StatusCode::SERVICE_UNAVAILABLE, refused.to_string());
    let source = spool.source(&job.source, "import", None).map_err(refused)?;
    let ticket = spool.append(&source, records).map_err(refused)?;
    let receipt = ticket.wait().await.map_err(refused)?;
    Ok(Json(Stored { stored: receipt.count }))
}

/// Records as a request's body.
pub fn encode(records: &[Bytes]) -> Vec<u8> {
    let mut body = Vec::with_capacity(records.iter().map(|record| record.len() + 4).sum());
    for record in records {
        body.extend_from_slice(&(record.len() as u32).to_le_bytes());
        body.extend_from_slice(record);
    }
    body
}

fn decode(body: &Bytes) -> Option<Vec<Bytes>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let length: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        let end = (at + 4).checked_add(u32::from_le_bytes(length) as usize)?;
        body.get(at + 4..end)?;
        records.push(body.slice(at + 4..end));
        at = end;
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_body() {
        let records: Vec<Bytes> = vec!["one".into(), "".into(), Bytes::from_static(b"\xff\n")];
        let body = Bytes::from(encode(&records));
        assert_eq!(decode(&body), Some(records));
        assert_eq!(decode(&body.slice(..body.len() - 1)), None);
        assert_eq!(decode(&Bytes::from_static(b"\xff\xff\xff\xff")), None);
    }
}
