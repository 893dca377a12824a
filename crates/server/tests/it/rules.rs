//! Rules: looked at, checked, tried, saved.

use std::sync::atomic::Ordering;

use serde_json::json;
use vedette_event::{BatchBuilder, Source, SourceId, Time};

use crate::support::{As, server};

#[tokio::test]
async fn rules_are_shown_with_what_they_say_and_when_they_fired() {
    let server = server();
    let read = server.token("read");
    server.finding("r1", "192.0.2.9", 5);
    let get = async |path: &str| server.send(As::Token(&read), "GET", path, "").await;
    let list = get("/api/v1/rules").await.expect(200).json();
    let rule = &list["rules"][0];
    assert_eq!((&rule["id"], &rule["builtin"], &rule["enabled"]), (&json!("r1"), &json!(true), &json!(true)));
    assert_eq!(rule["last_fired"], Time::from_secs(1_789_999_005).to_string());
    assert_eq!(rule["logsource"], json!({"product": "linux", "category": null, "service": null}));
    assert_eq!((&list["refused"], &rule["hits"]), (&json!(1), &json!(1)));
    let one = get("/api/v1/rules/r1").await.expect(200).json();
    assert_eq!((&one["text"], &one["falsepositives"]), (&json!("title: r1"), &json!(["backups"])));
    assert_eq!(one["references"], json!(["https://rule.example"]));
    get("/api/v1/rules/none").await.expect(404);
    assert_eq!(get("/api/v1/rules/refused").await.expect(200).json()["refused"][0]["line"], 3);
}

#[tokio::test]
async fn a_text_is_checked_without_being_loaded() {
    let server = server();
    let read = server.token("read");
    let check = async |text: &str| {
        server.send(As::Token(&read), "POST", "/api/v1/rules/check", json!({ "text": text }).to_string()).await
    };
    let fine = check("r2").await.expect(200).json();
    assert_eq!((&fine["loads"], &fine["rules"][0]["id"]), (&json!(true), &json!("r2")));
    let wrong = check("wrong").await.expect(200).json();
    let diagnostic = json!([{"line": 2, "column": 3, "message": "no detection", "hint": "write one"}]);
    assert_eq!((&wrong["loads"], &wrong["diagnostics"]), (&json!(false), &diagnostic));
    check(&"x".repeat((256 << 10) + 1)).await.expect(413);
    assert!(server.journal.lines().is_empty() && server.rules.files.lock().unwrap().is_empty());
}

#[tokio::test]
async fn files_are_saved_and_removed_by_administrators() {
    let server = server();
    let (write, admin) = (server.token("write"), server.token("admin"));
    let body = |text: &str| json!({ "text": text }).to_string();
    let path = "/api/v1/rules/files/ssh-at-night";
    server.send(As::Token(&write), "PUT", path, body("r2")).await.expect(403);
    server.send(As::Token(&write), "DELETE", path, "").await.expect(403);
    let put = async |path: &str, text: &str| server.send(As::Token(&admin), "PUT", path, body(text)).await;
    let saved = put(path, "r2").await.expect(200).json();
    assert_eq!((&saved["file"], &saved["rules"][0]["id"]), (&json!("ssh-at-night.yml"), &json!("r2")));
    let wrong = put(path, "wrong").await.expect(422).json();
    assert_eq!((&wrong["detail"], &wrong["diagnostics"][0]["line"]), (&json!("no detection"), &json!(2)));
    for name in ["..%2Fusers", "%2e%2e", ".hidden", "a%2Fb", "x.test.yml", "a%00"] {
        put(&format!("/api/v1/rules/files/{name}"), "r2").await.expect(422);
    }
    assert_eq!(server.rules.files.lock().unwrap().get("ssh-at-night.yml").unwrap(), "r2");
    put(path, "taken").await.expect(422);
    server.send(As::Token(&admin), "DELETE", "/api/v1/rules/files/ssh-at-night.yml", "").await.expect(200);
    server.send(As::Token(&admin), "DELETE", path, "").await.expect(404);
    let expected = [
        "rules.save ssh-at-night.yml",
        "rules.save ssh-at-night.yml",
        "rules.save ssh-at-night.yml failed",
        "rules.remove ssh-at-night.yml",
        "rules.remove ssh-at-night.yml",
        "rules.remove ssh-at-night.yml failed",
    ];
    let lines: Vec<String> =
        server.journal.lines().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(lines, expected);
    let details = server.journal.actions.lock().unwrap()[0].details.clone();
    assert_eq!(details[0], ("rules", "r2".to_owned()));
    assert_eq!(details[1], ("blake3", blake3::hash(b"r2").to_hex().to_string()));
    // What cannot be written down is not done.
    server.journal.full.store(true, Ordering::Relaxed);
    put(path, "r3").await.expect(503);
    assert!(server.rules.files.lock().unwrap().is_empty());
}

