//! Users and tokens.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::Time;

use super::{
    model::{rfc3339, rfc3339_or_null},
    session::{Done, is_admin, scope_names},
};
use crate::{
    App, Problem,
    accounts::{LINK_HOURS, Scopes, Token, User},
    auth::{Principal, Proof, act, blocking},
    problem::{Body, Id},
};

fn scopes(names: &[String]) -> Result<Scopes, Problem> {
    let scopes: Result<Scopes, String> = names.iter().map(|name| name.parse()).collect();
    scopes.map_err(|message| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message))
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserModel {
    /// The name to log in with.
    name: String,
    /// What they may do.
    scopes: Vec<String>,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created: Time,
    /// When they last logged in.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_login: Option<Time>,
}

impl From<User> for UserModel {
    fn from(user: User) -> Self {
        let (created, last_login) = (user.created, user.last_login);
        UserModel { name: user.name, scopes: scope_names(user.scopes), created, last_login }
    }
}

/// Every user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Users {
    /// The users, by name.
    users: Vec<UserModel>,
}

/// Every user.
#[utoipa::path(get, path = "/api/v1/users", operation_id = "listUsers", tag = "access",
    responses((status = 200, description = "The users", body = Users), (status = 401, body = Problem),
        (status = 403, body = Problem)))]
pub(crate) async fn list_users(State(app): State<Arc<App>>) -> Result<Json<Users>, Problem> {
    let users = blocking(move || Ok(app.accounts.users()?)).await?;
    Ok(Json(Users { users: users.into_iter().map(Into::into).collect() }))
}

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invite {
    /// The name to log in with.
    name: String,
    /// What they may do: `read`, `write`, `ingest`, `admin`. Ignored for a user that exists.
    scopes: Vec<String>,
}

/// An invitation.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// Path of the one-time link; put this server's address before it. Shown only now.
    link: String,
    /// Until when.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires: Time,
}

/// Makes a one-time link with which a user sets a password: an invitation, or a way back in for one that exists.
#[utoipa::path(post, path = "/api/v1/users", operation_id = "inviteUser", tag = "access", request_body = Invite,
    responses((status = 200, description = "The link", body = Invitation), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 422, description = "Name or scopes are refused", body = Problem)))]
pub(crate) async fn invite_user(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<Invite>,
) -> Result<Json<Invitation>, Problem> {
    let (scopes, now) = (scopes(&body.scopes)?, app.now());
    if scopes.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "a user has at least one scope")
            .hint("read, write, ingest or admin"));
    }
    let mut action = principal.action(now, "user.invite", Some(body.name.clone()));
    action.details.push(("scopes", scopes.to_string()));
    let link = act(&app, action, move |app| Ok(app.accounts.invite(&body.name, scopes, now)?)).await?;
    Ok(Json(Invitation {
        link: format!("/setup?token={}", link.reveal()),
        expires: now.plus_micros(LINK_HOURS * 3_600_000_000),
    }))
}

/// Removes a user with sessions and tokens.
#[utoipa::path(delete, path = "/api/v1/users/{name}", operation_id = "removeUser", tag = "access",
    params(("name" = String, Path, description = "The user's name")),
    responses((status = 200, description = "Removed", body = Done), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "The last administrator", body = Problem)))]
pub(crate) async fn remove_user(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
) -> Result<Json<Done>, Problem> {
    let action = principal.action(app.now(), "user.remove", Some(name.clone()));
    act(&app, action, move |app| Ok(app.accounts.remove_user(&name)?)).await?;
    Ok(Json(Done { done: true }))
}

/// The old and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The old one.
    old: String,
    /// The new one: at least 12 characters.
    new: String,
}

