//! How callers show that they know a webhook's secret.

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, hmac};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::seen::Id;

/// A secret; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Secret(secret.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a delivery is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// [GitHub](https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries): `X-Hub-Signature-256` over the body.
    GitHub(Secret),
    /// [Slack](https://api.slack.com/authentication/verifying-requests-from-slack): `X-Slack-Signature` over `v0:<time>:<body>`.
    Slack(Secret),
    /// [Okta's event hooks](https://developer.okta.com/docs/concepts/event-hooks/): the secret itself, as `Authorization`.
    Okta(Secret),
    /// [Standard Webhooks](https://www.standardwebhooks.com/): `webhook-signature` over `<id>.<time>.<body>`.
    Standard(Secret),
    /// The secret as a bearer token (RFC 6750): Kubernetes' audit backend, and services that can send a header of one's choice.
    Bearer(Secret),
    /// Any other service that signs with HMAC.
    Generic(Secret, Signed),
}

/// What a service signs, and where its signature is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The header with the signature.
    pub header: String,
    /// What comes before the signature there, such as `sha256=`.
    pub prefix: String,
    /// The hash of the HMAC.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
    /// The header with the Unix time; what is signed is then `<time>.<body>`, else the body.
    pub time_header: Option<String>,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// HMAC-SHA-1, of older services.
    Sha1,
    /// HMAC-SHA-256.
    #[default]
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

/// What a delivery showed, and what it is known by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) time: Option<i64>,
    pub(super) id: Id,
}

/// Why a delivery is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unsigned,
    WrongSignature,
    NoTime,
    Stale,
    Repeated,
}

impl Refusal {
    pub(super) fn said(self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Unsigned => (StatusCode::UNAUTHORIZED, "the delivery is not signed"),
            Refusal::WrongSignature => (StatusCode::UNAUTHORIZED, "the signature is wrong"),
            Refusal::NoTime => (StatusCode::UNAUTHORIZED, "the delivery says no time"),
            Refusal::Stale => (StatusCode::UNAUTHORIZED, "the delivery's time is too far from now"),
            Refusal::Repeated => (StatusCode::CONFLICT, "this delivery was taken before"),
        }
    }
}

impl Check {
    /// Checks the signature.
    pub(super) fn shown(&self, headers: &HeaderMap, body: &[u8]) -> Result<Shown, Refusal> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let time = |name: &str| header(name).and_then(|time| time.parse::<i64>().ok()).ok_or(Refusal::NoTime);
        match self {
            Check::GitHub(secret) => {
                let shown = header("x-hub-signature-256").ok_or(Refusal::Unsigned)?;
                let shown = unhex(shown.strip_prefix("sha256=").ok_or(Refusal::Unsigned)?)?;
                verify(Algorithm::Sha256, secret.0.as_bytes(), &[body], &shown)?;
                // The delivery's own id is not signed: whoever repeats it could make up another one.
                Ok(Shown { time: None, id: known_by(&[&shown]) })
            }
            Check::Slack(secret) => {
                let shown = header("x-slack-signature").ok_or(Refusal::Unsigned)?;
                let shown = unhex(shown.strip_prefix("v0=").ok_or(Refusal::Unsigned)?)?;
                let time = time("x-slack-request-timestamp")?;
                let written = time.to_string();
                verify(Algorithm::Sha256, secret.0.as_bytes(), &[b"v0:", written.as_bytes(), b":", body], &shown)?;
                Ok(Shown { time: Some(time), id: known_by(&[&shown]) })
            }
            Check::Okta(secret) => {
                let shown = header("authorization").ok_or(Refusal::Unsigned)?;
                match bool::from(shown.as_bytes().ct_eq(secret.0.as_bytes())) {
                    true => Ok(Shown { time: None, id: known_by(&[body]) }),
                    false => Err(Refusal::WrongSignature),
                }
            }
            Check::Bearer(secret) => {
                let (scheme, shown) =
                    header("authorization").and_then(|it| it.split_once(' ')).ok_or(Refusal::Unsigned)?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(Refusal::Unsigned);
                }
                match bool::from(shown.trim().as_bytes().ct_eq(secret.0.as_bytes())) {
                    true => Ok(Shown { time: None, id: known_by(&[body]) }),
                    false => Err(Refusal::WrongSignature),
                }
            }
            Check::Standard(secret) => {
                let (id, time) = (header("webhook-id").ok_or(Refusal::Unsigned)?, time("webhook-timestamp")?);
                let key = secret.0.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
                let key = key.unwrap_or_else(|| secret.0.as_bytes().to_vec());
                let parts = [id.as_bytes(), b".", time.to_string().as_bytes(), b".", body].concat();
                // There may be several, of several keys.
                let signatures = header("webhook-signature").ok_or(Refusal::Unsigned)?;
                let fits = signatures
                    .split(' ')
                    .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
                    .any(|shown| verify(Algorithm::Sha256, &key, &[&parts], &shown).is_ok());
                match fits {
                    true => Ok(Shown { time: Some(time), id: known_by(&[id.as_bytes()]) }),
                    false => Err(Refusal::WrongSignature),
                }
            }
            Check::Generic(secret, signed) => {
                let shown = header(&signed.header).ok_or(Refusal::Unsigned)?;
                let shown = shown.strip_prefix(&signed.prefix).ok_or(Refusal::Unsigned)?;
                let shown = match signed.encoding {
                    Encoding::Hex => unhex(shown)?,
                    Encoding::Base64 => STANDARD.decode(shown).map_err(|_| Refusal::WrongSignature)?,
                };
                let time = signed.time_header.as_deref().map(time).transpose()?;
                let key = secret.0.as_bytes();
                match time {
                    Some(time) => {
                        verify(signed.algorithm, key, &[time.to_string().as_bytes(), b".", body], &shown)?;
                    }
                    None => verify(signed.algorithm, key, &[body], &shown)?,
                }
                Ok(Shown { time, id: known_by(&[&shown]) })
            }
        }
    }
}

