//! The Elasticsearch API as log shippers use it.

use std::{io::Write, net::SocketAddr, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::{Limits, http};
use vedette_spool as spool;

use crate::support::{Folder, http as request, loopback};

const BULK: &str = "bulk:127.0.0.1";

async fn serve(folder: &Folder, options: http::Options) -> SocketAddr {
    let router = http::elasticsearch(folder.spool.clone(), options.clone());
    let receiver = http::bind(loopback(), http::Version::Http1, router, None, options).await.unwrap();
    let address = receiver.address();
    tokio::spawn(receiver.run(CancellationToken::new()));
    address
}

async fn post(address: SocketAddr, body: &[u8]) -> crate::support::Answer {
    request(address, "POST", "/_bulk", &[("Content-Type", "application/x-ndjson")], body).await
}

#[tokio::test]
async fn the_handshakes() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    let cases = [
        ("GET", "/", 200, "/version/number", json!("8.19.0")),
        ("GET", "/", 200, "/version/build_flavor", json!("default")),
        ("GET", "/", 200, "/tagline", json!("You Know, for Search")),
        ("GET", "/_license", 200, "/license/status", json!("active")),
        ("GET", "/_license?human=false", 200, "/license/type", json!("basic")),
        ("GET", "/_xpack", 200, "/license/status", json!("active")),
        ("GET", "/_cluster/health?wait_for_status=yellow", 200, "/status", json!("green")),
        ("GET", "/_nodes/_all/http", 200, "", json!({})),
        ("GET", "/_ilm/policy/filebeat", 200, "", json!({})),
        ("PUT", "/_ilm/policy/filebeat", 200, "/acknowledged", json!(true)),
        ("GET", "/_index_template/x", 200, "", json!({})),
        ("PUT", "/_index_template/x", 200, "/acknowledged", json!(true)),
        ("GET", "/_template/x", 200, "", json!({})),
        ("PUT", "/_ingest/pipeline/x", 200, "/acknowledged", json!(true)),
        ("PUT", "/_data_stream/logs-x", 200, "/acknowledged", json!(true)),
        ("GET", "/logs/_refresh", 200, "", json!({})),
        ("PUT", "/logs", 200, "/acknowledged", json!(true)),
        ("DELETE", "/logs", 405, "/status", json!(405)),
        ("GET", "/logs/_search", 404, "/status", json!(404)),
    ];
    for (method, path, status, pointer, expected) in cases {
        let answer = request(address, method, path, &[], b"").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.json().pointer(pointer), Some(&expected), "{method} {path}");
        assert!(
            answer.head.to_ascii_lowercase().contains("x-elastic-product: elasticsearch"),
            "{path}: {}",
            answer.head
        );
    }
    for path in ["/", "/_index_template/x", "/logs"] {
        let answer = request(address, "HEAD", path, &[], b"").await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "HEAD {path}");
    }
}

#[tokio::test]
async fn every_item_has_an_honest_status() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    let body = concat!(
        r#"{"index":{"_index":"a","_id":"x","pipeline":null},"attempts":1}"#,
        "\n",
        r#"{"message":"one",  "n": 1.0}"#,
        "\n",
        "\n",
        r#"{"create":{}}"#,
        "\r\n",
        r#"{"message":"two"}"#,
        "\r\n\n\n",
        r#"{"index":{"_index":"a"}}"#,
        "\n",
        "[1,2]\n",
        r#"{"index":{"_index":"a"}}"#,
        "\n",
        "{\"broken\": \n",
        r#"{"update":{"_index":"a","_id":"1"}}"#,
        "\n",
        r#"{"doc":{"a":1}}"#,
        "\n",
        r#"{"delete":{"_index":"b \"q\"","_id":"1"}}"#,
        "\n",
        r#"{"create":{"_index":"a"}}"#,
        "\n",
        r#"{"message":"last, without LF"}"#,
    );
    for method in ["POST", "PUT"] {
        let before = folder.stored(BULK);
        let headers = [("Content-Type", "application/vnd.elasticsearch+x-ndjson; compatible-with=9")];
        let answer = request(address, method, "/fallback/_bulk?filter_path=errors", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200);
        // Durable before acknowledged.
        assert_eq!(folder.stored(BULK), before + 3);
        let reply = answer.json();
        assert_eq!(reply["errors"], json!(true));
        let summary: Vec<(String, u64, String, String)> = reply["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let (operation, item) = item.as_object().unwrap().iter().next().unwrap();
                let reason = item["error"]["reason"].as_str().unwrap_or("").to_owned();
                (
                    operation.clone(),
                    item["status"].as_u64().unwrap(),
                    item["_index"].as_str().unwrap().to_owned(),
                    reason,
                )
            })
            .collect();
        let item = |operation: &str, status, index: &str, reason: &str| {
            (operation.to_owned(), status, index.to_owned(), reason.to_owned())
        };
        assert_eq!(
            summary,
            [
                item("index", 201, "a", ""),
                item("create", 201, "fallback", ""),
                item("index", 400, "a", "the document is not a JSON object"),
                item("index", 400, "a", "the document is not valid JSON (at byte 11)"),
                item("update", 400, "a", "update is not supported: the store is append-only; use index or create"),
                item("delete", 400, "b \"q\"", "delete is not supported: the store is append-only"),
                item("create", 201, "a", ""),
            ]
        );
        let id = reply["items"][0]["index"]["_id"].as_str().unwrap().to_owned();
        assert!(id.ends_with(&format!("-{before}")), "the event's id: {id}");
    }
    assert_eq!(
        folder.texts(BULK)[..3],
        [r#"{"message":"one",  "n": 1.0}"#, r#"{"message":"two"}"#, r#"{"message":"last, without LF"}"#]
    );
    folder.until("refusals are counted", |folder| folder.refused(BULK, Reason::Malformed) == 8).await;

    let good = post(address, b"{\"index\":{}}\n{\"a\":1}\n").await.json();
    assert_eq!((&good["errors"], &good["items"][0]["index"]["status"]), (&json!(false), &json!(201)));
}

