//! Which findings become which alerts.

use std::sync::Arc;

use proptest::prelude::*;
use vedette_alert::{AlertDetail, AlertId, Alerts, MAX_ENTITIES, MAX_HITS, Sighting, Verdict};
use vedette_event::{Finding, FindingId, Level, Time};

use crate::support::{all, entity, finding, record};

#[test]
fn one_alert_for_each_rule_and_entity() {
    let alerts = Alerts::in_memory().unwrap();
    let findings = [finding("a", "1", 5), finding("a", "1", 3), finding("a", "2", 4), finding("b", "1", 9)];
    let recorded = record(&alerts, &findings, 100);
    assert_eq!(recorded.opened, [AlertId(1), AlertId(2), AlertId(3)]);
    assert_eq!(recorded.updated, []);

    let first = alerts.get(AlertId(1)).unwrap();
    assert_eq!(first.alert.count, 2);
    assert_eq!((first.alert.first, first.alert.last), (Time::from_secs(3), Time::from_secs(5)));
    assert_eq!(first.alert.rule, *findings[0].rule);
    assert_eq!(first.alert.entity, entity("ip", "1"));
    assert_eq!(first.alert.entities, [entity("ip", "1"), entity("user", "user0"), entity("user", "user2")]);
    assert_eq!(first.hits.iter().map(|hit| hit.finding).collect::<Vec<_>>(), [findings[0].id, findings[1].id]);
    assert_eq!(first.hits[0].events, findings[0].events);
    assert_eq!(first.hits[0].matched, findings[0].matched);

    assert_eq!(record(&alerts, &[finding("a", "1", 6)], 101).updated, [AlertId(1)]);
}

#[test]
fn a_finding_counts_once_for_ever() {
    let alerts = Alerts::in_memory().unwrap();
    let one = finding("a", "1", 5);
    record(&alerts, &[one.clone(), one.clone()], 100);
    let before = alerts.get(AlertId(1)).unwrap();
    assert_eq!(before.alert.count, 1);
    assert!(alerts.has(one.id).unwrap());
    assert!(!alerts.has(FindingId::of("other", &[])).unwrap());

    let revision = alerts.revision();
    assert!(record(&alerts, std::slice::from_ref(&one), 200).is_empty());
    assert_eq!(alerts.get(AlertId(1)).unwrap(), before);
    assert_eq!(alerts.revision(), revision);

    alerts.close(AlertId(1), Verdict::Benign, "ada", None, Time::from_secs(300)).unwrap();
    assert!(record(&alerts, std::slice::from_ref(&one), 400).is_empty(), "a closed alert still knows its findings");
    assert_eq!(alerts.alert_of(one.id).unwrap(), Some(AlertId(1)));
}

#[test]
fn after_closing_a_new_alert_opens() {
    let alerts = Alerts::in_memory().unwrap();
    record(&alerts, &[finding("a", "1", 1)], 10);
    alerts.close(AlertId(1), Verdict::FalsePositive, "ada", None, Time::from_secs(11)).unwrap();
    assert_eq!(record(&alerts, &[finding("a", "1", 2)], 12).opened, [AlertId(2)]);
    assert_eq!(alerts.get(AlertId(1)).unwrap().alert.count, 1);
    assert_eq!(alerts.findings_of(AlertId(2)).unwrap(), [finding("a", "1", 2).id]);
}

#[test]
fn without_entities_the_host_then_the_source_groups() {
    let alerts = Alerts::in_memory().unwrap();
    let bare = |seq| Finding { entities: vec![], ..finding("a", "1", seq) };
    let (one, two, three) = (bare(1), bare(2), bare(3));
    let sightings = [
        Sighting { finding: &one, host: Some("web-1"), source: Some("file:/var/log/auth.log") },
        Sighting { finding: &two, host: None, source: Some("file:/var/log/auth.log") },
        Sighting::from(&three),
    ];
    alerts.record(&sightings, Time::from_secs(9)).unwrap();
    let entities: Vec<_> = (1..=3).map(|id| alerts.get(AlertId(id)).unwrap().alert.entity).collect();
    assert_eq!(entities, [entity("host", "web-1"), entity("source", "file:/var/log/auth.log"), entity("source", "1")]);
}

