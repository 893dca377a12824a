//! Real sockets: TLS, plain HTTP, the local socket, slow clients.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use vedette_event::Time;
use vedette_server::listen::{self, Certificate, Limits};

use crate::support::server;

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn tls_with_the_certificate_it_makes() {
    let server = server();
    let now = Time::from_secs(1_790_000_000);
    let dir = server.dir.path().join("tls");
    let certificate = Certificate::own(&dir, &["console.example".into()], now).unwrap();
    for file in ["cert.pem", "key.pem"] {
        assert_eq!(std::fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(certificate.fingerprint().len(), 32 * 3 - 1);
    let again = Certificate::own(&dir, &["console.example".into()], now).unwrap();
    assert_eq!(again.fingerprint(), certificate.fingerprint(), "it is kept");
    let other_name = Certificate::own(&server.dir.path().join("tls2"), &[], now).unwrap();
    assert_ne!(other_name.fingerprint(), certificate.fingerprint());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(listen::tls(
        listener,
        certificate.server_config().unwrap(),
        server.router.clone(),
        Limits::default(),
        stop.clone(),
    ));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate.path()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(client));
    for name in ["localhost", "127.0.0.1", "::1", "console.example"] {
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = connector.connect(ServerName::try_from(name).unwrap(), stream).await.unwrap();
        let answer = ask(stream, &get("/api/v1/health")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    }
    let stream = TcpStream::connect(address).await.unwrap();
    assert!(connector.connect(ServerName::try_from("evil.example").unwrap(), stream).await.is_err());
    let answer = ask_quietly(TcpStream::connect(address).await.unwrap(), &get("/plain")).await;
    assert!(!answer.contains("HTTP/1.1 200"), "plain HTTP is not answered here");

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
}

async fn ask_quietly(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The other side may close with a reset.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_certificate_is_made_anew_in_time_and_a_given_one_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let now = Time::from_secs(1_790_000_000);
    let days = |days: i64| now.plus_micros(days * 86_400_000_000);
    let first = Certificate::own(dir.path(), &[], now).unwrap();
    assert_eq!(Certificate::own(dir.path(), &[], days(789)).unwrap().fingerprint(), first.fingerprint());
    assert_ne!(Certificate::own(dir.path(), &[], days(791)).unwrap().fingerprint(), first.fingerprint());
    let current = Certificate::own(dir.path(), &[], days(791)).unwrap();
    assert_ne!(
        Certificate::own(dir.path(), &["new.name".into()], days(791)).unwrap().fingerprint(),
        current.fingerprint()
    );
    let given = Certificate::load(&dir.path().join("cert.pem"), &dir.path().join("key.pem")).unwrap();
    assert_eq!(given.path(), dir.path().join("cert.pem"));

    let wrong = Certificate::load(&dir.path().join("key.pem"), &dir.path().join("key.pem")).unwrap_err();
    assert!(wrong.to_string().contains("key.pem: holds no certificate"), "{wrong}");
    let missing = Certificate::load(&dir.path().join("none.pem"), &dir.path().join("key.pem")).unwrap_err();
    assert!(missing.to_string().contains("none.pem"), "{missing}");
}

#[tokio::test]
async fn plain_http_on_loopback_only() {
    let server = server();
    let stop = CancellationToken::new();
    let wide = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = listen::plain(wide, server.router.clone(), Limits::default(), stop.clone()).await.unwrap_err();
    assert!(error.to_string().contains("loopback only"), "{error}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(listen::plain(listener, server.router.clone(), Limits::default(), stop.clone()));
    let answer = ask(TcpStream::connect(address).await.unwrap(), &get("/plain/login")).await;
    assert!(answer.contains("Log in"), "{answer}");
    let denied = ask(TcpStream::connect(address).await.unwrap(), &get("/api/v1/alerts")).await;
    assert!(denied.starts_with("HTTP/1.1 401"), "{denied}");
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100 << 10));
    let refused = ask_quietly(TcpStream::connect(address).await.unwrap(), &huge).await;
    assert!(!refused.contains("200 OK"), "{refused}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn slow_clients_are_left_and_crowds_are_limited() {
    let server = server();
    let limits = Limits {
        head: Duration::from_millis(300),
        connections_per_address: 3,
        handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(listen::plain(listener, server.router.clone(), limits, stop.clone()));

    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let crowded = ask_quietly(TcpStream::connect(address).await.unwrap(), &get("/api/v1/health")).await;
    assert_eq!(crowded, "", "the fourth is not answered");
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a head that does not come ends the connection");
        assert!(!String::from_utf8_lossy(&rest).contains("200"), "{rest:?}");
    }
    let answer = ask(TcpStream::connect(address).await.unwrap(), &get("/api/v1/health")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stop.cancel();
    serving.await.unwrap().unwrap();

    // A client that never begins the handshake.
    let stop = CancellationToken::new();
    let certificate = Certificate::own(&server.dir.path().join("tls"), &[], Time::from_secs(1_790_000_000)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(listen::tls(
        listener,
        certificate.server_config().unwrap(),
        server.router.clone(),
        limits,
        stop.clone(),
    ));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn the_local_socket_is_for_who_may_open_it() {
    let server = server();
    let path = server.dir.path().join(listen::SOCKET);
    std::fs::write(&path, "left by a server that died").unwrap();
    let stop = CancellationToken::new();
    let serving = {
        let (path, router, stop) = (path.clone(), server.router.clone(), stop.clone());
        tokio::spawn(listen::unix(&path, router, Limits::default(), stop).unwrap())
    };
    let stream = UnixStream::connect(&path).await.expect("it listens at once");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let me = ask(stream, &get("/api/v1/session")).await;
    let uid = rustix::process::getuid().as_raw();
    assert!(me.contains(&format!("\"name\":\"local:{uid}\"")) && me.contains("\"admin\""), "{me}");

    server.finding("rule", "192.0.2.9", 1);
    let post =
        "POST /api/v1/alerts/1/acknowledge HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let answer = ask(UnixStream::connect(&path).await.unwrap(), post).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.journal.lines(), [format!("local:{uid} alert.acknowledge 1")]);
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert!(!path.exists());
}
