//! Rules over stored history: what is left out unread would not have matched.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{RECEIVERS, Running, data, folder, json_lines, run, stdout, unpacked, wait_until};

const SHELL: &str = r"title: Shell of an office program
id: 0b0b0b0b-0000-4000-8000-000000000001
level: high
logsource: {product: windows, category: process_creation}
detection:
  selection:
    Image|endswith: '\cmd.exe'
    ParentImage|contains: '\Microsoft Office\'
  filter:
    CommandLine|contains: ' /known'
  condition: selection and not filter
";
const MANY: &str = r"title: Many shells
id: 0b0b0b0b-0000-4000-8000-000000000002
level: critical
correlation:
  type: event_count
  rules: [0b0b0b0b-0000-4000-8000-000000000001]
  group-by: [Computer]
  timespan: 1h
  condition: {gte: 3}
";
const SHELL_ID: &str = "0b0b0b0b-0000-4000-8000-000000000001";
const MANY_ID: &str = "0b0b0b0b-0000-4000-8000-000000000002";

/// Process creations, of which every thousandth is a shell of an office program, and every second of these a known one.
fn log(events: usize) -> String {
    let mut lines = String::new();
    for number in 0..events {
        let (image, parent) = match number % 1000 {
            7 => ("cmd.exe", r"Program Files\\Microsoft Office\\winword.exe"),
            _ => ("svchost.exe", r"Windows\\System32\\services.exe"),
        };
        let known = if number / 1000 % 2 == 0 { "" } else { " /known" };
        let time = number / 100;
        let (minute, second) = (time / 60, time % 60);
        lines += &format!(
            r#"{{"@timestamp":"2026-11-21T04:{minute:02}:{second:02}Z","Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1,"Hostname":"ws{host}.example","SourceName":"Microsoft-Windows-Sysmon","Image":"C:\\Windows\\System32\\{image}","ParentImage":"C:\\{parent}","CommandLine":"{image} -n {number}{known}","User":"EXAMPLE\\alice"}}
"#,
            host = number / 1000 % 3,
        );
    }
    lines
}

/// Findings by rule, from `vedette rules hunt -o json`.
fn counts(hunt: &Value) -> BTreeMap<String, u64> {
    let rules = hunt["rules"].as_array().expect("rules").iter();
    let rules =
        rules.map(|rule| (rule["id"].as_str().expect("an id").to_owned(), rule["findings"].as_u64().unwrap_or(0)));
    rules.filter(|(_, findings)| *findings > 0).collect()
}

