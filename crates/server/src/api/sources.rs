//! Where records come from.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use vedette_event::{Losses, Source};

use super::model::SourceModel;
use crate::{App, Problem, auth::blocking};

/// Every source.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sources {
    /// The sources with their accounts, by name.
    sources: Vec<SourceModel>,
}

/// Every source with its account: received = stored + refused + shed.
#[utoipa::path(get, path = "/api/v1/sources", operation_id = "listSources", tag = "sources",
    responses((status = 200, description = "The loss ledger", body = Sources), (status = 401, body = Problem)))]
pub(crate) async fn list_sources(State(app): State<Arc<App>>) -> Result<Json<Sources>, Problem> {
    list(app).await.map(|sources| Json(Sources { sources }))
}

pub(crate) async fn list(app: Arc<App>) -> Result<Vec<SourceModel>, Problem> {
    blocking(move || {
        let ledger = app.rooms.ledger();
        let model = |(source, losses): &(Arc<Source>, Losses)| {
            let rhythm = app.health.quiet(source.id);
            SourceModel::new(source, losses, &app.health.activity(source.id)).with_rhythm(rhythm)
        };
        let mut sources: Vec<_> = ledger.iter().map(model).collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sources)
    })
    .await
}
