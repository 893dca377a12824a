//! What people and programs do here, as events.

use std::net::IpAddr;

use serde_json::{Map, Value};
use vedette_event::Time;

/// Something that somebody is about to do (or failed to). It becomes an event of source `vedette:self`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When.
    pub time: Time,
    /// Who: a user, `token:<id>:<owner>`, `local:<uid>`, or what was typed as a user name.
    pub who: String,
    /// From where, if over the network.
    pub address: Option<IpAddr>,
    /// What: `alert.close`, `session.start`, `query.run`, ..
    pub what: &'static str,
    /// To what: an alert's number, a user's name.
    pub target: Option<String>,
    /// More, by name: `verdict`, `query`. Never a secret.
    pub details: Vec<(&'static str, String)>,
    /// Why it failed; none while it has not.
    pub failure: Option<String>,
}

impl Action {
    /// The event's original bytes: one JSON object with ECS names.
    pub fn to_json(&self) -> String {
        let mut json = Map::new();
        let mut put = |name: &str, value: &str| json.insert(name.to_owned(), Value::from(value));
        put("@timestamp", &self.time.to_string());
        put("event.kind", "event");
        put("event.module", "vedette");
        put("event.dataset", "vedette.audit");
        put("event.action", self.what);
        put("event.outcome", if self.failure.is_some() { "failure" } else { "unknown" });
        put("user.name", &self.who);
        if let Some(address) = self.address {
            put("source.ip", &address.to_canonical().to_string());
        }
        if let Some(target) = &self.target {
            put("vedette.target", target);
        }
        for (name, value) in &self.details {
            put(&format!("vedette.{name}"), value);
        }
        if let Some(failure) = &self.failure {
            put("event.reason", failure);
        }
        let target = self.target.as_deref().map_or_else(String::new, |target| format!(" {target}"));
        let failed = if self.failure.is_some() { " (failed)" } else { "" };
        put("message", &format!("{} {}{target}{failed}", self.who, self.what));
        Value::Object(json).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_an_ecs_event() {
        let action = Action {
            time: Time::from_secs(0),
            who: "ada".into(),
            address: Some("::ffff:192.0.2.7".parse().unwrap()),
            what: "alert.close",
            target: Some("7".into()),
            details: vec![("verdict", "benign".into())],
            failure: None,
        };
        let expected = r#"{"@timestamp":"1970-01-01T00:00:00.000000Z","event.kind":"event","event.module":"vedette","event.dataset":"vedette.audit","event.action":"alert.close","event.outcome":"unknown","user.name":"ada","source.ip":"192.0.2.7","vedette.target":"7","vedette.verdict":"benign","message":"ada alert.close 7"}"#;
        assert_eq!(action.to_json(), expected);
        let failed = Action { failure: Some("no".into()), ..action }.to_json();
        assert!(failed.contains(r#""event.outcome":"failure""#) && failed.contains("ada alert.close 7 (failed)"));
    }
}
