//! Syslog over TCP, plain or with TLS.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vedette_event::{Reason, Source};
use vedette_spool::Spool;

use super::Config;
use crate::receive::{
    ReceiveError,
    connections::OpenConnections,
    deliver::{MAX_PORTION, Peers, store_patiently},
    framing::{Framed, Framer},
};

/// How much a connection reads at a time: little while it is quiet, more while it keeps up filling it.
const SMALLEST_READ: usize = 8 << 10;
const LARGEST_READ: usize = 256 << 10;
/// After a failed `accept` (no file descriptors left) the listener rests.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound TCP listener.
pub struct StreamReceiver {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
}

struct Shared {
    peers: Peers,
    spool: Spool,
    config: Config,
}

/// How a connection ended.
enum End {
    Closed,
    TooSlow,
    Shutdown,
}

impl StreamReceiver {
    pub(super) async fn bind(
        config: Config,
        acceptor: Option<TlsAcceptor>,
        spool: Spool,
    ) -> Result<StreamReceiver, ReceiveError> {
        let refused = |error| ReceiveError::Bind { address: config.address, error };
        let listener = TcpListener::bind(config.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let receiver = if acceptor.is_some() { "syslog-tls" } else { "syslog-tcp" };
        let peers = Peers::new(spool.clone(), receiver, config.parser.as_deref());
        Ok(StreamReceiver { listener, address, acceptor, shared: Arc::new(Shared { peers, spool, config }) })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until shutdown; then stores what they have already sent.
    ///
    /// # Errors
    /// None at present; a failing `accept` is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        let open = OpenConnections::default();
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept a syslog connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let limits = &self.shared.config.limits;
            let Some(place) = open.enter(peer.ip(), limits.connections, limits.connections_per_peer) else {
                self.shared.config.counters.connections_refused.add(1);
                continue;
            };
            self.shared.config.counters.connections.add(1);
            let (shared, acceptor, shutdown) = (self.shared.clone(), self.acceptor.clone(), shutdown.clone());
            tasks.spawn(async move {
                let _place = place;
                shared.connection(stream, peer.ip(), acceptor, shutdown).await;
            });
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

impl Shared {
    async fn connection(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        acceptor: Option<TlsAcceptor>,
        shutdown: CancellationToken,
    ) {
        let source = match self.peers.source(peer) {
            Ok(source) => source,
            Err(refused) => {
                tracing::warn!(%peer, %refused, "syslog connection closed");
                self.config.counters.connections_refused.add(1);
                return;
            }
        };
        let end = match acceptor {
            None => self.receive(stream, &source, &shutdown).await,
            Some(acceptor) => {
                let handshake = tokio::time::timeout(self.config.limits.message_time, acceptor.accept(stream));
                match handshake.await {
                    Ok(Ok(stream)) => self.receive(stream, &source, &shutdown).await,
                    Ok(Err(error)) => {
                        tracing::warn!(%peer, %error, "TLS handshake failed");
                        self.config.counters.handshakes_failed.add(1);
                        End::Closed
                    }
                    Err(_) => End::TooSlow,
                }
            }
        };
        if let End::TooSlow = end {
            self.config.counters.connections_timed_out.add(1);
        }
    }

    async fn receive(
        &self,
        mut stream: impl AsyncRead + Unpin,
        source: &Arc<Source>,
        shutdown: &CancellationToken,
    ) -> End {
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
                () = shutdown.cancelled() => break End::Shutdown,
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
                return End::Shutdown;
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
