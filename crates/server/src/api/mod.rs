//! The API under `/api/v1`, and `/metrics`.

mod access;
pub(crate) mod alerts;
mod cases;
mod coverage;
mod custody;
mod events;
mod exceptions;
mod fields;
pub(crate) mod health;
mod incidents;
mod indicators;
mod metrics;
pub(crate) mod model;
pub(crate) mod names;
mod notifications;
mod parsers;
mod retrohunts;
mod risk;
mod rules;
mod search;
mod searches;
pub(crate) mod session;
mod settings;
pub(crate) mod sources;
mod stats;
mod stream;
mod threshold;
mod trial;
mod why;

pub(crate) use events::one_event;
pub(crate) use search::{Answer, collect};

use std::sync::Arc;

use axum::{Json, Router, extract::Request, middleware::Next};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, accounts::Scope, auth};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Vedette",
        description = "Security monitoring: sources, events, alerts. Errors are RFC 9457 problem details.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Security),
    security(("session" = []), ("token" = [])),
    tags(
        (name = "health", description = "Is it alive, how is it doing"),
        (name = "alerts", description = "The inbox"),
        (name = "incidents", description = "Risk of users, hosts and addresses, incidents, cases"),
        (name = "events", description = "Search and live tail"),
        (name = "notifications", description = "Who is told, and what became of every notice"),
        (name = "custody", description = "Evidence, erasure, legal holds"),
        (name = "sources", description = "Where records come from, and what became of each"),
        (name = "rules", description = "What detects, and what was refused"),
        (name = "settings", description = "What is configured, and what can be changed here"),
        (name = "access", description = "Sessions, users, tokens"),
    )
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(auth::COOKIE)));
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("vdt_<secret>").build();
        components.add_security_scheme("session", cookie);
        components.add_security_scheme("token", SecurityScheme::Http(token));
        api.info.version = env!("CARGO_PKG_VERSION").to_owned();
    }
}

/// The description of the API (OpenAPI 3.1), generated from the code.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (open, read, write, admin) = routes();
    complete(open.merge(read).merge(write).merge(admin).into_openapi())
}

/// What is the same for every response: an error is of its own media type (RFC 9457), and no response is without the
/// description that OpenAPI 3.1 §4.8.17 requires.
fn complete(mut api: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for (status, response) in operations.into_iter().flatten().flat_map(|it| &mut it.responses.responses) {
            let RefOr::T(response) = response else { continue };
            if status.starts_with('2') {
                continue;
            }
            if let Some(content) = response.content.shift_remove("application/json") {
                response.content.insert("application/problem+json".to_owned(), content);
            }
            if response.description.is_empty() {
                response.description = match status.as_str() {
                    "401" => "Not logged in, and no valid token".to_owned(),
                    "403" => "Not allowed".to_owned(),
                    "404" => "There is none".to_owned(),
                    status => format!("Refused with status {status}"),
                };
            }
        }
    }
    api
}

type Routes = OpenApiRouter<Arc<App>>;

