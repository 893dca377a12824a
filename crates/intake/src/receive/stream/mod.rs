//! Protocols over connections: what a peer sends is cut into records, and answered when they are durable.
//!
//! A [`Dialogue`] knows one protocol's bytes and nothing of sockets, spools or time; `connection` reads, stores and writes
//! for all of them, with the same bounds. One file each: [`syslog`], [`relp`], [`lumberjack`], [`gelf`], [`fluent`].

mod connection;
pub mod fluent;
pub mod gelf;
mod inflate;
pub mod lumberjack;
mod msgpack;
pub mod relp;
pub mod syslog;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
pub use connection::StreamReceiver;
use vedette_spool::Spool;

use super::{Config, ReceiveError, deliver::MAX_PORTION, tls};

/// What a protocol makes of one connection's bytes.
pub trait Dialogue: Send {
    /// What the server says first.
    fn greeting(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Where to read more bytes into.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Cuts what was read into records, until the turn is full or more bytes are needed.
    fn take(&mut self, turn: &mut Turn) -> Next;

    /// Whether a message has begun and is not complete.
    fn is_inside(&mut self) -> bool {
        !self.buffer().is_empty()
    }

    /// The peer has ended its stream: what is left may be a record.
    fn end(&mut self, _turn: &mut Turn) {}

    /// What keeps a peer waiting while its records are being stored.
    fn keep_alive(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether the peer is told what is stored, and so keeps what is not.
    fn acknowledges(&self) -> bool {
        true
    }
}

/// Records that are stored together, and what is answered then.
#[derive(Debug, Default)]
pub struct Turn {
    /// The records, in order.
    pub records: Vec<Bytes>,
    /// Records over a limit; their bytes are skipped.
    pub too_large: u64,
    /// Records that are not what the protocol says.
    pub malformed: u64,
    /// Records that the stream ended in.
    pub truncated: u64,
    /// What is sent once the records are durable.
    pub reply: Vec<u8>,
}

impl Turn {
    /// Whether the records should be stored before more are cut.
    pub fn is_full(&self) -> bool {
        self.records.len() >= MAX_PORTION
    }
}

/// How a dialogue goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes are needed.
    Read,
    /// There is more to cut; the turn is full.
    Again,
    /// The connection ends after the reply: the peer is done, or does not speak the protocol.
    Close,
}

/// A protocol over connections.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// Syslog, RFC 6587 and 5425. Sources are `syslog-tcp:<address>` and `syslog-tls:<address>`.
    Syslog,
    /// RELP. Sources are `relp:<address>`.
    Relp,
    /// Lumberjack 2, of Beats and Logstash. Sources are `lumberjack:<address>`.
    Lumberjack,
    /// GELF, ended by NUL. Sources are `gelf-tcp:<address>`.
    Gelf,
    /// Fluent forward. Sources are `fluent:<address>`.
    Fluent {
        /// What clients must show that they know.
        shared_key: Option<Arc<str>>,
    },
}

impl Protocol {
    fn receiver(&self, tls: bool) -> &'static str {
        match self {
            Protocol::Syslog if tls => "syslog-tls",
            Protocol::Syslog => "syslog-tcp",
            Protocol::Relp => "relp",
            Protocol::Lumberjack => "lumberjack",
            Protocol::Gelf => "gelf-tcp",
            Protocol::Fluent { .. } => "fluent",
        }
    }

    fn dialogue(&self, config: &Config) -> Box<dyn Dialogue> {
        let limits = &config.limits;
        match self {
            Protocol::Syslog => Box::new(syslog::Syslog::new(limits.line_bytes)),
            Protocol::Relp => Box::new(relp::Relp::new(limits.line_bytes)),
            Protocol::Lumberjack => Box::new(lumberjack::Lumberjack::new(limits.document_bytes, limits.body_bytes)),
            Protocol::Gelf => Box::new(gelf::Gelf::new(limits.document_bytes)),
            Protocol::Fluent { shared_key } => {
                Box::new(fluent::Fluent::new(limits.document_bytes, limits.body_bytes, shared_key.clone()))
            }
        }
    }
}

/// Listens on TCP, with TLS where certificates are given.
///
/// # Errors
/// The address cannot be listened on, or the certificates cannot be used.
pub async fn bind(
    protocol: Protocol,
    config: Config,
    tls: Option<&tls::TlsFiles>,
    spool: Spool,
) -> Result<StreamReceiver, ReceiveError> {
    let acceptor = tls.map(tls::acceptor).transpose()?;
    StreamReceiver::bind(protocol, config, acceptor, spool).await
}