#[tokio::test]
async fn rules_are_turned_off_and_on_by_administrators() {
    let server = server();
    let (read, write, admin) = (server.token("read"), server.token("write"), server.token("admin"));
    let path = "/api/v1/rules/r1/disabled";
    let body = |reason: &str| json!({ "reason": reason }).to_string();
    server.send(As::Token(&write), "PUT", path, body("too loud")).await.expect(403);
    server.send(As::Token(&write), "DELETE", path, "").await.expect(403);
    let put = async |path: &str, reason: &str| server.send(As::Token(&admin), "PUT", path, body(reason)).await;
    put(path, " ").await.expect(422);
    put(path, &"x".repeat(4097)).await.expect(422);
    put("/api/v1/rules/none/disabled", "too loud").await.expect(404);
    let off = put(path, " too loud ").await.expect(200).json();
    assert_eq!(off, json!({"id": "r1", "enabled": false}));
    let rule = async || server.send(As::Token(&read), "GET", "/api/v1/rules/r1", "").await.expect(200).json();
    let shown = rule().await;
    assert_eq!((&shown["enabled"], &shown["disabled"]["reason"]), (&json!(false), &json!("too loud")));
    assert!(shown["disabled"]["by"].is_string() && shown["disabled"]["since"].is_string(), "{shown}");
    let on = server.send(As::Token(&admin), "DELETE", path, "").await.expect(200).json();
    assert_eq!(on, json!({"id": "r1", "enabled": true}));
    server.send(As::Token(&admin), "DELETE", path, "").await.expect(404);
    let shown = rule().await;
    assert_eq!((&shown["enabled"], &shown["disabled"]), (&json!(true), &serde_json::Value::Null));
    let lines: Vec<String> =
        server.journal.lines().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let expected = [
        "rules.disable none",
        "rules.disable none failed",
        "rules.disable r1",
        "rules.enable r1",
        "rules.enable r1",
        "rules.enable r1 failed",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn rules_are_tried_on_stored_events() {
    let server = server();
    let read = server.token("read");
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for (seq, line) in ["a bad thing", "all is well", "another bad one"].into_iter().enumerate() {
        batch.begin(seq as u64, Time::from_secs(seq as i64), line.as_bytes());
    }
    *server.rooms.batches.lock().unwrap() = vec![batch.finish(); 2];
    let test = async |body: serde_json::Value| {
        server.send(As::Token(&read), "POST", "/api/v1/rules/test", body.to_string()).await
    };
    let found = test(json!({"text": "bad"})).await.expect(200).json();
    assert_eq!((&found["events_read"], &found["truncated"]), (&json!(6), &json!(false)));
    assert_eq!(found["findings"].as_array().unwrap().len(), 4);
    let latest =
        json!({"rule_id": "bad", "event_id": "1-2", "time": "1970-01-01T00:00:02.000000Z", "summary": {"": "a\nb"}});
    assert_eq!(found["findings"][0], latest);
    {
        let asked = server.rooms.asked.lock().unwrap();
        assert_eq!(asked[0].to, Some((server.app.clock)()));
        assert_eq!(asked[0].from, Some((server.app.clock)().plus_micros(-3_600_000_000)));
    }
    let cut = test(json!({"text": "bad", "limit": 1})).await.expect(200).json();
    assert_eq!((cut["findings"].as_array().unwrap().len(), &cut["truncated"]), (1, &json!(true)));
    assert_eq!(cut["events_read"], 3, "it stops where it has enough");
    let wrong = test(json!({"text": "wrong"})).await.expect(422).json();
    assert_eq!(wrong["diagnostics"][0]["message"], "no detection");
    test(json!({"text": "bad", "limit": 1001})).await.expect(422);
    let lines = server.journal.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("rules.test -"), "{lines:?}");
}

#[tokio::test]
async fn a_trial_ends_with_its_time() {
    let server = server();
    let read = server.token("read");
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, Time::from_secs(0), b"bad");
    *server.rooms.batches.lock().unwrap() = vec![batch.finish()];
    server.rooms.endless.store(true, Ordering::Relaxed);
    let body = json!({"text": "bad"}).to_string();
    let found = server.send(As::Token(&read), "POST", "/api/v1/rules/test", body).await.expect(200).json();
    assert_eq!((&found["truncated"], &found["events_read"]), (&json!(true), &json!(1)));
    assert_eq!(found["findings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn retrohunts_are_begun_looked_at_and_ended() {
    let server = server();
    let (read, write) = (server.token("read"), server.token("write"));
    let path = "/api/v1/retrohunts";
    let begin = async |body: serde_json::Value| server.send(As::Token(&write), "POST", path, body.to_string()).await;
    server.send(As::Token(&read), "POST", path, json!({"text": "r2"}).to_string()).await.expect(403);
    let begun = begin(json!({"text": "r2", "days": 7})).await.expect(202).json();
    let week_ago = (server.app.clock)().plus_micros(-7 * 86_400_000_000);
    assert_eq!((&begun["id"], &begun["state"]), (&json!(1), &json!("waiting")));
    assert_eq!(begun["from"], week_ago.to_string());
    let wrong = begin(json!({"text": "wrong"})).await.expect(422).json();
    assert_eq!(wrong["diagnostics"][0]["message"], "no detection");
    begin(json!({"text": "r2", "days": 0})).await.expect(422);
    begin(json!({"text": "busy"})).await.expect(503);
    let list = server.send(As::Token(&read), "GET", path, "").await.expect(200).json();
    assert_eq!(list["retrohunts"].as_array().unwrap().len(), 1);
    let end = async |token: &str| server.send(As::Token(token), "DELETE", "/api/v1/retrohunts/1", "").await;
    end(&read).await.expect(403);
    assert_eq!(end(&write).await.expect(200).json()["state"], "cancelled");
    end(&write).await.expect(404);
    let get = async |id: &str| server.send(As::Token(&read), "GET", &format!("{path}/{id}"), "").await;
    assert_eq!(get("1").await.expect(200).json()["by"], begun["by"]);
    get("2").await.expect(404);
    // Of many rules only the one that is asked about.
    let rule = async |rule: &str| {
        let of =
            async |part: &str| server.send(As::Token(&read), "GET", &format!("{path}{part}?rule={rule}"), "").await;
        (of("").await.expect(200).json()["retrohunts"].as_array().map(Vec::len), of("/1").await.status.as_u16())
    };
    assert_eq!((rule("r2").await, rule("r3").await), ((Some(1), 200), (Some(0), 404)));
    let lines = server.journal.lines();
    assert!(lines[0].ends_with("rules.retrohunt -"), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("rules.retrohunt.cancel 1")), "{lines:?}");
}

#[tokio::test]
async fn rules_are_explained_for_an_event_of_the_store() {
    let server = server();
    let read = server.token("read");
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, Time::from_secs(1), b"one r1");
    batch.begin(1, Time::from_secs(2), b"another");
    *server.rooms.batches.lock().unwrap() = vec![batch.finish()];
    let why = async |body: serde_json::Value| {
        server.send(As::Token(&read), "POST", "/api/v1/rules/why", body.to_string()).await
    };
    let told = why(json!({"event": "1-0", "rule": "r1"})).await.expect(200).json();
    let explanation = &told["explanations"][0];
    assert_eq!((&explanation["matched"], &explanation["rule"]["id"]), (&json!(true), &json!("r1")));
    assert_eq!(explanation["lines"], json!([{"depth": 1, "passed": true, "text": "1-0"}]));
    let told = why(json!({"event": "1-1", "text": "r2"})).await.expect(200).json();
    assert_eq!(told["explanations"][0]["matched"], false);
    why(json!({"event": "1-0", "rule": "none"})).await.expect(404);
    why(json!({"event": "1-7", "rule": "r1"})).await.expect(404);
    why(json!({"event": "1-0"})).await.expect(422);
    why(json!({"event": "1-0", "rule": "r1", "text": "r2"})).await.expect(422);
    why(json!({"event": "one", "rule": "r1"})).await.expect(422);
    let wrong = why(json!({"event": "1-0", "text": "wrong"})).await.expect(422).json();
    assert_eq!(wrong["diagnostics"][0]["line"], 2);
    assert!(server.journal.lines()[0].ends_with("rules.why 1-0"), "{:?}", server.journal.lines());
}

