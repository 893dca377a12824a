//! The server over a real spool, store and engine.

use std::sync::Arc;

use futures::StreamExt;
use serde_json::json;
use vedette_event::{Batch, BatchBuilder, Derive, Reason, Source, Time, Value};
use vedette_query::Engine;
use vedette_server::{Ask, Language, Local, Piece, Rooms, SearchError};
use vedette_spool::{Options, Spool};
use vedette_store::Store;

use crate::support::{As, server_over};

/// A parser of `user@address` lines.
struct Lines;

impl Derive for Lines {
    fn derive(&self, _: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder) {
        batch.begin(seq, received, raw);
        if let Some((user, address)) = std::str::from_utf8(raw).unwrap_or_default().split_once('@') {
            batch.parser(&"lines@1".into());
            batch.push("user.name", Value::Str(user));
            batch.push("source.ip", Value::Str(address));
        }
    }
}

fn local(dir: &std::path::Path) -> Local {
    let spool = Spool::open(&dir.join("spool"), Options { min_free_bytes: 0, ..Options::default() }).unwrap();
    let store = Store::open(&dir.join("segments"), vedette_store::Options::default()).unwrap();
    let source = spool.source("test:1", "test", None).unwrap();
    let lines: Vec<&[u8]> = vec![b"root@192.0.2.7", b"ada@198.51.100.4", b"root@192.0.2.8", b"no parser knows this"];
    let receipt =
        spool.append(&source, lines.iter().map(|line| (*line).into()).collect()).unwrap().wait_blocking().unwrap();
    spool.shed(&source, Reason::KernelDrop, 5);
    let mut batch = BatchBuilder::new(source.clone());
    for (seq, line) in lines.iter().enumerate() {
        Lines.derive(&source, receipt.first_seq + seq as u64, receipt.received, line, &mut batch);
    }
    store.append(&batch.finish(), 1).unwrap();
    let engine = Engine::new(store.clone(), Arc::new(Lines), vedette_query::Options::default()).unwrap();
    Local::new(spool, store, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn search_sources_and_single_events() {
    let dir = tempfile::tempdir().unwrap();
    let server = server_over(Arc::new(local(dir.path())));
    let token = server.token("read");
    let search = async |body: serde_json::Value| {
        server.send(As::Token(&token), "POST", "/api/v1/search", body.to_string()).await
    };
    let events = search(json!({"query": "source.ip:192.0.2.0/24"})).await.expect(200).json();
    assert_eq!(events["columns"], json!([]));
    let mut ids: Vec<_> = events["rows"].as_array().unwrap().iter().map(|row| row["event.id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids.len(), 2);
    assert_eq!(events["rows"][0]["user.name"], "root");
    assert_eq!(events["summary"]["rows"], 2);

    let table = search(json!({"query": "* | summarize n=count() by user.name | sort n desc | take 1"})).await;
    let table = table.expect(200).json();
    assert_eq!(table["columns"], json!(["user.name", "n"]));
    assert_eq!(table["rows"], json!([{"user.name": "root", "n": 2}]));
    let sql = search(json!({"query": "SELECT count(*) AS n FROM events", "language": "sql"})).await.expect(200).json();
    assert_eq!(sql["rows"], json!([{"n": 4}]));
    let cut = search(json!({"query": "", "limit": 3})).await.expect(200).json();
    assert_eq!((&cut["summary"]["truncated"], cut["rows"].as_array().unwrap().len()), (&json!(true), 3));
    let wrong = search(json!({"query": "* | sumarize count()"})).await.expect(422).json();
    assert_eq!(wrong["diagnostics"][0]["column"], 5);
    assert!(wrong["hint"].as_str().unwrap().contains("summarize"));

    let id = events["rows"][0]["event.id"].as_str().unwrap();
    let event = server.send(As::Token(&token), "GET", &format!("/api/v1/events/{id}"), "").await.expect(200).json();
    assert_eq!(event, events["rows"][0]);
    server.send(As::Token(&token), "GET", "/api/v1/events/1-99", "").await.expect(404);
    let unparsed = server.send(As::Token(&token), "GET", "/api/v1/unparsed", "").await.expect(200).json();
    assert_eq!(unparsed["rows"].as_array().unwrap().len(), 1);
    assert_eq!(unparsed["rows"][0]["event.original"], "no parser knows this");

    let sources = server.send(As::Token(&token), "GET", "/api/v1/sources", "").await.expect(200).json();
    let source = &sources["sources"][0];
    assert_eq!((&source["name"], &source["stored"], &source["received"]), (&json!("test:1"), &json!(4), &json!(9)));
    let health = server.send(As::Token(&token), "GET", "/api/v1/health/detail", "").await.expect(200).json();
    assert_eq!(health["store"]["tail_events"], 4);
    let metrics = server.send(As::Token(&token), "GET", "/metrics", "").await.expect(200).text;
    assert!(
        metrics.contains("vedette_source_shed_total{source=\"test:1\",receiver=\"test\",reason=\"kernel_drop\"} 5\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_stops_its_query() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = local(dir.path());
    let ask =
        |query: &str| Ask { query: query.into(), language: Language::Hunt, from: None, to: None, limit: usize::MAX };
    for _ in 0..20 {
        let mut pieces = rooms.search(ask("*"));
        assert!(matches!(pieces.next().await, Some(Ok(Piece::Columns(_)))));
    }
    let all: Vec<_> = rooms.search(ask("*")).collect().await;
    assert_eq!(all.iter().filter(|piece| matches!(piece, Ok(Piece::Row(_)))).count(), 4);
    assert!(matches!(all.last(), Some(Ok(Piece::Done(_)))));
    let wrong: Vec<_> = rooms.search(ask("a |")).collect().await;
    assert!(matches!(wrong.as_slice(), [Err(SearchError::Refused(_))]));
    assert!(rooms.live_filter("a | take 1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_are_read_with_every_field() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = local(dir.path());
    let ask =
        |query: &str, limit: usize| Ask { query: query.into(), language: Language::Hunt, from: None, to: None, limit };
    let count = async |query: &str, limit: usize| {
        let batches: Vec<_> = rooms.events(ask(query, limit)).collect().await;
        let batches = batches.into_iter().collect::<Result<Vec<_>, _>>();
        batches.map(|batches| batches.iter().map(Batch::len).sum::<usize>())
    };
    let batches: Vec<_> = rooms.events(ask("root", 100)).collect().await;
    let batch = batches[0].as_ref().unwrap();
    assert_eq!((batches.len(), batch.len(), &*batch.source().name), (1, 2, "test:1"));
    assert!(batch.events().all(|event| event.get("user.name") == Some(Value::Str("root"))));
    assert_eq!((count("*", 100).await.unwrap(), count("*", 3).await.unwrap()), (4, 3));
    assert_eq!(count("* | summarize count()", 100).await.unwrap(), 0, "these rows are no events");
    assert!(matches!(count("a |", 100).await, Err(SearchError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_shows_beside_a_search() {
    let dir = tempfile::tempdir().unwrap();
    let server = server_over(Arc::new(local(dir.path())));
    let token = server.token("read");
    let send = async |method: &str, path: &str, body: &str| {
        server.send(As::Token(&token), method, &format!("/api/v1/{path}"), body).await
    };
    let fields = send("GET", "fields", "").await.expect(200).json();
    assert!(fields["fields"].as_array().unwrap().iter().any(|field| field["name"] == "source.ip"));
    // Pipes do not count.
    let values = send("GET", "fields/values?field=user.name&query=*%20%7C%20count", "").await.expect(200).json();
    let expected = json!({"values": [{"value": "root", "count": 2}, {"value": "ada", "count": 1}], "complete": true});
    assert_eq!(values, expected);
    let values = send("GET", "fields/values?field=source.ip&prefix=192&limit=1", "").await.expect(200).json();
    assert_eq!(values, json!({"values": [{"value": "192.0.2.7", "count": 1}], "complete": false}));
    let wrong = send("GET", "fields/values?field=user.name&query=a%20%7C", "").await.expect(422).json();
    assert_eq!(wrong["diagnostics"][0]["line"], 1);
    let counts =
        send("POST", "search/histogram", r#"{"query": "root | take 1", "buckets": 10}"#).await.expect(200).json();
    assert_eq!((&counts["total"], &counts["bucket_ms"]), (&json!(2), &json!(1000)));
    assert!(counts["from"].as_str() < counts["to"].as_str() && counts["buckets"].as_array().unwrap().len() <= 10);
    let none = send("POST", "search/histogram", r#"{"query": "nosuchword"}"#).await.expect(200).json();
    assert_eq!(none["total"], 0);
    let csv = send("POST", "search?format=csv", r#"{"query": "user.name:ada", "columns": ["user.name", "source.ip"]}"#);
    assert_eq!(csv.await.expect(200).text, "user.name,source.ip\r\nada,198.51.100.4\r\n");
    let table = send("POST", "search?format=csv", r#"{"query": "* | count"}"#).await.expect(200);
    assert!(table.text.ends_with("\r\n4\r\n"), "{}", table.text);
    send("POST", "search?format=csv", r#"{"query": "* | count", "columns": ["nosuch"]}"#).await.expect(422);
}
