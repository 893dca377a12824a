//! Findings as records of their own source.

use serde_json::{Map, Value, json};
use vedette_event::{EventId, Finding};
use vedette_indicator::Sighting;

/// The source of findings.
pub const SOURCE: &str = "vedette:findings";
/// Its receiver.
pub const RECEIVER: &str = "vedette";

/// The search that finds findings about some events.
pub fn about<'a>(events: impl Iterator<Item = &'a EventId>) -> String {
    let ids: Vec<String> = events.map(|id| format!("\"{id}\"")).collect();
    format!("event.dataset:vedette.findings and ({})", ids.join(" or "))
}

/// A matched value longer than this is cut in the finding's record; the event has it whole.
const LONGEST_VALUE: usize = 4096;

/// A finding as the record that the spool keeps: an ECS document (event.kind `signal`) that also holds the
/// finding whole under `vedette.finding`.
pub fn encode(finding: &Finding) -> Vec<u8> {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("@timestamp", finding.time.to_string().into());
    put("event.kind", "signal".into());
    put("event.dataset", "vedette.findings".into());
    put("event.module", "vedette".into());
    put("rule.id", finding.rule.id.clone().into());
    put("rule.name", finding.rule.title.clone().into());
    put("rule.level", finding.rule.level.as_str().into());
    put("message", finding.rule.title.clone().into());
    if !finding.rule.techniques.is_empty() {
        put("threat.technique.id", finding.rule.techniques.clone().into());
    }
    // Other values that it quotes are of the event, or of a network around it.
    if let Some(sighting) = Sighting::of(finding) {
        put("threat.indicator.name", sighting.value.into());
    }
    let mut named = std::collections::HashSet::new();
    for entity in &finding.entities {
        let field = match entity.kind.as_str() {
            "host" => "host.name",
            "user" => "user.name",
            "ip" => "source.ip",
            "process" => "process.name",
            "file" => "file.path",
            "domain" => "url.domain",
            _ => continue,
        };
        if named.insert(field) {
            put(field, entity.value.clone().into());
        }
    }
    let mut finding = finding.clone();
    for matched in &mut finding.matched {
        if matched.value.len() > LONGEST_VALUE {
            matched.value.truncate(matched.value.floor_char_boundary(LONGEST_VALUE));
            matched.value.push('…');
        }
    }
    put("vedette.finding", json!(finding));
    Value::Object(document).to_string().into_bytes()
}

/// The finding that [`encode`] wrote; none if the record is not one.
pub fn decode(record: &[u8]) -> Option<Finding> {
    #[derive(serde::Deserialize)]
    struct Document {
        #[serde(rename = "vedette.finding")]
        finding: Finding,
    }
    serde_json::from_slice::<Document>(record).ok().map(|document| document.finding)
}

#[cfg(test)]
mod tests {
    use vedette_event::{Entity, EventId, FindingId, Level, Matched, RuleRef, SourceId, Time};

    use super::*;

    #[test]
    fn a_finding_survives_its_record() {
        let event = EventId { source: SourceId(3), seq: 9 };
        let finding = Finding {
            id: FindingId::of("r1", &[event]),
            rule: RuleRef {
                id: "r1".into(),
                title: "A rule".into(),
                level: Level::High,
                author: Some("somebody".into()),
                techniques: vec!["T1110".into()],
                tactics: vec!["credential-access".into()],
            }
            .into(),
            time: Time::from_secs(1_700_000_000),
            events: vec![event],
            entities: vec![Entity { kind: "ip".into(), value: "192.0.2.7".into() }],
            matched: vec![Matched { field: "user.name".into(), value: "root".into() }],
        };
        assert_eq!(decode(&encode(&finding)), Some(finding));
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(b"not json"), None);
    }
}
