//! Syslog messages over UDP (RFC 5426), TCP (RFC 6587, octet counting) or TLS (RFC 5425).
//!
//! Syslog has no reply. Over TCP and TLS the sender's end is closed and the receiver's is waited for: a receiver that
//! closes has read everything; one that resets the connection has not.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UdpSocket,
};

use super::{Answer, Failure, connect, protect};
use crate::config::Transport;

/// A receiver that keeps its end open has the message as far as anybody can tell.
const LINGER: Duration = Duration::from_secs(2);

/// Sends lines.
pub(super) async fn send(
    address: &str,
    transport: Transport,
    tls: &Arc<ClientConfig>,
    lines: &[String],
) -> Result<Answer, Failure> {
    let (host, port) = address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse().ok()?)))
        .ok_or_else(|| Failure::lasting(format!("`{address}` is no address")))?;
    let text = match transport {
        Transport::Udp => {
            datagrams(host, port, lines).await.map_err(|error| Failure::passing(format!("{address}: {error}")))?;
            "sent; UDP has no reply"
        }
        Transport::Tcp => stream(connect(host, port).await?, lines).await?,
        Transport::Tls => stream(protect(connect(host, port).await?, host, tls).await?, lines).await?,
    };
    Ok(Answer { status: None, text: text.into() })
}

async fn datagrams(host: &str, port: u16, lines: &[String]) -> std::io::Result<()> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        let local = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(local).await?;
        match socket.connect(address).await {
            Ok(()) => {
                for line in lines {
                    socket.send(line.as_bytes()).await?;
                }
                return Ok(());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn stream(mut stream: impl AsyncRead + AsyncWrite + Unpin, lines: &[String]) -> Result<&'static str, Failure> {
    let lost = |error: std::io::Error| Failure::passing(format!("the connection was lost: {error}"));
    let mut framed = Vec::new();
    for line in lines {
        framed.extend_from_slice(format!("{} {line}", line.len()).as_bytes());
    }
    stream.write_all(&framed).await.map_err(lost)?;
    stream.shutdown().await.map_err(lost)?;
    // What it says is of no interest, only that it ends; and not for ever.
    let ended = tokio::time::timeout(LINGER, async {
        let mut ignored = [0; 512];
        let mut left = 64;
        while left > 0 && stream.read(&mut ignored).await? > 0 {
            left -= 1;
        }
        Ok::<(), std::io::Error>(())
    });
    match ended.await {
        Ok(Ok(())) => Ok("sent, and the receiver closed the connection after reading; syslog has no reply"),
        // TLS without a last word is how many receivers end.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok("sent; syslog has no reply"),
        Ok(Err(error)) => Err(lost(error)),
        Err(_) => Ok("sent; syslog has no reply"),
    }
}
