//! One HTTP POST over a connection of its own. Redirects are answers like others: nothing is sent to where they point.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use vedette_event::Time;

use super::{Answer, Failure, connect, protect};
use crate::{backoff::retry_after, render::Post};

/// More of an answer is not read.
const MAX_ANSWER: usize = 16 << 10;
/// Of an answer's head.
const MAX_HEAD: usize = 32 << 10;

/// Posts, and judges the answer: 2xx is well; 408, 425, 429 and 5xx may pass; all else will not get better by repeating.
pub(super) async fn post(
    uri: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    tls: &Arc<ClientConfig>,
    post: Post,
) -> Result<Answer, Failure> {
    let host = uri.host().unwrap_or_default();
    let is_tls = uri.scheme_str() == Some("https");
    let stream = connect(host, uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 })).await?;
    let request = request(uri, headers, post)?;
    let (response, text) = if is_tls {
        exchange(protect(stream, host, tls).await?, request).await?
    } else {
        exchange(stream, request).await?
    };
    let status = response.status();
    let after = response.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now()));
    let answer = Answer { status: Some(status.as_u16()), text };
    if status.is_success() {
        return Ok(answer);
    }
    let is_passing = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    let what = match status.is_redirection() {
        true => format!("it answers {status}; redirects are not followed"),
        false => format!("it answers {status}: {}", answer.text.trim()),
    };
    Err(Failure { what, answer: Some(answer), is_passing, after })
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn request(uri: &Uri, headers: &[(HeaderName, HeaderValue)], post: Post) -> Result<Request<Full<Bytes>>, Failure> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::USER_AGENT, concat!("Vedette/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, post.content_type);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in post.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(post.body))).map_err(|error| Failure::lasting(format!("the request: {error}")))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(Response<()>, String), Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let lost = |error: hyper::Error| Failure::passing(format!("the connection was lost: {error}"));
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let _connection = Aborted(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(lost)?;
    let (head, body) = response.into_parts();
    let text = read(body).await;
    Ok((Response::from_parts(head, ()), text))
}

/// The beginning of an answer. The status has been said; that the rest is too long or cut off changes nothing.
async fn read(mut body: Incoming) -> String {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = MAX_ANSWER - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if read.len() == MAX_ANSWER {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A connection ends with the exchange, also with one that was given up.
struct Aborted(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}
