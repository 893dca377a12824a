//! Server-sent events.

use std::{sync::Arc, time::Duration};

use axum::body::BodyDataStream;
use futures::StreamExt;
use tower::ServiceExt;
use vedette_event::{BatchBuilder, Source, SourceId, Time};

use crate::support::{As, Server, remote, server};

/// Reads a stream until it has the text, for at most five seconds.
async fn read_until(stream: &mut BodyDataStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let next = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
        match next {
            Ok(Some(bytes)) => read.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap()),
            Ok(None) => panic!("the stream ended without `{text}`: {read}"),
            Err(_) => panic!("no `{text}` came: {read}"),
        }
    }
    read
}

async fn open(server: &Server, from: As<'_>, path: &str) -> BodyDataStream {
    let mut request = server.request(from, "GET", path, "");
    request.extensions_mut().insert(remote("192.0.2.1"));
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    // It is said at once that it is open, before anything happens.
    assert_eq!(read_until(&mut stream, "\n\n").await, ": open\n\n");
    stream
}

fn batch(lines: &[&str]) -> Arc<vedette_event::Batch> {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    for (seq, line) in lines.iter().enumerate() {
        batch.begin(seq as u64, Time::from_secs(1), line.as_bytes());
        batch.push("message", (*line).into());
    }
    Arc::new(batch.finish())
}

#[tokio::test]
async fn alerts_arrive_and_can_be_resumed() {
    let server = server();
    let token = server.token("read");
    server.finding("before", "192.0.2.8", 1);
    let mut stream = open(&server, As::Token(&token), "/api/v1/alerts/stream").await;
    server.finding("rule", "192.0.2.9", 1);
    let first = read_until(&mut stream, "\n\n").await;
    assert!(first.contains("event: alert\n") && first.contains("\"title\":\"rule\""), "{first}");
    assert!(!first.contains("before"));
    server.app.alerts.acknowledge(vedette_alert::AlertId(2), "ada", (server.app.clock)()).unwrap();
    let second = read_until(&mut stream, "acknowledged").await;
    let id = |text: &str| text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(stream);

    server.finding("meanwhile", "192.0.2.10", 1);
    let resume = vec![("authorization", format!("Bearer {token}")), ("last-event-id", id(&second))];
    let mut stream = open(&server, As::Headers(resume), "/api/v1/alerts/stream").await;
    let third = read_until(&mut stream, "\n\n").await;
    assert!(third.contains("meanwhile"), "{third}");
    let mut all = open(&server, As::Token(&token), "/api/v1/alerts/stream?since=0").await;
    assert!(read_until(&mut all, "meanwhile").await.contains("before"));
}

#[tokio::test]
async fn the_tail_shows_what_the_filter_lets_through_and_tells_what_it_missed() {
    let server = server();
    let token = server.token("read");
    assert!(!server.app.live.is_watched());
    let mut stream = open(&server, As::Token(&token), "/api/v1/events/tail?query=needle").await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while !server.app.live.is_watched() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    server.app.live.send(batch(&["hay", "a needle", "hay"]));
    let shown = read_until(&mut stream, "\n\n").await;
    assert!(shown.contains("\"event.id\":\"1-1\"") && !shown.contains("\"event.id\":\"1-0\""), "{shown}");

    // Nobody reads for a while: the batches are not kept for him, but he is told.
    for _ in 0..2000 {
        server.app.live.send(batch(&["needle"; 10]));
    }
    let gap = read_until(&mut stream, "missed_batches").await;
    assert!(gap.contains("event: gap\n") && gap.len() < 200_000);

    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), async {
        while server.app.live.is_watched() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("a watcher who left is forgotten");
    server.send(As::Token(&token), "GET", "/api/v1/events/tail?query=a%7Cb", "").await.expect(422);
    assert!(server.journal.lines().iter().any(|line| line.ends_with("query.tail -")));
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more() {
    let server = server();
    let token = server.token("read");
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(open(&server, As::Token(&token), "/api/v1/alerts/stream").await);
    }
    let refused = server.send(As::Token(&token), "GET", "/api/v1/alerts/stream", "").await.expect(503);
    assert_eq!(refused.headers["retry-after"], "30");
    server.send(As::Browser(None), "GET", "/api/v1/alerts/stream", "").await.expect(401);
}
