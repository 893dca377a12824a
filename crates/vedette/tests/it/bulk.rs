//! `_bulk` and `/ingest` from hostile or careless clients.

use crate::harness::{OTHERS, RECEIVERS, Running, folder, http, post};

#[test]
fn bad_items_are_named_and_the_rest_is_stored() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let body = "{\"create\":{}}\n{\"message\":\"good one\"}\n{\"create\":{}}\nnot json\n{\"index\":{}}\n{\"message\":\"good two\"}\n";
    let (status, answer) =
        http(running.address("http"), &post("/_bulk", "application/x-ndjson", body)).expect("an answer");
    assert_eq!(status, 200);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["errors"], true);
    let statuses: Vec<_> = (0..3)
        .map(|n| answer["items"][n].as_object().and_then(|item| item.values().next().cloned()))
        .map(|item| item.expect("an item")["status"].clone())
        .collect();
    assert_eq!(statuses, [201, 400, 201]);
    running.wait_for_count(&format!("good {OTHERS}"), 2);
}

#[test]
fn a_record_beyond_the_limit_is_refused_and_others_are_unharmed() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let long = format!("{{\"message\":\"{}\"}}\n{{\"message\":\"short one\"}}\n", "x".repeat(10 << 20));
    let (status, answer) =
        http(running.address("http"), &post("/ingest", "application/x-ndjson", &long)).expect("an answer");
    assert!(status == 200 || status == 207 || status == 413, "{status} {answer}");
    running.wait_for_count(&format!("short {OTHERS}"), 1);
    let sources = crate::harness::run(&["sources", "-o", "json", "--data", &running.data().to_string_lossy()]);
    let refused = crate::harness::json_lines(&crate::harness::stdout(&sources, 0))
        .iter()
        .any(|source| source["refused"]["too_large"].as_u64() == Some(1));
    assert!(refused, "the refusal is in the loss ledger");
}
