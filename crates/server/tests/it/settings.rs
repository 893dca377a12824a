//! Settings, parsers that are written here, and how the server does.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::{As, server};

#[tokio::test]
async fn retention_is_changed_by_administrators() {
    let server = server();
    let (read, write, admin) = (server.token("read"), server.token("write"), server.token("admin"));
    let settings = server.send(As::Token(&read), "GET", "/api/v1/settings", "").await.expect(200).json();
    let expected = json!({
        "retention": {"max_age_days": 90, "max_bytes": null, "max_disk_percent": 80},
        "receivers": [{"kind": "syslog-tls", "address": "0.0.0.0:6514", "tls": true}],
        "config_file": null,
    });
    assert_eq!(settings, expected);
    let put = async |token: &str, days: u32| {
        let body = json!({"max_age_days": days, "max_bytes": 1000, "max_disk_percent": 50}).to_string();
        server.send(As::Token(token), "PUT", "/api/v1/settings/retention", body).await
    };
    put(&write, 30).await.expect(403);
    assert_eq!(put(&admin, 30).await.expect(200).json()["retention"]["max_age_days"], 30);
    put(&admin, 0).await.expect(422);
    let lines = server.journal.lines();
    assert!(
        lines[0].ends_with("settings.retention -") && lines[2].ends_with("settings.retention - failed"),
        "{lines:?}"
    );
    assert!(server.journal.actions.lock().unwrap()[0].details.contains(&("max_bytes", "1000".to_owned())));
    server.journal.full.store(true, Ordering::Relaxed);
    put(&admin, 10).await.expect(503);
    assert_eq!(server.app.settings.retention().max_age_days, 30);
}

#[tokio::test]
async fn sections_are_changed_by_administrators() {
    let server = server();
    let (write, admin) = (server.token("write"), server.token("admin"));
    let path = "/api/v1/settings/sections/notifications";
    let body = |text: &str| json!({ "text": text }).to_string();
    server.send(As::Token(&write), "GET", path, "").await.expect(403);
    server.send(As::Token(&write), "PUT", path, body("queue: 500")).await.expect(403);
    let get = async || server.send(As::Token(&admin), "GET", path, "").await.expect(200).json();
    assert_eq!(get().await, json!({"section": "notifications", "text": "", "changed": false}));
    let put = async |path: &str, text: &str| server.send(As::Token(&admin), "PUT", path, body(text)).await;
    let changed = put(path, "queue: 500").await.expect(200).json();
    assert_eq!(changed, json!({"section": "notifications", "text": "queue: 500", "changed": true}));
    let wrong = put(path, "wrong").await.expect(422).json();
    assert_eq!((&wrong["detail"], &wrong["diagnostics"][0]["line"]), (&json!("no such key"), &json!(2)));
    let refused = put("/api/v1/settings/sections/receivers", "relp: []").await.expect(422).json();
    assert_eq!(refused["detail"], "cannot receive relp on 127.0.0.1:1: it is taken");
    put("/api/v1/settings/sections/storage", "a: 1").await.expect(400);
    put(path, &"x".repeat((256 << 10) + 1)).await.expect(413);
    assert_eq!(get().await, changed);
    let check = async |text: &str| {
        server.send(As::Token(&admin), "POST", &format!("{path}/check"), body(text)).await.expect(200).json()
    };
    assert_eq!(check("queue: 5").await, json!({"fine": true, "diagnostics": []}));
    let wrong = check("wrong").await;
    assert_eq!((&wrong["fine"], &wrong["diagnostics"][0]["hint"]), (&json!(false), &json!("docs")));
    assert_eq!(server.send(As::Token(&admin), "DELETE", path, "").await.expect(200).json()["changed"], json!(false));
    let lines = server.journal.lines();
    let ends = ["notifications -", "notifications -", "notifications - failed", "receivers -", "receivers - failed"];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(&format!("settings.{end}")), "{lines:?}");
    }
    assert_eq!(lines.len(), 6);
    // What is written down is which text it was, never the text.
    let details = server.journal.actions.lock().unwrap()[0].details.clone();
    assert_eq!(details, [("blake3", blake3::hash(b"queue: 500").to_hex().to_string())]);
}

#[tokio::test]
async fn a_parser_is_tried_and_saved() {
    let server = server();
    let (read, admin) = (server.token("read"), server.token("admin"));
    let check = async |body: serde_json::Value| {
        server.send(As::Token(&read), "POST", "/api/v1/parsers/check", body.to_string()).await
    };
    let tried = check(json!({"text": "app", "lines": ["app: 1", "other"]})).await.expect(200).json();
    let results = json!([
        {"line": "app: 1", "parser": "own@1", "fields": {"message": "app: 1"}},
        {"line": "other", "parser": null, "fields": {"message": "other"}},
    ]);
    assert_eq!((&tried["loads"], &tried["results"]), (&json!(true), &results));
    let wrong = check(json!({"text": "wrong", "lines": ["a"]})).await.expect(200).json();
    assert_eq!((&wrong["loads"], &wrong["diagnostics"][0]["line"]), (&json!(false), &json!(2)));
    check(json!({"text": "a", "lines": vec!["x"; 1001]})).await.expect(422);
    let put = async |token: &str, name: &str, text: &str| {
        let path = format!("/api/v1/parsers/files/{name}");
        server.send(As::Token(token), "PUT", &path, json!({ "text": text }).to_string()).await
    };
    put(&read, "app", "app").await.expect(403);
    for (name, text) in [("app", "wrong"), ("patterns", "app"), ("..%2Fapp", "app")] {
        put(&admin, name, text).await.expect(422);
    }
    assert!(server.journal.lines().is_empty() && server.parsers.files.lock().unwrap().is_empty());
    let saved = put(&admin, "app", "app").await.expect(200).json();
    assert_eq!((&saved["file"], &saved["restart"]), (&json!("app.yml"), &json!(true)));
    assert_eq!(server.parsers.files.lock().unwrap()["app.yml"], "app");
    assert!(server.journal.lines()[0].ends_with("parsers.save app.yml"));
}

#[tokio::test]
async fn health_has_disk_and_queues_and_sources_their_rates() {
    let server = server();
    let read = server.token("read");
    let health = server.send(As::Token(&read), "GET", "/api/v1/health/detail", "").await.expect(200).json();
    assert_eq!(health["disk"], json!({"free_bytes": 1, "total_bytes": 3, "used_bytes": 2}));
    let queues = json!({"spool_bytes": 0, "unsealed_bytes": 5, "tail_events": 10, "searches": 0, "streams": 0});
    assert_eq!((&health["queues"], &health["version"]), (&queues, &json!("0.1.0-test")));
    let sources = server.send(As::Token(&read), "GET", "/api/v1/sources", "").await.expect(200).json();
    let of =
        |name: &str| sources["sources"].as_array().unwrap().iter().find(|it| it["receiver"] == name).unwrap().clone();
    let (syslog, bulk) = (of("syslog-udp"), of("bulk"));
    assert_eq!(
        (&syslog["last_seen"], &syslog["rate_per_minute"]),
        (&json!("2026-09-21T14:13:10.000000Z"), &json!(1.5))
    );
    assert_eq!((&bulk["last_seen"], &bulk["rate_per_minute"]), (&json!(null), &json!(0.0)));
}
