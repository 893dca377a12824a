//! What happens to incidents is offered, once and from the beginning that was.

use expect_test::{Expect, expect};
use vedette_alert::{Alerts, IncidentId, Sighting, Verdict};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};
use vedette_notify::{About, Notifier};

use crate::support::{Running, Server, config};

/// Nobody is told, so all that would be is listed.
const NOBODY: &str = "channels: []";

fn entity(kind: &str, value: &str) -> Entity {
    Entity { kind: kind.into(), value: value.into() }
}

fn finding(seq: u64, level: Level, tactic: &str, about: &[Entity]) -> Finding {
    let event = EventId { source: SourceId(1), seq };
    let rule = format!("{tactic}-{level}");
    Finding {
        id: FindingId::of(&rule, &[event]),
        rule: RuleRef {
            title: format!("Rule {rule}"),
            id: rule,
            level,
            author: None,
            techniques: vec![format!("T{}", 1000 + seq)],
            tactics: vec![tactic.into()],
        }
        .into(),
        time: Time::from_secs(100),
        events: vec![event],
        entities: about.to_vec(),
        matched: vec![],
    }
}

fn record(alerts: &Alerts, findings: &[Finding], now: i64) {
    let sightings: Vec<_> = findings.iter().map(Sighting::from).collect();
    alerts.record(&sightings, Time::from_secs(now)).unwrap();
}

/// Two findings that bring a host over the threshold.
fn hot(seq: u64, host: &str) -> [Finding; 2] {
    let about = [entity("host", host)];
    [finding(seq, Level::High, "execution", &about), finding(seq + 1, Level::High, "impact", &about)]
}

fn source(id: SourceId) -> Option<String> {
    (id == SourceId(1)).then(|| "file:/var/log/auth.log".into())
}

/// What was said of incidents since it was asked last, the oldest first.
struct Heard(usize);

impl Heard {
    fn check(&mut self, notifier: &Notifier, alerts: &Alerts, now: i64, expected: Expect) {
        notifier.follow(alerts, &source, Time::from_secs(now)).unwrap();
        assert_eq!(notifier.follow(alerts, &source, Time::from_secs(now)).unwrap(), 0, "twice");
        assert!(notifier.status().unwrap().total.is_whole());
        let mut all = notifier.suppressed(1000).unwrap();
        all.retain(|one| one.subject.about() == About::Incident);
        all.reverse();
        let said: Vec<_> =
            all[self.0..].iter().map(|one| format!("{} [{}] {}", one.title, one.level, one.what)).collect();
        self.0 = all.len();
        expected.assert_eq(&said.join("\n"));
    }
}

