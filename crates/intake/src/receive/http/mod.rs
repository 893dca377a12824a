//! HTTP receivers: the Elasticsearch `_bulk` API ([`elasticsearch`]) and plain NDJSON ([`ndjson`]).
//!
//! Both are axum routers, so that the binary may put them on one listener or several; [`serve`] runs one
//! with the bounds that a public listener needs. A body is decompressed, cut into documents and handed to
//! the spool while it arrives, and the reply waits until every document's fate is known.

mod acknowledge;
mod authorize;
mod body;
mod bulk;
mod documents;
mod elasticsearch;
mod ndjson;
mod request;
mod serve;

use std::sync::Arc;

pub use acknowledge::{Acknowledge, Level};
pub use authorize::{Authorize, presented_token};
pub use elasticsearch::elasticsearch;
pub use ndjson::ndjson;
pub use serve::{HttpReceiver, bind};

use super::{Counters, Limits};

/// How an HTTP receiver behaves.
#[derive(Clone)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Where to count.
    pub counters: Arc<Counters>,
    /// Who may send; `None` lets everybody.
    pub authorize: Option<Arc<dyn Authorize>>,
    /// Who knows how far stored records have come; `None` acknowledges them as stored only.
    pub acknowledge: Option<Arc<dyn Acknowledge>>,
    /// The Elasticsearch version to claim. Beats refuse servers older than themselves.
    pub elasticsearch_version: String,
    /// The parser to use for all its records; otherwise parsers are chosen by content.
    pub parser: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: Limits::default(),
            counters: Arc::default(),
            authorize: None,
            acknowledge: None,
            elasticsearch_version: "8.19.0".to_owned(),
            parser: None,
        }
    }
}
