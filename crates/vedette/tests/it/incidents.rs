//! Risk, incidents and cases in the running monitor: from log lines to a verdict, over kill -9, in any order.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use vedette_event::Time;

use crate::{
    clock::WallClock,
    harness::{
        PATIENCE, RECEIVERS, Running, folder, json_lines, run, stdout, vedette, wait_for_the_sealer, wait_until,
    },
    quiet::listener,
};

const RULES: &str = "title: Failed log-in
id: 0b0b0b0b-0000-4000-8000-000000000001
level: medium
tags: [attack.credential-access]
logsource: {product: linux, service: sshd}
detection:
  selection: {event.outcome: failure}
  condition: selection
---
title: Log-in of root
id: 0b0b0b0b-0000-4000-8000-000000000002
level: medium
tags: [attack.initial-access]
logsource: {product: linux, service: sshd}
detection:
  selection: {event.outcome: success, user.name: root}
  condition: selection
---
title: New account
id: 0b0b0b0b-0000-4000-8000-000000000003
level: high
tags: [attack.persistence]
logsource: {product: linux}
detection:
  keywords: ['new user: name=']
  condition: keywords
";

fn config(folder: &Path) -> String {
    let rules = folder.join("rules.yml");
    fs::write(&rules, RULES).expect("writable");
    let detection = format!("detection: {{rules: [{:?}], builtin_rules: false}}\n", rules.display());
    format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n{detection}")
}

/// The hour before this one, in which everything happens: seconds since 1970.
fn hour() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    (now / 3600 - 1) * 3600
}

fn line(hour: i64, second: i64, program: &str, message: &str) -> String {
    format!("<38>1 {} web1 {program} 811 - - {message}", Time::from_secs(hour + second))
}

fn failed(hour: i64, second: i64) -> String {
    line(hour, second, "sshd", "Failed password for root from 192.0.2.7 port 4711 ssh2")
}

fn attack(hour: i64) -> [String; 3] {
    [
        failed(hour, 100),
        line(hour, 160, "sshd", "Accepted password for root from 192.0.2.7 port 4711 ssh2"),
        line(hour, 200, "useradd", "new user: name=eve, UID=0, GID=0, home=/home/eve, shell=/bin/bash"),
    ]
}

fn send(running: &Running, lines: &[String]) {
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    lines.iter().for_each(|line| writeln!(stream, "{line}").expect("sent"));
}

/// The host's points when the hour ends, and why.
fn risk(running: &Running, hour: i64) -> Value {
    let at = Time::from_secs(hour + 3599);
    running.api("GET", &format!("/api/v1/risk/entity?kind=host&value=web1&at={at}"), "").1
}

fn incidents(running: &Running) -> Value {
    running.api("GET", "/api/v1/incidents?state=open,closed,merged", "").1
}

/// Waits until so many findings are in alerts.
fn wait_for_findings(running: &Running, wanted: u64) {
    wait_until("the findings are in alerts", || {
        let alerts = running.api("GET", "/api/v1/alerts", "").1;
        let counts = alerts["alerts"].as_array().expect("a list").iter().map(|alert| alert["count"].as_u64());
        counts.sum::<Option<u64>>() == Some(wanted)
    });
}

/// An incident's time line without the numbers of alerts, which are those of the order of arrival.
fn timeline(running: &Running, id: i64) -> Vec<Value> {
    let incident = running.api("GET", &format!("/api/v1/incidents/{id}"), "").1;
    let steps = incident["timeline"].as_array().expect("a time line").clone().into_iter();
    steps
        .map(|step| json!([step["first"], step["last"], step["rule"]["id"], step["entities"], step["findings"]]))
        .collect()
}

