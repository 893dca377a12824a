//! Rules that are tried and written through the API, in the running binary.

use std::{fs, io::Write, net::TcpStream};

use serde_json::{Value, json};

use crate::harness::{RECEIVERS, Running, folder, hunt, run, stdout, wait_until};

const RULE: &str = "title: Log-in of the backup account
id: 6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21
status: experimental
level: high
description: It is for the night only.
falsepositives: [the night]
references: ['https://intranet.example/backup']
tags: [attack.initial-access, attack.t1078]
logsource: {product: linux, service: sshd}
detection:
  selection:
    user.name: backup
    event.outcome: success
  condition: selection
";

const FOUND: &str = "event.dataset:vedette.findings rule.id:6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21";

/// A rule that comes with the binary.
fn builtin(running: &Running) -> Value {
    let rules = running.api("GET", "/api/v1/rules", "").1;
    rules["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .find(|rule| rule["builtin"] == true)
        .expect("built-in rules")
        .clone()
}

#[test]
fn a_rule_is_tried_on_what_is_stored_then_saved_and_at_once_in_force() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let send = |count: usize| {
        let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
        for port in 0..count {
            let line = "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for backup from 192.0.2.7 port";
            writeln!(stream, "{line} {} ssh2", 4000 + port).expect("sent");
        }
    };
    send(3);
    running.wait_for_count("event.dataset:linux.sshd user.name:backup", 3);

    let text = |text: &str| json!({ "text": text }).to_string();
    let span = json!({"text": RULE, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}).to_string();
    let (status, tried) = running.api("POST", "/api/v1/rules/test", &span);
    assert_eq!((status, tried["findings"].as_array().map(Vec::len)), (200, Some(3)), "{tried}");
    assert_eq!(tried["findings"][0]["summary"], json!({"user.name": "backup", "event.outcome": "success"}));
    assert!(tried["events_read"].as_u64() >= Some(3) && tried["truncated"] == false, "{tried}");
    assert_eq!(running.hunt(FOUND).len(), 0, "a trial raises nothing");

    let (_, wrong) =
        running.api("POST", "/api/v1/rules/check", &text(&RULE.replace("user.name:", "user.name|nosuch:")));
    assert_eq!((&wrong["loads"], &wrong["diagnostics"][0]["line"]), (&json!(false), &json!(12)), "{wrong}");
    let (status, _) = running.api("PUT", "/api/v1/rules/files/backup", &text("title: nothing"));
    assert_eq!((status, running.data().join("rules").exists()), (422, false));

    let (status, saved) = running.api("PUT", "/api/v1/rules/files/backup", &text(RULE));
    assert_eq!((status, &saved["rules"][0]["techniques"]), (200, &json!(["T1078"])), "{saved}");
    send(1);
    running.wait_for_count(FOUND, 1);
    let id = "6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21";
    let (_, rule) = running.api("GET", &format!("/api/v1/rules/{id}"), "");
    assert_eq!((&rule["text"], &rule["builtin"], &rule["hits"]), (&json!(RULE), &json!(false), &json!(1)), "{rule}");
    assert!(rule["last_fired"].is_string() && rule["falsepositives"] == json!(["the night"]), "{rule}");
    assert_eq!((&rule["own_file"], &builtin(&running)["own_file"]), (&json!("backup.yml"), &Value::Null));

    // One id is in one file.
    let (status, taken) = running.api("PUT", "/api/v1/rules/files/other", &text(RULE));
    assert!(status == 422 && taken["detail"].as_str().is_some_and(|why| why.contains("backup.yml")), "{taken}");

    // A built-in rule is changed by saving one with its id.
    let before = builtin(&running);
    let id = before["id"].as_str().expect("an id");
    let changed = RULE.replace("6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21", id);
    assert_eq!(running.api("PUT", "/api/v1/rules/files/changed", &text(&changed)).0, 200);
    let now = running.api("GET", &format!("/api/v1/rules/{id}"), "").1;
    assert_eq!((&now["replaces"], &now["text"]), (&before["file"], &json!(changed)));
    assert_eq!(running.api("DELETE", "/api/v1/rules/files/changed", "").0, 200);
    let now = running.api("GET", &format!("/api/v1/rules/{id}"), "").1;
    assert_eq!((&now["replaces"], &now["title"], &now["builtin"]), (&Value::Null, &before["title"], &json!(true)));

    // Turned off it is listed, but finds nothing; also after a restart.
    let path = "/api/v1/rules/6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21/disabled";
    assert_eq!(running.api("PUT", path, &json!({"reason": "the backup moves"}).to_string()).0, 200);
    send(5);
    running.wait_for_count("event.dataset:linux.sshd user.name:backup", 9);
    let off = running.api("GET", "/api/v1/rules/6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21", "").1;
    assert_eq!((&off["enabled"], &off["disabled"]["reason"]), (&json!(false), &json!("the backup moves")), "{off}");
    assert_eq!((running.hunt(FOUND).len(), &off["hits"]), (1, &json!(1)));

    running.wait_for_count("event.action:rules.save event.outcome:unknown", 3);
    running.wait_for_count("event.action:rules.save event.outcome:failure", 1);
    running.wait_for_count("event.action:rules.test", 1);
    running.stop();

    // Also after a restart; and a file that is put there by hand is noticed.
    let running = Running::start(folder.path(), RECEIVERS);
    let rules = |running: &Running| running.api("GET", "/api/v1/rules", "").1["rules"].as_array().map_or(0, Vec::len);
    let count = rules(&running);
    let own = running.data().join("rules/own.yml");
    fs::write(own, RULE.replace("6cbe3ad8", "11111111")).expect("writable");
    wait_until("the new file is loaded", || rules(&running) == count + 1);
    let (_, rule) = running.api("GET", "/api/v1/rules/6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21", "");
    assert_eq!((&rule["hits"], &rule["last_fired"]), (&off["hits"], &off["last_fired"]), "what was found stays found");
    assert_eq!(rule["disabled"]["reason"], "the backup moves");
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    let line = "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for backup from 192.0.2.7 port 5000 ssh2";
    assert_eq!(running.api("DELETE", path, "").0, 200);
    writeln!(stream, "{line}").expect("sent");
    running.wait_for_count(FOUND, 2);
}