/// Changes one's own password; all one's sessions end.
#[utoipa::path(post, path = "/api/v1/password", operation_id = "changePassword", tag = "access",
    request_body = ChangePassword,
    responses((status = 200, description = "Changed; log in again", body = Done),
        (status = 401, description = "The old password is wrong", body = Problem),
        (status = 409, description = "Only a person's session can do this", body = Problem),
        (status = 422, description = "The new password is refused", body = Problem),
        (status = 429, description = "Too many failures", body = Problem)))]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<ChangePassword>,
) -> Result<Json<Done>, Problem> {
    if !matches!(principal.proof, Proof::Session(_)) {
        return Err(Problem::new(StatusCode::CONFLICT, "only a person who is logged in has a password to change"));
    }
    let now = app.now();
    let action = principal.action(now, "account.change_password", Some(principal.name.clone()));
    let _permit = app.gates.passwords.acquire().await.map_err(|error| Problem::internal(&error))?;
    act(&app, action, move |app| {
        let Principal { name, address, .. } = &principal;
        Ok(app.accounts.change_password(name, &body.old, &body.new, *address, now)?)
    })
    .await?;
    Ok(Json(Done { done: true }))
}

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenModel {
    /// Its number.
    id: i64,
    /// Who made it.
    owner: String,
    /// What it is for.
    name: String,
    /// What it may do.
    scopes: Vec<String>,
    /// Since when.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created: Time,
    /// Until when.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires: Time,
    /// When it was last used, to the minute.
    #[serde(serialize_with = "rfc3339_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used: Option<Time>,
}

impl From<Token> for TokenModel {
    fn from(token: Token) -> Self {
        TokenModel {
            id: token.id,
            owner: token.owner,
            name: token.name,
            scopes: scope_names(token.scopes),
            created: token.created,
            expires: token.expires,
            last_used: token.last_used,
        }
    }
}

/// Tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    /// The tokens.
    tokens: Vec<TokenModel>,
}

fn owner(principal: &Principal) -> Option<String> {
    (!is_admin(principal)).then(|| principal.owner().to_owned())
}

/// One's own tokens; an administrator sees all.
#[utoipa::path(get, path = "/api/v1/tokens", operation_id = "listTokens", tag = "access",
    responses((status = 200, description = "The tokens", body = Tokens), (status = 401, body = Problem)))]
pub(crate) async fn list_tokens(State(app): State<Arc<App>>, principal: Principal) -> Result<Json<Tokens>, Problem> {
    let tokens = blocking(move || Ok(app.accounts.tokens(owner(&principal).as_deref())?)).await?;
    Ok(Json(Tokens { tokens: tokens.into_iter().map(Into::into).collect() }))
}

/// What token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for.
    name: String,
    /// What it may do: `read`, `write`, `ingest`, `admin`; no more than its maker.
    scopes: Vec<String>,
    /// How many days it lives (default 90, most 3650).
    days: Option<i64>,
}

/// A new token.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// The secret, shown only now: `vdt_..`.
    secret: String,
    /// The token.
    #[serde(flatten)]
    token: TokenModel,
}

/// Makes a token. Its secret is shown only now.
#[utoipa::path(post, path = "/api/v1/tokens", operation_id = "createToken", tag = "access", request_body = NewToken,
    responses((status = 200, description = "The token with its secret", body = CreatedToken),
        (status = 401, body = Problem), (status = 403, description = "More than you may do", body = Problem),
        (status = 422, description = "Name, scopes or lifetime are refused", body = Problem)))]
pub(crate) async fn create_token(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(body): Body<NewToken>,
) -> Result<Json<CreatedToken>, Problem> {
    let (scopes, now) = (scopes(&body.scopes)?, app.now());
    if !principal.scopes.may_give(scopes) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "a token may not do more than its maker")
            .hint(format!("you have: {}", principal.scopes)));
    }
    let mut action = principal.action(now, "token.create", Some(body.name.clone()));
    action.details.push(("scopes", scopes.to_string()));
    let owner = principal.owner().to_owned();
    let days = body.days.unwrap_or(90);
    let (secret, token) =
        act(&app, action, move |app| Ok(app.accounts.create_token(&owner, &body.name, scopes, days, now)?)).await?;
    Ok(Json(CreatedToken { secret: secret.reveal().to_owned(), token: token.into() }))
}

/// Revokes a token: it is refused from now on.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", operation_id = "revokeToken", tag = "access",
    params(("id" = i64, Path, description = "The token's number")),
    responses((status = 200, description = "Revoked", body = Done), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn revoke_token(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(id): Id<i64>,
) -> Result<Json<Done>, Problem> {
    let action = principal.action(app.now(), "token.revoke", Some(id.to_string()));
    act(&app, action, move |app| Ok(app.accounts.revoke_token(id, owner(&principal).as_deref())?)).await?;
    Ok(Json(Done { done: true }))
}
