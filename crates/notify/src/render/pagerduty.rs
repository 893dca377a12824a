//! PagerDuty: [Events API v2](https://developer.pagerduty.com/docs/events-api-v2/trigger-events/). The `dedup_key` is
//! the alert or our incident, so that a repeated event changes nothing, and acknowledging or closing it moves PagerDuty's.

use serde_json::{Value, json};
use vedette_event::Level;

use crate::{
    Happened, Notice, Subject,
    message::{View, link},
    template::Said,
    text::cut_chars,
};

/// Characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// The body of the POST.
pub(super) fn json(notice: &Notice, said: &Said, console: Option<&str>, routing_key: &str) -> Value {
    let action = match notice.what {
        Happened::Opened | Happened::Grew | Happened::Reopened => "trigger",
        Happened::Acknowledged => "acknowledge",
        Happened::Closed => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key(notice),
    });
    let Some(fields) = event.as_object_mut() else { return event };
    if action == "trigger" {
        let severity = match notice.level() {
            Level::Critical => "critical",
            Level::High => "error",
            Level::Medium => "warning",
            Level::Low | Level::Informational => "info",
        };
        let view = json!(View::clean(notice, None));
        let mut details = json!({
            notice.subject.about().as_str(): notice.subject.number(),
            "rule": view["rule"],
            "level": view["level"],
            "entities": view["entities"],
            "sources": view["sources"],
            "findings": notice.count,
            "first": view["first"],
            "last": view["last"],
            "note": view["note"],
        });
        if let (Subject::Incident(_), Some(fields)) = (notice.subject, details.as_object_mut()) {
            fields.insert("rules".into(), view["rules"].clone());
        }
        fields.insert(
            "payload".into(),
            json!({
                "summary": cut_chars(&said.subject, MAX_SUMMARY),
                "source": view["entity"]["value"],
                "severity": severity,
                "timestamp": notice.last.to_string(),
                "component": view["entity"]["kind"],
                "class": view["rule"]["id"],
                "custom_details": details,
            }),
        );
        fields.insert("client".into(), json!("Vedette"));
        if let Some(url) = link(notice, console) {
            fields.insert("client_url".into(), json!(url));
            fields.insert("links".into(), json!([{"href": url, "text": "Open in Vedette"}]));
        }
    }
    event
}

/// Names the alert or the incident, also against one of the same number in a file that was made anew.
fn dedup_key(notice: &Notice) -> String {
    let kind = if notice.is_test() { "test" } else { notice.subject.about().as_str() };
    format!("vedette-{kind}-{}-{:x}", notice.subject.number(), notice.opened.micros())
}
