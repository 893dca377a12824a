//! Running a router on a listener that the world may reach: heads that must come in time, graceful end.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Options;
use crate::receive::{
    Counters, Limits, ReceiveError,
    listen::{End, Listener, Serve},
};

/// Heads longer than this are refused by hyper.
const MAX_HEAD: usize = 64 << 10;

/// A bound HTTP listener.
pub struct HttpReceiver {
    listener: Listener,
    http: Arc<Http>,
}

struct Http {
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
    let listener = Listener::bind(address, acceptor).await?;
    Ok(HttpReceiver { listener, http: Arc::new(Http { router, options }) })
}

impl HttpReceiver {
    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until shutdown; requests that have begun get [`super::Limits::grace`] to end.
    ///
    /// # Errors
    /// None at present; a failing `accept` is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ReceiveError> {
        self.listener.run(self.http, shutdown).await;
        Ok(())
    }
}

impl Serve for Http {
    type Peer = SocketAddr;

    fn limits(&self) -> &Limits {
        &self.options.limits
    }

    fn counters(&self) -> &Counters {
        &self.options.counters
    }

    fn admit(&self, peer: SocketAddr) -> Option<SocketAddr> {
        Some(peer)
    }

    async fn connection<S>(&self, stream: S, peer: SocketAddr, shutdown: &CancellationToken) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router.clone();
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Also how long a connection may rest between two requests.
            .header_read_timeout(self.options.limits.message_time)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(self.options.limits.grace, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return End::Closed,
                }
            }
        };
        match ended {
            Err(error) if error.is_timeout() => return End::TooSlow,
            Err(error) => tracing::debug!(%peer, %error, "HTTP connection ended"),
            Ok(()) => {}
        }
        End::Closed
    }
}
