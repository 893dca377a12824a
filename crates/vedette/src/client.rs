//! The running server's local socket: file permissions decide who may use it.

use std::{
    io::{self, BufRead, Read},
    path::Path,
};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::UnixStream, runtime::Runtime, sync::mpsc};
use vedette_event::Diagnostic;

/// The socket's name in the data folder.
pub const SOCKET: &str = "vedette.sock";

/// A connection to the server that runs on a data folder.
pub struct Client {
    runtime: Runtime,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects, if a server runs on this folder.
    ///
    /// # Errors
    /// A server runs but may not be used by this user.
    pub fn connect(dir: &Path) -> anyhow::Result<Option<Client>> {
        let socket = dir.join(SOCKET);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let connected = runtime.block_on(async {
            let stream = UnixStream::connect(&socket).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            io::Result::Ok(sender)
        });
        match connected {
            Ok(sender) => Ok(Some(Client { runtime, sender })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("cannot use the running server at {}", socket.display())),
        }
    }

    /// Sends a request and gives the answer's body to read as it arrives.
    ///
    /// # Errors
    /// The server refused; the message is its own.
    pub fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Body> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        self.send_bytes(method, path, "application/json", bytes)
    }

    fn send_bytes(&mut self, method: Method, path: &str, kind: &str, bytes: Bytes) -> anyhow::Result<Body> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "local")
            .header("content-type", kind)
            .body(Full::new(bytes))?;
        let response = self.runtime.block_on(self.sender.send_request(request)).context("the server hung up")?;
        let status = response.status();
        let (sender, chunks) = mpsc::channel(4);
        let mut frames = response.into_body();
        self.runtime.spawn(async move {
            while let Some(frame) = frames.frame().await {
                let chunk = frame.map(|frame| frame.into_data().unwrap_or_default()).map_err(io::Error::other);
                if sender.send(chunk).await.is_err() {
                    return; // the reader has seen enough
                }
            }
        });
        let mut body = Body { chunks, current: Bytes::new() };
        if status.is_success() {
            return Ok(body);
        }
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        Err(refusal(status, &text))
    }

    /// Hands a portion of an import over; when this returns, its records are durable.
    ///
    /// # Errors
    /// The server refused them.
    pub fn import(&mut self, path: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let mut answer = self.send_bytes(Method::POST, path, "application/octet-stream", body.into())?;
        io::copy(&mut answer, &mut io::sink())?;
        Ok(())
    }

    /// Sends a request and reads the answer as JSON.
    ///
    /// # Errors
    /// As [`send`](Self::send); or the answer is not JSON.
    pub fn json(&mut self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let mut text = String::new();
        self.send(method, path, body)?.read_to_string(&mut text)?;
        serde_json::from_str(&text).with_context(|| format!("the server's answer is not JSON: {text:.200}"))
    }
}

/// A byte of a path or a query, as it stands in a URL.
pub fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// A request that the server refused and the user can mend.
#[derive(Debug)]
pub struct Refusal {
    message: String,
    /// Where a query is wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// RFC 9457: what the server says went wrong.
fn refusal(status: StatusCode, text: &str) -> anyhow::Error {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or(text);
    let message = match problem["hint"].as_str() {
        Some(hint) => format!("{detail}\nhint: {hint}"),
        None => detail.to_owned(),
    };
    if !status.is_client_error() {
        return anyhow::anyhow!(message);
    }
    let diagnostics = serde_json::from_value(problem["diagnostics"].clone()).unwrap_or_default();
    Refusal { message, diagnostics }.into()
}

/// An answer's body.
pub struct Body {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk?,
                None => break,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current = self.current.split_off(count);
    }
}
