//! One HTTP request to somebody who is not trusted: bounded in time and in size. What is said is signed, so there is no TLS.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, Uri, header};
use tokio::{net::TcpStream, time::timeout};

use super::web;

/// Whoever does not answer by then is asked again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the address of somebody to ask; `key` is where the configuration has it.
///
/// # Errors
/// It is none, or not of HTTP.
pub fn address(key: &str, url: &str) -> anyhow::Result<Uri> {
    let parsed: Uri = url.parse().with_context(|| format!("{key}: {url} is no URL"))?;
    anyhow::ensure!(
        parsed.scheme_str() == Some("http") && parsed.host().is_some(),
        "{key}: {url}: only `http://` is spoken (what is said is signed itself)"
    );
    Ok(parsed)
}

/// Posts a body to `path` at an address, and waits for an answer of at most `max_answer` bytes.
///
/// # Errors
/// Nobody answers, not in time, or too much.
pub async fn post(
    url: &Uri,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
    max_answer: usize,
) -> anyhow::Result<(StatusCode, Bytes)> {
    timeout(PATIENCE, exchange(url, path, content_type, body, max_answer))
        .await
        .context("it does not answer in time")?
}

async fn exchange(
    url: &Uri,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
    max_answer: usize,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80)))
        .await
        .with_context(|| format!("cannot connect to {url}"))?;
    let request = Request::post(path)
        .header(header::HOST, url.authority().map_or(host, |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, content_type)
        .body(Full::new(Bytes::from(body)))?;
    let got = web::ask(stream, request, max_answer).await?;
    Ok((StatusCode::from_u16(got.status)?, got.body))
}
