//! Correlations in the running monitor: in event time, over kill -9 and reloads, and the same in a replay.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use vedette_event::Time;

use crate::harness::{RECEIVERS, Running, folder, hunt, json_lines, run, stdout, unpacked};

/// One rule over single events, one over ten of them from one address, one over that and a success.
const RULES: &str = "title: Failed log-in
id: 0a0a0a0a-0000-4000-8000-000000000001
name: failed_log_in
logsource: {product: linux, service: sshd}
detection:
  selection: {event.outcome: failure}
  condition: selection
---
title: Successful log-in
id: 0a0a0a0a-0000-4000-8000-000000000002
name: log_in
logsource: {product: linux, service: sshd}
detection:
  selection: {event.outcome: success}
  condition: selection
---
title: Password guessing
id: 0a0a0a0a-0000-4000-8000-000000000003
name: guessing
level: high
tags: [attack.credential-access, attack.t1110]
correlation:
  type: event_count
  rules: [failed_log_in]
  group-by: [source.ip]
  timespan: 10m
  condition: {gte: 10}
---
title: Guessed
id: 0a0a0a0a-0000-4000-8000-000000000004
level: critical
correlation:
  type: temporal_ordered
  rules: [guessing, log_in]
  group-by: [source.ip]
  timespan: 10m
  generate: true
";
const GUESSING: &str = "event.dataset:vedette.findings rule.id:0a0a0a0a-0000-4000-8000-000000000003";
const GUESSED: &str = "event.dataset:vedette.findings rule.id:0a0a0a0a-0000-4000-8000-000000000004";

fn config(folder: &Path) -> String {
    let rules = folder.join("correlations.yml");
    fs::write(&rules, RULES).expect("writable");
    let waiting = "correlations: {lateness_seconds: 2, idle_seconds: 1}";
    let detection = format!("detection: {{rules: [{:?}], builtin_rules: false, {waiting}}}\n", rules.display());
    format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n{detection}")
}

fn line(outcome: &str, address: &str, back: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as i64;
    let time = Time::from_micros(now - back * 1_000_000);
    format!("<38>1 {time} web1 sshd 811 - - {outcome} password for root from {address} port 4711 ssh2")
}

fn send(running: &Running, lines: &[String]) {
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    lines.iter().for_each(|line| writeln!(stream, "{line}").expect("sent"));
}

