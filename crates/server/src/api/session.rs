//! Logging in and out, and one-time links.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::Time;

use super::model::rfc3339_or_null;
use crate::{
    Action, App, Peer, Problem,
    accounts::{self, AccountError, SESSION_HOURS, Scope, Scopes, Secret, Session},
    app::Counters,
    auth::{self, COOKIE, Principal, Proof, act, blocking, write_down},
    problem::Body,
};

/// Who you are.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionModel {
    /// Your name.
    pub name: String,
    /// What you may do.
    pub scopes: Vec<String>,
    /// When the session ends; null if this is none.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Time>,
}

pub(crate) fn scope_names(scopes: Scopes) -> Vec<String> {
    scopes.iter().map(|scope| scope.to_string()).collect()
}

/// Who you are and what you may do.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "getSession", tag = "access",
    responses((status = 200, description = "You", body = SessionModel),
        (status = 401, description = "Not logged in", body = Problem)))]
pub(crate) async fn get_session(
    State(app): State<Arc<App>>,
    principal: Principal,
) -> Result<Json<SessionModel>, Problem> {
    let expires = match principal.proof {
        Proof::Session(cookie) => {
            blocking(move || Ok(app.accounts.session(&cookie, app.now())?.map(|session| session.expires))).await?
        }
        Proof::Socket | Proof::Token { .. } => None,
    };
    Ok(Json(SessionModel { name: principal.name, scopes: scope_names(principal.scopes), expires }))
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogIn {
    /// The user's name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Logs in: sets the session cookie. Only from the console's own pages; programs use tokens.
#[utoipa::path(post, path = "/api/v1/session", operation_id = "logIn", tag = "access", security(()),
    request_body = LogIn,
    responses((status = 200, description = "You; with the cookie", body = SessionModel),
        (status = 401, description = "Name or password are wrong", body = Problem),
        (status = 403, description = "From another site", body = Problem),
        (status = 429, description = "Too many failures", body = Problem)))]
pub(crate) async fn log_in(State(app): State<Arc<App>>, request: Request) -> Result<impl IntoResponse, Problem> {
    let (peer, headers) = (peer(&request)?, request.headers().clone());
    let Body(body) = <Body<LogIn> as axum::extract::FromRequest<_>>::from_request(request, &app).await?;
    let (secret, session) = begin(&app, peer, &headers, body.name, body.password).await?;
    let model =
        SessionModel { name: session.user, scopes: scope_names(session.scopes), expires: Some(session.expires) };
    Ok((AppendHeaders([(header::SET_COOKIE, set_cookie(Some(&secret)))]), Json(model)))
}

pub(crate) fn peer(request: &Request) -> Result<Peer, Problem> {
    let peer = request.extensions().get::<Peer>().copied();
    peer.ok_or_else(|| Problem::internal(&"a listener did not say who is at the other end"))
}

pub(crate) fn set_cookie(secret: Option<&Secret>) -> String {
    let (value, age) = secret.map_or(("", 0), |secret| (secret.reveal(), SESSION_HOURS * 3600));
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age}")
}

/// Checks name and password, writes down what came of it, and begins a session.
pub(crate) async fn begin(
    app: &Arc<App>,
    peer: Peer,
    headers: &HeaderMap,
    name: String,
    password: String,
) -> Result<(Secret, Session), Problem> {
    let address = peer.address();
    let old = auth::cookie(headers);
    let _permit = app.gates.passwords.acquire().await.map_err(|error| Problem::internal(&error))?;
    let app = app.clone();
    blocking(move || {
        let now = app.now();
        // People type passwords into the wrong box.
        let who = if accounts::is_name(&name) { name.clone() } else { "(not a user name)".to_owned() };
        let action =
            Action { time: now, who, address, what: "session.start", target: None, details: vec![], failure: None };
        match app.accounts.check_password(&name, &password, address, now) {
            Ok(name) => {
                write_down(&app, &Action { who: name.clone(), ..action })?;
                let begun = app.accounts.begin_session(&name, address, old.as_deref(), now)?;
                Counters::add(&app.counters.log_ins);
                Ok(begun)
            }
            Err(error) => {
                Counters::add(&app.counters.log_ins_failed);
                // A throttled guesser must not fill the journal either; the failures before are there.
                if !matches!(error, AccountError::Throttled { .. }) {
                    write_down(&app, &Action { failure: Some(error.to_string()), ..action })?;
                }
                Err(error.into())
            }
        }
    })
    .await
}

