//! Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425, and lines over TLS).
//!
//! The protocol has no acknowledgement: what a TCP client has sent and we have not read is lost when the
//! connection breaks. What was read is stored, however long the spool makes us wait.

mod drops;
mod stream;
mod udp;

use std::{net::SocketAddr, sync::Arc};

pub use stream::StreamReceiver;
pub use udp::UdpReceiver;
use vedette_spool::Spool;

use super::{Counters, Limits, ReceiveError, tls};

/// One syslog listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The parser to use for all its records; otherwise parsers are chosen by content.
    pub parser: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// Where to count.
    pub counters: Arc<Counters>,
}

impl Config {
    /// A listener with default limits and counters of its own.
    pub fn new(address: SocketAddr) -> Self {
        Config { address, parser: None, limits: Limits::default(), counters: Arc::default() }
    }
}

/// Listens on UDP. Sources are `syslog-udp:<address>`.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn bind_udp(config: Config, spool: Spool) -> Result<UdpReceiver, ReceiveError> {
    UdpReceiver::bind(config, spool)
}

/// Listens on TCP. Sources are `syslog-tcp:<address>`.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn bind_tcp(config: Config, spool: Spool) -> Result<StreamReceiver, ReceiveError> {
    StreamReceiver::bind(config, None, spool).await
}

/// Listens on TCP with TLS. Sources are `syslog-tls:<address>`.
///
/// # Errors
/// When the address cannot be listened on or the certificates cannot be used.
pub async fn bind_tls(config: Config, files: &tls::TlsFiles, spool: Spool) -> Result<StreamReceiver, ReceiveError> {
    let acceptor = tls::acceptor(files)?;
    StreamReceiver::bind(config, Some(acceptor), spool).await
}