/// `vedette replay` of a folder: everything as recorded.
fn replays(data: &Path) -> String {
    let output = run(&["replay", "--data", &data.to_string_lossy()]);
    assert_eq!(stdout(&output, 0), "");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn guessing_is_found_once_over_kill_9_and_reloads_and_again_in_a_replay() {
    let folder = folder();
    let config = config(folder.path());
    let other = RULES
        .split("---")
        .next()
        .expect("a rule")
        .replace("000000000001", "00000000000a")
        .replace("name: failed_log_in", "level: low")
        .replace("Failed", "Any failed");
    let mut sent = 0;
    // No part is enough alone; the last is spread over a reload, and the success comes last.
    for part in 0..4 {
        let running = Running::start(folder.path(), &config);
        send(
            &running,
            &[line("Failed", "192.0.2.7", 0), line("Failed", "192.0.2.7", 0), line("Failed", "192.0.2.8", 0)],
        );
        sent += 3;
        running.wait_for_count("event.dataset:linux.sshd", sent);
        // Some kills come before what was sent is written down as seen, some after.
        std::thread::sleep(Duration::from_millis(part * 1_500));
        running.kill();
    }
    let running = Running::start(folder.path(), &config);
    send(&running, &[line("Failed", "192.0.2.7", 1)]);
    let text = json!({ "text": other }).to_string();
    let (status, saved) = running.api("PUT", "/api/v1/rules/files/other", &text);
    assert_eq!(status, 200, "{saved}");
    running.wait_for_count("event.dataset:linux.sshd", sent + 1);
    assert_eq!(running.api("DELETE", "/api/v1/rules/files/other", "").0, 200);
    send(&running, &[line("Failed", "192.0.2.7", 0)]);
    running.wait_for_count("event.dataset:linux.sshd", sent + 2);
    send(&running, &[line("Accepted", "192.0.2.7", -1), line("Accepted", "192.0.2.8", 0)]);
    running.wait_for_count(GUESSING, 1);
    running.wait_for_count(GUESSED, 1);

    let found = running.hunt(GUESSING);
    let finding = &found[0];
    assert_eq!(finding["vedette.finding.events"].as_array().map(Vec::len), Some(10), "{finding}");
    assert_eq!(finding["vedette.finding.matched.field"], "source.ip");
    assert_eq!(finding["vedette.finding.matched.value"], "192.0.2.7");
    let (_, inbox) = running.api("GET", "/api/v1/alerts", "");
    let titles: Vec<&Value> =
        inbox["alerts"].as_array().expect("alerts").iter().map(|alert| &alert["rule"]["title"]).collect();
    assert!(titles.contains(&&json!("Guessed")) && !titles.contains(&&json!("Failed log-in")), "{inbox}");

    // Both are in the list of rules, with what they are made of.
    let (_, rules) = running.api("GET", "/api/v1/rules", "");
    let rule = |id: &str| {
        let all = rules["rules"].as_array().expect("rules");
        all.iter()
            .find(|rule| rule["id"] == format!("0a0a0a0a-0000-4000-8000-00000000000{id}"))
            .expect("it is loaded")
            .clone()
    };
    assert_eq!((&rule("1")["silent"], &rule("1")["correlation"]), (&json!(true), &Value::Null));
    assert_eq!(rule("4")["correlation"]["rules"].as_array().map(Vec::len), Some(2), "{}", rule("4"));
    assert_eq!((&rule("3")["silent"], &rule("4")["hits"]), (&json!(false), &json!(1)));

    let through_server = replays(&running.data());
    assert!(through_server.contains("4 as recorded, 0 only recorded, 0 only replayed; 1 recorded"), "{through_server}");
    assert!(running.stop().success());
    let data = folder.path().join("data");
    let offline = replays(&data);
    assert!(offline.contains("4 as recorded, 0 only recorded, 0 only replayed; 1 recorded"), "{offline}");

    // Other rules over the same history find what they would have found, and make no alert of it.
    let trial = folder.path().join("trial.yml");
    fs::write(&trial, RULES.split("---").nth(1).expect("a rule")).expect("writable");
    let trial = trial.to_string_lossy();
    let output = run(&["replay", "-r", &trial, "-o", "json", "--data", &data.to_string_lossy()]);
    let found = json_lines(&stdout(&output, 0));
    assert_eq!((found.len(), &found[0]["rule.name"]), (2, &json!("Successful log-in")), "{found:?}");
    assert_eq!(hunt(&data, "event.dataset:vedette.findings").len(), 5);
}

/// Rules are exchanged all the time while events come over three connections: every event is looked at once, and what
/// correlations have counted goes on.
#[test]
fn reloads_under_load_lose_no_event_and_no_state() {
    const ROUNDS: usize = 20;
    const MARKED: &str = "event.dataset:vedette.findings rule.id:0a0a0a0a-0000-4000-8000-00000000000b";
    let folder = folder();
    let running = Running::start(folder.path(), &config(folder.path()));
    let marks = RULES.split("---").next().expect("a rule").replace("000000000001", "00000000000b");
    let marks =
        marks.replace("name: failed_log_in", "level: low").replace("event.outcome: failure", "user.name: backup");
    assert_eq!(running.api("PUT", "/api/v1/rules/files/marks", &json!({ "text": marks }).to_string()).0, 200);

    // In every second round each address fails once, half of them one time less than is a finding.
    let lines = |connection: usize, round: usize| -> Vec<String> {
        let address = |number: usize| format!("198.51.{connection}.{number}");
        let fails = (0..100).filter(|number| round.is_multiple_of(2) && (number % 2 == 0 || round > 0));
        let fails = fails.map(|number| line("Failed", &address(number), 0));
        let fill = (0..400).map(|number| match number % 20 {
            0 => line("Accepted", "192.0.2.99", 0).replace("for root", "for backup"),
            _ => line("Accepted", "192.0.2.99", 0),
        });
        fails.chain(fill).collect()
    };
    let done = AtomicUsize::new(0);
    let (sent, reloads) = std::thread::scope(|scope| {
        let connections: Vec<_> = (0..3)
            .map(|connection| {
                let (running, done, lines) = (&running, &done, &lines);
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
                    let mut sent = 0;
                    for round in 0..ROUNDS {
                        for line in lines(connection, round) {
                            writeln!(stream, "{line}").expect("sent");
                            sent += 1;
                        }
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                    sent
                })
            })
            .collect();
        // Another rule comes and goes, and the file of the correlations is written anew.
        let other =
            json!({ "text": marks.replace("00000000000b", "00000000000c").replace("backup", "nobody") }).to_string();
        let mut reloads = 0;
        while done.load(Ordering::Relaxed) < 3 {
            assert_eq!(running.api("PUT", "/api/v1/rules/files/other", &other).0, 200);
            fs::write(folder.path().join("correlations.yml"), format!("{RULES}# {reloads}\n")).expect("writable");
            assert_eq!(running.api("DELETE", "/api/v1/rules/files/other", "").0, 200);
            reloads += 2;
        }
        (connections.into_iter().map(|one| one.join().expect("no panic")).sum::<u64>(), reloads)
    });
    assert!(reloads >= 20, "only {reloads} reloads while events came");
    running.wait_for_count("event.dataset:linux.sshd", sent);
    running.wait_for_count(MARKED, 3 * ROUNDS as u64 * 20);
    running.wait_for_count(GUESSING, 150);
    let found = running.hunt(GUESSING);
    let wrong = found.iter().filter(|finding| {
        let address = finding["vedette.finding.matched.value"].as_str().unwrap_or_default();
        let number = address.rsplit('.').next().and_then(|number| number.parse::<u32>().ok());
        number.is_none_or(|number| number % 2 == 1)
            || finding["vedette.finding.events"].as_array().map(Vec::len) != Some(10)
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&Value>::new());
    assert!(running.stop().success());
    let said = replays(&folder.path().join("data"));
    // Also the successes, which `Guessed` does not silence.
    assert!(said.contains("25350 as recorded, 0 only recorded, 0 only replayed"), "{said}");
}

/// Over rules that stand in other files: those of the binary.
#[test]
fn a_correlation_over_built_in_rules_is_tried_and_saved() {
    let folder = folder();
    let waiting = "detection: {correlations: {lateness_seconds: 1, idle_seconds: 1}}\n";
    let running = Running::start(folder.path(), &format!("{RECEIVERS}{waiting}"));
    let many = |count: usize| (0..count).map(|_| line("Failed", "192.0.2.7", 0)).collect::<Vec<_>>();
    send(&running, &many(6));
    running.wait_for_count("event.dataset:linux.sshd", 6);
    let rule = |of: &str| {
        format!(
            "title: Five refused passwords\nid: 0a0a0a0a-0000-4000-8000-00000000000f\nlevel: high\ncorrelation:\n  type: \
             event_count\n  rules: [{of}]\n  group-by: [source.ip]\n  timespan: 1h\n  condition: {{gte: 5}}\n"
        )
    };
    let refused_password = "438ca65e-765f-4bb0-874b-9bb767146fca";
    let body = |text: &str| json!({ "text": text }).to_string();
    let (_, wrong) = running.api("POST", "/api/v1/rules/check", &body(&rule("no_such_rule")));
    assert_eq!((&wrong["loads"], &wrong["diagnostics"][0]["line"]), (&json!(false), &json!(6)), "{wrong}");
    let (status, tried) = running.api("POST", "/api/v1/rules/test", &body(&rule(refused_password)));
    assert_eq!((status, tried["findings"].as_array().map(Vec::len)), (200, Some(1)), "{tried}");
    let (status, saved) = running.api("PUT", "/api/v1/rules/files/five", &body(&rule(refused_password)));
    assert_eq!((status, saved["rules"].as_array().map(Vec::len)), (200, Some(1)), "{saved}");
    send(&running, &many(5));
    running.wait_for_count("event.dataset:vedette.findings rule.id:0a0a0a0a-0000-4000-8000-00000000000f", 1);
}

#[test]
fn a_replay_that_differs_says_where() {
    let folder = folder();
    let config = config(folder.path());
    let running = Running::start(folder.path(), &config);
    let storm: Vec<String> = (0..12).map(|_| line("Failed", "192.0.2.7", 0)).collect();
    send(&running, &storm);
    running.wait_for_count(GUESSING, 1);
    assert!(running.stop().success());
    // A rule that is stricter now does not come to what is recorded.
    let data = folder.path().join("data");
    fs::write(folder.path().join("correlations.yml"), RULES.replace("gte: 10", "gte: 11")).expect("writable");
    let file = folder.path().join("vedette.yml");
    let output = run(&["replay", "-o", "json", "--config", &file.to_string_lossy(), "--data", &data.to_string_lossy()]);
    let differences = json_lines(&stdout(&output, 1));
    let kinds: Vec<&Value> = differences.iter().map(|difference| &difference["difference"]).collect();
    assert_eq!(kinds, [&json!("only recorded"), &json!("only replayed")], "{differences:?}");
    assert_eq!(differences[0]["rule.name"], "Password guessing");
}

#[test]
fn an_import_is_correlated_whole_whatever_its_order() {
    let folder = folder();
    let mut lines: Vec<String> = (10..30)
        .map(|minute| {
            let second = minute % 7;
            format!(
                "2021-03-04T05:{minute}:0{second}Z web1 sshd[8]: Failed password for root from 192.0.2.7 port 1 ssh2"
            )
        })
        .collect();
    lines.push("2021-03-04T05:31:00Z web1 sshd[8]: Accepted password for root from 192.0.2.7 port 1 ssh2".to_owned());
    lines.reverse();
    lines.swap(3, 17);
    let file = folder.path().join("auth.log");
    fs::write(&file, lines.join("\n") + "\n").expect("writable");
    let rules = folder.path().join("rules.yml");
    fs::write(&rules, RULES.replace("timespan: 10m", "timespan: 1h")).expect("writable");
    let config = folder.path().join("vedette.yml");
    fs::write(&config, format!("detection: {{rules: [{:?}]}}\n", rules.display())).expect("writable");
    let (config, data) = (config.to_string_lossy().into_owned(), folder.path().join("data"));
    let data_name = data.to_string_lossy();

    let output = run(&["detect", "-r", &rules.to_string_lossy(), "-o", "json", &file.to_string_lossy()]);
    let detected = json_lines(&stdout(&output, 0));
    let names: Vec<&Value> = detected.iter().map(|finding| &finding["rule.name"]).collect();
    let expected = ["Password guessing", "Successful log-in", "Guessed"].map(|name| json!(name));
    assert!(expected.iter().all(|name| names.contains(&name)), "{names:?}");

    stdout(&run(&["import", "--config", &config, "--data", &data_name, &file.to_string_lossy()]), 0);
    let count = |rule: &str| hunt(&data, rule).len();
    let detected = |name: &str| names.iter().filter(|other| **other == name).count();
    assert_eq!(count(GUESSED), detected("Guessed"));
    assert_eq!(count(GUESSING), detected("Password guessing"));
    let output = run(&["replay", "--config", &config, "--data", &data_name]);
    stdout(&output, 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains(" 0 only recorded, 0 only replayed"));
}

/// Everything that the built-in rules and these correlations find in a real incident, found again.
#[test]
fn a_real_incident_replays_as_it_was_recorded() {
    let Some(otrf) = unpacked("otrf/events.tar.xz") else { return };
    let folder = folder();
    let data = folder.path().join("data");
    let data_name = data.to_string_lossy();
    let mut files: Vec<_> = walk(&otrf);
    files.sort();
    let names: Vec<String> = files.iter().take(12).map(|file| file.to_string_lossy().into_owned()).collect();
    let mut arguments = vec!["import", "--data", &data_name];
    arguments.extend(names.iter().map(String::as_str));
    let output = run(&arguments);
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    let recorded = hunt(&data, "event.dataset:vedette.findings | summarize n=count()")[0]["n"].as_u64().unwrap_or(0);
    assert!(recorded > 0, "nothing was found at all");
    let said = replays(&data);
    assert!(said.contains(&format!(" {recorded} as recorded, 0 only recorded, 0 only replayed")), "{recorded}: {said}");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A threshold makes a rule silent until it matches often.
#[test]
fn a_threshold_is_set_and_taken_away() {
    let folder = folder();
    let rules = folder.path().join("rule.yml");
    fs::write(&rules, RULES.split("---").next().expect("a rule")).expect("writable");
    let config = format!("{RECEIVERS}\ndetection:\n  builtin_rules: false\n  rules: ['{}']\n", rules.display());
    let running = Running::start(folder.path(), &config);
    let failed = |count: usize| {
        let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
        for port in 0..count {
            let line = "<38>Nov 21 04:11:52 web1 sshd[811]: Failed password for root from 192.0.2.7 port";
            writeln!(stream, "{line} {} ssh2", 4000 + port).expect("sent");
        }
    };
    let rule = "0a0a0a0a-0000-4000-8000-000000000001";
    let path = format!("/api/v1/rules/{rule}/threshold");
    let threshold = json!({"count": 5, "timespan": "10m", "reason": "only guessing is worth a look"}).to_string();
    let (status, saved) = running.api("PUT", &path, &threshold);
    assert_eq!((status, &saved["rules"][0]["title"]), (200, &json!("Failed log-in (5 in 10m)")), "{saved}");
    let (_, told) = running.api("GET", &format!("/api/v1/rules/{rule}"), "");
    assert_eq!(told["silent"], true, "{told}");
    let (_, made) =
        running.api("GET", &format!("/api/v1/rules/{}", saved["rules"][0]["id"].as_str().expect("an id")), "");
    assert_eq!(made["correlation"]["rules"], json!([rule]), "{made}");
    let (status, refused) =
        running.api("PUT", &path, &json!({"count": 5, "timespan": "soon", "reason": "x"}).to_string());
    assert_eq!(status, 422, "{refused}");
    failed(3);
    running.wait_for_count("event.dataset:linux.sshd", 3);
    assert_eq!(running.hunt("event.dataset:vedette.findings").len(), 0, "three are not five");
    assert_eq!(running.api("DELETE", &path, "").0, 200);
    failed(1);
    running.wait_for_count("event.dataset:vedette.findings", 1);
}
