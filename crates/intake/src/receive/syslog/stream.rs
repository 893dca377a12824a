//! Syslog over TCP, plain or with TLS.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::Config;
use crate::receive::{
    Counters, Limits, ReceiveError,
    deliver::{MAX_PORTION, Peers, store_patiently},
    framing::{Framed, Framer},
    listen::{End, Listener, Serve},
};

/// How much a connection reads at a time: little while it is quiet, more while it keeps up filling it.
const SMALLEST_READ: usize = 8 << 10;
const LARGEST_READ: usize = 256 << 10;

/// A bound TCP listener.
pub struct StreamReceiver {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    peers: Peers,
    spool: Spool,
    config: Config,
}

impl StreamReceiver {
    pub(super) async fn bind(
        config: Config,
        acceptor: Option<TlsAcceptor>,
        spool: Spool,
    ) -> Result<StreamReceiver, ReceiveError> {
        let receiver = if acceptor.is_some() { "syslog-tls" } else { "syslog-tcp" };
        let listener = Listener::bind(config.address, acceptor).await?;
        let peers = Peers::new(spool.clone(), receiver, config.parser.as_deref());
        Ok(StreamReceiver { listener, shared: Arc::new(Shared { peers, spool, config }) })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves connections until shutdown; then stores what they have already sent.
    ///
    /// # Errors
    /// None at present; a failing `accept` is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        self.listener.run(self.shared, shutdown).await;
        Ok(())
    }
}

impl Serve for Shared {
    type Peer = Arc<Source>;

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    fn counters(&self) -> &Counters {
        &self.config.counters
    }

    fn admit(&self, peer: SocketAddr) -> Option<Arc<Source>> {
        self.peers
            .source(peer.ip())
            .inspect_err(|refused| tracing::warn!(peer = %peer.ip(), %refused, "syslog connection closed"))
            .ok()
    }

    async fn connection<S>(&self, mut stream: S, source: Arc<Source>, shutdown: &CancellationToken) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let source = &source;
        let limits = &self.config.limits;
        let mut framer = Framer::new(limits.line_bytes);
        let mut message_began: Option<Instant> = None;
        let mut read_size = SMALLEST_READ;
        let end = loop {
            // Trickling bytes does not help: the deadline is that of the message's beginning.
            let deadline = match message_began {
                Some(began) => began + limits.message_time,
                None => Instant::now() + limits.idle,
            };
            framer.buffer().reserve(read_size);
            let read = tokio::select! {
                biased;
                () = shutdown.cancelled() => break End::Closed,
                read = tokio::time::timeout_at(deadline, stream.read_buf(framer.buffer())) => read,
            };
            match read {
                Err(_) => break End::TooSlow,
                // A reset: what came before it is framed below.
                Ok(Err(_) | Ok(0)) => break End::Closed,
                Ok(Ok(count)) if count >= read_size => read_size = (read_size * 2).min(LARGEST_READ),
                Ok(Ok(count)) if count < read_size / 4 => read_size = (read_size / 2).max(SMALLEST_READ),
                Ok(Ok(_)) => {}
            }
            let Some(completed) = self.store_complete(&mut framer, source, shutdown).await else {
                let unread = std::iter::from_fn(|| framer.next_frame()).count();
                self.spool.shed(source, Reason::Busy, unread as u64);
                return End::Closed;
            };
            message_began = match framer.is_inside() {
                false => None,
                true if completed => Some(Instant::now()),
                true => message_began.or_else(|| Some(Instant::now())),
            };
        };
        match framer.finish() {
            Some(Framed::Record(record)) => {
                store_patiently(&self.spool, source, vec![record], &self.config.counters, shutdown).await;
            }
            Some(Framed::Truncated) => self.spool.shed(source, Reason::Truncated, 1),
            Some(Framed::TooLarge) => self.spool.refuse(source, Reason::TooLarge, 1),
            None => {}
        }
        end
    }
}

impl Shared {
    /// Stores the messages that are complete and tells whether there were any; `None` when shutdown came first.
    async fn store_complete(
        &self,
        framer: &mut Framer,
        source: &Arc<Source>,
        shutdown: &CancellationToken,
    ) -> Option<bool> {
        let mut completed = false;
        loop {
            let mut records: Vec<Bytes> = Vec::new();
            let mut too_large = 0;
            while records.len() < MAX_PORTION
                && let Some(framed) = framer.next_frame()
            {
                match framed {
                    Framed::Record(record) => records.push(record),
                    Framed::TooLarge => too_large += 1,
                    Framed::Truncated => {}
                }
            }
            if too_large > 0 {
                self.spool.refuse(source, Reason::TooLarge, too_large);
                completed = true;
            }
            if records.is_empty() {
                return Some(completed);
            }
            completed = true;
            if !store_patiently(&self.spool, source, records, &self.config.counters, shutdown).await {
                return None;
            }
        }
    }
}
