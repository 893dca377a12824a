//! Findings that shall not become alerts.

use vedette_alert::{AlertError, Alerts, Condition, Preview, Verdict};
use vedette_event::Time;

use crate::support::{all, finding, record};

fn condition(field: &str, value: &str) -> Condition {
    Condition { field: field.into(), value: value.into() }
}

#[test]
fn what_an_exception_hides_is_counted_once_and_no_alert() {
    let alerts = Alerts::in_memory().unwrap();
    let quiet = [condition("source.ip", "192.0.2.*"), condition("user.name", "user1")];
    let made = alerts.except("r", &quiet, "the scanner of the auditors", None, "ada", Time::from_secs(0)).unwrap();
    // Number 1 is of user1, number 2 of user2; another rule is another matter.
    let findings = [finding("r", "192.0.2.7", 1), finding("r", "192.0.2.7", 2), finding("s", "192.0.2.7", 1)];
    record(&alerts, &findings, 10);
    record(&alerts, &findings, 11);
    assert!(alerts.has(findings[0].id).unwrap());
    let open = all(&alerts);
    assert_eq!(open.iter().map(|alert| alert.alert.count).collect::<Vec<_>>(), [1, 1]);
    let exceptions = alerts.exceptions().unwrap();
    assert_eq!((exceptions[0].id, exceptions[0].hidden), (made.id, 1));
    assert_eq!(exceptions[0].last_hidden, Some(Time::from_secs(1)));
    alerts.remove_exception(made.id).unwrap();
    // Hidden is hidden; what comes from now on is not.
    record(&alerts, &[findings[0].clone(), finding("r", "192.0.2.7", 4)], 12);
    assert_eq!(all(&alerts).iter().map(|alert| alert.alert.count).sum::<u64>(), 3);
    assert!(matches!(alerts.remove_exception(made.id), Err(AlertError::NoException(_))));
}

#[test]
fn an_exception_ends() {
    let alerts = Alerts::in_memory().unwrap();
    let (now, end) = (Time::from_secs(100), Time::from_secs(200));
    alerts.except("r", &[condition("source.ip", "192.0.2.7")], "maintenance", Some(end), "ada", now).unwrap();
    record(&alerts, &[finding("r", "192.0.2.7", 1)], 199);
    assert!(all(&alerts).is_empty());
    record(&alerts, &[finding("r", "192.0.2.7", 2)], 200);
    assert_eq!(all(&alerts).len(), 1);
}

#[test]
fn one_that_says_too_little_is_refused() {
    let alerts = Alerts::in_memory().unwrap();
    let now = Time::from_secs(0);
    for (conditions, reason, expires) in [
        (vec![], "why not", None),
        (vec![condition("user.name", "**")], "why not", None),
        (vec![condition("user.name", "")], "why not", None),
        (vec![condition("user.name", "x")], "  ", None),
        (vec![condition("user.name", "x")], "why not", Some(now)),
    ] {
        assert!(matches!(alerts.except("r", &conditions, reason, expires, "ada", now), Err(AlertError::Exception(_))));
    }
}

#[test]
fn a_preview_says_what_would_have_been_hidden() {
    let alerts = Alerts::in_memory().unwrap();
    record(&alerts, &[finding("r", "192.0.2.7", 1), finding("r", "192.0.2.7", 4), finding("r", "192.0.2.8", 2)], 10);
    let id = all(&alerts).iter().find(|alert| alert.alert.entity.value == "192.0.2.8").unwrap().alert.id;
    alerts.close(id, Verdict::TruePositive, "ada", None, Time::from_secs(11)).unwrap();
    let preview =
        |value: &str| alerts.preview_exception("r", &[condition("source.ip", value)], Time::from_secs(0)).unwrap();
    assert_eq!(preview("192.0.2.7"), Preview { findings: 2, alerts: 1, true_positives: 0 });
    assert_eq!(preview("192.0.2.*"), Preview { findings: 3, alerts: 2, true_positives: 1 });
    assert_eq!(preview("198.51.100.1"), Preview::default());
}
