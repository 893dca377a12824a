//! Replies that wait until records are more than stored.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vedette_event::SourceId;
use vedette_intake::receive::{
    Limits,
    http::{self, Acknowledge, Level},
};

use crate::support::{Answer, Folder, http as request, loopback};

/// A ledger that has come as far as the test says.
struct Said {
    /// The level of everything, and how many wait.
    level: watch::Sender<(Level, usize)>,
    witnesses: bool,
}

impl Said {
    fn new() -> Arc<Said> {
        Arc::new(Said { level: watch::Sender::new((Level::Stored, 0)), witnesses: false })
    }

    async fn waits(&self, count: usize) {
        self.level.subscribe().wait_for(|(_, waiting)| *waiting == count).await.unwrap();
    }

    fn reach(&self, level: Level) {
        self.level.send_modify(|now| now.0 = level);
    }
}

impl Acknowledge for Said {
    fn offers(&self, level: Level) -> Result<(), String> {
        if level < Level::Witnessed || self.witnesses { Ok(()) } else { Err("no witness is configured".into()) }
    }

    fn wait(&self, _: SourceId, next_seq: u64, level: Level, patience: Duration) -> BoxFuture<'static, Level> {
        assert!(next_seq > 0);
        self.level.send_modify(|now| now.1 += 1);
        let mut now = self.level.subscribe();
        async move {
            let reached = now.wait_for(|now| now.0 >= level).map(|reached| reached.map(drop));
            tokio::time::timeout(patience, reached).await.ok();
            now.borrow().0
        }
        .boxed()
    }
}

async fn serve(folder: &Folder, said: Option<Arc<Said>>, limits: Limits) -> SocketAddr {
    let acknowledge = said.map(|said| said as Arc<dyn Acknowledge>);
    let options = http::Options { acknowledge, limits, ..http::Options::default() };
    let spool = || folder.spool.clone();
    let router = http::elasticsearch(spool(), options.clone()).merge(http::ndjson(spool(), options.clone()));
    let receiver = http::bind(loopback(), http::Version::Http1, router, None, options).await.unwrap();
    let address = receiver.address();
    tokio::spawn(receiver.run(CancellationToken::new()));
    address
}

async fn send(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let body = if path.contains("_bulk") { "{\"create\":{}}\n{\"a\":1}\n" } else { "{\"a\":1}\n" };
    request(address, "POST", path, headers, body.as_bytes()).await
}

fn told(answer: &Answer) -> Option<&str> {
    answer.head.lines().find_map(|line| line.strip_prefix("vedette-ack: "))
}

#[tokio::test]
async fn replies_wait_for_what_was_asked() {
    let folder = Folder::new();
    let said = Said::new();
    let address = serve(&folder, Some(said.clone()), Limits::default()).await;
    for (round, path) in ["/_bulk", "/logs/_doc", "/ingest"].into_iter().enumerate() {
        said.reach(Level::Stored);
        let answer = send(address, path, &[]).await;
        assert_eq!((answer.status / 100, told(&answer)), (2, None), "{path}");
        let answer = send(address, &format!("{path}?pretty&ack=stored"), &[("Vedette-Ack", "sealed")]).await;
        assert_eq!((answer.status / 100, told(&answer)), (2, Some("stored")), "{path}: the query wins");
        let by_header = tokio::spawn(async move { send(address, path, &[("Vedette-Ack", "sealed")]).await });
        let by_query = tokio::spawn(async move { send(address, &format!("{path}?ack=sealed"), &[]).await });
        said.waits(2 * (round + 1)).await;
        assert!(!by_header.is_finished() && !by_query.is_finished(), "{path}");
        said.reach(Level::Sealed);
        for answer in [by_header, by_query] {
            let answer = answer.await.unwrap();
            assert_eq!((answer.status / 100, told(&answer)), (2, Some("sealed")), "{path}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_refused_before_anything_is_stored() {
    let folder = Folder::new();
    let with = serve(&folder, Some(Said::new()), Limits::default()).await;
    let without = serve(&folder, None, Limits::default()).await;
    let cases = [
        (with, "maybe", "there is no level `maybe`; there are `stored`, `sealed` and `witnessed`"),
        (with, "Sealed", "there is no level `Sealed`"),
        (with, "witnessed", "no witness is configured"),
        (without, "sealed", "`sealed` is not offered here"),
    ];
    for (address, level, reason) in cases {
        for path in ["/_bulk", "/logs/_doc", "/ingest"] {
            for answer in [
                send(address, &format!("{path}?ack={level}"), &[]).await,
                send(address, path, &[("Vedette-Ack", level)]).await,
            ] {
                assert_eq!(answer.status, 400, "{path} {level}");
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(said.contains(reason), "{path} {level}: {said}");
                assert_eq!(told(&answer), None);
            }
        }
    }
    assert!(folder.records().is_empty());
    // Nothing stored, nothing reached.
    let answer = request(with, "POST", "/ingest?ack=sealed", &[], b"nonsense\n").await;
    assert_eq!((answer.status, told(&answer)), (400, None));
}

/// Stored is stored: the reply says so, and that it came no further.
#[tokio::test]
async fn a_level_that_is_not_reached_in_time_is_not_claimed() {
    let folder = Folder::new();
    let limits = Limits { acknowledge_time: Duration::from_millis(50), ..Limits::default() };
    let address = serve(&folder, Some(Said::new()), limits).await;
    let answer = send(address, "/_bulk?ack=sealed", &[]).await;
    assert_eq!((answer.status, told(&answer)), (200, Some("stored")));
    assert_eq!(answer.json().pointer("/items/0/create/status"), Some(&201.into()));
    assert_eq!(answer.json()["errors"], false);
    assert_eq!(folder.stored("bulk:127.0.0.1"), 1);
}

/// Whoever waits keeps nobody out, and not too many wait.
#[tokio::test]
async fn waiting_takes_no_place_of_those_who_send() {
    let folder = Folder::new();
    let said = Said::new();
    let limits = Limits { requests: 1, requests_per_peer: 1, waiting: 2, ..Limits::default() };
    let address = serve(&folder, Some(said.clone()), limits).await;
    let mut held = Vec::new();
    for count in 1..=2 {
        held.push(tokio::spawn(async move { send(address, "/_bulk?ack=sealed", &[]).await }));
        said.waits(count).await;
    }
    assert_eq!(send(address, "/_bulk", &[]).await.status, 200);
    let third = send(address, "/_bulk?ack=sealed", &[]).await;
    assert_eq!((third.status, told(&third)), (200, Some("stored")));
    said.reach(Level::Sealed);
    for answer in held {
        assert_eq!(told(&answer.await.unwrap()), Some("sealed"));
    }
}
