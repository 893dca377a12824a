//! Opens every configured receiver, and runs them.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vedette_intake::{
    parse::Parsers,
    receive::{
        ReceiveError,
        files::{self, Multiline, Pattern, Start},
        http, journald,
        syslog::{self, StreamReceiver, UdpReceiver},
        tls::{self, TlsFiles},
    },
};
use vedette_server::Receiver;
use vedette_spool::Spool;

use crate::config::{Receivers, Switch, Syslog, Transport};

/// Log files that a Debian-like machine has. Plain syslog files are followed only where no journal runs,
/// since the journal has the same records.
const LOCAL_FILES: [&str; 5] = [
    "/var/log/audit/audit.log",
    "/var/log/dpkg.log",
    "/var/log/apt/history.log",
    "/var/log/nginx/*.log",
    "/var/log/apache2/*.log",
];
const LOCAL_SYSLOG: [&str; 3] = ["/var/log/auth.log", "/var/log/syslog", "/var/log/kern.log"];

/// An open receiver and what it is called.
enum Open {
    Udp(UdpReceiver),
    Stream(StreamReceiver),
    Http(http::HttpReceiver),
    Files(files::FileReceiver),
    Journal(journald::JournalReceiver),
}

/// Names of parsers that files are to be read with and that do not exist: such files are parsed by their content.
pub fn unknown_parsers<'a>(config: &'a Receivers, parsers: &Parsers) -> Vec<&'a str> {
    let is_known = |name: &str| parsers.names().any(|id| id.rsplit_once('@').is_some_and(|(known, _)| known == name));
    config.files.iter().filter_map(|files| files.parser.as_deref()).filter(|name| !is_known(name)).collect()
}

/// Receivers that are bound but do not run yet.
pub struct OpenReceivers {
    open: Vec<Open>,
    /// What listens where.
    pub listening: Vec<(String, SocketAddr)>,
    /// Of them those that speak TLS.
    pub tls: Vec<SocketAddr>,
    /// What is followed, for people.
    pub following: Vec<String>,
}

/// Binds every configured receiver.
///
/// # Errors
/// An address is taken, a certificate cannot be read, a pattern is wrong.
pub async fn open(
    config: &Receivers,
    dir: &Path,
    spool: &Spool,
    authorize: Arc<dyn http::Authorize>,
    acknowledge: Arc<dyn http::Acknowledge>,
) -> anyhow::Result<OpenReceivers> {
    let mut all = OpenReceivers { open: Vec::new(), listening: Vec::new(), tls: Vec::new(), following: Vec::new() };
    for listener in &config.syslog {
        all.syslog(listener, spool).await.with_context(|| format!("cannot receive syslog on {}", listener.listen))?;
    }
    for listener in &config.http {
        let required = listener.token || !listener.listen.ip().is_loopback();
        let options = http::Options {
            authorize: required.then(|| authorize.clone()),
            acknowledge: Some(acknowledge.clone()),
            elasticsearch_version: listener.elasticsearch_version.clone(),
            ..Default::default()
        };
        let router =
            http::elasticsearch(spool.clone(), options.clone()).merge(http::ndjson(spool.clone(), options.clone()));
        let acceptor = match tls_files(listener.certificate.as_deref(), listener.key.as_deref(), None) {
            Some(files) => Some(tls::acceptor(&files)?),
            None => None,
        };
        let receiver = http::bind(listener.listen, router, acceptor, options)
            .await
            .with_context(|| format!("cannot receive HTTP on {}", listener.listen))?;
        all.listening.push(("http".into(), receiver.address()));
        all.tls.extend(listener.certificate.is_some().then(|| receiver.address()));
        all.open.push(Open::Http(receiver));
    }
    let journal = match config.journald {
        Switch::On => true,
        Switch::Off => false,
        Switch::Auto => match journald::available() {
            Ok(()) => true,
            Err(why) => {
                tracing::info!("no journal is followed: {why}");
                false
            }
        },
    };
    if journal {
        let journal_config = journald::Config::new(dir.join("journald.cursor"));
        all.open.push(Open::Journal(journald::open(journal_config, spool.clone())?));
        all.following.push("the journal".into());
    }
    all.files(config, journal, dir, spool)?;
    Ok(all)
}

