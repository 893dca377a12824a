//! The HTTP API, sessions, and the small page.
//!
//! [`router`] answers everything: `/api/v1` (described by its own `/api/v1/openapi.json`), `/metrics`, the files of the
//! [`Console`], and small server-rendered pages under `/plain` for browsers without scripts. [`listen`] holds the ways in: TLS, plain HTTP on loopback, and a Unix socket whose file
//! permissions decide. [`accounts`] knows people and programs: one-time links instead of default passwords, sessions,
//! tokens. What the server needs from others comes in through [`App`].
//!
//! It does not parse logs and does not touch the store's files; what people do here is written to the [`Journal`]
//! before it is carried out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounts;
mod action;
mod api;
mod app;
mod auth;
mod console;
mod custody;
mod detection;
mod guard;
mod indicators;
pub mod listen;
mod live;
mod local;
mod page;
mod problem;
mod retrohunt;
mod rooms;
mod searches;
mod settings;

use std::sync::Arc;

pub use action::Action;
pub use api::openapi;
pub use app::{
    Activity, AlertBudget, App, Check, Cosigned, Counters, DiskStatus, Gates, HealthView, Journal, LedgerStatus,
    LiveTail, NoisyRule, Status, WitnessStatus, Witnessed, system_clock,
};
pub use auth::Peer;
pub use console::{Asset, Console};
pub use custody::{Custody, CustodyError, Erased, Hold, Selection};
pub use detection::{
    CheckedParser, CheckedRules, Disabled, Explained, ExplainedLine, FileName, LoadedCorrelation, LoadedRule,
    Logsource, ParsedLine, ParsersView, RefusedRule, RulesOf, RulesView, SaveError, Trial,
};
pub use indicators::{IndicatorFeed, IndicatorServer, IndicatorStatus, IndicatorsView, KnownIndicator};
pub use local::Local;
pub use problem::Problem;
pub use retrohunt::{
    HuntedEntity, HuntedField, HuntedFinding, HuntedRule, NewRetrohunt, Retrohunt, RetrohuntError, RetrohuntState,
    Retrohunts,
};
pub use rooms::{
    Ask, Bins, Language, LiveFilter, Piece, Progress, Rooms, SearchError, SpoolStatus, StoreStatus, Summary,
};
pub use searches::{SavedSearch, Searches, SearchesError};
pub use settings::{Receiver, Retention, Section, SectionText, SettingsError, SettingsView};

/// Everything the server answers. The listeners in [`listen`] serve it; they say who is at the other end ([`Peer`]),
/// and without that nothing is answered.
pub fn router(app: Arc<App>) -> axum::Router {
    let (api, _) = api::router(app.clone());
    let console = axum::Router::new().fallback(console::fallback).with_state(app.clone());
    guard::around(api.nest("/plain", page::router(app.clone())).fallback_service(console), app)
}
