//! Indicators of compromise in the running monitor: in what comes, and in what came before they were known.

use std::{fs, io::Write, net::TcpStream};

use serde_json::{Value, json};

use crate::harness::{RECEIVERS, Running, folder, json_lines, run, stdout};

fn send(running: &Running, address: &str) {
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "<38>Nov 21 04:11:52 web1 sshd[811]: Accepted publickey for ada from {address} port 4711 ssh2")
        .expect("sent");
}

#[test]
fn what_a_feed_knows_is_found_in_what_comes_and_in_history() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    send(&running, "198.51.100.7");
    send(&running, "203.0.113.9");
    running.wait_for_count("event.dataset:linux.sshd", 2);

    let feeds = running.data().join("indicators");
    fs::create_dir(&feeds).expect("writable");
    fs::write(feeds.join("blocklist.txt"), "# bad ones\n198.51.100[.]7\nnot an indicator\n").expect("writable");
    let found = "event.dataset:vedette.findings rule.id:\"indicator:blocklist\"";
    running.wait_for_count(found, 1);
    let reload = running.hunt("event.action:indicators.reload");
    assert_eq!(reload.len(), 1, "{reload:?}");
    send(&running, "198.51.100.7");
    send(&running, "203.0.113.9");
    running.wait_for_count(found, 2);
    // An address is seen where it was sighted itself, not where a network around another one was.
    fs::write(feeds.join("nets.txt"), "198.51.100.0/24\n").expect("writable");
    running.wait_for_count("event.dataset:vedette.findings rule.id:\"indicator:nets\"", 2);
    send(&running, "198.51.100.8");
    running.wait_for_count("event.dataset:vedette.findings rule.id:\"indicator:nets\"", 3);
    let seen = |value: &str| -> Vec<(Value, Value)> {
        let known = running.api("GET", &format!("/api/v1/indicators/find?value={value}"), "").1;
        let known = known["indicators"].as_array().expect("a list");
        known.iter().map(|one| (one["value"].clone(), one["sightings"].clone())).collect()
    };
    let (address, network) = (json!("198.51.100.7"), json!("198.51.100.0/24"));
    assert_eq!(seen("198.51.100.7"), [(address, json!(2)), (network.clone(), json!(3))]);
    assert_eq!(seen("198.51.100.8"), [(network, json!(3))]);
    assert!(running.stop().success());

    // What was searched for is not searched for again; what is new is.
    let running = Running::start(folder.path(), RECEIVERS);
    fs::write(feeds.join("more.csv"), "ip,confidence\n203.0.113.9,95\n").expect("writable");
    running.wait_for_count("event.dataset:vedette.findings rule.id:\"indicator:more\"", 2);
    running.wait_for_count("event.action:indicators.search_history", 3);
    running.wait_for_count(found, 2);
    let (_, inbox) = running.api("GET", "/api/v1/alerts", "");
    let alerts = inbox["alerts"].as_array().expect("alerts");
    assert!(
        alerts.iter().any(|alert| alert["rule"]["id"] == "indicator:more" && alert["rule"]["level"] == "high"),
        "{inbox}"
    );
}

#[test]
fn feeds_are_checked_and_asked_on_the_command_line() {
    let folder = folder();
    let feed = folder.path().join("feed.csv");
    fs::write(&feed, "type,value,comment\ndomain,evil.example,loader\nip-dst,127.0.0.1,self\n").expect("writable");
    let feed = feed.to_string_lossy();
    let output = run(&["indicators", "check", "-o", "json", &feed]);
    let account = &json_lines(&stdout(&output, 1))[0];
    assert_eq!((&account["taken"], &account["refused"]), (&json!(1), &json!(1)), "{account}");
    let found = json_lines(&stdout(&run(&["indicators", "find", "www[.]evil.example", "-o", "json", &feed]), 0));
    assert_eq!((&found[0]["value"], &found[0]["feed"]), (&json!("evil.example"), &json!("feed")), "{found:?}");
    stdout(&run(&["indicators", "find", "good.example", &feed]), 1);
}