#[test]
fn a_rule_says_why_it_matched_or_what_was_missing() {
    let folder = folder();
    let (log, data) = (folder.path().join("auth.log"), folder.path().join("data"));
    let line = "2026-11-21T04:11:52Z web1 sshd[811]: Failed password for root from 192.0.2.7 port 4711 ssh2\n";
    fs::write(&log, line).expect("writable");
    let (log, data_name) = (log.to_string_lossy(), data.to_string_lossy());
    stdout(&run(&["import", "--data", &data_name, &log]), 0);
    let events = hunt(&data, "event.dataset:linux.sshd");
    let id = events[0]["event.id"].as_str().expect("an id");
    for event in [&["--data", &*data_name, "SSH password refused", id][..], &["SSH password refused", &*log]] {
        let why = stdout(&run(&[&["rules", "why"], event].concat()), 0);
        assert!(why.contains("Failed password for root"), "{why}");
    }
    let root = "Root logged in over SSH with a password";
    let why = stdout(&run(&["rules", "why", "--data", &data_name, "-o", "json", root, id]), 1);
    let why: Value = serde_json::from_str(&why).expect("JSON");
    assert!(why.to_string().contains("Accepted password for root"), "{why}");
}

#[test]
fn more_alerts_than_the_budget_are_said() {
    let folder = folder();
    let running = Running::start(
        folder.path(),
        &format!("{RECEIVERS}\ndetection:\n  builtin_rules: false\n  alerts_per_day: 1\n"),
    );
    assert_eq!(running.api("PUT", "/api/v1/rules/files/backup", &json!({ "text": RULE }).to_string()).0, 200);
    let warning = || {
        let health = running.api("GET", "/api/v1/health/detail", "").1;
        let checks = health["checks"].as_array().expect("checks").clone();
        checks.into_iter().find(|check| check["name"] == "alert_budget").map(|check| check["detail"].to_string())
    };
    for host in ["web1", "web2"] {
        assert_eq!(warning(), None, "one alert is within the budget");
        let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
        let line = "sshd[811]: Accepted password for backup from 192.0.2.7 port 4711 ssh2";
        writeln!(stream, "<38>Nov 21 04:11:52 {host} {line}").expect("sent");
        running.wait_for_count(&format!("{FOUND} host.name:{host}"), 1);
    }
    wait_until("the budget is used up", || warning().is_some());
    let said = warning().expect("a warning");
    assert!(said.contains("2 new alerts today, 1 are the budget; most by Log-in of the backup account (2)"), "{said}");
    let budget = running.api("GET", "/api/v1/alerts/budget", "").1;
    let noisy =
        json!({"id": "6cbe3ad8-4a58-4b0c-9d0a-5d8f2f3b7f21", "title": "Log-in of the backup account", "alerts": 2});
    assert_eq!(budget, json!({"budget": 1, "opened": 2, "noisiest": [noisy]}));
    running.wait_for_count("event.action:alerts.over_budget", 1);
}

