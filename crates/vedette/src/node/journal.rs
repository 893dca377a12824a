//! Own actions as events: journalled before they take effect.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use vedette_event::{EventId, Source, SourceId};
use vedette_ledger::evidence;
use vedette_server::{Action, Journal};
use vedette_spool::Spool;

use super::maintenance::now;

/// The source of own actions.
pub const SOURCE: &str = evidence::OWN_SOURCE.0;

/// Writes own actions into the spool.
#[derive(Clone)]
pub struct SelfJournal {
    spool: Spool,
    source: Arc<Source>,
}

impl SelfJournal {
    /// A journal into this spool.
    ///
    /// # Errors
    /// The spool takes no more sources.
    pub fn new(spool: &Spool) -> anyhow::Result<Self> {
        let source =
            spool.source(SOURCE, evidence::OWN_SOURCE.1, None).context("cannot register Vedette's own source")?;
        Ok(SelfJournal { spool: spool.clone(), source })
    }

    /// Makes something that Vedette does by itself durable.
    ///
    /// # Errors
    /// It could not be made durable, and must not be done.
    pub fn write(
        &self,
        what: &'static str,
        target: Option<String>,
        details: Vec<(&'static str, String)>,
    ) -> anyhow::Result<()> {
        let action = Action { time: now(), who: "vedette".into(), address: None, what, target, details, failure: None };
        self.record(&action).map_err(anyhow::Error::msg)
    }
}

impl SelfJournal {
    /// The source of own actions.
    pub fn source(&self) -> SourceId {
        self.source.id
    }

    /// As [`Journal::record`]; the id of the event.
    ///
    /// # Errors
    /// As there.
    pub fn enter(&self, action: &Action) -> Result<EventId, String> {
        let record = Bytes::from(action.to_json().into_bytes());
        let wait = || self.spool.append_own(&self.source, vec![record])?.wait_blocking();
        wait()
            .map(|receipt| EventId { source: self.source.id, seq: receipt.first_seq })
            .map_err(|refused| format!("cannot journal `{}`: {refused}", action.what))
    }
}

impl Journal for SelfJournal {
    fn record(&self, action: &Action) -> Result<(), String> {
        self.enter(action).map(drop)
    }
}
