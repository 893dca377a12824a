//! What happens to alerts is offered, once and from the beginning that was. Of incidents: `following_incidents`.

use vedette_alert::{Alerts, Sighting, Verdict};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};
use vedette_notify::{Happened, Notifier};

use crate::support::config;

const LOG: &str = "channels: [{name: log, syslog: {address: \"127.0.0.1:9\"}}]\nroutes: [{name: all, channels: [log], on: [opened, grew, acknowledged, closed, reopened], match: {source: [\"file:*\"]}}]";

fn finding(rule: &str, seq: u64) -> Finding {
    let event = EventId { source: SourceId(1), seq };
    Finding {
        id: FindingId::of(rule, &[event]),
        rule: RuleRef {
            id: rule.into(),
            title: format!("Rule {rule}"),
            level: Level::High,
            author: None,
            techniques: vec![],
            tactics: vec![],
        }
        .into(),
        time: Time::from_secs(100),
        events: vec![event],
        entities: vec![Entity { kind: "ip".into(), value: "192.0.2.7".into() }],
        matched: vec![],
    }
}

fn record(alerts: &Alerts, rule: &str, seqs: std::ops::Range<u64>, now: i64) -> vedette_alert::AlertId {
    let findings: Vec<_> = seqs.map(|seq| finding(rule, seq)).collect();
    let sightings: Vec<_> = findings.iter().map(Sighting::from).collect();
    let recorded = alerts.record(&sightings, Time::from_secs(now)).unwrap();
    recorded.opened.into_iter().chain(recorded.updated).next().unwrap()
}

fn source(id: SourceId) -> Option<String> {
    (id == SourceId(1)).then(|| "file:/var/log/auth.log".into())
}

/// What waits, told by the names of the counts: nothing is sent here.
fn offered(notifier: &Notifier) -> u64 {
    let total = notifier.status().unwrap().total;
    assert!(total.is_whole());
    assert_eq!(total.offered, total.queued, "the source's name is known, so the route fits: {total:?}");
    total.offered
}

#[test]
fn every_change_once_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.db");
    let alerts = Alerts::open(&folder.path().join("alerts.db")).unwrap().without_risk();
    let old = record(&alerts, "old", 0..5, 10);
    let notifier = Notifier::open(&path, config(LOG)).unwrap();
    let follow = |notifier: &Notifier, now| notifier.follow(&alerts, &source, Time::from_secs(now)).unwrap();
    assert_eq!(follow(&notifier, 20), 0, "alerts that were there already are no news");

    let new = record(&alerts, "new", 0..3, 21);
    assert_eq!(follow(&notifier, 22), 1);
    assert_eq!(follow(&notifier, 23), 0);
    record(&alerts, "new", 3..9, 24);
    assert_eq!(follow(&notifier, 25), 0, "nine findings are no more than one");
    record(&alerts, "new", 9..12, 26);
    assert_eq!(follow(&notifier, 27), 1, "it grew");

    // Much at once, seen by another process that did not see the last.
    alerts.acknowledge(new, "ada", Time::from_secs(30)).unwrap();
    alerts.close(new, Verdict::Benign, "ada", Some("a test"), Time::from_secs(31)).unwrap();
    alerts.reopen(new, "bob", Time::from_secs(32)).unwrap();
    alerts.close(new, Verdict::TruePositive, "bob", None, Time::from_secs(33)).unwrap();
    let again = record(&alerts, "new", 12..13, 34);
    assert_ne!(again, new);
    // What was there before is news from when on it changes.
    alerts.close(old, Verdict::FalsePositive, "ada", None, Time::from_secs(35)).unwrap();
    drop(notifier);
    let notifier = Notifier::open(&path, config(LOG)).unwrap();
    assert_eq!(follow(&notifier, 40), 6);
    assert_eq!(offered(&notifier), 8);
}

#[test]
fn a_file_that_was_made_anew_is_followed_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let notifier = Notifier::open(&folder.path().join("notify.db"), config(LOG)).unwrap();
    let alerts = Alerts::in_memory().unwrap().without_risk();
    notifier.follow(&alerts, &source, Time::from_secs(1)).unwrap();
    record(&alerts, "a", 0..5, 10);
    record(&alerts, "b", 0..5, 10);
    assert_eq!(notifier.follow(&alerts, &source, Time::from_secs(11)).unwrap(), 2);
    let anew = Alerts::in_memory().unwrap().without_risk();
    let first = record(&anew, "c", 0..1, 20);
    assert_eq!(first.0, 1, "the same number as that of another alert before");
    assert_eq!(notifier.follow(&anew, &source, Time::from_secs(21)).unwrap(), 1);
    assert_eq!(offered(&notifier), 3);
}

#[test]
fn notices_say_who_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = "channels: []";
    let notifier = Notifier::open(&folder.path().join("notify.db"), config(nobody)).unwrap();
    let alerts = Alerts::in_memory().unwrap().without_risk();
    notifier.follow(&alerts, &source, Time::from_secs(1)).unwrap();
    let alert = record(&alerts, "a", 0..5, 10);
    alerts.close(alert, Verdict::Benign, "ada", Some("a test"), Time::from_secs(12)).unwrap();
    notifier.follow(&alerts, &source, Time::from_secs(13)).unwrap();
    let suppressed = notifier.suppressed(10).unwrap();
    let shown: Vec<_> = suppressed.iter().map(|one| (one.what, one.reason.as_str(), one.title.as_str())).collect();
    assert_eq!(shown, [(Happened::Closed, "no_route", "Rule a"), (Happened::Opened, "no_route", "Rule a")]);
    assert!(notifier.status().unwrap().total.is_whole());
}