fn verify(algorithm: Algorithm, key: &[u8], parts: &[&[u8]], shown: &[u8]) -> Result<(), Refusal> {
    let algorithm = match algorithm {
        Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::verify(&hmac::Key::new(algorithm, key), &parts.concat(), shown).map_err(|_| Refusal::WrongSignature)
}

fn known_by(parts: &[&[u8]]) -> Id {
    let mut id = Id::default();
    id.copy_from_slice(digest::digest(&digest::SHA256, &parts.concat()).as_ref());
    id
}

fn unhex(text: &str) -> Result<Vec<u8>, Refusal> {
    let pairs = text.as_bytes().chunks(2);
    let byte =
        |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok();
    pairs.map(byte).collect::<Option<Vec<u8>>>().ok_or(Refusal::WrongSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    /// The services' own examples, where they publish one.
    #[test]
    fn published_examples() {
        let github = Check::GitHub("It's a Secret to Everybody".to_owned().into());
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(github.shown(&headers(&[("x-hub-signature-256", signature)]), b"Hello, World!").is_ok());
        let slack = Check::Slack("8f742231b10e8888abcd99yyyzzz85a5".to_owned().into());
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let shown = slack.shown(
            &headers(&[("x-slack-signature", signature), ("x-slack-request-timestamp", "1531420618")]),
            body.as_bytes(),
        );
        assert_eq!(shown.unwrap().time, Some(1_531_420_618));
        let standard = Check::Standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into());
        let pairs = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        assert!(standard.shown(&headers(&pairs), b"{\"test\": 2432232314}").is_ok());
    }

    #[test]
    fn what_is_not_right_is_refused() {
        let github = Check::GitHub("secret".to_owned().into());
        assert_eq!(github.shown(&HeaderMap::new(), b"x"), Err(Refusal::Unsigned));
        for wrong in ["sha256=", "sha256=00", "sha256=zz", "sha256=é"] {
            let map = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("x-hub-signature-256"),
                axum::http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap(),
            )]);
            assert!(github.shown(&map, b"x").is_err(), "{wrong}");
        }
        let okta = Check::Okta("secret".to_owned().into());
        assert_eq!(okta.shown(&headers(&[("authorization", "guess")]), b"x"), Err(Refusal::WrongSignature));
        assert!(okta.shown(&headers(&[("authorization", "secret")]), b"x").is_ok());
        assert_eq!(format!("{okta:?}"), "Okta(Secret(…))");
        let bearer = Check::Bearer("secret".to_owned().into());
        for right in ["Bearer secret", "bearer  secret"] {
            assert!(bearer.shown(&headers(&[("authorization", right)]), b"x").is_ok(), "{right}");
        }
        for (wrong, refusal) in [
            ("Bearer guess", Refusal::WrongSignature),
            ("Bearer ", Refusal::WrongSignature),
            ("secret", Refusal::Unsigned),
            ("Basic secret", Refusal::Unsigned),
        ] {
            assert_eq!(bearer.shown(&headers(&[("authorization", wrong)]), b"x"), Err(refusal), "{wrong}");
        }
    }

    #[test]
    fn generic_services() {
        let signed = Signed {
            header: "x-signature".to_owned(),
            prefix: String::new(),
            algorithm: Algorithm::Sha512,
            encoding: Encoding::Base64,
            time_header: Some("x-time".to_owned()),
        };
        let check = Check::Generic("key".to_owned().into(), signed);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, b"key"), b"77.{}");
        let signature = STANDARD.encode(tag.as_ref());
        let right = headers(&[("x-signature", &signature), ("x-time", "77")]);
        assert_eq!(check.shown(&right, b"{}").unwrap().time, Some(77));
        let other_time = headers(&[("x-signature", &signature), ("x-time", "78")]);
        assert_eq!(check.shown(&other_time, b"{}"), Err(Refusal::WrongSignature));
        assert_eq!(check.shown(&headers(&[("x-signature", &signature)]), b"{}"), Err(Refusal::NoTime));
    }
}