#[test]
fn an_attack_opens_an_incident_that_becomes_a_case_and_is_judged() {
    let folder = folder();
    let (hour, (url, told)) = (hour(), listener());
    let config = format!(
        "{}notifications:
  channels: [{{name: desk, webhook: {{url: '{url}'}}}}]
  routes: [{{name: incidents, match: {{about: incident}}, channels: [desk]}}]
",
        config(folder.path())
    );
    let running = Running::start(folder.path(), &config);
    let [first, second, third] = attack(hour);
    send(&running, &[first, second]);
    wait_for_findings(&running, 2);
    assert_eq!(risk(&running, hour)["points"], 37.5, "(15 + 15) with two tactics");
    assert_eq!(incidents(&running)["total"], 0);
    send(&running, &[third]);
    wait_for_findings(&running, 3);
    let opened = incidents(&running);
    assert_eq!((&opened["total"], &opened["incidents"][0]["findings"]), (&json!(1), &json!(3)), "{opened}");
    assert_eq!(opened["incidents"][0]["entity"], json!({"kind": "host", "value": "web1"}));
    assert_eq!(opened["incidents"][0]["tactics"], json!(["initial-access", "persistence", "credential-access"]));
    assert_eq!((&risk(&running, hour)["points"], &risk(&running, hour)["factor"]), (&json!(105.0), &json!(1.5)));
    // Somebody is told, of the incident alone.
    let notice = told.recv_timeout(PATIENCE).expect("somebody is told");
    assert_eq!(
        (&notice["type"], &notice["data"]["incident"], &notice["data"]["alert"], &notice["data"]["level"]),
        (&json!("incident.opened"), &json!(1), &json!(0), &json!("high")),
        "{notice}"
    );
    assert_eq!(notice["data"]["entity"], json!({"kind": "host", "value": "web1"}));
    assert_eq!(notice["data"]["rules"][0]["title"], "New account");

    // The same again and again: of a rule sixteen count, each less than the one before.
    let again: Vec<String> = (0..40).map(|number| failed(hour, 300 + number)).collect();
    send(&running, &again);
    wait_for_findings(&running, 43);
    let sixteen: i64 = (0..16).map(|before| 15_000 / (1 + before)).sum();
    let expected = ((sixteen + 15_000 + 40_000) * 150 / 100) as f64 / 1000.0;
    let before = (risk(&running, hour), running.api("GET", "/api/v1/incidents/1", ""), timeline(&running, 1));
    assert_eq!(before.0["points"], expected, "{}", before.0);
    assert_eq!((before.2.len(), &before.1.1["findings"]), (3, &json!(43)), "{:?}", before.1);

    running.kill();
    wait_for_the_sealer(&folder.path().join("data"));
    let running = Running::start(folder.path(), &config);
    let after = (risk(&running, hour), running.api("GET", "/api/v1/incidents/1", ""), timeline(&running, 1));
    assert_eq!(after, before);
    // It goes on where it was.
    send(&running, &[failed(hour, 400)]);
    wait_for_findings(&running, 44);
    assert_eq!((&risk(&running, hour)["points"], &incidents(&running)["total"]), (&json!(expected), &json!(1)));

    // A case, on the command line.
    let data = running.data().to_string_lossy().into_owned();
    let said = |arguments: &[&str]| stdout(&run(&[arguments, &["--data", &data]].concat()), 0);
    let listed = json_lines(&said(&["incidents", "-o", "json"]));
    assert_eq!((listed.len(), &listed[0]["findings"]), (1, &json!(44)));
    let shown = said(&["incidents", "show", "1"]);
    assert!(shown.contains("New account") && shown.contains("timeline") && shown.contains("opened"), "{shown}");
    let case = json_lines(&said(&["cases", "open", "Eve on web1", "--incident", "1", "-o", "json"]));
    assert_eq!((&case[0]["id"], &case[0]["incidents"]), (&json!(1), &json!([1])));
    said(&["cases", "assign", "1", "ada"]);
    said(&["cases", "note", "1", "by the front door"]);
    said(&["cases", "task", "1", "remove the account"]);
    said(&["cases", "done", "1", "1"]);
    let event = running.api("GET", "/api/v1/alerts/1", "").1["findings"][0]["events"][0].as_str().map(str::to_owned);
    said(&["cases", "evidence", "1", "--event", &event.expect("an event"), "--comment", "the first try"]);
    let bundle = folder.path().join("bundle.zip");
    fs::write(&bundle, "evidence").expect("writable");
    said(&["cases", "evidence", "1", "--bundle", &bundle.to_string_lossy()]);
    said(&["cases", "close", "1", "--verdict", "true_positive", "--summary", "Eve was in"]);
    let (_, closed) = running.api("GET", "/api/v1/cases/1", "");
    assert_eq!(
        (&closed["verdict"], &closed["assignee"], &closed["open_tasks"]),
        (&json!("true_positive"), &json!("ada"), &json!(0))
    );
    assert_eq!(closed["evidence"][1]["item"]["bundle"]["blake3"], blake3::hash(b"evidence").to_hex().as_str());
    assert_eq!(incidents(&running)["incidents"][0]["verdict"], "true_positive");
    let ended = loop {
        let notice = told.recv_timeout(PATIENCE).expect("somebody is told");
        if notice["type"] != "incident.opened" {
            break notice;
        }
        assert_eq!(notice["data"]["incident"], 1, "the kill may have it told twice: {notice}");
    };
    assert_eq!((&ended["type"], &ended["data"]["verdict"]), (&json!("incident.closed"), &json!("true_positive")));
    assert_eq!(risk(&running, hour)["points"], 0.0, "what was judged is spent");
    let actions = || running.hunt("event.module:vedette event.action:case.* | summarize n=count() by event.action");
    wait_until("every step is an event", || actions().len() == 8);

    // Without a server the command line reads, and changes nothing.
    assert!(running.stop().success());
    let listed = json_lines(&said(&["cases", "list", "--state", "all", "-o", "json"]));
    assert_eq!((listed.len(), &listed[0]["summary"]), (1, &json!("Eve was in")));
    let refused = run(&["cases", "note", "1", "too late", "--data", &data]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn lines_in_any_order_make_the_same_incident() {
    let hour = hour();
    let mut lines: Vec<String> =
        attack(hour).into_iter().chain((0..5).map(|number| failed(hour, 300 + number))).collect();
    let of = |lines: &[String]| {
        let folder = folder();
        let running = Running::start(folder.path(), &config(folder.path()));
        for part in lines.chunks(3) {
            send(&running, part);
        }
        wait_for_findings(&running, 8);
        assert_eq!(incidents(&running)["total"], 1);
        // History through the rules again finds what was found, once that is stored too.
        running.wait_for_count("event.dataset:vedette.findings", 8);
        assert_eq!(stdout(&run(&["replay", "--data", &running.data().to_string_lossy()]), 0), "");
        (risk(&running, hour), timeline(&running, 1))
    };
    let straight = of(&lines);
    lines.reverse();
    assert_eq!(of(&lines), straight);
}

#[test]
fn risk_can_be_turned_off() {
    let folder = folder();
    let (config, hour) = (config(folder.path()), hour());
    let off = config.replace("builtin_rules: false", "builtin_rules: false, risk: {on: false}");
    let running = Running::start(folder.path(), &off);
    send(&running, &attack(hour));
    wait_for_findings(&running, 3);
    assert_eq!((&risk(&running, hour)["points"], &incidents(&running)["total"]), (&json!(0.0), &json!(0)));
}

#[test]
fn what_is_judged_is_kept_as_long_as_events_are() {
    let folder = folder();
    let (config, hour) = (config(folder.path()), hour() - 100 * 86_400);
    let clock = WallClock::new(folder.path());
    clock.set("-100d");
    let running = Running::start_as(clock.for_process(vedette()), folder.path(), &config);
    send(&running, &attack(hour));
    wait_for_findings(&running, 3);
    for path in ["alerts/1/close", "alerts/2/close", "incidents/1/close"] {
        let (status, closed) = running.api("POST", &format!("/api/v1/{path}"), r#"{"verdict": "true_positive"}"#);
        assert_eq!(status, 200, "{closed}");
    }
    assert!(running.stop().success());

    let running = Running::start(folder.path(), &config);
    wait_until("old alerts have gone", || running.api("GET", "/api/v1/alerts", "").1["total"] == 1);
    let left = running.api("GET", "/api/v1/alerts", "").1;
    assert_eq!(
        (&left["alerts"][0]["id"], &left["alerts"][0]["state"]),
        (&json!(3), &json!("new")),
        "nobody looked at it"
    );
    assert_eq!(incidents(&running)["total"], 0);
    running.wait_for_count("event.module:vedette event.action:retention.alerts", 1);
}
