//! A spool to receive into, and plain clients to send with.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use vedette_event::{Losses, Reason};
use vedette_spool::{Options, Position, Spool};

pub struct Folder {
    dir: TempDir,
    pub spool: Spool,
}

impl Folder {
    pub fn new() -> Folder {
        Folder::with(Options::default())
    }

    pub fn with(options: Options) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("spool"), Options { min_free_bytes: 0, ..options }).unwrap();
        Folder { dir, spool }
    }

    /// Closes the spool and opens it again, as after a restart.
    pub fn reopened(self) -> Folder {
        let Folder { dir, spool } = self;
        spool.close();
        let spool =
            Spool::open(&dir.path().join("spool"), Options { min_free_bytes: 0, ..Options::default() }).unwrap();
        Folder { dir, spool }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything stored so far, by source, in order.
    pub fn records(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut reader = self.spool.reader(Position::START);
        let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        while let Some(frame) = reader.next(Duration::from_millis(20)).unwrap() {
            for record in frame.records {
                let of_source = found.entry(record.source.name.to_string()).or_default();
                assert_eq!(record.seq, of_source.len() as u64, "sequence numbers have no gaps");
                of_source.push(record.raw.to_vec());
            }
        }
        found
    }

    pub fn texts(&self, source: &str) -> Vec<String> {
        let records = self.records().remove(source).unwrap_or_default();
        records.iter().map(|raw| String::from_utf8_lossy(raw).into_owned()).collect()
    }

    pub fn losses(&self, source: &str) -> Losses {
        let ledger = self.spool.ledger();
        ledger.into_iter().find(|(known, _)| &*known.name == source).map(|(_, losses)| losses).unwrap_or_default()
    }

    pub fn stored(&self, source: &str) -> u64 {
        self.losses(source).stored
    }

    pub fn refused(&self, source: &str, reason: Reason) -> u64 {
        self.losses(source).refused.get(&reason).copied().unwrap_or(0)
    }

    pub fn shed(&self, source: &str, reason: Reason) -> u64 {
        self.losses(source).shed.get(&reason).copied().unwrap_or(0)
    }

    /// Waits until the condition holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Folder) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < deadline, "never came: {what}; ledger: {:#?}", self.spool.ledger());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.head, String::from_utf8_lossy(&self.body)))
    }
}

/// One HTTP/1.1 request on a connection of its own.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early closes while we still send.
    let (mut read_half, mut write_half) = stream.split();
    let mut raw = Vec::new();
    let send = async {
        write_half.write_all(body).await.ok();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = send => {}
        _ = read_half.read_to_end(&mut raw) => {}
    }
    parse_answer(&raw)
}

pub fn parse_answer(raw: &[u8]) -> Answer {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP head");
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &raw[end + 4..];
    let body = match head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        true => unchunked(rest),
        false => rest.to_vec(),
    };
    Answer { status, head, body }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

/// A public data set, unpacked; `None` (and one line) where it is absent. See docs/developing.md.
pub fn unpacked(archive: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("VEDETTE_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let from = shared.join(format!("{archive}.tar.xz"));
    if !from.exists() {
        println!("skipped: no {archive} in the data folder");
        return None;
    }
    let folder = archive.split('/').next().unwrap_or(archive);
    let to = root.join("target/data").join(folder);
    if !to.exists() {
        let half = root.join("target/data").join(format!("{folder}.{}-import", std::process::id()));
        std::fs::create_dir_all(&half).unwrap();
        let done = std::process::Command::new("tar").arg("xJf").arg(&from).arg("-C").arg(&half).status().unwrap();
        assert!(done.success(), "tar could not unpack {}", from.display());
        // Another test may have been faster.
        if std::fs::rename(&half, &to).is_err() {
            std::fs::remove_dir_all(&half).unwrap();
        }
    }
    Some(to)
}
