//! Is it alive, how is it doing.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Check, DiskStatus, LedgerStatus, Problem, Status,
    auth::blocking,
    rooms::{SpoolStatus, StoreStatus},
};

/// Alive.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: it answers.
    status: Status,
}

/// Says that the server answers; needs no account and tells nothing else.
#[utoipa::path(get, path = "/api/v1/health", operation_id = "health", tag = "health", security(()),
    responses((status = 200, description = "Alive", body = Health)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: Status::Ok })
}

/// How every part is doing.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthDetail {
    /// The worst of all parts.
    pub status: Status,
    /// Vedette's version.
    pub version: String,
    /// Every part.
    pub checks: Vec<Check>,
    /// How far the history is proved.
    pub ledger: LedgerStatus,
    /// The spool.
    pub spool: SpoolStatus,
    /// The store.
    pub store: StoreStatus,
    /// The disk with the data folder.
    pub disk: DiskStatus,
    /// What waits, and what runs.
    pub queues: Queues,
}

/// What waits, and what runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Queues {
    /// Bytes of records that wait for the disk, before they are acknowledged.
    pub spool_bytes: u64,
    /// Bytes of records on disk that wait to be sealed in the store.
    pub unsealed_bytes: u64,
    /// Events that wait in the store's tail for their segment.
    pub tail_events: u64,
    /// Searches that run.
    pub searches: usize,
    /// Streams that are open.
    pub streams: usize,
}

/// Says how every part is doing.
#[utoipa::path(get, path = "/api/v1/health/detail", operation_id = "healthDetail", tag = "health",
    responses((status = 200, description = "Every part", body = HealthDetail), (status = 401, body = Problem)))]
pub(crate) async fn health_detail(State(app): State<Arc<App>>) -> Result<Json<HealthDetail>, Problem> {
    detail(app).await.map(Json)
}

pub(crate) async fn detail(app: Arc<App>) -> Result<HealthDetail, Problem> {
    blocking(move || {
        let (spool, store) = (app.rooms.spool(), app.rooms.store());
        let mut checks = app.health.checks();
        // The binary knows more of some parts; what it says goes before what is seen from here.
        let known: Vec<String> = checks.iter().map(|check| check.name.clone()).collect();
        let check = |name: &str, refused: Option<String>| Check {
            name: name.to_owned(),
            status: if refused.is_some() { Status::Fail } else { Status::Ok },
            detail: refused,
        };
        let refusing = spool.refusing.as_ref().map(|reason| format!("new records are refused: {reason}"));
        let damaged = store.damaged_segments;
        let damaged = (damaged > 0).then(|| format!("{damaged} segments are missing or damaged; the log names them"));
        let mut own = vec![check("spool", refusing), check("store", damaged)];
        let lost = app.rooms.ledger().iter().filter(|(_, losses)| !losses.shed.is_empty()).count();
        own.push(Check {
            name: "sources".to_owned(),
            status: if lost > 0 { Status::Warn } else { Status::Ok },
            detail: (lost > 0).then(|| format!("{lost} sources have lost records; the list of sources says why")),
        });
        let refused = app.rules.refused().len();
        own.push(Check {
            name: "rules".to_owned(),
            status: if refused > 0 { Status::Warn } else { Status::Ok },
            detail: (refused > 0).then(|| format!("{refused} rules were refused; `vedette rules check` says why")),
        });
        own.push(check("alerts", app.alerts.counts().err().map(|error| error.to_string())));
        checks.extend(own.into_iter().filter(|check| !known.contains(&check.name)));
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
        let (ledger, disk) = (app.health.ledger(), app.health.disk());
        let (searches, streams) = app.gates.in_use();
        let queues = Queues {
            spool_bytes: spool.queued_bytes,
            unsealed_bytes: spool.unreleased_bytes,
            tail_events: store.tail_events,
            searches,
            streams,
        };
        let version = app.version.to_owned();
        Ok(HealthDetail { status, version, checks, ledger, spool, store, disk, queues })
    })
    .await
}
