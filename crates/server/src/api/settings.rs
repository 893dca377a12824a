//! Settings.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Problem, Receiver, Retention, SettingsError,
    auth::{Principal, act},
    problem::Body,
};

/// What is configured.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingsModel {
    /// How long events are kept, and on how much disk.
    retention: Retention,
    /// Where records come in over the network.
    receivers: Vec<Receiver>,
    /// The configuration file; null if there is none.
    config_file: Option<String>,
}

fn settings(app: &App) -> SettingsModel {
    let view = &app.settings;
    SettingsModel { retention: view.retention(), receivers: view.receivers(), config_file: view.config_file() }
}

/// What is configured.
#[utoipa::path(get, path = "/api/v1/settings", operation_id = "getSettings", tag = "settings",
    responses((status = 200, description = "The settings", body = SettingsModel), (status = 401, body = Problem)))]
pub(crate) async fn get_settings(State(app): State<Arc<App>>) -> Json<SettingsModel> {
    Json(settings(&app))
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Refused(why) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why),
            SettingsError::Failed(error) => Problem::internal(&error),
        }
    }
}

/// Changes how long events are kept, at once and for good: this goes before the configuration file. What then is too old
/// or too much is deleted within minutes.
#[utoipa::path(put, path = "/api/v1/settings/retention", operation_id = "setRetention", tag = "settings",
    request_body = Retention,
    responses((status = 200, description = "Changed", body = SettingsModel), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, description = "It makes no sense", body = Problem)))]
pub(crate) async fn set_retention(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Retention>,
) -> Result<Json<SettingsModel>, Problem> {
    let mut action = principal.action(app.now(), "settings.retention", None);
    action.details = vec![
        ("max_age_days", body.max_age_days.to_string()),
        ("max_bytes", body.max_bytes.map_or("none".to_owned(), |bytes| bytes.to_string())),
        ("max_disk_percent", body.max_disk_percent.to_string()),
    ];
    act(&app, action, move |app| {
        app.settings.set_retention(&body)?;
        Ok(Json(settings(app)))
    })
    .await
}
