//! How far records must have come before their sender is answered.

use std::{fmt, time::Duration};

use axum::{
    http::{HeaderValue, request::Parts},
    response::Response,
};
use futures::future::BoxFuture;
use vedette_event::SourceId;

/// The header that asks for a level, and the one that tells which was reached.
const HEADER: &str = "vedette-ack";

/// How far records have come. Each level is more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// On this machine's disk.
    Stored,
    /// In a signed checkpoint of the ledger.
    Sealed,
    /// In a checkpoint that the required witnesses have cosigned.
    Witnessed,
}

impl Level {
    /// Its name, as clients ask for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Stored => "stored",
            Level::Sealed => "sealed",
            Level::Witnessed => "witnessed",
        }
    }

    /// The level that a request asks for, if it asks: with `?ack=`, or else the header `Vedette-Ack`.
    ///
    /// # Errors
    /// There is no such level.
    pub(super) fn asked(parts: &Parts) -> Result<Option<Level>, String> {
        let query = parts.uri.query().unwrap_or("");
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("ack="));
        let asked = asked.or_else(|| parts.headers.get(HEADER).map(|value| value.to_str().unwrap_or("?")));
        let find = |name: &str| {
            let all = [Level::Stored, Level::Sealed, Level::Witnessed];
            let found = all.into_iter().find(|level| level.as_str() == name);
            found
                .ok_or_else(|| format!("ack: there is no level `{name}`; there are `stored`, `sealed` and `witnessed`"))
        };
        asked.map(find).transpose()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Knows how far stored records have come.
pub trait Acknowledge: Send + Sync {
    /// Whether a level can be reached here at all.
    ///
    /// # Errors
    /// Why it cannot, for the sender.
    fn offers(&self, level: Level) -> Result<(), String>;

    /// Waits until the records of a source before `next_seq`, which are stored, have come to `level`; not longer than
    /// `patience`. The level that they have come to. May be dropped at any time.
    fn wait(&self, source: SourceId, next_seq: u64, level: Level, patience: Duration) -> BoxFuture<'static, Level>;
}

/// Says in a reply which level was reached, if one was asked for.
pub(super) fn tell(mut response: Response, reached: Option<Level>) -> Response {
    if let Some(level) = reached {
        response.headers_mut().insert(HEADER, HeaderValue::from_static(level.as_str()));
    }
    response
}
