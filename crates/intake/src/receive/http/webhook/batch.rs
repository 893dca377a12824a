//! Deliveries that carry several events: each is a record of its own, its bytes as they stand in the delivery.

use std::collections::{HashMap, VecDeque};

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::value::RawValue;
use vedette_event::Reason;

use crate::receive::http::request::Fatal;

/// Events of one delivery.
const MAX_EVENTS: usize = 10_000;

type Members<'a> = HashMap<String, &'a RawValue>;

/// The events of a delivery: those in the list at `path`. Without one, those of a list or of a batch that shows by its form to be
/// one, or the delivery itself.
pub(super) fn events(delivery: &Bytes, path: Option<&str>) -> Result<VecDeque<Bytes>, Fatal> {
    // What is not ASCII is within strings. With other bytes in its place everything stays where it is, and text that is not UTF-8
    // can be taken apart as well.
    let text: String = delivery.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect();
    let list = match path {
        Some(path) => path.split('.').try_fold(text.as_str(), |here, name| {
            let members: Members<'_> = serde_json::from_str(here).ok()?;
            members.get(name).map(|member| member.get())
        }),
        None if text.starts_with('[') => Some(text.as_str()),
        None => usual_list(&text),
    };
    let Some(events) = list.and_then(objects) else {
        let malformed = |reason| Err(Fatal { status: StatusCode::BAD_REQUEST, reason, counted: Reason::Malformed });
        return match path {
            Some(path) => malformed(format!("there is no list of objects at `{path}`")),
            None if text.starts_with('[') => {
                malformed("the delivery is a list, but not one of JSON objects".to_owned())
            }
            None => Ok([delivery.clone()].into()),
        };
    };
    if events.len() > MAX_EVENTS {
        return Err(Fatal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            reason: format!("more than {MAX_EVENTS} events in one delivery; send smaller ones"),
            counted: Reason::TooLarge,
        });
    }
    let place = |event: &RawValue| {
        let start = event.get().as_ptr().addr() - text.as_ptr().addr();
        delivery.slice(start..start + event.get().len())
    };
    Ok(events.into_iter().map(place).collect())
}

/// The list in a delivery that is nothing else: `records` of Azure's diagnostic logs, `Records` of CloudTrail, and the `EventList`
/// of Kubernetes' audit log.
fn usual_list(delivery: &str) -> Option<&str> {
    let members: Members<'_> = serde_json::from_str(delivery).ok()?;
    let name = match members.get("kind") {
        Some(kind) if kind.get() == r#""EventList""# => "items",
        _ if members.len() > 1 => return None,
        _ if members.contains_key("records") => "records",
        _ => "Records",
    };
    members.get(name).map(|list| list.get())
}

fn objects(list: &str) -> Option<Vec<&RawValue>> {
    let list: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    list.iter().all(|event| event.get().starts_with('{')).then_some(list)
}