#[tokio::test]
async fn requests_that_cannot_be_read() {
    let folder = Folder::new();
    let limits = Limits { body_bytes: 100_000, document_bytes: 1000, documents: 50, ..Limits::default() };
    let address = serve(&folder, http::Options { limits, ..http::Options::default() }).await;
    let action = b"{\"index\":{}}\n";
    let many = [&action[..], b"{\"a\":1}\n"].concat().repeat(51);
    let cases: &[(&str, Vec<u8>, u16, &str)] = &[
        ("nothing", b"\n".to_vec(), 400, "request body is required"),
        ("no action", b"{\"message\":\"x\"}\n{\"a\":1}\n".to_vec(), 400, "line 1: malformed action/metadata line"),
        ("not JSON", b"{\"index\":{}}\n{\"a\":1}\nnonsense\n".to_vec(), 400, "line 3: malformed action/metadata line"),
        ("too large", vec![b'x'; 100_001], 413, "the body is larger than 100000 bytes"),
        ("too many", many, 413, "more than 50 documents in one request"),
    ];
    for (name, body, status, reason) in cases {
        let answer = post(address, body).await;
        assert_eq!(answer.status, *status, "{name}");
        let said = answer.json()["error"]["reason"].as_str().unwrap().to_owned();
        assert!(said.starts_with(reason), "{name}: {said}");
    }
    assert_eq!(folder.stored(BULK), 0, "a small request is refused as a whole");
    let long = [&action[..], b"{\"a\":\"", &[b'x'; 2000], b"\"}\n", action, b"{\"b\":1}\n", action].concat();
    let reply = post(address, &long).await.json();
    let statuses: Vec<u64> =
        reply["items"].as_array().unwrap().iter().map(|item| item["index"]["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [413, 201, 400]);
    assert_eq!(folder.texts(BULK), ["{\"b\":1}"]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    let body: String = (0..3000).map(|number| format!("{{\"index\":{{}}}}\n{{\"n\":{number}}}\n")).collect();
    let body = body.as_bytes();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(body).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    raw.write_all(body).unwrap();
    let two_members = [gzip(&body[..1000]), gzip(&body[1000..])].concat();
    let cases = [
        ("gzip", gzip(body)),
        ("gzip", two_members),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd::encode_all(body, 3).unwrap()),
        ("identity", body.to_vec()),
    ];
    for (number, (encoding, compressed)) in cases.iter().enumerate() {
        let answer = request(address, "POST", "/_bulk", &[("Content-Encoding", encoding)], compressed).await;
        let reply = answer.json();
        assert_eq!((answer.status, &reply["errors"]), (200, &json!(false)), "{encoding}");
        assert_eq!(reply["items"].as_array().unwrap().len(), 3000);
        assert_eq!(folder.stored(BULK), 3000 * (number as u64 + 1));
    }
    let cut = &cases[0].1[..cases[0].1.len() / 2];
    for (encoding, body, status) in
        [("gzip", cut, 400), ("gzip", &b"not gzip"[..], 400), ("zstd", &b"not zstd"[..], 400), ("br", body, 415)]
    {
        let answer = request(address, "POST", "/_bulk", &[("Content-Encoding", encoding)], body).await;
        assert_eq!(answer.status, status, "{encoding}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
async fn a_bomb_is_refused_within_bounds() {
    let folder = Folder::new();
    let limits = Limits { body_bytes: 10 << 20, ..Limits::default() };
    let address = serve(&folder, http::Options { limits, ..http::Options::default() }).await;
    let zeros = vec![b'0'; 64 << 20];
    for (encoding, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(zeros.as_slice(), 1).unwrap())] {
        let began = std::time::Instant::now();
        let answer = request(address, "POST", "/_bulk", &[("Content-Encoding", encoding)], &bomb).await;
        // The first "line" is over the limit before the body is.
        assert!([400, 413].contains(&answer.status), "{encoding}: {}", answer.status);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    let mut lines = b"{\"index\":{}}\n{\"a\":1}\n".to_vec();
    lines.resize(64 << 20, b'\n');
    let answer = request(address, "POST", "/_bulk", &[("Content-Encoding", "gzip")], &gzip(&lines)).await;
    assert_eq!(answer.status, 413);
    assert_eq!(folder.stored(BULK), 0);
}

#[tokio::test]
async fn a_document_of_a_million_fields_is_stored_as_it_is() {
    let folder = Folder::with(spool::Options { max_record_bytes: 64 << 20, ..spool::Options::default() });
    let limits = Limits { document_bytes: 32 << 20, ..Limits::default() };
    let address = serve(&folder, http::Options { limits, ..http::Options::default() }).await;
    let fields: Vec<String> = (0..1_000_000).map(|number| format!("\"f{number}\":1")).collect();
    let document = format!("{{{}}}", fields.join(","));
    let answer = post(address, format!("{{\"index\":{{}}}}\n{document}\n").as_bytes()).await;
    assert_eq!(answer.json()["items"][0]["index"]["status"], json!(201));
    assert_eq!(folder.records()[BULK][0], document.as_bytes());
}

#[tokio::test]
async fn a_full_spool_answers_429_per_item() {
    let folder = Folder::with(spool::Options { max_spool_bytes: 1, ..spool::Options::default() });
    let address = serve(&folder, http::Options::default()).await;
    let body = b"{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\nnonsense\n";
    let mut refused = 0;
    for _ in 0..3 {
        let reply = post(address, body).await.json();
        let items = reply["items"].as_array().unwrap();
        assert_eq!(items[1]["index"]["status"], json!(400));
        if items[0]["index"]["status"] == json!(429) {
            assert_eq!(items[0]["index"]["error"]["type"], json!("es_rejected_execution_exception"));
            refused += 1;
        }
    }
    assert!(refused >= 2, "{refused}");
    folder.until("counted", |folder| folder.losses(BULK).received() == 6).await;
    assert_eq!(folder.refused(BULK, Reason::Busy), refused);
}

#[tokio::test]
async fn single_documents() {
    let folder = Folder::new();
    let address = serve(&folder, http::Options::default()).await;
    for (method, path) in
        [("POST", "/logs/_doc"), ("PUT", "/logs/_doc/7"), ("PUT", "/logs/_create/8"), ("POST", "/logs/_create/8")]
    {
        let answer = request(address, method, path, &[], b"\n{\"a\":\n 1}\n").await;
        assert_eq!((answer.status, &answer.json()["result"]), (201, &json!("created")), "{path}");
    }
    assert_eq!(folder.texts(BULK), ["{\"a\":\n 1}"; 4]);
    let bad = request(address, "POST", "/logs/_doc", &[], b"{\"a\":").await;
    assert_eq!((bad.status, &bad.json()["status"]), (400, &json!(400)));
}

#[tokio::test]
async fn tokens_are_asked_for_where_configured() {
    let folder = Folder::new();
    let authorize = |headers: &axum::http::HeaderMap, _: Option<SocketAddr>| {
        http::presented_token(headers).is_some_and(|token| token == "s3cret")
    };
    let options = http::Options { authorize: Some(std::sync::Arc::new(authorize)), ..http::Options::default() };
    let address = serve(&folder, options).await;
    let body = b"{\"index\":{}}\n{\"a\":1}\n";
    assert_eq!(post(address, body).await.status, 401);
    assert_eq!(request(address, "GET", "/", &[("Authorization", "Bearer wrong")], b"").await.status, 401);
    let answer = request(address, "POST", "/_bulk", &[("Authorization", "Basic eDpzM2NyZXQ=")], body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(folder.stored(BULK), 1);
}

#[tokio::test]
async fn slow_and_broken_clients_are_bounded() {
    let folder = Folder::new();
    let limits =
        Limits { message_time: Duration::from_millis(300), body_time: Duration::from_millis(900), ..Limits::default() };
    let options = http::Options { limits, ..http::Options::default() };
    let address = serve(&folder, options.clone()).await;
    // A head that never ends.
    let mut head = TcpStream::connect(address).await.unwrap();
    head.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut sink = Vec::new();
    tokio::time::timeout(Duration::from_secs(2), head.read_to_end(&mut sink)).await.unwrap().ok();
    // A body that trickles.
    let mut body = TcpStream::connect(address).await.unwrap();
    body.write_all(b"POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{")
        .await
        .unwrap();
    let answer = async {
        let (mut read, mut write) = body.split();
        let mut raw = Vec::new();
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if write.write_all(b" ").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = trickle => {}
            _ = read.read_to_end(&mut raw) => {}
        }
        raw
    };
    let raw = tokio::time::timeout(Duration::from_secs(2), answer).await.unwrap();
    assert!(raw.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&raw));
    // A client that goes away in the middle of a document.
    let mut gone = TcpStream::connect(address).await.unwrap();
    gone.write_all(b"POST /_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\n{\"b").await.unwrap();
    drop(gone);
    folder.until("the half request is counted", |folder| folder.refused(BULK, Reason::Truncated) == 1).await;
    assert_eq!(folder.stored(BULK), 0);
}
