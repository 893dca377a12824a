//! Who asks, and may they.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use vedette_event::Time;

use crate::{
    Action, App, Problem,
    accounts::{Scope, Scopes},
    app::Counters,
};

/// The session cookie. `__Host-` makes browsers insist on Secure, Path=/ and no Domain.
pub(crate) const COOKIE: &str = "__Host-vedette";

/// Who is at the other end of a connection. The listeners put it into every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine that may open the socket file.
    Local {
        /// Its user.
        uid: u32,
    },
    /// Somebody on the network.
    Remote {
        /// Its address.
        address: SocketAddr,
        /// True if over TLS.
        tls: bool,
    },
}

impl Peer {
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Peer::Local { .. } => None,
            Peer::Remote { address, .. } => Some(address.ip()),
        }
    }
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// A user's name, `token:<id>:<owner>` or `local:<uid>`.
    pub name: String,
    /// What they may do.
    pub scopes: Scopes,
    /// How they proved who they are.
    pub proof: Proof,
    /// From where.
    pub address: Option<IpAddr>,
}

/// How somebody proved who they are.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// The socket's permissions.
    Socket,
    /// A session cookie.
    Session(String),
    /// A token.
    Token {
        /// Its secret, to check it again on long streams.
        bearer: String,
        /// Whose it is.
        owner: String,
    },
}

impl Principal {
    /// Whose tokens are theirs.
    pub(crate) fn owner(&self) -> &str {
        match &self.proof {
            Proof::Token { owner, .. } => owner,
            Proof::Socket | Proof::Session(_) => &self.name,
        }
    }

    /// An action of theirs.
    pub(crate) fn action(&self, time: Time, what: &'static str, target: Option<String>) -> Action {
        Action { time, who: self.name.clone(), address: self.address, what, target, details: Vec::new(), failure: None }
    }

    /// True if what they came in with is still good. Blocks.
    pub(crate) fn still_valid(&self, app: &App) -> bool {
        match &self.proof {
            Proof::Socket => true,
            Proof::Session(cookie) => app.accounts.session(cookie, app.now()).is_ok_and(|found| found.is_some()),
            Proof::Token { bearer, .. } => app.accounts.token(bearer, app.now()).is_ok_and(|found| found.is_some()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Principal>().cloned().ok_or_else(not_known)
    }
}

fn not_known() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "this needs a session or a token")
        .hint("log in, or send `Authorization: Bearer vdt_..`")
}

/// Finds out who asks; puts a [`Principal`] into the request if that is known. A wrong token is refused at once, a
/// cookie that is no (longer) session is ignored. Unsafe methods of browsers must come from our own pages.
pub(crate) async fn identify(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match identified(&app, &parts).await {
        Ok(Some(principal)) => drop(parts.extensions.insert(principal)),
        Ok(None) => {}
        Err(problem) => {
            Counters::add(&app.counters.requests_denied);
            return problem.into_response();
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn identified(app: &Arc<App>, request: &Parts) -> Result<Option<Principal>, Problem> {
    let no_peer = || Problem::internal(&"a listener did not say who is at the other end");
    let peer = *request.extensions.get::<Peer>().ok_or_else(no_peer)?;
    let address = peer.address();
    if let Peer::Local { uid } = peer {
        let name = format!("local:{uid}");
        return Ok(Some(Principal { name, scopes: Scopes::ALL, proof: Proof::Socket, address }));
    }
    if let Some(bearer) = bearer(&request.headers)? {
        let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "this token is unknown, was revoked or has expired");
        let (app, secret) = (app.clone(), bearer.clone());
        let token = blocking(move || Ok(app.accounts.token(&secret, app.now())?)).await?.ok_or_else(unknown)?;
        let name = format!("token:{}:{}", token.id, token.owner);
        let proof = Proof::Token { bearer, owner: token.owner };
        return Ok(Some(Principal { name, scopes: token.scopes, proof, address }));
    }
    // From here on a browser may be asking on behalf of another site: also to log in, and without a session.
    if !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        same_origin(&request.headers, peer)?;
    }
    let Some(cookie) = cookie(&request.headers) else { return Ok(None) };
    let (app, secret) = (app.clone(), cookie.clone());
    let session = blocking(move || Ok(app.accounts.session(&secret, app.now())?)).await?;
    Ok(session.map(|session| Principal {
        name: session.user,
        scopes: session.scopes,
        proof: Proof::Session(cookie),
        address,
    }))
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        _ => Err(Problem::new(StatusCode::UNAUTHORIZED, "the Authorization header is not `Bearer <token>`")),
    }
}

/// The value of our cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty() && value.len() <= 100)
        .map(|(_, value)| value.to_owned())
}

/// Beside SameSite=Strict: the browser itself must say that the request comes from a page of ours.
fn same_origin(headers: &HeaderMap, peer: Peer) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = |detail: String| {
        Err(Problem::new(StatusCode::FORBIDDEN, detail)
            .hint("programs send an API token (`Authorization: Bearer vdt_..`), which needs no Origin"))
    };
    let site = text("sec-fetch-site");
    if let Some(site) = site.filter(|site| *site != "same-origin") {
        return refused(format!("this request comes from another site (Sec-Fetch-Site: {site})"));
    }
    let scheme = if matches!(peer, Peer::Remote { tls: true, .. }) { "https" } else { "http" };
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) if origin == format!("{scheme}://{host}") => Ok(()),
        (Some(origin), _) => refused(format!("this request comes from another site (Origin: {origin})")),
        (None, _) if site.is_some() => Ok(()),
        (None, _) => refused("this request does not say which site it comes from".to_owned()),
    }
}

/// Lets only those through who may do that.
pub(crate) async fn require(scope: Scope, app: Arc<App>, request: Request, next: Next) -> Response {
    let problem = match request.extensions().get::<Principal>() {
        Some(principal) if principal.scopes.allows(scope) => return next.run(request).await,
        Some(principal) => Problem::new(StatusCode::FORBIDDEN, format!("`{}` may not {scope}", principal.name))
            .hint(format!("this needs the scope `{scope}`; there are: {}", principal.scopes)),
        None => not_known(),
    };
    Counters::add(&app.counters.requests_denied);
    problem.into_response()
}

/// Runs what blocks (SQLite, the disk, a password hash) where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(f).await.map_err(|error| Problem::internal(&error))?
}

/// Writes an action down, then carries it out; if that fails, writes that down too.
pub(crate) async fn act<T: Send + 'static>(
    app: &Arc<App>,
    action: Action,
    f: impl FnOnce(&App) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let app = app.clone();
    blocking(move || {
        write_down(&app, &action)?;
        f(&app).or_else(|problem| {
            write_down(&app, &Action { failure: Some(problem.detail.clone()), ..action })?;
            Err(problem)
        })
    })
    .await
}

/// Writes an action down. Blocks.
pub(crate) fn write_down(app: &App, action: &Action) -> Result<(), Problem> {
    app.journal.record(action).map_err(|error| {
        tracing::error!(%error, action = action.what, "an action was refused because it could not be journalled");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this could not be written to the journal, so it was not done")
            .hint("see `vedette sources` and the server's log: the disk may be full")
    })
}