impl OpenReceivers {
    /// What listens where, as the settings show it.
    pub fn shown(&self) -> Vec<Receiver> {
        let shown = |(kind, address): &(String, SocketAddr)| Receiver {
            kind: kind.clone(),
            address: address.to_string(),
            tls: self.tls.contains(address),
        };
        self.listening.iter().map(shown).collect()
    }

    async fn syslog(&mut self, listener: &Syslog, spool: &Spool) -> Result<(), ReceiveError> {
        let config = syslog::Config::new(listener.listen);
        let (name, open, address) = match listener.transport {
            Transport::Udp => {
                let receiver = syslog::bind_udp(config, spool.clone()).await?;
                let address = receiver.address();
                ("syslog-udp", Open::Udp(receiver), address)
            }
            Transport::Tcp => {
                let receiver = syslog::bind_tcp(config, spool.clone()).await?;
                let address = receiver.address();
                ("syslog-tcp", Open::Stream(receiver), address)
            }
            Transport::Tls => {
                let files =
                    tls_files(listener.certificate.as_deref(), listener.key.as_deref(), listener.client_ca.as_deref())
                        .ok_or_else(|| ReceiveError::Tls("no certificate and key are configured".into()))?;
                let receiver = syslog::bind_tls(config, &files, spool.clone()).await?;
                let address = receiver.address();
                ("syslog-tls", Open::Stream(receiver), address)
            }
        };
        self.listening.push((name.into(), address));
        self.tls.extend((listener.transport == Transport::Tls).then_some(address));
        self.open.push(open);
        Ok(())
    }

    fn files(&mut self, config: &Receivers, journal: bool, dir: &Path, spool: &Spool) -> anyhow::Result<()> {
        let mut patterns = Vec::new();
        for configured in &config.files {
            for glob in &configured.paths {
                let multiline = configured.multiline_start.as_deref().map(Multiline::new).transpose()?;
                patterns.push(Pattern {
                    parser: configured.parser.clone(),
                    start: if configured.from_end { Start::End } else { Start::Beginning },
                    multiline,
                    ..Pattern::new(glob.clone())
                });
            }
        }
        if config.local_files {
            let syslog = if journal { &[][..] } else { &LOCAL_SYSLOG[..] };
            patterns.extend(LOCAL_FILES.iter().chain(syslog).map(|glob| Pattern::new(*glob)));
        }
        if !patterns.is_empty() {
            self.following.extend(patterns.iter().map(|pattern| pattern.glob.clone()));
            let config = files::Config::new(patterns, dir.join("files.checkpoint"));
            self.open.push(Open::Files(files::open(config, spool.clone())?));
        }
        Ok(())
    }

    /// Runs all receivers until shutdown. One that ends early is reported; the others go on.
    pub fn run(self, shutdown: &CancellationToken) -> JoinSet<Result<(), ReceiveError>> {
        let mut tasks = JoinSet::new();
        for open in self.open {
            let shutdown = shutdown.clone();
            match open {
                Open::Udp(receiver) => tasks.spawn(receiver.run(shutdown)),
                Open::Stream(receiver) => tasks.spawn(receiver.run(shutdown)),
                Open::Http(receiver) => tasks.spawn(receiver.run(shutdown)),
                Open::Files(receiver) => tasks.spawn(receiver.run(shutdown)),
                Open::Journal(receiver) => tasks.spawn(receiver.run(shutdown)),
            };
        }
        tasks
    }
}

fn tls_files(certificate: Option<&Path>, key: Option<&Path>, authorities: Option<&Path>) -> Option<TlsFiles> {
    Some(TlsFiles {
        certificates: certificate?.to_owned(),
        key: key?.to_owned(),
        client_authorities: authorities.map(Path::to_owned),
    })
}
