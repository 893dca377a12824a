//! Hostile senders, many at a time and each from an address of its own, while a well-behaved one delivers.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufReader, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::{Value, json};

use crate::{
    acknowledging::{Account, Sender, StopOnDrop, assert_all_once},
    harness::{OTHERS, PATIENCE, RECEIVERS, Running, folder, read_answer, wait_until},
};

const MIB: usize = 1 << 20;
/// What the process may ever have in memory: twice what a dev build was seen to take here. Without bounds on lines,
/// bodies and requests at a time it would be far more: what is sent here decompresses to a gigabyte.
const MOST_MEMORY: u64 = 512 << 20;
/// Slow connections to each listener that is attacked so.
const SLOW: usize = 300;

/// The n-th attacker's address.
fn attacker(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, n)
}

fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddrV4::new(from, 0)).expect("every address 127.x is our own");
    connect(&socket, &to).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream
}

/// Sends a request; its status, if one came before the connection was closed.
fn request(from: Ipv4Addr, to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Option<u16> {
    let mut stream = connect_from(from, to);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: v\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    // It may have answered, and closed, before it read all.
    stream.write_all(head.as_bytes()).ok();
    stream.write_all(body).ok();
    read_answer(&mut BufReader::new(stream)).ok().map(|(status, _)| status)
}

fn gzip(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    parts.into_iter().for_each(|part| encoder.write_all(&part).expect("a vector takes every write"));
    encoder.finish().expect("a vector takes every write")
}

/// `{"f0":0,"f1":0,…}`
fn many_fields(count: usize) -> String {
    let fields: Vec<String> = (0..count).map(|n| format!("\"f{n}\":0")).collect();
    format!("{{{}}}", fields.join(","))
}

fn bulk(document: &str) -> Vec<u8> {
    format!("{{\"create\":{{}}}}\n{document}\n").into_bytes()
}

/// Connections that each begin something and then send a byte now and then until told to stop.
fn trickle(mut streams: Vec<TcpStream>, byte: u8, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // Those that were refused are closed already.
        streams.iter_mut().for_each(|stream| drop(stream.write_all(&[byte])));
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// `count` connections from addresses `first`, `first + 1`, … of 100 each, that have said `beginning`.
fn slow(count: usize, first: u8, to: SocketAddr, beginning: &[u8]) -> Vec<TcpStream> {
    let open = |n: usize| {
        let mut stream = connect_from(attacker(first + (n / 100) as u8), to);
        stream.write_all(beginning).expect("it was accepted");
        stream
    };
    (0..count).map(open).collect()
}

fn tls_receiver(folder: &Path) -> String {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, private) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, key.cert.pem()).expect("writable");
    fs::write(&private, key.signing_key.serialize_pem()).expect("writable");
    let tls = format!(
        "    - {{transport: tls, listen: \"127.0.0.1:0\", certificate: {}, key: {}}}\n  http:",
        certificate.display(),
        private.display()
    );
    RECEIVERS.replace("  http:", &tls)
}

