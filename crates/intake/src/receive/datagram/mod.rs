//! Protocols over UDP: syslog (RFC 5426), GELF.
//!
//! Nobody can be told that a datagram was lost: what the spool cannot take is shed and counted, as is what the kernel dropped.

mod chunks;
mod drops;
mod socket;

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use chunks::Gelf;
pub use socket::UdpReceiver;
use vedette_event::Reason;
use vedette_spool::Spool;

use super::{Config, Limits, ReceiveError, framing::trim_datagram};

/// A protocol over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// One datagram, one message. Sources are `syslog-udp:<address>`.
    Syslog,
    /// JSON, perhaps compressed, perhaps in chunks. Sources are `gelf-udp:<address>`.
    Gelf,
}

impl Protocol {
    fn receiver(self) -> &'static str {
        match self {
            Protocol::Syslog => "syslog-udp",
            Protocol::Gelf => "gelf-udp",
        }
    }

    fn datagrams(self, limits: &Limits) -> Datagrams {
        match self {
            Protocol::Syslog => Datagrams::Syslog { limit: limits.line_bytes },
            Protocol::Gelf => Datagrams::Gelf(Gelf::new(limits.document_bytes)),
        }
    }
}

/// What a protocol makes of datagrams.
enum Datagrams {
    Syslog { limit: usize },
    Gelf(Gelf),
}

/// What a datagram gave.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Record(Bytes),
    /// A part of a message, or nothing at all.
    Nothing,
    Lost(Reason),
}

impl Datagrams {
    fn take(&mut self, peer: IpAddr, datagram: BytesMut) -> Found {
        match self {
            Datagrams::Syslog { limit } => match trim_datagram(datagram) {
                Some(record) if record.len() > *limit => Found::Lost(Reason::TooLarge),
                Some(record) => Found::Record(record),
                None => Found::Nothing,
            },
            Datagrams::Gelf(gelf) => gelf.take(peer, datagram.freeze()),
        }
    }

    /// Whose messages will not become whole any more, or (`all`) are not yet.
    fn late(&mut self, all: bool) -> Vec<IpAddr> {
        match self {
            Datagrams::Syslog { .. } => Vec::new(),
            Datagrams::Gelf(gelf) => gelf.late(all),
        }
    }
}

/// Listens on UDP.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn bind(protocol: Protocol, config: Config, spool: Spool) -> Result<UdpReceiver, ReceiveError> {
    UdpReceiver::bind(protocol, config, spool)
}
