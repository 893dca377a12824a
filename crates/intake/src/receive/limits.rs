//! What a receiver may use.

use std::time::Duration;

/// Bounds on what peers can make a receiver hold or wait for. Shared by all receivers; each reads the
/// fields that concern it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest syslog message or text line, in bytes without framing. Each connection holds at most
    /// this and one read (64 KiB).
    pub line_bytes: usize,
    /// The longest JSON document, file line or journal entry, in bytes. The spool's own limit applies too.
    pub document_bytes: usize,
    /// Open connections per listener.
    pub connections: usize,
    /// Open connections per peer address and listener.
    pub connections_per_peer: usize,
    /// A TLS handshake, an HTTP request's head, and the rest of a message that has begun must come
    /// within this time, and an answer must be taken.
    pub message_time: Duration,
    /// Connections beyond these that wait, unread, for one to end; more are closed at once.
    pub connections_waiting: usize,
    /// Of them from one peer address.
    pub connections_waiting_per_peer: usize,
    /// A connection that sends nothing for this long is closed. Syslog clients keep theirs open for hours.
    pub idle: Duration,
    /// The whole body of an HTTP request must come within this time.
    pub body_time: Duration,
    /// An HTTP body, both as sent and after decompression, and its documents together, in each of which stands what they share.
    pub body_bytes: usize,
    /// Documents in one HTTP request.
    pub documents: usize,
    /// HTTP requests being read at a time, per router; more are answered 429.
    pub requests: usize,
    /// Of them from one peer address: whoever sends his bodies slowly takes no more.
    pub requests_per_peer: usize,
    /// A reply that waits for more than storing ([`http::Level`](super::http::Level)) comes after this time, whatever was reached.
    pub acknowledge_time: Duration,
    /// Replies that wait so at a time, per router. Beyond, nobody waits: the records are stored, and that is said.
    pub waiting: usize,
    /// Of them to one peer address.
    pub waiting_per_peer: usize,
    /// Records are handed to the spool in portions of about this many bytes.
    pub chunk_bytes: usize,
    /// UDP receive buffer asked of the kernel (`net.core.rmem_max` may cap it).
    pub udp_buffer_bytes: usize,
    /// After shutdown is asked for, open connections get this long to finish what they have begun.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line_bytes: 256 << 10,
            document_bytes: 1 << 20,
            connections: 512,
            connections_per_peer: 128,
            connections_waiting: 512,
            connections_waiting_per_peer: 256,
            message_time: Duration::from_secs(30),
            idle: Duration::from_secs(24 * 3600),
            body_time: Duration::from_secs(300),
            body_bytes: 100 << 20,
            documents: 1_000_000,
            requests: 64,
            requests_per_peer: 16,
            acknowledge_time: Duration::from_secs(30),
            waiting: 256,
            waiting_per_peer: 64,
            chunk_bytes: 1 << 20,
            udp_buffer_bytes: 8 << 20,
            grace: Duration::from_secs(3),
        }
    }
}
