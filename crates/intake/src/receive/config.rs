//! How one listener behaves.

use std::{net::SocketAddr, sync::Arc};

use super::{Counters, Limits};

/// One listener.
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
