//! Set-up, log-in, log-out.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Viewer, layout, page, page_with, see};
use crate::{
    App, Peer, Problem,
    accounts::{Link, MIN_PASSWORD},
    api::session,
    auth::{Principal, blocking},
    problem::Params,
};

/// A form, and who sent it.
pub(super) async fn form<T: DeserializeOwned>(request: Request) -> Result<(Peer, HeaderMap, T), Problem> {
    let (peer, headers) = (session::peer(&request)?, request.headers().clone());
    let form = axum::Form::<T>::from_request(request, &()).await;
    let form = form.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok((peer, headers, form.0))
}

#[derive(Deserialize)]
pub(super) struct LinkParams {
    #[serde(default)]
    token: String,
}

/// The page behind a one-time link.
pub(super) async fn link_page(
    State(app): State<Arc<App>>,
    Params(params): Params<LinkParams>,
) -> Result<Response, Problem> {
    let link = params.token.clone();
    let found = blocking(move || Ok(app.accounts.link(&link, app.now())?)).await?;
    Ok(page(link_form(&found, &params.token, "", None)))
}

fn link_form(found: &Link, link: &str, name: &str, problem: Option<&Problem>) -> Markup {
    let title = if found.user.is_some() { "Set your password" } else { "Welcome" };
    layout::card(
        title,
        &html! {
            @if found.user.is_none() {
                p { "Make the first account. It may do everything, also invite others." }
            }
            (layout::refusal(problem))
            form.stack method="post" action="/plain/setup" {
                input type="hidden" name="token" value=(link);
                label for="name" { "User name" }
                @if let Some(user) = &found.user {
                    input id="name" name="name" value=(user) readonly autocomplete="username";
                } @else {
                    input id="name" name="name" value=(name) required autofocus autocomplete="username"
                        autocapitalize="none" maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*";
                }
                label for="password" { "Password" }
                input id="password" name="password" type="password" required minlength=(MIN_PASSWORD)
                    autocomplete="new-password" aria-describedby="rules";
                p.dim id="rules" { "At least " (MIN_PASSWORD) " characters. A few words are good; nothing else is asked." }
                label for="again" { "Password, once more" }
                input id="again" name="again" type="password" required autocomplete="new-password";
                button type="submit" { "Set password" }
            }
        },
    )
}

#[derive(Deserialize)]
struct LinkForm {
    token: String,
    #[serde(default)]
    name: String,
    password: String,
    again: String,
}

/// Uses a one-time link and logs in.
pub(super) async fn use_link(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (peer, headers, form) = form::<LinkForm>(request).await?;
    let found = {
        let (app, link) = (app.clone(), form.token.clone());
        blocking(move || Ok(app.accounts.link(&link, app.now())?)).await?
    };
    let redeemed = if form.password == form.again {
        session::redeem(&app, peer, form.token.clone(), form.name.clone(), form.password.clone()).await
    } else {
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the two passwords are not the same"))
    };
    match redeemed {
        Ok(name) => {
            let (secret, _) = session::begin(&app, peer, &headers, name, form.password).await?;
            Ok((AppendHeaders([(header::SET_COOKIE, session::set_cookie(Some(&secret)))]), see("/plain"))
                .into_response())
        }
        Err(problem) if problem.status == 422 => {
            Ok(page_with(problem.status_code(), link_form(&found, &form.token, &form.name, Some(&problem))))
        }
        Err(problem) => Err(problem),
    }
}

/// The log-in page.
pub(super) async fn log_in_page(
    State(app): State<Arc<App>>,
    principal: Option<axum::Extension<Principal>>,
) -> Result<Response, Problem> {
    if principal.is_some() {
        return Ok(Redirect::to("/plain").into_response());
    }
    let any = blocking(move || Ok(app.accounts.any_user()?)).await?;
    Ok(page(log_in_form(any, "", None)))
}

fn log_in_form(any_user: bool, name: &str, problem: Option<&Problem>) -> Markup {
    layout::card(
        "Log in",
        &html! {
            @if !any_user {
                div.notice {
                    p { "There is no account yet. Open the one-time set-up link that " code { "vedette up" } " printed." }
                }
            }
            (layout::refusal(problem))
            form.stack method="post" action="/plain/login" {
                label for="name" { "User name" }
                input id="name" name="name" value=(name) required autofocus[name.is_empty()] autocomplete="username" autocapitalize="none";
                label for="password" { "Password" }
                input id="password" name="password" type="password" required autofocus[!name.is_empty()] autocomplete="current-password";
                button type="submit" { "Log in" }
            }
        },
    )
}

#[derive(Deserialize)]
struct LogInForm {
    name: String,
    password: String,
}

/// Logs in.
pub(super) async fn log_in(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (peer, headers, form) = form::<LogInForm>(request).await?;
    match session::begin(&app, peer, &headers, form.name.clone(), form.password).await {
        Ok((secret, _)) => {
            Ok((AppendHeaders([(header::SET_COOKIE, session::set_cookie(Some(&secret)))]), see("/plain"))
                .into_response())
        }
        Err(problem) if matches!(problem.status, 401 | 429) => {
            let status = problem.status_code();
            let mut response = page_with(status, log_in_form(true, &form.name, Some(&problem)));
            if let Some(seconds) = problem.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            Ok(response)
        }
        Err(problem) => Err(problem),
    }
}

/// Logs out.
pub(super) async fn log_out(State(app): State<Arc<App>>, Viewer(principal): Viewer) -> Result<Response, Problem> {
    session::end(&app, &principal).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, session::set_cookie(None))]), see("/plain/login")).into_response())
}
