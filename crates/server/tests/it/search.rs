//! Search over the API, in its three forms.

use std::sync::atomic::Ordering;

use axum::body::Body;
use futures::StreamExt;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::support::{As, Server, remote, server};

fn row(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn with_rows() -> (Server, String) {
    let server = server();
    *server.rooms.rows.lock().unwrap() = vec![row(json!({"event.id": "1-0", "a": 1})), row(json!({"event.id": "1-1"}))];
    let token = server.token("read");
    (server, token)
}

fn accepting(token: &str, accept: &str) -> As<'static> {
    As::Headers(vec![("authorization", format!("Bearer {token}")), ("accept", accept.to_owned())])
}

#[tokio::test]
async fn json_lines_and_events() {
    let (server, token) = with_rows();
    let body = json!({"query": "a:1", "language": "hunt", "from": "2026-11-21T00:00:00Z", "limit": 5}).to_string();
    let send = async |accept: &str| {
        server.send(accepting(&token, accept), "POST", "/api/v1/search", body.clone()).await.expect(200)
    };
    let whole = send("*/*").await.json();
    assert_eq!(whole["rows"], json!([{"event.id": "1-0", "a": 1}, {"event.id": "1-1"}]));
    assert_eq!(whole["summary"]["matched"], 1000);

    let lines = send("application/x-ndjson").await;
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    assert_eq!(lines.text, "{\"event.id\":\"1-0\",\"a\":1}\n{\"event.id\":\"1-1\"}\n");

    let events = send("text/event-stream").await.text;
    let names: Vec<_> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["progress", "columns", "row", "row", "done"]);

    let pieces = server.send(As::Token(&token), "POST", "/api/v1/search?format=pieces", r#"{"query":"x"}"#).await;
    let pieces = pieces.expect(200).text;
    let keys: Vec<_> = pieces.lines().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(keys, ["progress", "columns", "row", "row", "done"]);
    server.send(As::Token(&token), "POST", "/api/v1/search?format=xml", r#"{"query":"x"}"#).await.expect(400);

    let asked = server.rooms.asked.lock().unwrap();
    assert_eq!((asked.len(), asked[0].query.as_str(), asked[0].limit), (4, "a:1", 5));
    assert_eq!(asked[3].limit, usize::MAX, "a stream has no limit unless one is given");
    assert_eq!(asked[0].from, Some("2026-11-21T00:00:00Z".parse().unwrap()));
    assert_eq!(server.app.counters.all()["queries"], 4);
    let actions = server.journal.actions.lock().unwrap();
    assert_eq!(actions[0].what, "query.run");
    assert!(actions[0].details.contains(&("query", "a:1".to_owned())));
}

#[tokio::test]
async fn a_wrong_query_says_where_in_every_form() {
    let (server, token) = with_rows();
    let body = json!({"query": "wrong |"}).to_string();
    for accept in ["application/json", "application/x-ndjson"] {
        let answer = server.send(accepting(&token, accept), "POST", "/api/v1/search", body.clone()).await.expect(422);
        let problem = answer.json();
        assert_eq!(problem["detail"], "nothing follows `|`");
        assert_eq!(problem["hint"], "write a stage");
        assert_eq!(problem["diagnostics"][0]["column"], 3);
    }
    let events = server.send(accepting(&token, "text/event-stream"), "POST", "/api/v1/search", body).await.expect(200);
    assert!(events.text.starts_with("event: error\ndata: {"), "{}", events.text);
    assert_eq!(server.app.counters.all()["queries_refused"], 3);
    let too_many = json!({"query": "", "limit": 1_000_000}).to_string();
    server.send(As::Token(&token), "POST", "/api/v1/search", too_many).await.expect(422);
    let bad_time = json!({"query": "", "to": "tomorrow"}).to_string();
    server.send(As::Token(&token), "POST", "/api/v1/search", bad_time).await.expect(422);
}

#[tokio::test]
async fn a_query_that_fails_underway_does_not_look_complete() {
    let (server, token) = with_rows();
    let body = json!({"query": "breaks"}).to_string();
    server.send(As::Token(&token), "POST", "/api/v1/search", body.clone()).await.expect(500);
    let lines = server.send(accepting(&token, "application/x-ndjson"), "POST", "/api/v1/search", body.clone()).await;
    assert!(lines.text.starts_with("broken off"), "{}", lines.text);
    let pieces = server.send(As::Token(&token), "POST", "/api/v1/search?format=pieces", body.clone()).await.text;
    assert!(pieces.lines().last().unwrap().starts_with(r#"{"error":{"type":"about:blank""#), "{pieces}");
    let events = server.send(accepting(&token, "text/event-stream"), "POST", "/api/v1/search", body).await;
    assert!(events.text.contains("event: error") && !events.text.contains("event: done"));
    assert_eq!(server.app.counters.all()["queries_failed"], 4);
}

#[tokio::test]
async fn going_away_cancels_and_frees_the_place() {
    let (server, token) = with_rows();
    server.rooms.endless.store(true, Ordering::Relaxed);
    let body = json!({"query": ""}).to_string();
    for _ in 0..10 {
        let mut request =
            server.request(accepting(&token, "application/x-ndjson"), "POST", "/api/v1/search", body.clone());
        request.extensions_mut().insert(remote("192.0.2.1"));
        let response = server.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut stream = Body::new(response.into_body()).into_data_stream();
        assert!(stream.next().await.unwrap().unwrap().starts_with(b"{"));
    }
    assert_eq!(
        server.app.counters.all()["queries_cancelled"],
        10,
        "more than may run at once: each gave its place back"
    );
}

#[tokio::test]
async fn single_events_and_unparsed_ones() {
    let (server, token) = with_rows();
    let event = server.send(As::Token(&token), "GET", "/api/v1/events/3-1042", "").await.expect(200).json();
    assert_eq!(event["event.id"], "1-0");
    server.send(As::Token(&token), "GET", "/api/v1/unparsed?limit=7", "").await.expect(200);
    {
        let asked = server.rooms.asked.lock().unwrap();
        assert_eq!(asked[0].query, "event.id:3-1042");
        assert_eq!((asked[1].query.as_str(), asked[1].limit), ("NOT vedette.parser:*", 7));
    }
    server.rooms.rows.lock().unwrap().clear();
    server.send(As::Token(&token), "GET", "/api/v1/events/3-1042", "").await.expect(404);
}

#[tokio::test]
async fn bodies_arrive_in_pieces() {
    let (server, token) = with_rows();
    let chunks = ["{\"que", "ry\":\"\"}"].map(Ok::<_, std::io::Error>);
    let mut request = server.request(As::Token(&token), "POST", "/api/v1/search", "x");
    *request.body_mut() = Body::from_stream(futures::stream::iter(chunks));
    request.extensions_mut().insert(remote("192.0.2.1"));
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
