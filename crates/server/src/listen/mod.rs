//! Where requests come in: TLS, plain HTTP on loopback, the local socket.
//!
//! HTTP/1.1 only. Every stage of a connection has a time limit (handshake, head, body, a write that nobody reads) and
//! there is a limit on connections, in all and for one address, so that slow clients cannot hold the server.

mod certificate;
mod connection;
mod stall;
mod unix;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use certificate::{Certificate, CertificateError};
pub use unix::{SOCKET, unix};

use crate::Peer;
use connection::{Admission, serve};

/// How much a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a request's head; also how long a connection may idle.
    pub head: Duration,
    /// For a response that the client does not read.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            connections_per_address: 128,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            stall: Duration::from_secs(60),
        }
    }
}

/// Serves over TLS until `shutdown`.
pub async fn tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    accept(listener, limits, shutdown.clone(), move |stream, address, admission| {
        let (acceptor, router, shutdown) = (acceptor.clone(), router.clone(), shutdown.clone());
        async move {
            let _admission = admission;
            match tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => serve(stream, router, Peer::Remote { address, tls: true }, limits, shutdown).await,
                Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
            }
        }
    })
    .await;
}

/// Serves plain HTTP until `shutdown`.
///
/// # Errors
/// If the listener is bound to anything but loopback.
pub async fn plain(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    if !local.ip().is_loopback() {
        let message = format!("plain HTTP is served on loopback only, not on {local}; use TLS");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    accept(listener, limits, shutdown.clone(), move |stream, address, admission| {
        let (router, shutdown) = (router.clone(), shutdown.clone());
        async move {
            let _admission = admission;
            serve(stream, router, Peer::Remote { address, tls: false }, limits, shutdown).await;
        }
    })
    .await;
    Ok(())
}

async fn accept<F, Fut>(listener: TcpListener, limits: Limits, shutdown: CancellationToken, handle: F)
where
    F: Fn(tokio::net::TcpStream, SocketAddr, connection::Admitted) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let admission = Arc::new(Admission::new(limits));
    let tracker = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, address)) => match admission.admit(address.ip()) {
                Some(admitted) => {
                    // Small answers should not wait for more; if the option cannot be set they wait a little.
                    drop(stream.set_nodelay(true));
                    tracker.spawn(handle(stream, address, admitted));
                }
                None => tracing::warn!(%address, "too many connections; this one was closed"),
            },
            Err(error) => {
                // Out of file descriptors, usually: closing ones make room.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    tracker.close();
    tracker.wait().await;
}
