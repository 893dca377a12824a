//! `POST /ingest`.

use std::net::SocketAddr;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use vedette_intake::receive::{Limits, http};

use crate::support::{Folder, http as request, loopback};

async fn serve(folder: &Folder, options: http::Options) -> SocketAddr {
    let router = http::ndjson(folder.spool.clone(), options.clone());
    let receiver = http::bind(loopback(), http::Version::Http1, router, None, options).await.unwrap();
    let address = receiver.address();
    tokio::spawn(receiver.run(CancellationToken::new()));
    address
}

#[tokio::test]
async fn bodies_and_replies() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    let ndjson = "application/x-ndjson";
    let not_object = "the document is not a JSON object";
    let garbage = "no JSON value can begin here, or it is not complete";
    type Case<'a> = (&'a str, &'a str, &'a str, u16, usize, serde_json::Value, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        ("lines", ndjson, "\n{\"a\":1}\r\n\n{\"b\":2}", 200, 2, json!([]), &["{\"a\":1}", "{\"b\":2}"]),
        (
            "a bad line",
            ndjson,
            "{\"a\":1}\n\nnonsense\n{\"b\":2}\n",
            200,
            3,
            json!([{"line": 3, "reason": not_object}]),
            &["{\"a\":1}", "{\"b\":2}"],
        ),
        ("only bad lines", ndjson, "x\n", 400, 1, json!([{"line": 1, "reason": not_object}]), &[]),
        (
            "an array",
            ndjson,
            " [{\"a\":1}, {\"b\":[2]},3]",
            200,
            3,
            json!([{"line": 3, "reason": not_object}]),
            &["{\"a\":1}", "{\"b\":[2]}"],
        ),
        (
            "an unfinished array",
            ndjson,
            "[{\"a\":1},{\"b\"",
            200,
            2,
            json!([{"line": 2, "reason": garbage}]),
            &["{\"a\":1}"],
        ),
        (
            "pretty JSON",
            "application/json",
            "{\n \"a\": 1\n}\n{\"b\":2}",
            200,
            2,
            json!([]),
            &["{\n \"a\": 1\n}", "{\"b\":2}"],
        ),
        ("text", "text/plain; charset=utf-8", "one\n\n{not json\n", 200, 2, json!([]), &["one", "{not json"]),
        ("nothing", ndjson, "", 200, 0, json!([]), &[]),
    ];
    for (number, (name, kind, body, status, received, refused, records)) in cases.iter().enumerate() {
        let path = format!("/ingest?source=case-{number}");
        let answer = request(address, "POST", &path, &[("Content-Type", kind)], body.as_bytes()).await;
        let reply = answer.json();
        assert_eq!((answer.status, &reply["received"]), (*status, &json!(received)), "{name}: {reply}");
        assert_eq!((&reply["stored"], &reply["refused"]), (&json!(records.len()), refused), "{name}");
        assert_eq!(folder.texts(&format!("http:case-{number}")), *records, "{name}");
    }
}

#[tokio::test]
async fn sources() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    assert_eq!(request(address, "POST", "/ingest", &[], b"{}").await.status, 200);
    assert_eq!(request(address, "POST", "/ingest", &[("X-Vedette-Source", "web/1")], b"{}").await.status, 200);
    assert_eq!(request(address, "POST", "/ingest?source=a%20b", &[], b"{}").await.status, 400);
    let names: Vec<String> = folder.records().into_keys().collect();
    assert_eq!(names, ["http:127.0.0.1", "http:web/1"]);
}

#[tokio::test]
async fn too_many_records_are_refused_even_if_the_last_has_no_lf() {
    let folder = Folder::new();
    let limits = Limits { documents: 2, ..Limits::default() };
    let address = serve(&folder, http::Options { limits, ..http::Options::default() }).await;
    for (body, status) in [("{}\n{}", 200), ("{}\n{}\n{}\n", 413), ("{}\n{}\n{}", 413), ("[{},{},{}]", 413)] {
        let answer = request(address, "POST", "/ingest", &[], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.json());
    }
    assert_eq!(folder.texts("http:127.0.0.1").len(), 2, "of a refused request nothing was handed over yet");
}
