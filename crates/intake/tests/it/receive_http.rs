//! What the HTTP receivers have in common: places for requests, how clients end their connections, and bodies that are cut off.

use std::{io::Write, net::SocketAddr, time::Duration};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::{Limits, http};

use crate::support::{Folder, http as request, loopback, parse_answer};

const GELF: &str = "gelf-http:127.0.0.1";

async fn serve(folder: &Folder) -> SocketAddr {
    serve_with(folder, http::Options::default()).await
}

async fn serve_with(folder: &Folder, options: http::Options) -> SocketAddr {
    let router = http::every_protocol(&folder.spool, &options, Vec::new());
    let receiver = http::bind(loopback(), http::Version::Http1, router, None, options).await.unwrap();
    let address = receiver.address();
    tokio::spawn(receiver.run(CancellationToken::new()));
    address
}

fn gelf(body: &str) -> Vec<u8> {
    format!("POST /gelf HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn a_client_that_says_no_more_is_answered() {
    let folder = Folder::new();
    let address = serve(&folder).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&gelf("{\"message\":\"half closed\"}")).await.unwrap();
    client.shutdown().await.unwrap();
    let mut raw = Vec::new();
    client.read_to_end(&mut raw).await.unwrap();
    assert_eq!(parse_answer(&raw).status, 202);
    assert_eq!(folder.texts(GELF), ["{\"message\":\"half closed\"}"]);
}

#[tokio::test]
async fn a_piece_of_nothing_but_spaces_belongs_to_its_message() {
    let folder = Folder::new();
    let address = serve(&folder).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"POST /gelf HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    for piece in ["  ", "{\"message\":\"two", "  ", "spaces\"}", " ", ""] {
        client.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
    }
    client.shutdown().await.unwrap();
    let mut raw = Vec::new();
    client.read_to_end(&mut raw).await.unwrap();
    assert_eq!(parse_answer(&raw).status, 202);
    assert_eq!(folder.texts(GELF), ["{\"message\":\"two  spaces\"}"]);
}

#[tokio::test]
async fn a_client_that_hangs_up_after_its_request_is_heard() {
    let folder = Folder::new();
    let address = serve(&folder).await;
    // Several, since a lucky one might have been stored before the end of its connection was seen.
    for number in 0..20 {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&gelf(&format!("{{\"n\":{number}}}"))).await.unwrap();
        drop(client);
    }
    folder.until("every request is stored", |folder| folder.stored(GELF) == 20).await;
    assert_eq!(folder.losses(GELF).received(), 20);
}

#[tokio::test]
async fn a_client_that_hangs_up_inside_its_request_is_not_taken_for_one_that_has_ended() {
    let folder = Folder::new();
    let address = serve(&folder).await;
    let whole = gelf("{\"a\":1} {\"b\":2}");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(&whole[..whole.len() - 3]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut raw = Vec::new();
    client.read_to_end(&mut raw).await.unwrap();
    assert_eq!(parse_answer(&raw).status, 400);
    folder.until("the half request is counted", |folder| folder.refused(GELF, Reason::Truncated) == 1).await;
    assert_eq!(folder.stored(GELF), 0);
}

#[tokio::test]
async fn a_client_that_never_reads_is_left_and_harms_nobody() {
    let folder = Folder::new();
    let options = http::Options {
        limits: Limits { message_time: Duration::from_millis(500), ..Limits::default() },
        ..http::Options::default()
    };
    let counters = options.counters.clone();
    let address = serve_with(&folder, options).await;
    // Answers as long as what was sent, and a client that takes none of them.
    let body = "{\"index\":{}}\n{}\n".repeat(2000);
    let bulk = format!("POST /x/_bulk HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(address).await.unwrap();
    let sending = async { while client.write_all(bulk.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), sending).await.expect("its connection ends");
    folder.until("it is counted", |_| counters.snapshot().connections_timed_out == 1).await;
    assert_eq!(request(address, "POST", "/gelf", &[], b"{\"message\":\"another\"}").await.status, 202);
    assert_eq!(folder.texts(GELF), ["{\"message\":\"another\"}"]);
    let stored = folder.stored("bulk:127.0.0.1");
    assert!(stored > 0 && stored.is_multiple_of(2000), "what was stored stays: {stored}");
}

/// Loggers drop what they are told to send later.
#[tokio::test]
async fn whoever_finds_no_place_waits_for_one() {
    let folder = Folder::new();
    let limits = Limits { requests_per_peer: 1, ..Limits::default() };
    let address = serve_with(&folder, http::Options { limits, ..http::Options::default() }).await;
    let requests = (0..30).map(|number| async move {
        request(address, "POST", "/gelf", &[], format!("{{\"n\":{number}}}").as_bytes()).await.status
    });
    assert_eq!(futures::future::join_all(requests).await, [202; 30]);
    assert_eq!(folder.stored(GELF), 30);
    // A client that keeps the only place does not keep it for ever.
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&gelf("{\"a\":1}")[..54]).await.unwrap();
    let waits = tokio::spawn(async move { request(address, "POST", "/gelf", &[], b"{\"b\":2}").await.status });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waits.is_finished());
    drop(slow);
    assert_eq!(waits.await.unwrap(), 202);
}

