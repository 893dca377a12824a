//! What a receiver has seen. Stored, refused and shed records are counted per source by the spool;
//! these are the transport's own figures.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// Running totals since the start; one instance may be shared by several receivers.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) connections: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) connections_timed_out: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) requests: Counter,
    pub(crate) requests_refused: Counter,
    pub(crate) records: Counter,
    pub(crate) bytes: Counter,
    pub(crate) waits: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// [`Counters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CountersSnapshot {
    /// Connections accepted.
    pub connections: u64,
    /// Connections closed at once because of a limit.
    pub connections_refused: u64,
    /// Connections closed because the peer was too slow or silent.
    pub connections_timed_out: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// HTTP requests that carried records.
    pub requests: u64,
    /// HTTP requests refused as a whole (no token, too large, not readable, too many at a time).
    pub requests_refused: u64,
    /// Records handed to the spool.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Times that a receiver stopped reading because the spool could not take more.
    pub waits: u64,
}

impl Counters {
    /// The totals now.
    pub fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            connections: self.connections.get(),
            connections_refused: self.connections_refused.get(),
            connections_timed_out: self.connections_timed_out.get(),
            handshakes_failed: self.handshakes_failed.get(),
            requests: self.requests.get(),
            requests_refused: self.requests_refused.get(),
            records: self.records.get(),
            bytes: self.bytes.get(),
            waits: self.waits.get(),
        }
    }
}
