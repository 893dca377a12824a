//! Whoever follows incidents sees every change once, and all that belongs to one at once.

use std::sync::Arc;

use vedette_alert::{Alerts, IncidentId, IncidentState, Verdict};
use vedette_event::{Entity, Finding, Level, Time};

use crate::support::{entity, finding, record};

/// Two findings that bring a host over the threshold.
fn hot(number: u64, host: &str) -> [Finding; 2] {
    let about = [entity("host", host)];
    [seen("a", "execution", number, &about), seen("b", "impact", number + 1, &about)]
}

fn seen(rule: &str, tactic: &str, number: u64, about: &[Entity]) -> Finding {
    let mut seen = finding(rule, "192.0.2.7", number);
    let rule = Arc::make_mut(&mut seen.rule);
    (rule.level, rule.tactics) = (Level::High, vec![tactic.into()]);
    seen.entities = about.to_vec();
    seen
}

/// Reads on from a revision, one change at a time.
fn changed(alerts: &Alerts, from: &mut u64) -> Vec<i64> {
    let mut ids = Vec::new();
    while let [incident] = alerts.incidents_changed_since(*from, 1).unwrap().as_slice() {
        assert!(incident.revision > *from);
        *from = incident.revision;
        ids.push(incident.id.0);
    }
    assert_eq!(*from, alerts.incidents_revision());
    ids
}

#[test]
fn every_change_of_an_incident_is_seen_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.db");
    let alerts = Alerts::open(&path).unwrap();
    let (mut from, id) = (0, IncidentId(1));
    assert_eq!(changed(&alerts, &mut from), [0; 0]);
    record(&alerts, &hot(10, "one"), 1);
    assert_eq!(changed(&alerts, &mut from), [1]);
    // What is in no incident changes none.
    record(&alerts, &hot(20, "far")[..1], 2);
    assert_eq!(changed(&alerts, &mut from), [0; 0]);
    let one = [entity("host", "one")];
    record(&alerts, &[12, 13, 14].map(|number| seen("a", "execution", number, &one)), 3);
    assert_eq!(changed(&alerts, &mut from), [1], "a batch is one change");
    alerts.assign_incident(id, Some("ada"), "bob", Time::from_secs(4)).unwrap();
    assert_eq!(changed(&alerts, &mut from), [1]);
    alerts.note_incident(id, "look", "ada", Time::from_secs(5)).unwrap();
    assert_eq!(changed(&alerts, &mut from), [1]);
    let what: Vec<_> = alerts.incident_history(id).unwrap().into_iter().map(|change| change.what).collect();
    assert_eq!(what, ["opened", "assigned", "noted"]);
    assert_eq!(alerts.incident_history(IncidentId(9)).unwrap(), []);

    // One that is merged is seen, and so is the one that it came into.
    record(&alerts, &hot(30, "two"), 6);
    assert_eq!(changed(&alerts, &mut from), [2]);
    let both = [entity("host", "one"), entity("host", "two")];
    record(&alerts, &[seen("c", "collection", 40, &both)], 7);
    let mut merged = changed(&alerts, &mut from);
    merged.sort_unstable();
    assert_eq!(merged, [1, 2]);
    assert_eq!(alerts.incident(IncidentId(2)).unwrap().incident.state, IncidentState::Merged(id));

    // A verdict on a case is one on its incidents; the next process goes on there.
    let case = alerts.open_case("one", "ada", Time::from_secs(8)).unwrap();
    alerts.add_incident_to_case(case, id, "ada", Time::from_secs(8)).unwrap();
    assert_eq!(changed(&alerts, &mut from), [0; 0]);
    alerts.close_case(case, Verdict::Benign, "a drill", "ada", Time::from_secs(9)).unwrap();
    drop(alerts);
    let alerts = Alerts::open(&path).unwrap();
    assert_eq!(changed(&alerts, &mut from), [1]);
    assert!(alerts.close_incident(id, Verdict::Benign, "ada", None, Time::from_secs(10)).is_err());
    assert_eq!(changed(&alerts, &mut from), [0; 0], "what is refused changes nothing");
}
