//! Small server-rendered pages without scripts under `/plain`, for every browser down to a phone, and for servers that
//! have no [`Console`](crate::Console).
//!
//! Everything shown may come from an attacker. `maud` escapes every value; there is no way around it here (nothing is
//! pre-escaped but our own constants), and the content security policy lets no script and no inline style run.

mod alerts;
mod layout;
mod overview;
mod search;
mod sign;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::Markup;

use crate::{App, Problem, accounts::Scope, auth::Principal};

pub(crate) use layout::problem;

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(overview::overview))
        .route("/sources", get(overview::sources))
        .route("/rules", get(overview::rules))
        .route("/alerts", get(alerts::list))
        .route("/alerts/{id}", get(alerts::show))
        .route("/alerts/{id}/acknowledge", post(alerts::acknowledge))
        .route("/alerts/{id}/close", post(alerts::close))
        .route("/alerts/{id}/reopen", post(alerts::reopen))
        .route("/search", get(search::search))
        .route("/events/{id}", get(search::event))
        .route("/setup", get(sign::link_page).post(sign::use_link))
        .route("/login", get(sign::log_in_page).post(sign::log_in))
        .route("/logout", post(sign::log_out))
        .route("/style.css", get(style))
        .route("/icon.svg", get(icon))
        .with_state(app)
}

/// Where a page of the console is as a page of these; none for what they do not have.
pub(crate) fn instead_of(uri: &Uri) -> Option<String> {
    const HERE: [&str; 8] = ["", "alerts", "search", "sources", "rules", "events", "setup", "login"];
    let path = uri.path();
    if path == "/plain/" || path == "/" {
        return Some("/plain".to_owned());
    }
    let first = path.split('/').nth(1).unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HERE.contains(&first).then(|| format!("/plain{path}{query}"))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")], STYLE)
}

async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")], ICON)
}

/// Somebody who may look. Others are sent to log in.
struct Viewer(Principal);

impl<S: Send + Sync> FromRequestParts<S> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        match parts.extensions.get::<Principal>() {
            Some(principal) if principal.scopes.allows(Scope::Read) => Ok(Viewer(principal.clone())),
            Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "this account may not look at anything")
                .hint("an administrator can give it the scope `read`")
                .into_response()),
            None => Err(Redirect::to("/plain/login").into_response()),
        }
    }
}

impl Viewer {
    /// Refuses those who may only look.
    fn writer(self) -> Result<Principal, Problem> {
        if self.0.scopes.allows(Scope::Write) {
            return Ok(self.0);
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "this account may look at alerts but not work on them")
            .hint("an administrator can give it the scope `write`"))
    }
}

fn page(markup: Markup) -> Response {
    Html(markup.into_string()).into_response()
}

fn page_with(status: StatusCode, markup: Markup) -> Response {
    let mut response = page(markup);
    *response.status_mut() = status;
    response
}

/// To a page of ours, after a form was worked on.
fn see(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/plain"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
