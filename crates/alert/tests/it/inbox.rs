//! Listing, counting, following.

use std::sync::Arc;

use vedette_alert::{AlertId, Alerts, Filter, MAX_PAGE, Sort, StateName, Verdict};
use vedette_event::{Level, Time};

use crate::support::{finding, record};

/// 1: a/1 critical t=10 new; 2: a/2 low t=30 acknowledged; 3: b/1 high t=20 closed; 4: b/2 low t=5 new.
fn four() -> Alerts {
    let alerts = Alerts::in_memory().unwrap();
    for (rule, ip, seq, level) in [
        ("a", "1", 10, Level::Critical),
        ("a", "2", 30, Level::Low),
        ("b", "1", 20, Level::High),
        ("b", "2", 5, Level::Low),
    ] {
        let mut finding = finding(rule, ip, seq);
        Arc::make_mut(&mut finding.rule).level = level;
        record(&alerts, &[finding], 100);
    }
    alerts.acknowledge(AlertId(2), "ada", Time::from_secs(101)).unwrap();
    alerts.close(AlertId(3), Verdict::TruePositive, "ada", None, Time::from_secs(102)).unwrap();
    alerts
}

#[test]
fn filters_and_orders() {
    let alerts = four();
    let at = |secs| Some(Time::from_secs(secs));
    let text = |text: &str| Some(text.to_owned());
    let cases: Vec<(Filter, &[i64])> = vec![
        (Filter::default(), &[2, 3, 1, 4]),
        (Filter { sort: Sort::Worst, ..Default::default() }, &[1, 3, 2, 4]),
        (Filter { states: vec![StateName::New], ..Default::default() }, &[1, 4]),
        (Filter { states: vec![StateName::New, StateName::Acknowledged], ..Default::default() }, &[2, 1, 4]),
        (Filter { min_level: Some(Level::High), ..Default::default() }, &[3, 1]),
        (Filter { rule: text("b"), ..Default::default() }, &[3, 4]),
        (Filter { rule: text("title of A"), ..Default::default() }, &[2, 1]),
        (Filter { rule: text("b' OR 1=1 --"), ..Default::default() }, &[]),
        (Filter { entity: text("2"), ..Default::default() }, &[2, 4]),
        (Filter { entity: text("2"), entity_kind: text("user"), ..Default::default() }, &[]),
        (Filter { entity: text("user2"), ..Default::default() }, &[3, 4]),
        (Filter { entity_kind: text("ip"), min_level: Some(Level::Critical), ..Default::default() }, &[1]),
        (Filter { from: at(10), to: at(30), ..Default::default() }, &[3, 1]),
        (Filter { limit: 2, offset: 1, ..Default::default() }, &[3, 1]),
        (Filter { limit: usize::MAX, offset: usize::MAX, ..Default::default() }, &[]),
    ];
    for (filter, expected) in cases {
        let page = alerts.list(&filter).unwrap();
        assert_eq!(page.alerts.iter().map(|alert| alert.id.0).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    assert_eq!(alerts.list(&Filter { limit: 1, ..Default::default() }).unwrap().total, 4);
}

#[test]
fn counts_by_state_and_level() {
    let counts = four().counts().unwrap();
    assert_eq!(counts.by[&(StateName::Closed, Level::High)], 1);
    assert_eq!(
        [StateName::New, StateName::Acknowledged, StateName::Closed].map(|state| counts.state(state)),
        [2, 1, 1]
    );
    assert_eq!([Level::Low, Level::High, Level::Critical].map(|level| counts.open(level)), [2, 0, 1]);
}

#[test]
fn changes_can_be_followed_without_a_gap() {
    let alerts = four();
    let ids = |since| {
        let changed = alerts.changed_since(since, MAX_PAGE).unwrap();
        changed.iter().map(|alert| alert.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(0), [1, 4, 2, 3]);
    let seen = alerts.revision();
    assert_eq!(ids(seen), [0; 0]);
    record(&alerts, &[finding("a", "1", 99)], 200);
    assert_eq!(ids(seen), [1]);
    assert!(alerts.revision() > seen);
    assert_eq!(alerts.changed_since(0, 1).unwrap().len(), 1);
}

#[test]
fn old_closed_alerts_can_go() {
    let alerts = four();
    // Its finding is of second 20; what counts is that it was closed later.
    let closed = alerts.get(AlertId(3)).unwrap().alert.changed;
    assert!(closed > Time::from_secs(21));
    assert_eq!(alerts.prune(closed).unwrap(), 0, "only closed ones, only older ones");
    assert_eq!(alerts.prune(closed.plus_micros(1)).unwrap(), 1);
    assert_eq!(alerts.get(AlertId(3)).unwrap_err().to_string(), "there is no alert 3");
    assert!(!alerts.has(finding("b", "1", 20).id).unwrap());
    let reopened = record(&alerts, &[finding("b", "1", 21)], 300).opened;
    assert_eq!(reopened, [AlertId(5)], "numbers are not given twice");
}