#[test]
fn rules_of_people_go_through_their_pipelines() {
    let folder = folder();
    let pipeline = folder.path().join("names.yml");
    let names = |account: &str| {
        let text =
            format!("name: ours\ntransformations:\n- {{type: field_name_mapping, mapping: {{account: {account}}}}}\n");
        fs::write(&pipeline, text).expect("writable");
    };
    names("user.name");
    let config = format!("{RECEIVERS}detection: {{pipelines: ['{}']}}\n", pipeline.display());
    let running = Running::start(folder.path(), &config);
    let ours = RULE.replace("user.name: backup", "account: backup");
    assert_eq!(running.api("PUT", "/api/v1/rules/files/ours", &json!({"text": ours}).to_string()).0, 200);
    let send = || {
        let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
        writeln!(stream, "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted password for backup from 192.0.2.7 port 5 ssh2")
            .expect("sent");
    };
    send();
    running.wait_for_count(FOUND, 1);
    let span = json!({"text": ours, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}).to_string();
    let tried = running.api("POST", "/api/v1/rules/test", &span).1;
    assert_eq!(tried["findings"].as_array().map(Vec::len), Some(1), "a trial goes through them too: {tried}");

    let hunted = |count: usize| {
        wait_until("changed rules were hunted for", || {
            let hunts = running.api("GET", "/api/v1/retrohunts", "").1;
            let hunts = hunts["retrohunts"].as_array().cloned().unwrap_or_default();
            hunts.iter().filter(|hunt| hunt["state"] == "done").count() == count
        });
    };
    hunted(1);
    let refused =
        || running.api("GET", "/api/v1/rules/refused", "").1["refused"].as_array().cloned().unwrap_or_default();
    assert_eq!(refused(), Vec::<Value>::new());

    // What is wrong is said, and changes nothing.
    fs::write(&pipeline, "name: ours\ntransformations:\n- {type: nosuch}\n").expect("writable");
    wait_until("the pipeline is refused", || !refused().is_empty());
    let said = refused();
    assert_eq!((said.len(), &said[0]["line"]), (1, &json!(3)), "{said:?}");
    assert!(said[0]["reason"].as_str().is_some_and(|why| why.contains("nosuch") && why.contains("stay")), "{said:?}");
    send();
    running.wait_for_count(FOUND, 2);

    // Another name is another question, of history too; the built-in rules ask what they asked.
    names("user.id");
    wait_until("the pipeline is read", || refused().is_empty());
    hunted(2);
    send();
    running.wait_for_count("event.dataset:linux.sshd user.name:backup", 3);
    assert_eq!(running.hunt(FOUND).len(), 2);
    let hunts = running.api("GET", "/api/v1/retrohunts", "").1;
    let of_last = &hunts["retrohunts"][0]["rules"];
    assert_eq!(of_last.as_array().map(Vec::len), Some(1), "{hunts}");
    running.stop();

    fs::write(&pipeline, "name: ours\nnosuch: 1\n").expect("writable");
    let config = folder.path().join("vedette.yml");
    let checked = run(&["check", "--config", &config.to_string_lossy()]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("names.yml:2:1: unknown key `nosuch`"));
}
