//! A notifier in a folder, an HTTP server that says what the test tells it, and what is around them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Child,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use vedette_alert::AlertId;
use vedette_event::{Entity, Level, RuleRef, Time};
use vedette_notify::{Config, Happened, Notice, Notifier, Subject};

/// How long anything may take before it has failed. A limit, not a wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn config(text: &str) -> Config {
    serde_norway::from_str(text).unwrap()
}

pub fn notice(alert: i64, what: Happened) -> Notice {
    let entity = Entity { kind: "ip".into(), value: "192.0.2.7".into() };
    let time = Time::from_secs(1_795_238_000 + alert);
    Notice {
        what,
        time,
        subject: Subject::Alert(AlertId(alert)),
        revision: 1,
        opened: time,
        rule: RuleRef {
            id: "ssh-brute-force".into(),
            title: "SSH brute force".into(),
            level: Level::High,
            author: None,
            techniques: vec!["T1110".into()],
            tactics: vec![],
        },
        rules: vec![],
        entity: entity.clone(),
        entities: vec![entity],
        sources: vec![],
        count: 5,
        first: time,
        last: time,
        who: None,
        assignee: None,
        note: None,
        verdict: None,
        merged_into: None,
    }
}

pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time::from_micros(since.as_micros() as i64)
}

/// Waits until it is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A notifier that runs.
pub struct Running {
    pub notifier: Notifier,
    pub folder: TempDir,
    shutdown: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(text: &str) -> Running {
        Running::start_in(tempfile::tempdir().unwrap(), text)
    }

    pub fn start_in(folder: TempDir, text: &str) -> Running {
        let notifier = Notifier::open(&folder.path().join("notify.db"), config(text)).unwrap();
        let shutdown = CancellationToken::new();
        let task = Some(tokio::spawn(notifier.clone().run(shutdown.clone())));
        Running { notifier, folder, shutdown, task }
    }

    pub fn offer(&self, notice: &Notice) {
        assert!(self.notifier.offer(notice, now()).unwrap(), "it was offered before");
    }

    pub async fn stop(mut self) -> TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task.take().unwrap()).await.unwrap().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    pub fn total(&self) -> vedette_notify::Counts {
        let total = self.notifier.status().unwrap().total;
        assert!(total.is_whole(), "{total:?}");
        total
    }

    /// Waits until nothing waits.
    pub async fn settled(&self) -> vedette_notify::Counts {
        until("the queue is empty", || self.total().queued == 0).await;
        self.total()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A request that the server got.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Say {
    Status(u16, &'static str),
    With(u16, &'static str, &'static str),
    /// Says nothing for ever.
    Nothing,
    /// Closes the connection in the middle.
    Cut,
    /// Says more than anybody wants to read.
    Flood,
}

/// An HTTP server on loopback. It answers as it is told, and then 200.
#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Server {
    pub async fn start(says: impl IntoIterator<Item = Say>) -> Server {
        Server::start_with(says, None).await
    }

    pub async fn start_tls(tls: tokio_rustls::TlsAcceptor) -> Server {
        Server::start_with([], Some(tls)).await
    }

    async fn start_with(says: impl IntoIterator<Item = Say>, tls: Option<tokio_rustls::TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let says: Arc<Mutex<VecDeque<Say>>> = Arc::new(Mutex::new(says.into_iter().collect()));
        let got = Arc::new(Mutex::new(Vec::new()));
        let server = Server { address, got: got.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (says, got, tls) = (says.clone(), got.clone(), tls.clone());
                let service = service_fn(move |request| answer(request, says.clone(), got.clone()));
                tokio::spawn(async move {
                    // What goes wrong with a connection is what the test is about.
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                            }
                        }
                        None => {
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                        }
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Got> {
        until(&format!("{count} requests"), || self.got().len() >= count).await;
        self.got()
    }
}

type Answer = Result<Response<http_body_util::combinators::BoxBody<Bytes, std::io::Error>>, std::io::Error>;

async fn answer(request: Request<Incoming>, says: Arc<Mutex<VecDeque<Say>>>, got: Arc<Mutex<Vec<Got>>>) -> Answer {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
    got.lock().unwrap().push(Got { path: head.uri.to_string(), headers: head.headers, body, at: Instant::now() });
    let full = |text: &'static str| Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {}).boxed();
    let say = says.lock().unwrap().pop_front().unwrap_or(Say::Status(200, "ok"));
    let response = Response::builder();
    match say {
        Say::Status(status, text) => Ok(response.status(status).body(full(text)).unwrap()),
        Say::With(status, header, text) => {
            let (name, value) = header.split_once(": ").unwrap();
            Ok(response.status(status).header(name, value).body(full(text)).unwrap())
        }
        Say::Nothing => std::future::pending().await,
        Say::Cut => Err(std::io::Error::other("cut")),
        Say::Flood => {
            let body = http_body_util::StreamBody::new(Flood(50_000));
            Ok(response.status(200).body(body.boxed()).unwrap())
        }
    }
}

/// 800 MB of the letter x.
struct Flood(u32);

impl futures::Stream for Flood {
    type Item = Result<hyper::body::Frame<Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0 = self.0.saturating_sub(1);
        let frame = (self.0 > 0).then(|| Ok(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 16 << 10]))));
        std::task::Poll::Ready(frame)
    }
}

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The tests' Python, with what tests/requirements.txt names.
pub fn python() -> std::process::Command {
    let python = root().join("target/test-venv/bin/python");
    assert!(python.exists(), "there is no {}: `scripts/needs test` makes it", python.display());
    std::process::Command::new(python)
}

/// A program that ends with the test.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A certificate for `localhost` and its own authority.
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub der: rustls_pki_types::CertificateDer<'static>,
    pub key_der: rustls_pki_types::PrivateKeyDer<'static>,
}

pub fn certificate(folder: &Path) -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let key_der = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    Certificate { cert, key, der: made.cert.der().clone(), key_der }
}

impl Certificate {
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], self.key_der.clone_key())
            .unwrap();
        Arc::new(config).into()
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
