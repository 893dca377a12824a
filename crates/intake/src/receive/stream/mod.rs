//! Protocols over connections: what a peer sends is cut into records, and answered when they are durable.
//!
//! A [`Dialogue`] knows one protocol's bytes and nothing of sockets, spools or time; `connection` reads, stores and writes
//! for all of them, with the same bounds. One file each: [`syslog`], [`relp`], [`lumberjack`], [`gelf`], [`fluent`].

mod connection;
mod dialogue;
pub mod fluent;
pub mod gelf;
mod inflate;
pub mod lumberjack;
mod msgpack;
pub mod relp;
pub mod syslog;

use std::sync::Arc;

pub use connection::StreamReceiver;
pub use dialogue::{Dialogue, Next, Turn};
use vedette_spool::Spool;

use super::{Config, ReceiveError, tls};

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
