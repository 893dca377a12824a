//! Sending: one attempt, bounded in time, and what the other side says.

mod http;
mod smtp;
mod syslog;

use std::{fmt, time::Duration};

use crate::{
    ready::{Ready, Target},
    render::Payload,
};

/// What the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// An HTTP status or an SMTP code.
    pub status: Option<u16>,
    /// Its words.
    pub text: String,
}

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, without secrets.
    pub what: String,
    /// What the other side said, if it said something.
    pub answer: Option<Answer>,
    /// Trying again may help.
    pub is_passing: bool,
    /// How long the other side wants to be left alone.
    pub after: Option<Duration>,
}

impl Failure {
    fn passing(what: impl fmt::Display) -> Failure {
        Failure { what: what.to_string(), answer: None, is_passing: true, after: None }
    }

    pub(crate) fn lasting(what: impl fmt::Display) -> Failure {
        Failure { is_passing: false, ..Failure::passing(what) }
    }
}

/// Makes one attempt.
pub(crate) async fn attempt(channel: &Ready, payload: Payload, patience: Duration) -> Result<Answer, Failure> {
    let sending = async {
        match (&channel.target, payload) {
            (Target::Http { uri, headers, tls }, Payload::Post(post)) => http::post(uri, headers, tls, post).await,
            (Target::Smtp { host, port, tls, ca, login }, Payload::Mail(mail)) => {
                let server = smtp::Server { host, port: *port, tls: *tls, ca: ca.as_deref(), login: login.as_ref() };
                smtp::send(server, *mail, patience).await
            }
            (Target::Syslog { address, transport, tls }, Payload::Lines(lines)) => {
                syslog::send(address, *transport, tls, &lines).await
            }
            _ => Err(Failure::lasting("the payload is of another kind than the channel")),
        }
    };
    let attempted = tokio::time::timeout(patience, sending).await;
    let result =
        attempted.unwrap_or_else(|_| Err(Failure::passing(format!("no answer within {} s", patience.as_secs()))));
    let clean = |answer: Answer| Answer { text: channel.scrub(&answer.text), ..answer };
    result.map(clean).map_err(|failure| Failure {
        what: channel.scrub(&failure.what),
        answer: failure.answer.map(clean),
        ..failure
    })
}

/// Connects to an address, by name or number.
async fn connect(host: &str, port: u16) -> Result<tokio::net::TcpStream, Failure> {
    let host = host.trim_matches(['[', ']']);
    tokio::net::TcpStream::connect((host, port))
        .await
        .map_err(|error| Failure::passing(format!("cannot connect to {host} port {port}: {error}")))
}

/// Makes a connection TLS, and the other side prove its name.
async fn protect(
    stream: tokio::net::TcpStream,
    host: &str,
    tls: &std::sync::Arc<rustls::ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, Failure> {
    let host = host.trim_matches(['[', ']']);
    let name = rustls_pki_types::ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::lasting(format!("`{host}` is no name that a certificate can have")))?;
    tokio_rustls::TlsConnector::from(tls.clone())
        .connect(name, stream)
        .await
        .map_err(|error| Failure::passing(format!("TLS with {host}: {error}")))
}
