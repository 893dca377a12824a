//! Services that ask whether an address is theirs before they send to it, and wait for an answer that nobody else would give.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Check;

/// What is to be answered to a delivery that is nothing but such a question.
pub(super) fn answer(check: &Check, delivery: &[u8]) -> Option<Value> {
    match check {
        Check::Slack(_) => match serde_json::from_slice(delivery) {
            Ok(Slack { kind: "url_verification", challenge }) => Some(json!({ "challenge": challenge })),
            _ => None,
        },
        // Event Grid's are always lists, this one of a single event.
        _ if delivery.starts_with(b"[") => {
            let [EventGrid { kind, data }] = serde_json::from_slice(delivery).ok()?;
            (kind == "Microsoft.EventGrid.SubscriptionValidationEvent")
                .then(|| json!({ "validationResponse": data.code }))
        }
        _ => None,
    }
}

/// [Slack](https://docs.slack.dev/reference/events/url_verification/)
#[derive(Deserialize)]
struct Slack<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    challenge: Cow<'a, str>,
}

/// [Azure Event Grid](https://learn.microsoft.com/azure/event-grid/webhook-event-delivery)
#[derive(Deserialize)]
struct EventGrid<'a> {
    #[serde(rename = "eventType", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Validation<'a>,
}

#[derive(Deserialize)]
struct Validation<'a> {
    #[serde(rename = "validationCode", borrow)]
    code: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_deliveries() {
        let (slack, bearer) = (Check::Slack("s".to_owned().into()), Check::Bearer("s".to_owned().into()));
        let event = |kind: &str, data: &str| format!(r#"[{{"id":"1","eventType":"{kind}","data":{data}}}]"#);
        let validation = "Microsoft.EventGrid.SubscriptionValidationEvent";
        let question = event(validation, r#"{"validationCode":"3747","validationUrl":"https://rp.example/"}"#);
        let grid = Some(json!({"validationResponse": "3747"}));
        let cases = [
            (
                &slack,
                r#"{"type":"url_verification","challenge":"a\"b"}"#.to_owned(),
                Some(json!({"challenge": "a\"b"})),
            ),
            (&bearer, r#"{"type":"url_verification","challenge":"ab"}"#.to_owned(), None),
            (&bearer, question.clone(), grid),
            (&bearer, event("Microsoft.Storage.BlobCreated", r#"{"validationCode":"3747"}"#), None),
            (&bearer, event(validation, "{}"), None),
            (&bearer, format!("[{},{}]", &question[1..question.len() - 1], &question[1..question.len() - 1]), None),
            (&bearer, question[1..question.len() - 1].to_owned(), None),
        ];
        for (check, delivery, expected) in cases {
            assert_eq!(answer(check, delivery.as_bytes()), expected, "{delivery}");
        }
    }
}
