//! Searches that people keep.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::{As, server};

#[tokio::test]
async fn searches_are_kept_changed_and_removed() {
    let server = server();
    let (read, write) = (server.token("read"), server.token("write"));
    let send = async |method: &str, path: &str, body: serde_json::Value| {
        let path = format!("/api/v1/searches{path}");
        server
            .send(As::Token(&write), method, &path, if body.is_null() { String::new() } else { body.to_string() })
            .await
    };
    let search = json!({"name": " Log-ins at night ", "query": "a | count", "columns": ["user.name"]});
    let saved = send("POST", "", search.clone()).await.expect(200).json();
    assert_eq!((&saved["id"], &saved["name"], &saved["owner"]), (&json!(1), &json!("Log-ins at night"), &json!("ada")));
    assert_eq!((&saved["language"], &saved["columns"]), (&json!("hunt"), &json!(["user.name"])));
    server.pass(10);
    let sql = json!({"name": "b", "query": "select 1", "language": "sql"});
    let changed = send("PUT", "/1", sql.clone()).await.expect(200).json();
    assert_eq!((&changed["language"], &changed["columns"]), (&json!("sql"), &json!([])));
    assert_ne!(changed["changed"], saved["changed"]);
    send("POST", "", json!({"name": "A", "query": ""})).await.expect(200);
    let list = server.send(As::Token(&read), "GET", "/api/v1/searches", "").await.expect(200).json();
    let names: Vec<_> = list["searches"].as_array().unwrap().iter().map(|search| search["name"].clone()).collect();
    assert_eq!(names, ["A", "b"]);

    for wrong in [
        json!({"name": " ", "query": ""}),
        json!({"name": "x".repeat(201), "query": ""}),
        json!({"name": "a\u{7}", "query": ""}),
        json!({"name": "a", "query": "x".repeat((64 << 10) + 1)}),
        json!({"name": "a", "query": "", "columns": vec!["x"; 201]}),
    ] {
        send("POST", "", wrong).await.expect(422);
    }
    send("PUT", "/9", sql.clone()).await.expect(404);
    send("DELETE", "/1", json!(null)).await.expect(200);
    send("DELETE", "/1", json!(null)).await.expect(404);
    let lines = server.journal.lines();
    assert!(lines[0].ends_with("search.save -") && lines[1].ends_with("search.change 1"), "{lines:?}");
    assert!(lines[lines.len() - 3].ends_with("search.remove 1"), "{lines:?}");
    server.journal.full.store(true, Ordering::Relaxed);
    send("POST", "", search).await.expect(503);
}
