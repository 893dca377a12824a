//! Figures for a dashboard.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::alerts;
use crate::{
    App, Problem,
    auth::blocking,
    rooms::{SpoolStatus, StoreStatus},
};

/// Figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Alerts: state -> level -> count.
    alerts: BTreeMap<String, BTreeMap<String, u64>>,
    /// Records over all sources.
    received: u64,
    /// Of them durable.
    stored: u64,
    /// Of them handed back to the sender.
    refused: u64,
    /// Of them lost.
    shed: u64,
    /// Number of sources.
    sources: usize,
    /// Loaded rules.
    rules: usize,
    /// Refused rules.
    rules_refused: usize,
    /// The spool.
    spool: SpoolStatus,
    /// The store.
    store: StoreStatus,
    /// What the server counted since start.
    #[schema(value_type = BTreeMap<String, u64>)]
    server: BTreeMap<&'static str, u64>,
}

/// Figures for a dashboard.
#[utoipa::path(get, path = "/api/v1/stats", operation_id = "getStats", tag = "health",
    responses((status = 200, description = "Figures", body = Stats), (status = 401, body = Problem)))]
pub(crate) async fn get_stats(State(app): State<Arc<App>>) -> Result<Json<Stats>, Problem> {
    let alerts = alerts::counts(app.clone()).await?;
    let stats = blocking(move || {
        let ledger = app.rooms.ledger();
        let sum = |count: fn(&vedette_event::Losses) -> u64| ledger.iter().map(|(_, losses)| count(losses)).sum();
        Ok(Stats {
            alerts,
            received: sum(|losses| losses.received()),
            stored: sum(|losses| losses.stored),
            refused: sum(|losses| losses.refused.values().sum()),
            shed: sum(|losses| losses.shed.values().sum()),
            sources: ledger.len(),
            rules: app.rules.loaded().len(),
            rules_refused: app.rules.refused().len(),
            spool: app.rooms.spool(),
            store: app.rooms.store(),
            server: app.counters.all(),
        })
    })
    .await?;
    Ok(Json(stats))
}