#[tokio::test]
async fn indicators_are_shown_and_looked_up() {
    let server = server();
    let read = server.token("read");
    let get = async |path: &str| server.send(As::Token(&read), "GET", path, "").await;
    assert_eq!(get("/api/v1/indicators").await.expect(200).json()["indicators"], 1);
    let known = get("/api/v1/indicators/find?value=evil.example").await.expect(200).json();
    assert_eq!(
        (&known["indicators"][0]["value"], &known["indicators"][0]["sightings"]),
        (&json!("evil.example"), &json!(0))
    );
    assert_eq!(get("/api/v1/indicators/find?value=good.example").await.expect(200).json()["indicators"], json!([]));
    get("/api/v1/indicators/find?value=nothing").await.expect(422);
    get("/api/v1/indicators/find").await.expect(400);
    let asked = server.rooms.asked.lock().unwrap();
    assert!(asked[0].query.contains("\"evil.example\""), "{}", asked[0].query);
}

#[tokio::test]
async fn coverage_says_what_can_fire() {
    let server = server();
    let read = server.token("read");
    let get = async |path: &str| server.send(As::Token(&read), "GET", path, "").await.expect(200).json();
    let covered = get("/api/v1/coverage").await;
    assert_eq!((&covered["rules"], &covered["fed"]), (&json!(1), &json!(1)));
    assert_eq!(covered["logsources"][0]["logsource"]["product"], "linux");
    let technique = &covered["techniques"][0];
    assert_eq!((&technique["rules"], &technique["fed"]), (&json!(1), &json!(1)), "{covered}");
    let layer = get("/api/v1/coverage/navigator").await;
    assert_eq!(
        (&layer["techniques"][0]["techniqueID"], &layer["techniques"][0]["score"]),
        (&technique["id"], &json!(1))
    );
    assert_eq!((&layer["domain"], &layer["versions"]["layer"]), (&json!("enterprise-attack"), &json!("4.5")));
}

