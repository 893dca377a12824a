//! Carrying records into the spool.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::{Receipt, Refused, Spool, Ticket};

use super::Counters;

/// Each record costs the spool some bytes of its own; never offer more than this many at once.
pub(crate) const MAX_PORTION: usize = 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Growing pauses between two attempts.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff(FIRST_PAUSE)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Whether the same records may be taken later.
pub(crate) fn is_passing(reason: Reason) -> bool {
    matches!(reason, Reason::Busy | Reason::DiskFull | Reason::WriteFailed)
}

/// Where records are that could not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Whoever sent them was not told that they are stored, and still has them.
    WithSender,
    /// Nobody has them any more.
    Nowhere,
}

impl Left {
    pub(crate) fn count(self, spool: &Spool, source: &Source, reason: Reason, count: u64) {
        match self {
            _ if count == 0 => {}
            Left::WithSender => spool.refuse(source, reason, count),
            Left::Nowhere => spool.shed(source, reason, count),
        }
    }
}

/// Appends and waits until the records are durable, for senders that can be made to wait: while the spool
/// is busy or the disk full, it tries again. Records that the spool finds too long are counted as refused.
/// Returns false when shutdown came first; the records are then counted by what `left` says.
pub(crate) async fn store_patiently(
    spool: &Spool,
    source: &Arc<Source>,
    records: Vec<Bytes>,
    counters: &Counters,
    left: Left,
    shutdown: &CancellationToken,
) -> bool {
    let mut portions = vec![records];
    let mut backoff = Backoff::new();
    while let Some(records) = portions.pop() {
        let count = records.len() as u64;
        match append_and_wait(spool, source, records.clone()).await {
            Ok(_) => {
                counters.records.add(count);
                counters.bytes.add(records.iter().map(|record| record.len() as u64).sum());
            }
            Err(refused) if is_passing(refused.reason) => {
                counters.waits.add(1);
                portions.push(records);
                tokio::select! {
                    () = tokio::time::sleep(backoff.next()) => {}
                    () = shutdown.cancelled() => {
                        for portion in portions {
                            left.count(spool, source, refused.reason, portion.len() as u64);
                        }
                        return false;
                    }
                }
            }
            // One of them is too long: find it by itself, in order.
            Err(_) if count > 1 => portions.extend(records.into_iter().rev().map(|record| vec![record])),
            Err(refused) => spool.refuse(source, refused.reason, count),
        }
    }
    true
}

async fn append_and_wait(spool: &Spool, source: &Source, records: Vec<Bytes>) -> Result<Receipt, Refused> {
    let ticket: Ticket = spool.append(source, records)?;
    ticket.wait().await
}

/// The sources of one receiver's peers, found by address.
pub(crate) struct Peers {
    spool: Spool,
    receiver: &'static str,
    parser: Option<Arc<str>>,
    known: Mutex<HashMap<IpAddr, Arc<Source>>>,
}

/// More addresses than this are looked up in the spool each time.
const KNOWN_PEERS: usize = 8192;

impl Peers {
    pub(crate) fn new(spool: Spool, receiver: &'static str, parser: Option<&str>) -> Self {
        Peers { spool, receiver, parser: parser.map(Arc::from), known: Mutex::default() }
    }

    /// The peer's source; where the spool can tell no more sources apart, `<receiver>:other`.
    pub(crate) fn source(&self, peer: IpAddr) -> Result<Arc<Source>, Refused> {
        let peer = peer.to_canonical();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = known.get(&peer) {
            return Ok(source.clone());
        }
        match self.named(&peer.to_string()) {
            Ok(source) => {
                if known.len() < KNOWN_PEERS {
                    known.insert(peer, source.clone());
                }
                Ok(source)
            }
            Err(refused) if refused.reason == Reason::TooManySources => self.other(),
            Err(refused) => Err(refused),
        }
    }

    /// The source for what cannot be put down to one peer.
    pub(crate) fn other(&self) -> Result<Arc<Source>, Refused> {
        self.named("other")
    }

    /// `<receiver>:<instance>`.
    pub(crate) fn named(&self, instance: &str) -> Result<Arc<Source>, Refused> {
        self.spool.source(&format!("{}:{instance}", self.receiver), self.receiver, self.parser.as_deref())
    }
}
