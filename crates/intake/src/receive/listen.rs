//! Listening on TCP where the world may connect: bounded connections, optional TLS, an end that waits for what was
//! begun.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Counters, Limits, ReceiveError, places::Places};

/// After a failed `accept` (no file descriptors left) the listener rests.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A protocol over connections.
pub(crate) trait Serve: Send + Sync + 'static {
    /// What is known of a peer that may connect.
    type Peer: Send + 'static;

    /// The bounds of connections.
    fn limits(&self) -> &Limits;

    /// Where to count.
    fn counters(&self) -> &Counters;

    /// Whether the peer may connect, asked before the TLS handshake. A refusal is logged here and counted by the
    /// listener.
    fn admit(&self, peer: SocketAddr) -> Option<Self::Peer>;

    /// Serves one connection to its end, or until shutdown.
    fn connection<S>(
        &self,
        stream: S,
        peer: Self::Peer,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = End> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By the peer, by an error, or by shutdown.
    Closed,
    /// The peer was too slow or silent.
    TooSlow,
}

/// A bound listener.
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
}

impl Listener {
    /// Listens on `address`, with TLS when an acceptor is given.
    pub(crate) async fn bind(address: SocketAddr, acceptor: Option<TlsAcceptor>) -> Result<Listener, ReceiveError> {
        let refused = |error| ReceiveError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Listener { listener, address, acceptor })
    }

    /// The bound address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until shutdown, then waits until the connections have ended. A failing `accept` is retried.
    pub(crate) async fn run<S: Serve>(self, serve: Arc<S>, shutdown: CancellationToken) {
        let (connections, waiting) = {
            let limits = serve.limits();
            let connections = Places::new(limits.connections, limits.connections_per_peer);
            (connections, Places::new(limits.connections_waiting, limits.connections_waiting_per_peer))
        };
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let place = connections.enter(peer.ip());
            // Clients that open a connection for each record, and go without an answer, are many at a time.
            let room = if place.is_none() { waiting.enter(peer.ip()) } else { None };
            if place.is_none() && room.is_none() {
                serve.counters().connections_refused.add(1);
                continue;
            }
            let (serve, acceptor, shutdown) = (serve.clone(), self.acceptor.clone(), shutdown.clone());
            let connections = connections.clone();
            tasks.spawn(async move {
                let place = match place {
                    Some(place) => Some(place),
                    None => tokio::select! {
                        () = shutdown.cancelled() => None,
                        place = connections.enter_by(peer.ip(), Instant::now() + serve.limits().message_time) => place,
                    },
                };
                drop(room);
                let Some(_place) = place else {
                    serve.counters().connections_refused.add(1);
                    return;
                };
                serve.counters().connections.add(1);
                if let End::TooSlow = connection(&*serve, stream, peer, acceptor, &shutdown).await {
                    serve.counters().connections_timed_out.add(1);
                }
            });
        }
        tasks.close();
        tasks.wait().await;
    }
}

async fn connection<S: Serve>(
    serve: &S,
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    shutdown: &CancellationToken,
) -> End {
    let Some(peer) = serve.admit(address) else {
        serve.counters().connections_refused.add(1);
        return End::Closed;
    };
    let Some(acceptor) = acceptor else {
        return serve.connection(stream, peer, shutdown).await;
    };
    match tokio::time::timeout(serve.limits().message_time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve.connection(stream, peer, shutdown).await,
        Ok(Err(error)) => {
            tracing::warn!(peer = %address, %error, "TLS handshake failed");
            serve.counters().handshakes_failed.add(1);
            End::Closed
        }
        Err(_) => End::TooSlow,
    }
}