/// Done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always true.
    pub done: bool,
}

/// Logs out: the session ends at once.
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "logOut", tag = "access",
    responses((status = 200, description = "Logged out", body = Done),
        (status = 401, description = "Not logged in", body = Problem)))]
pub(crate) async fn log_out(State(app): State<Arc<App>>, principal: Principal) -> Result<impl IntoResponse, Problem> {
    end(&app, &principal).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, set_cookie(None))]), Json(Done { done: true })))
}

pub(crate) async fn end(app: &Arc<App>, principal: &Principal) -> Result<(), Problem> {
    let Proof::Session(cookie) = principal.proof.clone() else {
        return Err(Problem::new(StatusCode::CONFLICT, "this is no session: there is nothing to log out of"));
    };
    let action = principal.action(app.now(), "session.end", None);
    act(app, action, move |app| Ok(app.accounts.log_out(&cookie)?)).await
}

/// A one-time link and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UseLink {
    /// The link's secret: what follows `token=` in it.
    pub link: String,
    /// The user's name, if the link is for the first account.
    #[serde(default)]
    pub name: String,
    /// The new password: at least 12 characters.
    pub password: String,
}

/// Whose account it is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct LinkUsed {
    /// The user's name.
    name: String,
}

/// Uses a one-time link: makes the first account, takes an invitation, or sets a new password.
#[utoipa::path(post, path = "/api/v1/links", operation_id = "useLink", tag = "access", security(()),
    request_body = UseLink,
    responses((status = 200, description = "The account; log in with it", body = LinkUsed),
        (status = 403, description = "From another site", body = Problem),
        (status = 410, description = "The link was used or has expired", body = Problem),
        (status = 422, description = "Name or password are refused", body = Problem)))]
pub(crate) async fn use_link(State(app): State<Arc<App>>, request: Request) -> Result<Json<LinkUsed>, Problem> {
    let peer = peer(&request)?;
    let Body(body) = <Body<UseLink> as axum::extract::FromRequest<_>>::from_request(request, &app).await?;
    let name = redeem(&app, peer, body.link, body.name, body.password).await?;
    Ok(Json(LinkUsed { name }))
}

pub(crate) async fn redeem(
    app: &Arc<App>,
    peer: Peer,
    link: String,
    name: String,
    password: String,
) -> Result<String, Problem> {
    let now = app.now();
    let checked = {
        let (app, link) = (app.clone(), link.clone());
        blocking(move || Ok(app.accounts.link(&link, now)?)).await?
    };
    let first = checked.user.is_none();
    let target = checked.user.unwrap_or_else(|| name.trim().to_owned());
    let who = if accounts::is_name(&target) { target.clone() } else { "(not a user name)".to_owned() };
    let what = if first { "account.set_up" } else { "account.use_link" };
    let details = vec![("scopes", checked.scopes.to_string())];
    let action = Action {
        time: now,
        who: who.clone(),
        address: peer.address(),
        what,
        target: Some(who),
        details,
        failure: None,
    };
    let _permit = app.gates.passwords.acquire().await.map_err(|error| Problem::internal(&error))?;
    act(app, action, move |app| Ok(app.accounts.redeem(&link, &name, &password, now)?)).await
}

/// True if the principal is an administrator.
pub(crate) fn is_admin(principal: &Principal) -> bool {
    principal.scopes.allows(Scope::Admin)
}