#[tokio::test]
async fn a_threshold_is_a_correlation_of_ones_own() {
    let server = server();
    let (write, admin) = (server.token("write"), server.token("admin"));
    let path = "/api/v1/rules/r1/threshold";
    let put = async |token: &str, path: &str, body: serde_json::Value| {
        server.send(As::Token(token), "PUT", path, body.to_string()).await
    };
    let ten = json!({"count": 10, "timespan": "1h", "group_by": ["User"], "reason": "noisy: \"backup\""});
    put(&write, path, ten.clone()).await.expect(403);
    put(&admin, "/api/v1/rules/none/threshold", ten.clone()).await.expect(404);
    put(&admin, path, json!({"count": 1, "timespan": "1h", "reason": "x"})).await.expect(422);
    put(&admin, path, json!({"count": 10, "timespan": "1h", "reason": " "})).await.expect(422);
    let saved = put(&admin, path, ten).await.expect(200).json();
    let file = saved["file"].as_str().unwrap();
    let text = server.rules.files.lock().unwrap().get(file).cloned().unwrap();
    for line in [
        "level: high",
        "  type: event_count",
        "  rules: [\"r1\"]",
        "  group-by: [\"User\"]",
        "  condition: {gte: 10}",
        "description: \"noisy: \\\"backup\\\"\"",
        "tags: [\"attack.t1110\"]",
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
    let remove = async || server.send(As::Token(&admin), "DELETE", path, "").await;
    remove().await.expect(200);
    remove().await.expect(404);
}