/// By what they need: nothing, `read`, `write`, `admin`.
fn routes() -> (Routes, Routes, Routes, Routes) {
    let open = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(health::health))
        .routes(routes!(session::get_session, session::log_in, session::log_out))
        .routes(routes!(session::use_link))
        .routes(routes!(describe));
    let read = OpenApiRouter::new()
        .routes(routes!(health::health_detail))
        .routes(routes!(sources::list_sources))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::get_alert))
        .routes(routes!(alerts::count_alerts))
        .routes(routes!(alerts::alert_budget))
        .routes(routes!(stream::stream_alerts))
        .routes(routes!(risk::list_risk))
        .routes(routes!(risk::get_risk))
        .routes(routes!(incidents::list_incidents))
        .routes(routes!(incidents::get_incident))
        .routes(routes!(cases::list_cases))
        .routes(routes!(cases::get_case))
        .routes(routes!(search::search))
        .routes(routes!(fields::histogram))
        .routes(routes!(fields::list_fields))
        .routes(routes!(fields::list_field_values))
        .routes(routes!(searches::list_searches))
        .routes(routes!(events::tail_events))
        .routes(routes!(events::get_event))
        .routes(routes!(events::list_unparsed))
        .routes(routes!(custody::list_holds))
        .routes(routes!(exceptions::list_exceptions))
        .routes(routes!(exceptions::preview_exception))
        .routes(routes!(notifications::get_notifications))
        .routes(routes!(notifications::list_suppressed))
        .routes(routes!(notifications::list_dead_letters))
        .routes(routes!(rules::list_rules))
        .routes(routes!(rules::list_refused_rules))
        .routes(routes!(rules::get_rule))
        .routes(routes!(rules::check_rules))
        .routes(routes!(trial::test_rules))
        .routes(routes!(why::explain_rules))
        .routes(routes!(retrohunts::list_retrohunts))
        .routes(routes!(retrohunts::get_retrohunt))
        .routes(routes!(coverage::get_coverage))
        .routes(routes!(coverage::get_navigator_layer))
        .routes(routes!(indicators::get_indicators))
        .routes(routes!(indicators::find_indicators))
        .routes(routes!(parsers::check_parser))
        .routes(routes!(settings::get_settings))
        .routes(routes!(stats::get_stats))
        .routes(routes!(metrics::metrics))
        .routes(routes!(access::change_password))
        .routes(routes!(access::list_tokens, access::create_token))
        .routes(routes!(access::revoke_token));
    let write = OpenApiRouter::new()
        .routes(routes!(alerts::acknowledge_alert))
        .routes(routes!(alerts::close_alert))
        .routes(routes!(alerts::reopen_alert))
        .routes(routes!(alerts::assign_alert))
        .routes(routes!(alerts::note_alert))
        .routes(routes!(incidents::close_incident))
        .routes(routes!(incidents::assign_incident))
        .routes(routes!(incidents::note_incident))
        .routes(routes!(cases::open_case))
        .routes(routes!(cases::rename_case))
        .routes(routes!(cases::assign_case))
        .routes(routes!(cases::note_case))
        .routes(routes!(cases::add_case_incident))
        .routes(routes!(cases::remove_case_incident))
        .routes(routes!(cases::add_case_alert))
        .routes(routes!(cases::remove_case_alert))
        .routes(routes!(cases::add_case_evidence))
        .routes(routes!(cases::add_case_task))
        .routes(routes!(cases::set_case_task))
        .routes(routes!(cases::close_case))
        .routes(routes!(cases::reopen_case))
        .routes(routes!(exceptions::make_exception))
        .routes(routes!(retrohunts::begin_retrohunt))
        .routes(routes!(retrohunts::cancel_retrohunt))
        .routes(routes!(exceptions::remove_exception))
        .routes(routes!(notifications::retry_dead_letter))
        .routes(routes!(notifications::discard_dead_letter))
        .routes(routes!(searches::save_search))
        .routes(routes!(searches::change_search, searches::remove_search))
        .routes(routes!(custody::export_evidence));
    let admin = OpenApiRouter::new()
        .routes(routes!(access::list_users, access::invite_user))
        .routes(routes!(access::remove_user))
        .routes(routes!(rules::save_rules, rules::remove_rules))
        .routes(routes!(rules::disable_rule, rules::enable_rule))
        .routes(routes!(threshold::set_threshold, threshold::remove_threshold))
        .routes(routes!(notifications::test_channel))
        .routes(routes!(parsers::save_parser))
        .routes(routes!(settings::set_retention))
        .routes(routes!(settings::get_section, settings::set_section, settings::restore_section))
        .routes(routes!(settings::check_section))
        .routes(routes!(custody::erase_events))
        .routes(routes!(custody::set_hold))
        .routes(routes!(custody::lift_hold));
    (open, read, write, admin)
}

pub(crate) fn router(app: Arc<App>) -> (Router, utoipa::openapi::OpenApi) {
    let (open, read, write, admin) = routes();
    let need = |routes: Routes, scope: Scope| {
        let app = app.clone();
        let check = move |request: Request, next: Next| auth::require(scope, app.clone(), request, next);
        routes.route_layer(axum::middleware::from_fn(check))
    };
    let all = open.merge(need(read, Scope::Read)).merge(need(write, Scope::Write)).merge(need(admin, Scope::Admin));
    let (router, api) = all.split_for_parts();
    (router.with_state(app), complete(api))
}

/// This description of the API.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "describe", tag = "health", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}
