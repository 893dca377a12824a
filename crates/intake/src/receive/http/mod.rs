//! HTTP receivers: the Elasticsearch `_bulk` API ([`elasticsearch`]), plain NDJSON ([`ndjson`]), Splunk's event collector
//! ([`splunk`]), OTLP ([`otlp`], [`otlp_grpc`]), Loki ([`loki`]), GELF ([`gelf`]) and [`webhooks`].
//!
//! All are axum routers, so that the binary may put them on one listener or several; [`serve`] runs one
//! with the bounds that a public listener needs. A body is decompressed, cut into documents and handed to
//! the spool while it arrives, and the reply waits until every document's fate is known.

mod acknowledge;
mod answering;
mod authorize;
mod body;
mod bulk;
mod documents;
mod elasticsearch;
mod gelf;
mod loki;
mod message;
mod ndjson;
mod otlp;
mod protobuf;
mod request;
mod serve;
mod splunk;
mod webhook;

use std::sync::Arc;

pub use acknowledge::{Acknowledge, Level};
pub use authorize::{Authorize, presented_token};
use axum::Router;
pub use elasticsearch::elasticsearch;
pub use gelf::gelf;
pub use loki::loki;
pub use ndjson::ndjson;
pub use otlp::{otlp, otlp_grpc};
pub use serve::{HttpReceiver, Version, bind};
pub use splunk::splunk;
use vedette_spool::Spool;
pub use webhook::{Algorithm, Check, Deliveries, Encoding, Secret, Signed, Webhook, webhooks};

/// Every protocol over HTTP/1.1 on one router: their paths do not meet.
pub fn every_protocol(spool: &Spool, options: &Options, webhooks: Vec<Webhook>) -> Router {
    elasticsearch(spool.clone(), options.clone())
        .merge(ndjson(spool.clone(), options.clone()))
        .merge(splunk(spool.clone(), options.clone()))
        .merge(otlp(spool.clone(), options.clone()))
        .merge(loki(spool.clone(), options.clone()))
        .merge(gelf(spool.clone(), options.clone()))
        .merge(self::webhooks(spool, options, webhooks))
}

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
    /// Which deliveries webhooks have taken.
    pub deliveries: Arc<Deliveries>,
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
            deliveries: Arc::default(),
            elasticsearch_version: "8.19.0".to_owned(),
            parser: None,
        }
    }
}
