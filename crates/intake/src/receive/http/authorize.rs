//! Who may send.

use std::net::SocketAddr;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Decides whether a request may deliver records. Implemented by closures of the same shape.
pub trait Authorize: Send + Sync {
    /// Whether the request with these headers from this peer may go on.
    fn allow(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool;
}

impl<F: Fn(&HeaderMap, Option<SocketAddr>) -> bool + Send + Sync> Authorize for F {
    fn allow(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
        self(headers, peer)
    }
}

/// The token that a request shows, in any of the ways that the field's clients can be told to: `Bearer T`, `ApiKey T`,
/// `ApiKey base64(id:T)`, `Splunk T`, or `Basic base64(user:T)`. The caller compares it in constant time.
pub fn presented_token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    let after_colon = || {
        let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
        Some(decoded.split_once(':')?.1.to_owned())
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "splunk" => Some(credentials.to_owned()),
        "apikey" => Some(after_colon().unwrap_or_else(|| credentials.to_owned())),
        "basic" => after_colon(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_scheme() {
        let cases = [
            ("Bearer s3cret", Some("s3cret")),
            ("bearer  s3cret ", Some("s3cret")),
            ("ApiKey s3cret", Some("s3cret")),
            ("Splunk s3cret", Some("s3cret")),
            ("ApiKey aWQ6czNjcmV0", Some("s3cret")),
            ("Basic ZWxhc3RpYzpzM2NyZXQ=", Some("s3cret")),
            ("Basic ???", None),
            ("Digest x", None),
            ("s3cret", None),
        ];
        for (value, expected) in cases {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(presented_token(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(presented_token(&HeaderMap::new()), None);
    }
}
