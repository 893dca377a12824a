//! Settings.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{model::DiagnosticModel, rules::short_enough};
use crate::{
    App, Problem, Receiver, Retention, SaveError, Section, SettingsError,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
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
            SettingsError::Wrong(diagnostics) => SaveError::Refused(diagnostics).into(),
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

/// A section of the configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct SectionModel {
    /// Which.
    section: Section,
    /// YAML, as it stands below the section's key in the configuration file; empty if everything is as by default.
    text: String,
    /// It was changed here, and goes before the configuration file.
    changed: bool,
}

fn section_model(app: &App, section: Section) -> SectionModel {
    let now = app.settings.section(section);
    SectionModel { section, text: now.text, changed: now.is_changed }
}

/// A text for a section.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SectionBody {
    /// YAML, as it stands below the section's key in the configuration file; at most 256 KiB. Secrets are best named as
    /// `file:<path>` or `env:<name>`.
    text: String,
}

/// What came of a text for a section.
#[derive(Serialize, ToSchema)]
pub(crate) struct SectionCheck {
    /// It can be put into force.
    fine: bool,
    /// What is wrong with it, and where.
    diagnostics: Vec<DiagnosticModel>,
}

/// A section of the configuration as it is in force. A secret that stands in it is shown as `[secret]`.
#[utoipa::path(get, path = "/api/v1/settings/sections/{section}", operation_id = "getSection", tag = "settings",
    params(("section" = Section, Path, description = "Which section")),
    responses((status = 200, description = "The section", body = SectionModel), (status = 401, body = Problem),
        (status = 400, description = "No such section", body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn get_section(
    State(app): State<Arc<App>>,
    Id(section): Id<Section>,
) -> Result<Json<SectionModel>, Problem> {
    blocking(move || Ok(Json(section_model(&app, section)))).await
}

/// Says what is wrong with a text for a section, and changes nothing.
#[utoipa::path(post, path = "/api/v1/settings/sections/{section}/check", operation_id = "checkSection", tag = "settings",
    params(("section" = Section, Path, description = "Which section")), request_body = SectionBody,
    responses((status = 200, description = "Whether it could be put into force", body = SectionCheck),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 400, description = "No such section", body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn check_section(
    State(app): State<Arc<App>>,
    Id(section): Id<Section>,
    Body(body): Body<SectionBody>,
) -> Result<Json<SectionCheck>, Problem> {
    short_enough(&body.text)?;
    blocking(move || {
        let diagnostics = app.settings.check_section(section, &body.text);
        let fine = diagnostics.is_empty();
        Ok(Json(SectionCheck { fine, diagnostics: diagnostics.into_iter().map(Into::into).collect() }))
    })
    .await
}

/// Puts a section into force, at once and for good: this goes before the configuration file. Receivers that are asked for
/// as before go on undisturbed; if one cannot be opened, all run as before.
#[utoipa::path(put, path = "/api/v1/settings/sections/{section}", operation_id = "setSection", tag = "settings",
    params(("section" = Section, Path, description = "Which section")), request_body = SectionBody,
    responses((status = 200, description = "In force", body = SectionModel), (status = 401, body = Problem),
        (status = 400, description = "No such section", body = Problem), (status = 403, body = Problem),
        (status = 413, body = Problem), (status = 422, description = "It is wrong, and nothing changed", body = Problem)))]
pub(crate) async fn set_section(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(section): Id<Section>,
    Body(body): Body<SectionBody>,
) -> Result<Json<SectionModel>, Problem> {
    short_enough(&body.text)?;
    change(&app, &principal, section, Some(body.text)).await
}

/// Puts into force again what the configuration file says of a section.
#[utoipa::path(delete, path = "/api/v1/settings/sections/{section}", operation_id = "restoreSection", tag = "settings",
    params(("section" = Section, Path, description = "Which section")),
    responses((status = 200, description = "As in the configuration file", body = SectionModel),
        (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 400, description = "No such section", body = Problem),
        (status = 422, description = "That cannot be put into force, and nothing changed", body = Problem)))]
pub(crate) async fn restore_section(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(section): Id<Section>,
) -> Result<Json<SectionModel>, Problem> {
    change(&app, &principal, section, None).await
}

async fn change(
    app: &Arc<App>,
    principal: &Principal,
    section: Section,
    text: Option<String>,
) -> Result<Json<SectionModel>, Problem> {
    let what = match section {
        Section::Notifications => "settings.notifications",
        Section::Receivers => "settings.receivers",
    };
    let mut action = principal.action(app.now(), what, None);
    // Not the text: it may hold secrets.
    action.details.push(match &text {
        Some(text) => ("blake3", blake3::hash(text.as_bytes()).to_hex().to_string()),
        None => ("restored", "true".to_owned()),
    });
    act(app, action, move |app| {
        app.settings.set_section(section, text.as_deref())?;
        Ok(Json(section_model(app, section)))
    })
    .await
}
