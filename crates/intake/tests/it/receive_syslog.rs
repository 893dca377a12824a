//! Syslog over UDP, TCP and TLS on real sockets.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use vedette_event::Reason;
use vedette_intake::receive::{Config, Limits, ReceiveError, datagram, stream, tls::TlsFiles};
use vedette_spool::Options;

use crate::support::{Folder, loopback};

type Running = JoinHandle<Result<(), ReceiveError>>;

const TCP: &str = "syslog-tcp:127.0.0.1";
const UDP: &str = "syslog-udp:127.0.0.1";
const TLS: &str = "syslog-tls:127.0.0.1";

async fn tcp(folder: &Folder, limits: Limits) -> (std::net::SocketAddr, CancellationToken, Running, Config) {
    let config = Config { limits, ..Config::new(loopback()) };
    let receiver = stream::bind(stream::Protocol::Syslog, config.clone(), None, folder.spool.clone()).await.unwrap();
    let (address, shutdown) = (receiver.address(), CancellationToken::new());
    let running = tokio::spawn(receiver.run(shutdown.clone()));
    (address, shutdown, running, config)
}

#[tokio::test]
async fn tcp_frames_become_records() {
    let folder = Folder::new();
    let (address, shutdown, running, _) = tcp(&folder, Limits::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"<13>one\n7 <13>two<13>thr").await.unwrap();
    client.flush().await.unwrap();
    client.write_all(b"ee\r\n<13>bad \xff\xfe utf-8\n\n<13>last without LF").await.unwrap();
    client.shutdown().await.unwrap();
    folder.until("five records", |folder| folder.stored(TCP) == 5).await;
    let expected: [&[u8]; 5] =
        [b"<13>one", b"<13>two", b"<13>three", b"<13>bad \xff\xfe utf-8", b"<13>last without LF"];
    assert_eq!(folder.records()[TCP], expected);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn connection_closed_inside_a_counted_message() {
    let folder = Folder::new();
    let (address, _shutdown, _, _) = tcp(&folder, Limits::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"7 <13>one100 <13>half a message").await.unwrap();
    drop(client);
    folder.until("a truncated message", |folder| folder.shed(TCP, Reason::Truncated) == 1).await;
    assert_eq!(folder.texts(TCP), ["<13>one"]);
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_refused_and_the_next_is_stored() {
    let folder = Folder::new();
    let (address, _shutdown, _, _) = tcp(&folder, Limits::default()).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"<13>before\n").await.unwrap();
    for _ in 0..160 {
        client.write_all(&vec![b'x'; 64 << 10]).await.unwrap();
    }
    client.write_all(b"\n10485764 <13>").await.unwrap();
    for _ in 0..160 {
        client.write_all(&vec![b'y'; 64 << 10]).await.unwrap();
    }
    client.write_all(b"\n<13>after\n").await.unwrap();
    client.shutdown().await.unwrap();
    folder.until("the line after", |folder| folder.stored(TCP) == 2).await;
    assert_eq!(folder.refused(TCP, Reason::TooLarge), 2);
    assert_eq!(folder.texts(TCP), ["<13>before", "<13>after"]);
}

#[tokio::test]
async fn a_slow_sender_is_closed_and_others_are_served() {
    let folder = Folder::new();
    let limits =
        Limits { message_time: Duration::from_millis(300), idle: Duration::from_millis(600), ..Limits::default() };
    let (address, _shutdown, _, config) = tcp(&folder, limits).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let trickle = async {
        for _ in 0..100 {
            if slow.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the slow connection stayed open");
    };
    tokio::time::timeout(Duration::from_secs(2), trickle).await.unwrap();
    let mut nothing = [0; 1];
    let closed = tokio::time::timeout(Duration::from_secs(2), silent.read(&mut nothing)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    let mut quick = TcpStream::connect(address).await.unwrap();
    quick.write_all(b"<13>quick\n").await.unwrap();
    folder.until("the quick one", |folder| folder.texts(TCP).contains(&"<13>quick".to_owned())).await;
    assert_eq!(config.counters.snapshot().connections_timed_out, 2);
}

#[tokio::test]
async fn connections_are_limited() {
    let folder = Folder::new();
    let limits = Limits { connections_per_peer: 2, connections_waiting: 0, ..Limits::default() };
    let (address, _shutdown, _, config) = tcp(&folder, limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"<13>first\n").await.unwrap();
    let _second = TcpStream::connect(address).await.unwrap();
    folder.until("the first", |folder| folder.stored(TCP) == 1).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut nothing = [0; 1];
    let closed = tokio::time::timeout(Duration::from_secs(2), third.read(&mut nothing)).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert_eq!(config.counters.snapshot().connections_refused, 1);
    drop(first);
    folder.until("a free place", |_| true).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut fourth = TcpStream::connect(address).await.unwrap();
    fourth.write_all(b"<13>fourth\n").await.unwrap();
    folder.until("the fourth", |folder| folder.stored(TCP) == 2).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let folder = Folder::new();
    let limits = Limits { connections_per_peer: 1, connections_waiting_per_peer: 2, ..Limits::default() };
    let (address, _shutdown, _, config) = tcp(&folder, limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"<13>first\n").await.unwrap();
    folder.until("the first", |folder| folder.stored(TCP) == 1).await;
    for name in ["second", "third"] {
        let mut waiting = TcpStream::connect(address).await.unwrap();
        // It says what it has to say and goes.
        waiting.write_all(format!("<13>{name}\n").as_bytes()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((folder.stored(TCP), config.counters.snapshot().connections), (1, 1));
    let mut fourth = TcpStream::connect(address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(2), fourth.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert_eq!(config.counters.snapshot().connections_refused, 1);
    drop(first);
    folder.until("those that waited", |folder| folder.stored(TCP) == 3).await;
    assert_eq!(folder.texts(TCP), ["<13>first", "<13>second", "<13>third"]);
}

/// A full spool makes the receiver stop reading; releasing it lets everything through, in order.
#[tokio::test]
async fn a_busy_spool_stops_reading_and_loses_nothing() {
    let folder = Folder::with(Options { max_spool_bytes: 40_000, segment_bytes: 8_000, ..Options::default() });
    let (address, _shutdown, _, config) = tcp(&folder, Limits::default()).await;
    let client = tokio::spawn(async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        for number in 0..400 {
            let noise: String = (0u64..60).map(|at| format!("{:03x}", (number * 7919 + at * 104_729) % 4093)).collect();
            client.write_all(format!("<13>{number:05} {noise}\n").as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        client.shutdown().await.unwrap();
    });
    let mut reader = folder.spool.reader(folder.spool.start());
    let mut found = Vec::new();
    let mut read_to = folder.spool.start();
    folder.until("a wait", |_| config.counters.snapshot().waits > 0).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while found.len() < 400 && std::time::Instant::now() < deadline {
        if let Some(frame) = reader.next(Duration::from_millis(5)).unwrap() {
            found.extend(frame.records.iter().map(|record| String::from_utf8_lossy(&record.raw[4..9]).into_owned()));
            read_to = frame.position_after;
        }
        // Only whole segment files are freed.
        folder.spool.rotate();
        folder.spool.release(read_to).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let expected: Vec<String> = (0..400).map(|number| format!("{number:05}")).collect();
    assert_eq!(found, expected);
    assert_eq!(folder.losses(TCP).received(), 400);
    client.await.unwrap();
}

#[tokio::test]
async fn udp_datagrams_become_records() {
    let folder = Folder::new();
    let config = Config { limits: Limits { line_bytes: 1000, ..Limits::default() }, ..Config::new(loopback()) };
    let receiver = datagram::bind(datagram::Protocol::Syslog, config, folder.spool.clone()).await.unwrap();
    let (address, shutdown) = (receiver.address(), CancellationToken::new());
    let running = tokio::spawn(receiver.run(shutdown.clone()));
    let client = UdpSocket::bind(loopback()).await.unwrap();
    for datagram in [&b"<13>one\n"[..], b"<13>two\r\n\0", b"<13>a\nb", b"\n", b"", b"\xff\xfe", &[b'x'; 2000]] {
        client.send_to(datagram, address).await.unwrap();
    }
    folder.until("four records", |folder| folder.stored(UDP) == 4 && folder.shed(UDP, Reason::TooLarge) == 1).await;
    let expected: [&[u8]; 4] = [b"<13>one", b"<13>two", b"<13>a\nb", b"\xff\xfe"];
    assert_eq!(folder.records()[UDP], expected);
    assert_eq!(folder.shed(UDP, Reason::TooLarge), 1);
    for number in 0..2000 {
        client.send_to(format!("<13>{number}").as_bytes(), address).await.unwrap();
    }
    folder
        .until("the burst is accounted for", |folder| {
            folder.losses(UDP).received() + folder.losses("syslog-udp:other").received() == 2005
        })
        .await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn udp_sheds_and_counts_when_the_spool_is_full() {
    let folder = Folder::with(Options { max_spool_bytes: 1, ..Options::default() });
    let receiver =
        datagram::bind(datagram::Protocol::Syslog, Config::new(loopback()), folder.spool.clone()).await.unwrap();
    let (address, shutdown) = (receiver.address(), CancellationToken::new());
    tokio::spawn(receiver.run(shutdown.clone()));
    let client = UdpSocket::bind(loopback()).await.unwrap();
    for _ in 0..50 {
        client.send_to(b"<13>x", address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    folder.until("fifty are accounted for", |folder| folder.losses(UDP).received() == 50).await;
    assert!(folder.shed(UDP, Reason::Busy) > 0);
}

struct Certificates {
    _dir: tempfile::TempDir,
    files: TlsFiles,
    authority: CertificateDer<'static>,
    client: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

fn certificates() -> Certificates {
    let dir = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        (certificate, key)
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("client.example");
    let files = TlsFiles {
        certificates: dir.path().join("server.pem"),
        key: dir.path().join("server.key"),
        client_authorities: Some(dir.path().join("authority.pem")),
    };
    std::fs::write(&files.certificates, server.pem()).unwrap();
    std::fs::write(&files.key, server_key.serialize_pem()).unwrap();
    std::fs::write(files.client_authorities.as_ref().unwrap(), authority.pem()).unwrap();
    let authority = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(client_key.serialize_der()));
    Certificates { _dir: dir, files, authority, client: (client.der().clone(), key) }
}

fn connector(certificates: &Certificates, shows_certificate: bool) -> tokio_rustls::TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificates.authority.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shows_certificate {
        true => {
            let (certificate, key) = (&certificates.client.0, certificates.client.1.clone_key());
            builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
        }
        false => builder.with_no_client_auth(),
    };
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn tls_with_client_certificates() {
    let folder = Folder::new();
    let certificates = certificates();
    let config = Config::new(loopback());
    let receiver =
        stream::bind(stream::Protocol::Syslog, config.clone(), Some(&certificates.files), folder.spool.clone())
            .await
            .unwrap();
    let (address, shutdown) = (receiver.address(), CancellationToken::new());
    tokio::spawn(receiver.run(shutdown.clone()));
    let name = ServerName::try_from("localhost").unwrap();

    let stream = TcpStream::connect(address).await.unwrap();
    let mut client = connector(&certificates, true).connect(name.clone(), stream).await.unwrap();
    client.write_all(b"12 <13>over TLS<13>and a line\n").await.unwrap();
    client.shutdown().await.unwrap();
    folder.until("two records", |folder| folder.stored(TLS) == 2).await;
    assert_eq!(folder.texts(TLS), ["<13>over TLS", "<13>and a line"]);

    let stream = TcpStream::connect(address).await.unwrap();
    if let Ok(mut stranger) = connector(&certificates, false).connect(name, stream).await {
        // With TLS 1.3 the server's refusal comes after the client thinks it is connected.
        stranger.write_all(b"<13>no certificate\n").await.ok();
        let mut nothing = [0; 1];
        assert!(!matches!(stranger.read(&mut nothing).await, Ok(1)));
    }
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"<13>not TLS at all\n").await.unwrap();
    folder.until("two failed handshakes", |_| config.counters.snapshot().handshakes_failed == 2).await;
    assert_eq!(folder.stored(TLS), 2);
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_said() {
    let folder = Folder::new();
    let taken =
        stream::bind(stream::Protocol::Syslog, Config::new(loopback()), None, folder.spool.clone()).await.unwrap();
    let error = stream::bind(stream::Protocol::Syslog, Config::new(taken.address()), None, folder.spool.clone())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("cannot listen on 127.0.0.1:"), "{error}");
    let files =
        TlsFiles { certificates: "/nonexistent.pem".into(), key: "/nonexistent.key".into(), client_authorities: None };
    let error = stream::bind(stream::Protocol::Syslog, Config::new(loopback()), Some(&files), folder.spool.clone())
        .await
        .err()
        .unwrap();
    assert!(error.to_string().starts_with("/nonexistent.pem: "), "{error}");
}
