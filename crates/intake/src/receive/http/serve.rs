//! Running a router on a listener that the world may reach: heads that must come and answers that must be taken in time,
//! graceful end.

use std::{net::SocketAddr, pin::Pin, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Options,
    answering::{Answering, is_unread},
};
use crate::receive::{
    Counters, Limits, ReceiveError,
    listen::{End, Listener, Serve},
};

/// Heads longer than this are refused by hyper.
const MAX_HEAD: usize = 64 << 10;

/// What a client of HTTP/2 says first (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Calls of one connection at a time.
const MAX_STREAMS: u32 = 32;

/// Which HTTP a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without an upgrade: what gRPC speaks.
    Http2,
}

/// A bound HTTP listener.
pub struct HttpReceiver {
    listener: Listener,
    http: Arc<Http>,
}

struct Http {
    version: Version,
    router: Router,
    options: Options,
}

/// Listens for HTTP and serves `router`, with TLS when an acceptor is given.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn bind(
    address: SocketAddr,
    version: Version,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    options: Options,
) -> Result<HttpReceiver, ReceiveError> {
    let listener = Listener::bind(address, acceptor).await?;
    Ok(HttpReceiver { listener, http: Arc::new(Http { version, router, options }) })
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
        let service = TowerToHyperService::new(service);
        let stream = Answering::new(stream, self.options.limits.message_time);
        match self.version {
            Version::Http1 => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    // Also how long a connection may rest between two requests.
                    .header_read_timeout(self.options.limits.message_time)
                    // A client that has said all and hangs up is heard all the same: some loggers never read an answer.
                    .half_close(true)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(stream), service);
                self.until(connection, http1::Connection::graceful_shutdown, shutdown, peer).await
            }
            Version::Http2 => {
                let mut stream = stream;
                let mut preface = [0; PREFACE.len()];
                let message_time = self.options.limits.message_time;
                // Hyper would wait for it for ever.
                match tokio::time::timeout(message_time, stream.read_exact(&mut preface)).await {
                    Err(_) => return End::TooSlow,
                    Ok(Ok(_)) if preface == *PREFACE => {}
                    Ok(_) => return End::Closed,
                }
                let (reader, writer) = tokio::io::split(stream);
                let stream = tokio::io::join(std::io::Cursor::new(preface).chain(reader), writer);
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(MAX_STREAMS)
                    .max_header_list_size(MAX_HEAD as u32)
                    .keep_alive_interval(message_time)
                    .keep_alive_timeout(message_time)
                    .serve_connection(TokioIo::new(stream), service);
                self.until(connection, http2::Connection::graceful_shutdown, shutdown, peer).await
            }
        }
    }
}

impl Http {
    /// Serves a connection to its end. At shutdown it is told to `stop`, and what has begun gets some grace.
    async fn until<C: Future<Output = hyper::Result<()>>>(
        &self,
        connection: C,
        stop: impl FnOnce(Pin<&mut C>),
        shutdown: &CancellationToken,
        peer: SocketAddr,
    ) -> End {
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                stop(connection.as_mut());
                match tokio::time::timeout(self.options.limits.grace, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return End::Closed,
                }
            }
        };
        match ended {
            Err(error) if error.is_timeout() || is_unread(&error) => return End::TooSlow,
            Err(error) => tracing::debug!(%peer, %error, "HTTP connection ended"),
            Ok(()) => {}
        }
        End::Closed
    }
}
