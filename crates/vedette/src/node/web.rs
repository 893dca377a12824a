//! One GET request to somebody who is not trusted: bounded in time and in size. Redirects are answers like others, since
//! credentials are sent.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, Uri,
    body::Body,
    client::conn::http1,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Whoever does not answer by then is asked again later.
const PATIENCE: Duration = Duration::from_secs(120);
const MAX_HEAD: usize = 64 << 10;

/// What came back.
pub struct Got {
    /// The status.
    pub status: u16,
    /// The head.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Gets what is at an `http` or `https` address: a body of at most `max_body` bytes.
///
/// # Errors
/// Nobody answers, not in time, or too much; or there is no TLS with him.
pub async fn get(
    uri: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    tls: &Arc<ClientConfig>,
    max_body: usize,
) -> anyhow::Result<Got> {
    timeout(PATIENCE, exchange(uri, headers, tls, max_body)).await.context("it does not answer in time")?
}

async fn exchange(
    uri: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    tls: &Arc<ClientConfig>,
    max_body: usize,
) -> anyhow::Result<Got> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => bail!("{uri} is not an http or https address"),
    };
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.with_context(|| format!("cannot connect to {host}:{port}"))?;
    let mut request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(header::USER_AGENT, concat!("Vedette/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    if !is_tls {
        return ask(stream, request, max_body).await;
    }
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("`{host}` has no certificate"))?;
    let stream =
        TlsConnector::from(tls.clone()).connect(name, stream).await.with_context(|| format!("TLS with {host}"))?;
    ask(stream, request, max_body).await
}

/// One exchange over a connection that ends with it.
///
/// # Errors
/// The connection is lost, or the answer is larger than `max_body`.
pub async fn ask<S, B>(stream: S, request: Request<B>, max_body: usize) -> anyhow::Result<Got>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await?;
    let _connection = Aborted(tokio::spawn(connection));
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, max_body).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok(Got { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
}

/// A connection ends with the exchange, also with one that was given up.
struct Aborted(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}
