//! What surrounds every route: who asks, size and time limits, headers.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use crate::{App, Problem, auth, page};

/// No request body is larger; queries and notes are small.
const MAX_BODY: usize = 1 << 20;
/// A body arrives within this time.
const BODY_TIME: Duration = Duration::from_secs(15);

const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                   base-uri 'none'";

pub(crate) fn around(router: Router, app: Arc<App>) -> Router {
    router
        .layer(middleware::from_fn_with_state(app, auth::identify))
        .layer(middleware::from_fn(whole_body))
        .layer(middleware::from_fn(dress))
}

/// Reads the whole body before anything is decided, so that nobody holds a handler by sending slowly.
async fn whole_body(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error);
            let too_large = cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
            return if too_large {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a request body has at most {MAX_BODY} bytes"))
            } else {
                Problem::new(StatusCode::BAD_REQUEST, "the request body ended early")
            }
            .into_response();
        }
        Err(_) => {
            return Problem::new(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive in time")
                .into_response();
        }
    };
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

/// Security headers; and problems of pages become pages.
async fn dress(request: Request, next: Next) -> Response {
    let wants_page = is_page(request.uri());
    let mut response = next.run(request).await;
    if wants_page && let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let retry = response.headers().get(header::RETRY_AFTER).cloned();
        response = page::problem(&problem);
        if let Some(retry) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, retry);
        }
    }
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CSP);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()");
    response
}

/// True for what browsers show, which is all but the API.
pub(crate) fn is_page(uri: &Uri) -> bool {
    !(uri.path().starts_with("/api/") || uri.path() == "/metrics")
}

pub(crate) fn not_found(uri: &Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
        .hint("the API is described at /api/v1/openapi.json")
}
