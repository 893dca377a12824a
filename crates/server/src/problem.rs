//! Errors as RFC 9457 problem details.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use utoipa::ToSchema;
use vedette_alert::AlertError;
use vedette_event::Diagnostic;

use crate::{accounts::AccountError, api::model::DiagnosticModel, rooms::SearchError};

/// An error as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says the kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong here.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is wrong with the query or the text, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(serialize_with = "as_models")]
    #[schema(value_type = Vec<DiagnosticModel>)]
    pub diagnostics: Vec<Diagnostic>,
    /// Seconds after which another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

fn as_models<S: Serializer>(diagnostics: &[Diagnostic], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(diagnostics.iter().cloned().map(DiagnosticModel::from))
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
            diagnostics: Vec::new(),
            retry_after: None,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Something of ours failed: the log has the cause, the caller learns little.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the server could not do this")
            .hint("the server's log says why")
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status_code(), Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"vedette\""));
        }
        // For pages, which show it in their own way.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Unknown(_)
            | AlertError::NoException(_)
            | AlertError::NoIncident(_)
            | AlertError::NoCase(_)
            | AlertError::NoTask { .. } => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
            AlertError::Transition { .. }
            | AlertError::GroupOpen { .. }
            | AlertError::NotOpen { .. }
            | AlertError::CaseState { .. } => Problem::new(StatusCode::CONFLICT, error.to_string()),
            AlertError::TooLong { .. } | AlertError::Exception(_) | AlertError::Case(_) | AlertError::Risk(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            _ => Problem::internal(&error),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let status = match &error {
            AccountError::LinkInvalid => {
                return Problem::new(StatusCode::GONE, error.to_string()).hint(
                    "until there is an account, every start of `vedette up` prints a new link; later an administrator makes one",
                );
            }
            AccountError::BadName | AccountError::WeakPassword(_) | AccountError::BadToken(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            AccountError::UnknownUser(_) | AccountError::UnknownToken(_) => StatusCode::NOT_FOUND,
            AccountError::LastAdmin(_) => StatusCode::CONFLICT,
            AccountError::WrongPassword => StatusCode::UNAUTHORIZED,
            AccountError::Throttled { seconds } => {
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string());
                return Problem { retry_after: Some(u32::try_from(*seconds).unwrap_or(u32::MAX)), ..problem };
            }
            _ => return Problem::internal(&error),
        };
        Problem::new(status, error.to_string())
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Refused(diagnostics) => {
                let detail = diagnostics.first().map_or("the query is wrong", |first| &first.message).to_owned();
                let hint = diagnostics.first().and_then(|first| first.hint.clone());
                Problem { hint, diagnostics, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
            }
            SearchError::Budget(detail) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).hint("narrow the time range or add a condition")
            }
            SearchError::Failed(detail) => {
                tracing::error!(%detail, "a query failed");
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

/// A JSON body; refusals are problems.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let refused = |rejection: JsonRejection| Problem::new(rejection.status(), rejection.body_text());
        Ok(Body(Json::<T>::from_request(request, state).await.map_err(refused)?.0))
    }
}

/// Query parameters; refusals are problems.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |rejection: QueryRejection| Problem::new(rejection.status(), rejection.body_text());
        Ok(Params(axum::extract::Query::<T>::from_request_parts(parts, state).await.map_err(refused)?.0))
    }
}

/// A path parameter; refusals are problems.
pub(crate) struct Id<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |rejection: PathRejection| Problem::new(rejection.status(), rejection.body_text());
        Ok(Id(axum::extract::Path::<T>::from_request_parts(parts, state).await.map_err(refused)?.0))
    }
}
