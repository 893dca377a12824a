//! Findings to record.

use vedette_alert::{AlertDetail, Alerts, Recorded, Sighting};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, Matched, RuleRef, SourceId, Time};

pub fn entity(kind: &str, value: &str) -> Entity {
    Entity { kind: kind.into(), value: value.into() }
}

/// Finding number `seq` of a rule about an address, at that second.
pub fn finding(rule: &str, ip: &str, seq: u64) -> Finding {
    let event = EventId { source: SourceId(1), seq };
    Finding {
        id: FindingId::of(rule, &[event]),
        rule: RuleRef {
            id: rule.into(),
            title: format!("Title of {rule}"),
            level: Level::Medium,
            author: Some("Ada".into()),
            techniques: vec!["T1110".into()],
            tactics: vec!["credential-access".into()],
        }
        .into(),
        time: Time::from_secs(seq as i64),
        events: vec![event],
        entities: vec![entity("ip", ip), entity("user", &format!("user{}", seq % 3))],
        matched: vec![Matched { field: "source.ip".into(), value: ip.into() }],
    }
}

pub fn record(alerts: &Alerts, findings: &[Finding], now: i64) -> Recorded {
    let sightings: Vec<_> = findings.iter().map(Sighting::from).collect();
    alerts.record(&sightings, Time::from_secs(now)).unwrap()
}

pub fn all(alerts: &Alerts) -> Vec<AlertDetail> {
    let page = alerts.list(&vedette_alert::Filter { limit: 1000, ..Default::default() }).unwrap();
    page.alerts.iter().map(|alert| alerts.get(alert.id).unwrap()).collect()
}
