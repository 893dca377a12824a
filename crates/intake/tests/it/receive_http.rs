//! What the HTTP receivers have in common: how clients end their connections.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::http;

use crate::support::{Folder, loopback, parse_answer};

const GELF: &str = "gelf-http:127.0.0.1";

async fn serve(folder: &Folder) -> SocketAddr {
    let options = http::Options::default();
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
