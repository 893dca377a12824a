//! Secrets in a section's text: not shown, and kept where they come back as they were shown.

use serde_norway::{Mapping, Value};
use vedette_event::Fault;
use vedette_notify::config::Secret;

/// What an element of a list is known by, wherever in the list it stands.
const NAMES: [&str; 2] = ["name", "listen"];
/// Where a secret goes. It is kept for the same place only: another one must not learn it without somebody writing it down.
const ADDRESSES: [&str; 3] = ["url", "host", "port"];

/// The text without `secrets`.
pub(super) fn blot(text: &str, secrets: &[&str]) -> String {
    let mut value = serde_norway::from_str(text).unwrap_or_default();
    blot_value(&mut value, secrets);
    serde_norway::to_string(&value).unwrap_or_default()
}

fn blot_value(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::String(text) if secrets.contains(&text.as_str()) => *text = Secret::BLOTTED.to_owned(),
        Value::Sequence(values) => values.iter_mut().for_each(|value| blot_value(value, secrets)),
        Value::Mapping(values) => values.values_mut().for_each(|value| blot_value(value, secrets)),
        Value::Tagged(tagged) => blot_value(&mut tagged.value, secrets),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text, and in the place of each secret that is not shown the one of `secrets` that stands there in the text
/// `before`.
pub(super) fn fill(text: &str, before: &str, secrets: &[&str]) -> Result<String, Fault> {
    let read = |text: &str| serde_norway::from_str::<Value>(text).map_err(|error| Fault::from(error.to_string()));
    let (mut value, before) = (read(text)?, read(before)?);
    fill_value(&mut value, Some(&before), secrets)?;
    serde_norway::to_string(&value).map_err(|error| error.to_string().into())
}

fn fill_value(value: &mut Value, before: Option<&Value>, secrets: &[&str]) -> Result<(), Fault> {
    match value {
        Value::String(text) if text == Secret::BLOTTED => match before.and_then(Value::as_str) {
            Some(secret) if secrets.contains(&secret) => *text = secret.to_owned(),
            _ => return Err(no_secret()),
        },
        Value::Sequence(values) => {
            let before = before.and_then(Value::as_sequence);
            for (index, value) in values.iter_mut().enumerate() {
                let before = before.and_then(|before| before.iter().find(|before| is_same(value, before)));
                fill_value(value, before, secrets).map_err(|fault| fault.at(index))?;
            }
        }
        Value::Mapping(values) => {
            let before = before.and_then(Value::as_mapping).filter(|before| goes_there(values, before));
            for (key, value) in values.iter_mut() {
                let before = before.and_then(|before| before.get(key));
                fill_value(value, before, secrets).map_err(|fault| fault.at(key.as_str().unwrap_or_default()))?;
            }
        }
        Value::Tagged(tagged) => fill_value(&mut tagged.value, None, secrets)?,
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn no_secret() -> Fault {
    let blotted = Secret::BLOTTED;
    format!("{blotted} keeps the secret that stands here, and none does, or where it goes has changed").into()
}

fn is_same(one: &Value, other: &Value) -> bool {
    let name = NAMES.iter().find_map(|name| one.get(name));
    name.is_some() && name == NAMES.iter().find_map(|name| other.get(name))
}

fn goes_there(now: &Mapping, before: &Mapping) -> bool {
    let same = |key| {
        let now = now.get(key);
        now.is_some_and(|now| now.as_str() == Some(Secret::BLOTTED)) || now == before.get(key)
    };
    ADDRESSES.into_iter().all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vedette_event::Step;

    const BEFORE: &str = "channels:
- name: chat
  slack: {url: 'https://hooks.example/hush'}
- name: hook
  webhook: {url: 'https://h.example/hush-2', secret: hush-3, headers: {X-Token: hush-4}}
- name: prom
  alertmanager: {url: 'http://localhost:9093', token: hush-5}
";
    const SECRETS: [&str; 5] = ["https://hooks.example/hush", "https://h.example/hush-2", "hush-3", "hush-4", "hush-5"];

    fn value(text: &str) -> Value {
        serde_norway::from_str(text).expect("YAML")
    }

    #[test]
    fn what_is_shown_comes_back_whole() {
        let shown = blot(BEFORE, &SECRETS);
        assert!(!shown.contains("hush") && shown.matches("[secret]").count() == 5, "{shown}");
        assert_eq!(value(&fill(&shown, BEFORE, &SECRETS).expect("all are there")), value(BEFORE));
    }

    #[test]
    fn a_secret_goes_with_its_name_and_nowhere_else() {
        let fill = |text: &str| fill(text, BEFORE, &SECRETS).map(|text| value(&text));
        let moved = fill("channels: [{name: prom, alertmanager: {url: 'http://localhost:9093', token: '[secret]'}}]");
        assert_eq!(moved.expect("it is known by its name")["channels"][0]["alertmanager"]["token"], "hush-5");
        for (text, path) in [
            // No such channel, no such key, another kind.
            (
                "channels: [{name: new, slack: {url: '[secret]'}}]",
                vec!["channels".into(), 0.into(), "slack".into(), "url".into()],
            ),
            (
                "channels: [{name: chat, webhook: {url: '[secret]'}}]",
                vec!["channels".into(), 0.into(), "webhook".into(), "url".into()],
            ),
            // What would go to another address.
            (
                "channels: [{name: prom, alertmanager: {url: 'https://evil.example', token: '[secret]'}}]",
                vec!["channels".into(), 0.into(), "alertmanager".into(), "token".into()],
            ),
            (
                "channels: [{name: hook, webhook: {url: 'https://evil.example', headers: {X-Token: '[secret]'}}}]",
                vec!["channels".into(), 0.into(), "webhook".into(), "headers".into(), "X-Token".into()],
            ),
            // What was no secret before.
            ("channels: [{name: '[secret]'}]", vec!["channels".into(), 0.into(), "name".into()]),
        ] {
            let path: Vec<Step> = path;
            let fault = fill(text).expect_err(text);
            assert_eq!(fault.path, path, "{text}");
            assert!(!fault.message.contains("hush"), "{fault}");
        }
    }
}
