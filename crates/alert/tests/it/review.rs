//! What people do to alerts.

use expect_test::expect;
use vedette_alert::{AlertError, AlertId, Alerts, State, Verdict};
use vedette_event::Time;

use crate::support::{finding, record};

const ID: AlertId = AlertId(1);

fn at(secs: i64) -> Time {
    Time::from_secs(secs)
}

fn one_alert() -> Alerts {
    let alerts = Alerts::in_memory().unwrap();
    record(&alerts, &[finding("a", "1", 1)], 10);
    alerts
}

fn history(alerts: &Alerts) -> String {
    let line = |change: &vedette_alert::Change| {
        format!("{} {} {} {}\n", change.time.secs(), change.who, change.what, change.detail.as_deref().unwrap_or("-"))
    };
    alerts.get(ID).unwrap().history.iter().map(line).collect()
}

#[test]
fn the_whole_way_with_its_history() {
    let alerts = one_alert();
    alerts.acknowledge(ID, "ada", at(20)).unwrap();
    assert_eq!(alerts.get(ID).unwrap().alert.assignee.as_deref(), Some("ada"));
    alerts.assign(ID, Some("grace"), "ada", at(21)).unwrap();
    alerts.note(ID, "asked the owner", "grace", at(22)).unwrap();
    alerts.close(ID, Verdict::FalsePositive, "grace", Some("backup job"), at(23)).unwrap();
    let alert = alerts.get(ID).unwrap().alert;
    assert_eq!(alert.state, State::Closed(Verdict::FalsePositive));
    assert_eq!((alert.note.as_deref(), alert.changed), (Some("backup job"), at(23)));
    alerts.reopen(ID, "ada", at(24)).unwrap();
    let alert = alerts.get(ID).unwrap().alert;
    assert_eq!((alert.state, alert.assignee), (State::New, None));
    expect![[r"
        10 vedette opened -
        20 ada acknowledged -
        21 ada assigned grace
        22 grace noted asked the owner
        23 grace closed false_positive
        23 grace noted backup job
        24 ada reopened -
    "]]
    .assert_eq(&history(&alerts));
    assert_eq!(record(&alerts, &[finding("a", "1", 2)], 30).updated, [ID], "a reopened alert takes findings again");
}

type Act = fn(&Alerts) -> Result<(), AlertError>;

#[test]
fn wrong_ways_are_refused_and_say_why() {
    let acknowledge: Act = |alerts| alerts.acknowledge(ID, "ada", at(20));
    let close: Act = |alerts| alerts.close(ID, Verdict::Benign, "grace", None, at(21));
    let reopen: Act = |alerts| alerts.reopen(ID, "ada", at(22));
    let assign: Act = |alerts| alerts.assign(ID, Some("x"), "ada", at(22));
    let next: Act = |alerts| {
        record(alerts, &[finding("a", "1", 7)], 23);
        Ok(())
    };
    let unknown: Act = |alerts| alerts.acknowledge(AlertId(99), "ada", at(20));
    let long: Act = |alerts| alerts.note(ID, &"x".repeat(20_000), "ada", at(20));
    let cases: [(&[Act], Act, &str); 8] = [
        (&[], reopen, "alert 1 cannot be reopened: it is new"),
        (&[acknowledge], acknowledge, "alert 1 cannot be acknowledged: it is acknowledged by ada"),
        (&[close], acknowledge, "alert 1 cannot be acknowledged: it is closed by grace"),
        (&[acknowledge, close], close, "alert 1 cannot be closed: it is closed by grace"),
        (&[close], assign, "alert 1 cannot be assigned: it is closed by grace"),
        (
            &[close, next],
            reopen,
            "alert 1 cannot be reopened: alert 2 of the same rule and entity is open; go on there",
        ),
        (&[], unknown, "there is no alert 99"),
        (&[], long, "the note of 20000 bytes is longer than 16384"),
    ];
    for (before, act, message) in cases {
        let alerts = one_alert();
        for step in before {
            step(&alerts).unwrap();
        }
        let (detail, revision) = (alerts.get(ID).unwrap(), alerts.revision());
        assert_eq!(act(&alerts).unwrap_err().to_string(), message);
        assert_eq!((alerts.get(ID).unwrap(), alerts.revision()), (detail, revision), "{message}: nothing changed");
    }
}