fn most_memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn hostile_senders_harm_nobody() {
    let folder = folder();
    let running = Running::start(folder.path(), &tls_receiver(folder.path()));
    let (tcp, http) = (running.address("syslog-tcp"), running.address("http"));
    let console: SocketAddr = {
        let line = running.lines.iter().find_map(|line| line.strip_prefix("console https://")).expect("a console");
        line.trim_end_matches('/').parse().expect("an address")
    };
    let (stop, account) = (AtomicBool::new(false), Mutex::new(Account::default()));
    let acknowledged = || account.lock().expect("nobody panics").acknowledged.len();
    // What each source's account must say: stored, refused and shed by reason.
    let mut wanted: BTreeMap<String, (u64, Value, Value)> = BTreeMap::new();
    let mut want = |name: &str, stored: u64, refused: Value, shed: Value| {
        wanted.insert(name.to_owned(), (stored, refused, shed));
    };
    std::thread::scope(|scope| {
        let guard = StopOnDrop(&stop);
        // Slow heads and slow bodies. Each of the latter holds a whole document that will never be handed over.
        let head = "POST /_bulk HTTP/1.1\r\nhost: v\r\nx-slow: ";
        let body = "POST /_bulk HTTP/1.1\r\nhost: v\r\ncontent-length: 1000000\r\n\r\n{\"create\":{}}\n{\"slow\":1}\n{\"create\":{}}\n{\"slow\":\"";
        let heads = slow(SLOW / 2, 10, http, head.as_bytes());
        let bodies = slow(SLOW / 2, 20, http, body.as_bytes());
        // Lines without an end, and frames that are never filled.
        let lines = slow(SLOW / 2, 30, tcp, b"<13>a line without end");
        let frames = slow(SLOW / 2, 40, tcp, b"100000 <13>a frame without end");
        // A record header of a ClientHello, and no hello.
        let hellos = slow(100, 50, running.address("syslog-tls"), &[22, 3, 1, 1, 0, 1]);
        let console_hellos = slow(100, 60, console, &[22, 3, 1, 1, 0, 1]);
        // More than one address may have.
        let crowd = slow(100, 70, http, b"GET");
        let crowd: Vec<_> = crowd.into_iter().chain(slow(100, 70, http, b"GET")).collect();
        for (streams, byte) in [
            (heads, b'x'),
            (bodies, b'x'),
            (lines, b'x'),
            (frames, b'x'),
            (hellos, 0),
            (console_hellos, 0),
            (crowd, b'x'),
        ] {
            let stop = &stop;
            scope.spawn(move || trickle(streams, byte, stop));
        }

        // The well-behaved client, all the while.
        let (stop, account) = (&stop, &account);
        scope.spawn(move || {
            let mut sender = Sender::connect(http).expect("it listens");
            for request in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let names = (0..50).map(|n| format!("good-{request}-{n}")).collect();
                sender.send(names, account).expect("an answer");
                std::thread::sleep(Duration::from_millis(50));
            }
        });

        // Lines of 10 MB, each between two good ones.
        let attacks = [
            scope.spawn(move || {
                let mut stream = connect_from(attacker(1), tcp);
                let long = vec![b'x'; 10 * MIB];
                for n in 0..5 {
                    writeln!(stream, "<13>before {n}").expect("it reads");
                    stream.write_all(&long).expect("it reads");
                    writeln!(stream).expect("it reads");
                }
                writeln!(stream, "<13>after").expect("it reads");
            }),
            // A million fields (too long for a document), and as many as fit.
            scope.spawn(move || {
                let (million, fitting) = (many_fields(1_000_000), many_fields(90_000));
                for _ in 0..3 {
                    assert_eq!(request(attacker(3), http, "/_bulk", "", &bulk(&million)), Some(200));
                    assert_eq!(request(attacker(3), http, "/_bulk", "", &bulk(&fitting)), Some(200));
                    assert_eq!(request(attacker(3), http, "/ingest", "", million.as_bytes()), Some(413));
                    assert_eq!(request(attacker(3), http, "/ingest", "", fitting.as_bytes()), Some(200));
                }
            }),
            // 128 MiB in some 100 kB: in one gzip member, in many, and as empty lines.
            scope.spawn(move || {
                let zip = "content-encoding: gzip\r\n";
                let start =
                    || bulk("{\"bomb\":1}").into_iter().chain(*b"{\"create\":{}}\n{\"bomb\":\"").collect::<Vec<u8>>();
                let filling = || (0..128).map(|_| vec![b'x'; MIB]);
                let one = gzip(std::iter::once(start()).chain(filling()));
                let members: Vec<u8> =
                    gzip([start()]).into_iter().chain(filling().flat_map(|part| gzip([part]))).collect();
                let empty = "content-type: text/plain\r\ncontent-encoding: gzip\r\n";
                let lines = gzip((0..128).map(|_| vec![b'\n'; MIB]));
                for _ in 0..2 {
                    assert_eq!(request(attacker(4), http, "/_bulk", zip, &one), Some(413));
                    assert_eq!(request(attacker(4), http, "/_bulk", zip, &members), Some(413));
                    assert_eq!(request(attacker(4), http, "/ingest", empty, &lines), Some(413));
                }
            }),
            // Deep nesting: as deep as a document is long.
            scope.spawn(move || {
                let depth = 100_000;
                let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
                let arrays = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
                let open = format!("{{\"a\":{}", "[".repeat(depth));
                for document in [&objects, &arrays, &open] {
                    assert_eq!(request(attacker(5), http, "/_bulk", "", &bulk(document)), Some(200));
                    let json = "content-type: application/json\r\n";
                    let status = request(attacker(5), http, "/ingest", json, document.as_bytes());
                    assert_eq!(status, Some(if document == &open { 400 } else { 200 }));
                }
            }),
        ];
        // Datagrams, at a pace that the kernel's buffer bears.
        let udp = UdpSocket::bind((attacker(2), 0)).expect("every address 127.x is our own");
        let largest = vec![b'x'; 65_507];
        for n in 0..100 {
            for datagram in [&b"<13>\xff\xfe\xc0\x80 is not UTF-8"[..], b"<13>\0NULs\0inside\0", &largest, b"\0\0\0"] {
                udp.send_to(datagram, running.address("syslog-udp")).expect("loopback takes it");
            }
            if n % 10 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        for attack in attacks {
            attack.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
        let before = acknowledged();
        wait_until("the well-behaved client goes on", || acknowledged() > before + 1000);
        drop(guard);
    });
    let account = account.into_inner().expect("nobody panics");
    assert_eq!(account.refused, [].into(), "the well-behaved client was refused nothing");
    running.wait_for_at_least(&format!("good-* {OTHERS}"), account.acknowledged.len() as u64);
    assert_all_once(&running.data(), "good-*", &account.acknowledged);

    want("bulk:127.0.0.1", account.acknowledged.len() as u64, json!({}), json!({}));
    want("syslog-tcp:127.0.1.1", 6, json!({"too_large": 5}), json!({}));
    want("syslog-udp:127.0.1.2", 300, json!({}), json!({}));
    want("bulk:127.0.1.3", 3, json!({"too_large": 3}), json!({}));
    want("http:127.0.1.3", 3, json!({"too_large": 3}), json!({}));
    want("bulk:127.0.1.4", 0, json!({"truncated": 4, "too_large": 4}), json!({}));
    want("bulk:127.0.1.5", 2, json!({"malformed": 1}), json!({}));
    want("http:127.0.1.5", 2, json!({"malformed": 1}), json!({}));
    for n in [30, 31] {
        want(&format!("syslog-tcp:127.0.1.{n}"), if n % 10 == 0 { 100 } else { 50 }, json!({}), json!({}));
    }
    for n in [40, 41] {
        want(
            &format!("syslog-tcp:127.0.1.{n}"),
            0,
            json!({}),
            json!({"truncated": if n % 10 == 0 { 100 } else { 50 }}),
        );
    }
    // Of the slow bodies only as many were read as one address may have; the others were answered at once.
    for n in [20, 21] {
        want(&format!("bulk:127.0.1.{n}"), 0, json!({"truncated": 16}), json!({}));
    }
    let sources = || -> BTreeMap<String, Value> {
        let (_, answer) = running.api("GET", "/api/v1/sources", "");
        let sources = answer["sources"].as_array().expect("sources").clone();
        sources.into_iter().map(|source| (source["name"].as_str().expect("text").to_owned(), source)).collect()
    };
    let sum = |counts: &Value| -> u64 {
        counts.as_object().expect("an object").values().map(|count| count.as_u64().expect("a number")).sum()
    };
    let all = |wanted: &(u64, Value, Value)| wanted.0 + sum(&wanted.1) + sum(&wanted.2);
    let is_there =
        |name: &String, wanted| sources().get(name).is_some_and(|it| it["received"].as_u64() >= Some(all(wanted)));
    for (name, wanted) in &wanted {
        wait_until(&format!("the account of {name} is complete: {wanted:?}, {:?}", sources().get(name)), || {
            is_there(name, wanted)
        });
    }
    let sources = sources();
    for (name, source) in &sources {
        let received = source["received"].as_u64().expect("a number");
        let stored = source["stored"].as_u64().expect("a number");
        assert_eq!(received, stored + sum(&source["refused"]) + sum(&source["shed"]), "{source}");
        match wanted.get(name) {
            Some((stored, refused, shed)) => {
                assert_eq!(
                    (&source["stored"], &source["refused"], &source["shed"]),
                    (&json!(stored), refused, shed),
                    "{name}"
                );
            }
            None => {
                assert!(stored == 0 && received == 0 || name.starts_with("vedette:"), "not accounted for: {source}")
            }
        }
    }
    let memory = most_memory(&running);
    eprintln!("{} good records, {} MB at most", account.acknowledged.len(), memory >> 20);
    assert!(memory < MOST_MEMORY, "{} MB in memory", memory >> 20);
    assert!(running.stop().success());
}