/// A body under its encoding: whole, and as it stands when the client has flushed all of its text and not ended it.
fn encodings(body: &[u8]) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    macro_rules! encoded {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(body).unwrap();
            encoder.flush().unwrap();
            let flushed = encoder.get_ref().clone();
            (encoder.finish().unwrap(), flushed)
        }};
    }
    let all = [
        ("gzip", encoded!(GzEncoder::new(Vec::new(), Compression::fast()))),
        ("deflate", encoded!(ZlibEncoder::new(Vec::new(), Compression::fast()))),
        ("deflate", encoded!(DeflateEncoder::new(Vec::new(), Compression::fast()))),
        ("gzip,deflate", encoded!(ZlibEncoder::new(Vec::new(), Compression::fast()))),
        ("zstd", encoded!(zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap())),
    ];
    all.map(|(name, (whole, flushed))| (name, whole, flushed)).into()
}

#[tokio::test]
async fn a_compressed_body_that_is_cut_off_is_refused() {
    let json = "application/json";
    let cases = [
        ("/_bulk", "application/x-ndjson", "{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\n{\"a\":2}\n", "bulk"),
        ("/logs/_doc", json, "{\"a\":1}", "bulk"),
        ("/ingest", "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", "http"),
        ("/services/collector", json, "{\"event\":\"a\"}{\"event\":\"b\"}", "hec"),
        ("/services/collector/raw", "text/plain", "one\ntwo\n", "hec"),
        (
            "/v1/logs",
            json,
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#,
            "otlp",
        ),
        ("/loki/api/v1/push", json, r#"{"streams":[{"stream":{"a":"b"},"values":[["1","one"],["2","two"]]}]}"#, "loki"),
        ("/gelf", json, "{\"a\":1}", "gelf-http"),
    ];
    for (path, kind, body, receiver) in cases {
        let source = format!("{receiver}:127.0.0.1");
        for (encoding, whole, flushed) in encodings(body.as_bytes()) {
            let folder = Folder::new();
            let address = serve(&folder).await;
            let headers = [("Content-Type", kind), ("Content-Encoding", encoding)];
            let cuts = (1..whole.len()).map(|end| &whole[..end]).chain([&flushed[..]]);
            for cut in cuts {
                let answer = request(address, "POST", path, &headers, cut).await;
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                assert_eq!(answer.status, 400, "{path} {encoding}, {} of {}: {said}", cut.len(), whole.len());
            }
            assert_eq!(folder.stored(&source), 0, "{path} {encoding}");
            let answer = request(address, "POST", path, &headers, &whole).await;
            assert!((200..300).contains(&answer.status), "{path} {encoding}");
            assert!(folder.stored(&source) > 0, "{path} {encoding}");
        }
    }
}

/// What a request may carry holds for every protocol, also where the query is repeated in each record.
#[tokio::test]
async fn a_request_has_so_many_records_and_bytes_at_most() {
    let json = "application/json";
    let host = format!("/services/collector/raw?host={}", "h".repeat(2000));
    let otlp = |count| {
        let records = vec!["{}"; count].join(",");
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#)
    };
    let loki = |count| {
        let entries = vec![r#"["1","x"]"#; count].join(",");
        format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[{entries}]}}]}}"#)
    };
    for (path, kind, fits, more, receiver) in [
        ("/services/collector/raw", "text/plain", "a\n".repeat(20), "a\n".repeat(21), "hec"),
        (&host, "text/plain", "a\n".repeat(4), "a\n".repeat(6), "hec"),
        ("/gelf", json, "{}".repeat(20), "{}".repeat(21), "gelf-http"),
        ("/v1/logs", json, otlp(20), otlp(21), "otlp"),
        ("/loki/api/v1/push", json, loki(20), loki(21), "loki"),
    ] {
        let folder = Folder::new();
        let limits = Limits { documents: 20, body_bytes: 10_000, ..Limits::default() };
        let address = serve_with(&folder, http::Options { limits, ..http::Options::default() }).await;
        let source = format!("{receiver}:127.0.0.1");
        let headers = [("Content-Type", kind)];
        let answer = request(address, "POST", path, &headers, more.as_bytes()).await;
        assert_eq!(answer.status, 413, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert_eq!(folder.stored(&source), 0, "{path}");
        let answer = request(address, "POST", path, &headers, fits.as_bytes()).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert!(folder.stored(&source) >= 4, "{path}");
    }
}
