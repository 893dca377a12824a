//! JSON, signed as [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! says: `webhook-id` stays the same over all tries, `webhook-timestamp` is that of the try (against replay), and
//! `webhook-signature` is HMAC-SHA256 over `id.timestamp.body`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::json;
use vedette_event::Time;

use super::Post;
use crate::{
    Notice,
    message::{DigestView, Message, View},
    template::Said,
};

/// The POST of a message.
pub(super) fn post(
    message: &Message,
    said: Option<&Said>,
    console: Option<&str>,
    content_type: &str,
    secret: Option<&[u8]>,
    now: Time,
) -> Post {
    let body = match said {
        Some(said) => said.body.clone(),
        None => body(message, console).to_string(),
    }
    .into_bytes();
    let id = &message.id;
    let seconds = now.secs();
    let mut headers = vec![("webhook-id", id.clone()), ("webhook-timestamp", seconds.to_string())];
    if let Some(secret) = secret {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
        signing.update(format!("{id}.{seconds}.").as_bytes());
        signing.update(&body);
        headers.push(("webhook-signature", format!("v1,{}", STANDARD.encode(signing.sign()))));
    }
    Post { content_type: content_type.to_owned(), headers, body }
}

fn body(message: &Message, console: Option<&str>) -> serde_json::Value {
    let (kind, data) = match message.single() {
        Some(notice) => {
            let kind = if notice.is_test() {
                "test".to_owned()
            } else {
                format!("{}.{}", notice.subject.about(), notice.what)
            };
            (kind, json!(View::exact(notice, console)))
        }
        None => {
            let mut data =
                json!(DigestView::of(message, console, |notice: &Notice, console| View::exact(notice, console)));
            // A machine wants them all, in the order in which they came.
            if let Some(fields) = data.as_object_mut() {
                for unwanted in ["of", "worst", "more"] {
                    fields.remove(unwanted);
                }
                let all = message.notices.iter().map(|notice| View::exact(notice, console));
                fields.insert("notices".into(), all.map(|view| json!(view)).collect());
            }
            ("alert.digest".to_owned(), data)
        }
    };
    // When it happened, not when this is said: the body stays the same over all tries.
    let time = message.notices.iter().map(|notice| notice.time).max().unwrap_or(Time::MIN);
    json!({ "type": kind, "timestamp": time.to_string(), "data": data })
}

/// The key of a configured secret: base64 after `whsec_`, any other text as it is.
pub(crate) fn key(secret: &str) -> Result<Vec<u8>, String> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "the secret after `whsec_` is no base64".into()),
        None => Ok(secret.as_bytes().to_vec()),
    }
}