#[test]
fn what_attackers_choose_is_bounded() {
    let alerts = Alerts::in_memory().unwrap();
    let mut findings: Vec<_> = (0..250).map(|seq| finding("a", "1", seq)).collect();
    for (number, finding) in findings.iter_mut().enumerate() {
        finding.entities.push(entity("file", &format!("{number:03}")));
        finding.matched = vec![finding.matched[0].clone(); 1000];
        finding.matched[0].value = "é".repeat(100_000);
        finding.events = vec![finding.events[0]; 5000];
    }
    record(&alerts, &findings, 1);
    let detail = alerts.get(AlertId(1)).unwrap();
    assert_eq!(detail.alert.count, 250);
    assert_eq!(detail.hits.len(), MAX_HITS);
    assert_eq!(detail.hits[0].finding, findings[249].id);
    assert_eq!((detail.hits[0].events.len(), detail.hits[0].matched.len()), (100, 64));
    assert!(detail.hits[0].matched[0].value.len() < 5000);
    assert_eq!(detail.alert.entities.len(), MAX_ENTITIES);
    assert_eq!(detail.alert.entities[0], entity("ip", "1"));
    assert!(detail.alert.entities_truncated);
    assert_eq!(alerts.findings_of(AlertId(1)).unwrap().len(), 250);
}

#[test]
fn the_latest_finding_quotes_the_rule() {
    let alerts = Alerts::in_memory().unwrap();
    let with = |seq, level| {
        let mut finding = finding("a", "1", seq);
        Arc::make_mut(&mut finding.rule).level = level;
        finding
    };
    record(&alerts, &[with(5, Level::High), with(2, Level::Low)], 1);
    assert_eq!(alerts.get(AlertId(1)).unwrap().level(), Level::High);
    record(&alerts, &[with(9, Level::Critical)], 1);
    assert_eq!(alerts.get(AlertId(1)).unwrap().level(), Level::Critical);
}

/// All that does not depend on when and in which order findings came in.
fn essence(alerts: &Alerts) -> Vec<AlertDetail> {
    let mut all = all(alerts);
    for detail in &mut all {
        (detail.alert.id, detail.alert.revision) = (AlertId(0), 0);
    }
    all.sort_by_key(|detail| (detail.alert.rule.id.clone(), detail.alert.entity.clone()));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn order_and_repetition_do_not_matter(
        draws in prop::collection::vec((0..3_u8, 0..3_u8, 0..400_u64), 1..260),
        seed in any::<u64>(),
        cuts in 1..20_usize,
    ) {
        let findings: Vec<_> = draws
            .into_iter()
            .map(|(rule, ip, seq)| {
                let mut finding = finding(&format!("rule{rule}"), &format!("ip{ip}"), seq);
                let levels = [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];
                // The same event gives the same finding, so its level must come from its identity.
                Arc::make_mut(&mut finding.rule).level = levels[(seq % 5) as usize];
                finding.time = Time::from_secs((seq / 7) as i64);
                finding.entities.push(entity("file", &format!("{}", seq * 31 % 400)));
                finding
            })
            .collect();
        let mut shuffled = findings.clone();
        shuffled.sort_by_key(|finding| blake3::hash(format!("{seed}{}", finding.id).as_bytes()).to_hex());
        shuffled.extend_from_slice(&findings[..findings.len() / 2]);

        let (straight, other) = (Alerts::in_memory().unwrap(), Alerts::in_memory().unwrap());
        record(&straight, &findings, 7);
        for chunk in shuffled.chunks(shuffled.len().div_ceil(cuts)) {
            record(&other, chunk, 7);
        }
        prop_assert_eq!(essence(&straight), essence(&other));
    }
}