#[test]
fn every_change_once_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.db");
    let open = || Notifier::open(&path, config(NOBODY)).unwrap();
    let alerts = Alerts::open(&folder.path().join("alerts.db")).unwrap();
    record(&alerts, &hot(10, "old"), 1);
    let (mut heard, notifier) = (Heard(0), open());
    heard.check(&notifier, &alerts, 20, expect![""]);
    // What was there already is no news, until something happens to it.
    let old = [entity("host", "old")];
    record(&alerts, &[finding(12, Level::Critical, "exfiltration", &old)], 21);
    heard.check(&notifier, &alerts, 22, expect![""]);

    record(&alerts, &hot(20, "web"), 30);
    heard.check(&notifier, &alerts, 31, expect!["Incident 2: host web [high] opened"]);
    let web = entity("host", "web");
    let about = |others: &[&str]| {
        let others = others.iter().map(|name| entity("user", name));
        std::iter::once(web.clone()).chain(others).collect::<Vec<_>>()
    };
    record(&alerts, &[22, 23, 24].map(|seq| finding(seq, Level::High, "impact", &about(&[]))), 32);
    record(&alerts, &[finding(25, Level::Low, "impact", &about(&["eve", "root"]))], 32);
    heard.check(&notifier, &alerts, 33, expect![""]);
    record(&alerts, &[finding(26, Level::Low, "lateral-movement", &about(&[]))], 34);
    heard.check(&notifier, &alerts, 35, expect!["Incident 2: host web [high] grew"]);
    record(&alerts, &[finding(27, Level::Critical, "lateral-movement", &about(&[]))], 36);
    heard.check(&notifier, &alerts, 37, expect!["Incident 2: host web [critical] grew"]);
    record(&alerts, &[finding(28, Level::Low, "impact", &about(&["mallory"]))], 38);
    heard.check(&notifier, &alerts, 39, expect!["Incident 2: host web [critical] grew"]);

    // Much at once, seen by another process that did not see the last.
    let id = IncidentId(2);
    alerts.assign_incident(id, Some("ada"), "bob", Time::from_secs(40)).unwrap();
    alerts.assign_incident(id, None, "ada", Time::from_secs(41)).unwrap();
    alerts.note_incident(id, "look", "ada", Time::from_secs(42)).unwrap();
    alerts.assign_incident(id, Some("eva"), "eva", Time::from_secs(43)).unwrap();
    alerts.close_incident(id, Verdict::TruePositive, "eva", None, Time::from_secs(44)).unwrap();
    alerts.close_incident(IncidentId(1), Verdict::Benign, "eva", None, Time::from_secs(45)).unwrap();
    drop(notifier);
    let notifier = open();
    heard.check(
        &notifier,
        &alerts,
        50,
        expect![[r#"
        Incident 2: host web [critical] acknowledged
        Incident 2: host web [critical] acknowledged
        Incident 2: host web [critical] closed
        Incident 1: host old [critical] closed"#]],
    );
    // What is closed does not grow; what goes on opens another one.
    record(&alerts, &hot(40, "web"), 51);
    heard.check(&notifier, &alerts, 52, expect!["Incident 3: host web [high] opened"]);
}

#[test]
fn one_that_is_merged_ends_for_those_who_heard_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.db");
    let open = || Notifier::open(&path, config(NOBODY)).unwrap();
    let alerts = Alerts::in_memory().unwrap();
    let (mut heard, notifier) = (Heard(0), open());
    heard.check(&notifier, &alerts, 1, expect![""]);
    record(&alerts, &hot(10, "one"), 10);
    record(&alerts, &hot(20, "two"), 10);
    heard.check(
        &notifier,
        &alerts,
        11,
        expect![[r#"
        Incident 1: host one [high] opened
        Incident 2: host two [high] opened"#]],
    );
    let link = |seq, a: &str, b: &str| finding(seq, Level::Low, "impact", &[entity("host", a), entity("host", b)]);
    record(&alerts, &[link(30, "one", "two")], 12);
    heard.check(&notifier, &alerts, 13, expect!["Incident 2: host two [high] closed"]);

    // One of which nobody has heard.
    record(&alerts, &hot(40, "three"), 14);
    record(&alerts, &[link(50, "one", "three")], 15);
    heard.check(&notifier, &alerts, 16, expect![""]);

    // A process that died after it had told of one, and before it had written down how far it was; the next one finds it merged.
    record(&alerts, &hot(60, "four"), 17);
    heard.check(&notifier, &alerts, 18, expect!["Incident 4: host four [high] opened"]);
    drop(notifier);
    let db = rusqlite::Connection::open(&path).unwrap();
    let forgotten = db.execute("DELETE FROM followed WHERE about = 'incident' AND number = 4", []).unwrap();
    let back = db.execute("UPDATE position SET revision = revision - 1 WHERE about = 'incident'", []).unwrap();
    assert_eq!((forgotten, back), (1, 1));
    drop(db);
    record(&alerts, &[link(70, "one", "four")], 20);
    heard.check(
        &open(),
        &alerts,
        21,
        expect![[r#"
        Incident 4: host four [high] closed
        Incident 1: host one [high] grew"#]],
    );
}

#[test]
fn a_file_that_was_made_anew_is_followed_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let notifier = Notifier::open(&folder.path().join("notify.db"), config(NOBODY)).unwrap();
    let (mut heard, alerts) = (Heard(0), Alerts::in_memory().unwrap());
    heard.check(&notifier, &alerts, 1, expect![""]);
    record(&alerts, &hot(10, "one"), 10);
    record(&alerts, &hot(20, "two"), 10);
    heard.check(
        &notifier,
        &alerts,
        11,
        expect![[r#"
        Incident 1: host one [high] opened
        Incident 2: host two [high] opened"#]],
    );
    let anew = Alerts::in_memory().unwrap();
    heard.check(&notifier, &anew, 12, expect![""]);
    record(&anew, &hot(10, "one"), 20);
    heard.check(&notifier, &anew, 21, expect!["Incident 1: host one [high] opened"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_side_is_told_what_is_in_it() {
    let server = Server::start([]).await;
    let running = Running::start(&format!(
        "console: https://vedette.example\nchannels: [{{name: hook, webhook: {{url: \"{}\"}}}}]\nroutes: [{{name: all, channels: [hook], match: {{about: incident, rule: \"rule impact*\", source: \"file:*\"}}, on: [opened, acknowledged, closed]}}]",
        server.url("/")
    ));
    let alerts = Alerts::in_memory().unwrap();
    let follow = |now| running.notifier.follow(&alerts, &source, Time::from_secs(now)).unwrap();
    follow(1);
    record(&alerts, &hot(10, "web"), 10);
    record(&alerts, &[finding(12, Level::Low, "impact", &[entity("host", "web"), entity("user", "root")])], 10);
    follow(11);
    server.wait_for(1).await;
    alerts.assign_incident(IncidentId(1), Some("ada"), "bob", Time::from_secs(12)).unwrap();
    follow(13);
    server.wait_for(2).await;
    record(&alerts, &hot(20, "db"), 14);
    follow(14);
    server.wait_for(3).await;
    let both = [entity("host", "db"), entity("host", "web")];
    record(&alerts, &[finding(30, Level::Low, "impact", &both)], 15);
    follow(16);
    server.wait_for(4).await;
    alerts.close_incident(IncidentId(1), Verdict::Benign, "ada", Some("a drill"), Time::from_secs(17)).unwrap();
    follow(18);
    let said: Vec<_> = server.wait_for(5).await.iter().map(|got| got.json()).collect();
    assert_eq!(running.settled().await.sent, 5);
    expect![[r#"
        {
          "type": "incident.opened",
          "timestamp": "1970-01-01T00:00:10.000000Z",
          "data": {
            "what": "opened",
            "time": "1970-01-01T00:00:10.000000Z",
            "about": "incident",
            "alert": 0,
            "incident": 1,
            "revision": 3,
            "link": "https://vedette.example/incidents/1",
            "level": "high",
            "rule": {
              "id": "incident",
              "title": "Incident",
              "author": null,
              "techniques": [
                "T1010",
                "T1011",
                "T1012"
              ],
              "tactics": [
                "execution",
                "impact"
              ]
            },
            "rules": [
              {
                "id": "execution-high",
                "title": "Rule execution-high",
                "level": "high"
              },
              {
                "id": "impact-high",
                "title": "Rule impact-high",
                "level": "high"
              },
              {
                "id": "impact-low",
                "title": "Rule impact-low",
                "level": "low"
              }
            ],
            "entity": {
              "kind": "host",
              "value": "web"
            },
            "entities": [
              {
                "kind": "host",
                "value": "web"
              },
              {
                "kind": "user",
                "value": "root"
              }
            ],
            "sources": [
              "file:/var/log/auth.log"
            ],
            "count": 3,
            "first": "1970-01-01T00:01:40.000000Z",
            "last": "1970-01-01T00:01:40.000000Z",
            "who": null,
            "assignee": null,
            "note": null,
            "verdict": null,
            "merged_into": null,
            "test": false
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&said[0]).unwrap());
    let short: Vec<String> = said
        .iter()
        .map(|said| {
            let data = &said["data"];
            let of = |name: &str| data[name].to_string();
            format!(
                "{} {} who {} assignee {} verdict {} merged into {} note {} count {} link {}",
                said["type"],
                of("incident"),
                of("who"),
                of("assignee"),
                of("verdict"),
                of("merged_into"),
                of("note"),
                of("count"),
                of("link"),
            )
        })
        .collect();
    expect![[r#"
        "incident.opened" 1 who null assignee null verdict null merged into null note null count 3 link "https://vedette.example/incidents/1"
        "incident.acknowledged" 1 who "bob" assignee "ada" verdict null merged into null note null count 3 link "https://vedette.example/incidents/1"
        "incident.opened" 2 who null assignee null verdict null merged into null note null count 2 link "https://vedette.example/incidents/2"
        "incident.closed" 2 who null assignee null verdict null merged into 1 note null count 6 link "https://vedette.example/incidents/2"
        "incident.closed" 1 who "ada" assignee "ada" verdict "benign" merged into null note "a drill" count 6 link "https://vedette.example/incidents/1""#]].assert_eq(&short.join("\n"));
}
