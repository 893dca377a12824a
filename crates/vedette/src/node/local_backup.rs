//! Backups, over the local socket only: they are written where this process may write.

use std::{path::PathBuf, sync::Arc};

use axum::{Extension, Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use vedette_server::{Action, Custody, Peer, Problem};

use super::maintenance::now;

/// The route.
pub const PATH: &str = "/local/backup";

#[derive(Deserialize)]
struct Backup {
    to: PathBuf,
    keys: PathBuf,
}

/// A router for the local socket.
pub fn router(custody: Arc<dyn Custody>) -> Router {
    Router::new().route(PATH, post(back_up)).with_state(custody)
}

async fn back_up(
    State(custody): State<Arc<dyn Custody>>,
    Extension(peer): Extension<Peer>,
    Json(backup): Json<Backup>,
) -> Result<Json<u64>, Problem> {
    let Peer::Local { uid } = peer else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only for processes of this machine"));
    };
    let action = Action {
        time: now(),
        who: format!("local:{uid}"),
        address: None,
        what: "backup.make",
        target: Some(backup.to.display().to_string()),
        details: Vec::new(),
        failure: None,
    };
    let made = tokio::task::spawn_blocking(move || custody.back_up(&backup.to, &backup.keys, action));
    let made = made.await.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Json(made?))
}
