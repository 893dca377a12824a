//! Running a router on a listener that the world may reach: bounded connections, heads that must come in
//! time, optional TLS, graceful end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::Options;
use crate::receive::{ReceiveError, connections::OpenConnections};

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Heads longer than this are refused by hyper.
const MAX_HEAD: usize = 64 << 10;

/// A bound HTTP listener.
pub struct HttpReceiver {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    options: Options,
}

/// Listens for HTTP/1.1 and serves `router`, with TLS when an acceptor is given.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn bind(
    address: SocketAddr,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    options: Options,
) -> Result<HttpReceiver, ReceiveError> {
    let refused = |error| ReceiveError::Bind { address, error };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(HttpReceiver { listener, address, acceptor, router, options })
}

impl HttpReceiver {
    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown; requests that have begun get [`super::Limits::grace`] to end.
    ///
    /// # Errors
    /// None at present; a failing `accept` is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        let open = OpenConnections::default();
        let tasks = TaskTracker::new();
        let limits = self.options.limits.clone();
        let options = Arc::new(self.options);
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "cannot accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = open.enter(peer.ip(), limits.connections, limits.connections_per_peer) else {
                options.counters.connections_refused.add(1);
                continue;
            };
            options.counters.connections.add(1);
            let (router, acceptor, options, shutdown) =
                (self.router.clone(), self.acceptor.clone(), options.clone(), shutdown.clone());
            tasks.spawn(async move {
                let _place = place;
                let Some(acceptor) = acceptor else {
                    return connection(stream, peer, router, &options, &shutdown).await;
                };
                match tokio::time::timeout(options.limits.message_time, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, router, &options, &shutdown).await,
                    Ok(Err(error)) => {
                        tracing::warn!(%peer, %error, "TLS handshake failed");
                        options.counters.handshakes_failed.add(1);
                    }
                    Err(_) => options.counters.connections_timed_out.add(1),
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    options: &Options,
    shutdown: &CancellationToken,
) {
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also how long a connection may rest between two requests.
        .header_read_timeout(options.limits.message_time)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(options.limits.grace, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    match ended {
        Err(error) if error.is_timeout() => options.counters.connections_timed_out.add(1),
        Err(error) => tracing::debug!(%peer, %error, "HTTP connection ended"),
        Ok(()) => {}
    }
}
