//! Why a receiver cannot start or go on.

use std::{io, net::SocketAddr, path::PathBuf};

use vedette_spool::Refused;

/// A receiver cannot start or go on. What goes wrong with one connection or one record is counted instead.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; is another program using the port?")]
    Bind {
        /// The address of the configuration.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The listening socket broke.
    #[error("the socket of {address} failed: {error}")]
    Socket {
        /// The bound address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// A file that the configuration names cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A file pattern of the configuration cannot be understood.
    #[error("file pattern `{pattern}`: {reason}")]
    Pattern {
        /// As configured.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up from the certificates given.
    #[error("TLS: {0}")]
    Tls(String),
    /// This machine keeps no journal.
    #[error("no journal on this machine: {0}")]
    NoJournal(String),
    /// The spool does not take the receiver's source.
    #[error("the spool refused source {name}: {refused}")]
    Source {
        /// The source's name.
        name: String,
        /// Why.
        refused: Refused,
    },
    /// A worker thread ended unexpectedly.
    #[error("the {0} receiver stopped unexpectedly; please report this")]
    Stopped(&'static str),
}
