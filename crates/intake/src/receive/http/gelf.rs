//! GELF over HTTP: one message a request, `POST /gelf`; also several, in a JSON array or one after another.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use vedette_event::Reason;
use vedette_spool::Spool;

use super::{
    Options, acknowledge,
    body::Sink,
    documents::{Documents, Fate, check_object, refusal},
    request::{self, BodyCutter, Fatal, Shared},
};
use crate::receive::json_elements::{Element, Elements, Layout};

/// A router with `POST /gelf`. Sources are `gelf-http:<address>`.
pub fn gelf(spool: Spool, options: Options) -> Router {
    Router::new().route("/gelf", post(take)).with_state(Shared::new(spool, "gelf-http", options))
}

async fn take(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let peer = request::peer(&request);
    if !shared.is_allowed(request.headers(), peer) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic, Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, "a valid token is required\n").into_response();
    }
    let (place, source) = match shared.admit_patiently(peer).await {
        Ok(admitted) => admitted,
        Err(reason) => return (StatusCode::TOO_MANY_REQUESTS, format!("{reason}\n")).into_response(),
    };
    let (parts, body) = request.into_parts();
    let limits = &shared.options.limits;
    let documents = shared.documents(source).patiently(limits.acknowledge_time);
    let messages = Messages { documents, elements: None, limit: limits.document_bytes };
    match request::store(&shared, place, &parts, body, messages).await {
        Ok((messages, reached)) => {
            let wrong = messages.documents.fates().iter().find_map(|fate| match fate {
                Fate::Stored(_) => None,
                Fate::Bad(bad) => Some((StatusCode::BAD_REQUEST, bad.reason())),
                Fate::Refused(Reason::TooLarge) => {
                    Some((StatusCode::PAYLOAD_TOO_LARGE, refusal(Reason::TooLarge).to_owned()))
                }
                Fate::Refused(reason) => Some((StatusCode::SERVICE_UNAVAILABLE, refusal(*reason).to_owned())),
                Fate::Waiting => Some((StatusCode::INTERNAL_SERVER_ERROR, "unknown".to_owned())),
            });
            match wrong {
                _ if messages.documents.len() == 0 => {
                    (StatusCode::BAD_REQUEST, "there is no message\n").into_response()
                }
                Some((status, reason)) => (status, format!("{reason}\n")).into_response(),
                None => acknowledge::tell(StatusCode::ACCEPTED.into_response(), reached),
            }
        }
        Err(failure) => (failure.status, format!("{}\n", failure.reason)).into_response(),
    }
}

struct Messages {
    documents: Documents,
    elements: Option<Elements>,
    limit: usize,
}

fn element(documents: &mut Documents, element: Element<'_>) {
    match element {
        Element::Whole(bytes) => match check_object(bytes) {
            Ok(()) => documents.add(bytes),
            Err(bad) => documents.refuse(Fate::Bad(bad)),
        },
        Element::TooLong => documents.refuse(Fate::Refused(Reason::TooLarge)),
        Element::Garbage => documents.refuse(Fate::Bad(super::documents::Bad::Garbage)),
    }
}

impl Sink for Messages {
    fn take(&mut self, bytes: &[u8]) {
        // White space is left out before the first message only: later it may be a piece of one.
        let elements = match &mut self.elements {
            Some(elements) => elements,
            None => {
                let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else { return };
                let layout = if *first == b'[' { Layout::Array } else { Layout::Sequence };
                self.elements.insert(Elements::new(layout, self.limit))
            }
        };
        let documents = &mut self.documents;
        let Ok(()) = elements.push(bytes, |found| {
            element(documents, found);
            Ok::<(), Infallible>(())
        });
    }
}

impl BodyCutter for Messages {
    fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    fn fatal(&self) -> Option<Fatal> {
        None
    }

    fn finish(&mut self) {
        let documents = &mut self.documents;
        if let Some(elements) = &mut self.elements {
            let Ok(()) = elements.finish(|found| {
                element(documents, found);
                Ok::<(), Infallible>(())
            });
        }
    }
}