/// Findings by rule, of a replay that reads every event.
fn replayed(data: &str, rules: &[&str]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut arguments = vec!["replay", "--data", data, "-o", "json"];
    rules.iter().for_each(|rules| arguments.extend(["-r", *rules]));
    for finding in json_lines(&stdout(&run(&arguments), 0)) {
        *counts.entry(finding["rule.id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    counts
}

fn imported(folder: &Path, files: &[String]) -> String {
    let data = folder.join("data").display().to_string();
    let mut arguments = vec!["import", "--data", &data, "--job", "test"];
    arguments.extend(files.iter().map(String::as_str));
    stdout(&run(&arguments), 0);
    data
}

#[test]
fn a_hunt_finds_what_a_replay_finds_and_looks_at_little() {
    let folder = folder();
    let (events, rules) = (folder.path().join("events.json"), folder.path().join("rules.yml"));
    fs::write(&events, log(20_000)).expect("writable");
    fs::write(&rules, format!("{SHELL}---\n{MANY}")).expect("writable");
    let data = imported(folder.path(), &[events.display().to_string()]);
    let rules = rules.display().to_string();
    let hunt = stdout(&run(&["rules", "hunt", "--data", &data, "-o", "json", &rules]), 1);
    let hunt: Value = serde_json::from_str(&hunt).expect("JSON");
    let found = counts(&hunt);
    assert_eq!(found.get(SHELL_ID), None, "it is made of by a correlation, and silent");
    assert!(found.get(MANY_ID).is_some_and(|count| *count >= 1), "{found:?}");
    assert_eq!(found, replayed(&data, &[&rules]));
    let read = hunt["events_read"].as_u64().expect("a count");
    assert!((10..1000).contains(&read), "{read} of 20,000 events were looked at");
    let alone = folder.path().join("alone.yml");
    fs::write(&alone, SHELL).expect("writable");
    let alone = alone.display().to_string();
    let hunt: Value = serde_json::from_str(&stdout(&run(&["rules", "hunt", "--data", &data, "-o", "json", &alone]), 1))
        .expect("JSON");
    let rule = &hunt["rules"][0];
    assert_eq!((&rule["findings"], &rule["alerts"]), (&json!(10), &json!(3)), "{rule}");
    assert_eq!(rule["samples"].as_array().map(Vec::len), Some(10));
    assert!(rule["entities"][0]["value"].as_str().is_some_and(|host| host.starts_with("ws")), "{rule}");

    // A column that no event has a value in.
    let nowhere = r"  named: {OriginalFileName: 'Cmd.Exe'}
  condition: (selection or named) and not filter";
    fs::write(&alone, SHELL.replace("  condition: selection and not filter", nowhere)).expect("writable");
    let hunt = stdout(&run(&["rules", "hunt", "--data", &data, "-o", "json", &alone]), 1);
    let hunt: Value = serde_json::from_str(&hunt).expect("JSON");
    assert_eq!(hunt["rules"][0]["findings"], 10, "{hunt}");
}

/// Every process-creation rule of SigmaHQ on OTRF's events: nothing is left out that matches.
#[test]
fn nothing_that_matches_is_left_out() {
    let (Some(sigma), Some(events)) = (data("sigma"), unpacked("otrf/events.tar.xz")) else { return };
    let folder = folder();
    let mut files = Vec::new();
    visit(&events, &mut files);
    files.sort();
    files.truncate(12);
    let data = imported(folder.path(), &files);
    let rules = sigma.join("rules/windows/process_creation").display().to_string();
    let registry = sigma.join("rules/windows/registry").display().to_string();
    let hunt = stdout(&run(&["rules", "hunt", "--data", &data, "--days", "30", "-o", "json", &rules, &registry]), 1);
    let found = counts(&serde_json::from_str(&hunt).expect("JSON"));
    assert!(found.len() > 10, "{found:?}");
    assert_eq!(found, replayed(&data, &[&rules, &registry]));
}

fn visit(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl") {
            files.push(path.display().to_string());
        }
    }
}

#[test]
fn new_and_changed_rules_are_hunted_for_once() {
    let folder = folder();
    let events = folder.path().join("events.json");
    fs::write(&events, log(5_000)).expect("writable");
    imported(folder.path(), &[events.display().to_string()]);
    let config = format!("{RECEIVERS}\ndetection:\n  builtin_rules: false\n");
    let running = Running::start(folder.path(), &config);
    let hunts = |running: &Running| -> Vec<Value> {
        running.api("GET", "/api/v1/retrohunts", "").1["retrohunts"].as_array().expect("hunts").clone()
    };
    let done = |running: &Running, count: usize| {
        let hunts = hunts(running);
        hunts.len() == count && hunts.iter().all(|hunt| hunt["state"] == "done")
    };
    let save = |running: &Running, text: &str| {
        let (status, saved) = running.api("PUT", "/api/v1/rules/files/shell", &json!({ "text": text }).to_string());
        assert_eq!(status, 200, "{saved}");
    };
    save(&running, SHELL);
    wait_until("the new rule is hunted for", || done(&running, 1));
    let hunt = hunts(&running)[0].clone();
    assert_eq!((&hunt["automatic"], &hunt["rules"][0]["findings"]), (&json!(true), &json!(3)), "{hunt}");
    assert_eq!(hunt["rules"][0]["samples"][0]["matched"].as_array().map(Vec::len), Some(2), "{hunt}");
    let alerts = running.api("GET", "/api/v1/alerts", "").1["alerts"].clone();
    let of_the_hunt = alerts.as_array().expect("alerts").iter().filter(|alert| alert["rule"]["id"] == SHELL_ID);
    assert_eq!(of_the_hunt.count(), 0, "no alert is made of it");

    // Other words and another layout ask the same.
    save(&running, &SHELL.replace("level: high", "level: low").replace("    CommandLine", "\n    CommandLine"));
    running.api("POST", "/api/v1/retrohunts", &json!({ "text": SHELL, "days": 3 }).to_string());
    wait_until("the one that was asked for is done", || done(&running, 2));
    assert_eq!(hunts(&running)[0]["automatic"], false);
    save(&running, &SHELL.replace("' /known'", "' /unknown'"));
    wait_until("the changed rule is hunted for", || done(&running, 3));
    assert_eq!(hunts(&running)[0]["rules"][0]["findings"], 5);

    // What is known is known after a restart; what stood in events is not kept beside them.
    running.stop();
    let running = Running::start(folder.path(), &config);
    let kept = hunts(&running);
    assert_eq!((kept.len(), &kept[0]["rules"][0]["findings"]), (3, &json!(5)));
    assert_eq!(kept[0]["rules"][0]["samples"][0]["matched"], json!([]));
    let (status, _) = running.api("DELETE", &format!("/api/v1/retrohunts/{}", kept[0]["id"]), "");
    assert_eq!(status, 404, "it has ended");
    let begun = running.api("POST", "/api/v1/retrohunts", &json!({ "text": "title: x" }).to_string());
    assert_eq!(begun.0, 422, "{}", begun.1);
}

#[test]
fn coverage_says_which_rules_can_fire() {
    let folder = folder();
    let rules = folder.path().join("rules.yml");
    let never = "title: Never\nid: 0b0b0b0b-0000-4000-8000-000000000009\ntags: [attack.t1059]\n\
                 logsource: {product: windows, category: dns_query}\ndetection: {s: {QueryName: x}, condition: s}\n";
    fs::write(&rules, format!("{}---\n{never}", SHELL.replace("level: high", "tags: [attack.t1059, attack.t1566]")))
        .expect("writable");
    let config = format!("{RECEIVERS}\ndetection:\n  builtin_rules: false\n  rules: ['{}']\n", rules.display());
    let running = Running::start(folder.path(), &config);
    let covered = |running: &Running| running.api("GET", "/api/v1/coverage", "").1;
    assert_eq!((&covered(&running)["rules"], &covered(&running)["fed"]), (&json!(2), &json!(0)));
    let events = folder.path().join("events.json");
    fs::write(&events, log(10)).expect("writable");
    let data = running.data().display().to_string();
    stdout(&run(&["import", "--data", &data, "--job", "test", &events.display().to_string()]), 0);
    wait_until("its log source is seen", || covered(&running)["fed"] == 1);
    let layer = folder.path().join("layer.json");
    let output =
        run(&["rules", "coverage", "--data", &data, "-o", "json", "--navigator", &layer.display().to_string()]);
    let told: Value = serde_json::from_str(&stdout(&output, 1)).expect("JSON");
    assert_eq!(told["logsources"][0]["last_seen"], Value::Null, "{told}");
    assert_eq!(told["logsources"][0]["logsource"]["category"], "dns_query", "{told}");
    let layer: Value = serde_json::from_str(&fs::read_to_string(layer).expect("written")).expect("JSON");
    let scores: BTreeMap<&str, u64> = layer["techniques"]
        .as_array()
        .expect("techniques")
        .iter()
        .map(|technique| {
            (technique["techniqueID"].as_str().expect("an id"), technique["score"].as_u64().expect("a score"))
        })
        .collect();
    assert_eq!(scores, BTreeMap::from([("T1059", 1), ("T1566", 1)]));
    running.stop();
    let running = Running::start(folder.path(), &config);
    assert_eq!(covered(&running)["fed"], 1, "what was seen is remembered");
}
