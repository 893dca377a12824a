//! Opens every configured receiver, and runs them.

use std::{collections::HashMap, io, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vedette_intake::{
    parse::Parsers,
    receive::{
        Config, ReceiveError,
        datagram::{self, UdpReceiver},
        files::{self, Multiline, Pattern, Start},
        http::{self, Version},
        journald,
        stream::{self, Protocol, StreamReceiver},
        tls,
    },
};
use vedette_notify::config::Secret;
use vedette_server::Receiver;
use vedette_spool::Spool;

use crate::config::{self, GelfTransport, Listener, Receivers, Switch, Transport};

/// Log files that a Debian-like machine has. Plain syslog files are followed only where no journal runs,
/// since the journal has the same records.
pub const LOCAL_FILES: [&str; 5] = [
    "/var/log/audit/audit.log",
    "/var/log/dpkg.log",
    "/var/log/apt/history.log",
    "/var/log/nginx/*.log",
    "/var/log/apache2/*.log",
];
/// Of these, what a journal has as well.
pub const LOCAL_SYSLOG: [&str; 3] = ["/var/log/auth.log", "/var/log/syslog", "/var/log/kern.log"];

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
#[derive(Default)]
pub struct OpenReceivers {
    open: Vec<Open>,
    /// What listens where.
    pub listening: Vec<Receiver>,
    /// What is followed, for people.
    pub following: Vec<String>,
    /// Listeners that nobody asked for and that another program keeps from their ports, for people.
    pub left_out: Vec<String>,
}

/// Who may send over HTTP, and who knows what became of it.
pub struct Senders {
    /// Who may send.
    pub authorize: Arc<dyn http::Authorize>,
    /// How far records have come.
    pub acknowledge: Arc<dyn http::Acknowledge>,
}

/// Binds every configured receiver.
///
/// # Errors
/// An address is taken, a certificate cannot be read, a pattern is wrong.
pub async fn open(config: &Receivers, dir: &Path, spool: &Spool, senders: &Senders) -> anyhow::Result<OpenReceivers> {
    let mut all = OpenReceivers::default();
    all.syslog(config, spool).await?;
    let relp = config.relp();
    for at in &relp.all {
        all.stream("relp", Protocol::Relp, at, relp.by_default, spool).await?;
    }
    all.http(config, spool, senders).await?;
    let lumberjack = config.lumberjack();
    for at in &lumberjack.all {
        all.stream("lumberjack", Protocol::Lumberjack, at, lumberjack.by_default, spool).await?;
    }
    let gelf = config.gelf();
    for listener in &gelf.all {
        match listener.transport {
            GelfTransport::Udp => {
                all.datagrams("gelf-udp", datagram::Protocol::Gelf, listener.listen, gelf.by_default, spool).await?;
            }
            GelfTransport::Tcp => {
                all.stream("gelf-tcp", Protocol::Gelf, &listener.at(), gelf.by_default, spool).await?
            }
        }
    }
    let fluent = config.fluent();
    for listener in &fluent.all {
        let shared_key = listener.shared_key.as_ref().map(Secret::read).transpose();
        let shared_key = shared_key.map_err(|error| anyhow::anyhow!("receivers.fluent: {error}"))?.map(Arc::from);
        all.stream("fluent", Protocol::Fluent { shared_key }, &listener.at(), fluent.by_default, spool).await?;
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
    fn add(&mut self, open: Open, kind: &str, address: SocketAddr, tls: bool) {
        self.listening.push(Receiver { kind: kind.into(), address: address.to_string(), tls });
        self.open.push(open);
    }

    async fn syslog(&mut self, config: &Receivers, spool: &Spool) -> anyhow::Result<()> {
        let syslog = config.syslog();
        for listener in &syslog.all {
            let (at, by_default) = (listener.at(), syslog.by_default);
            match listener.transport {
                Transport::Udp => {
                    self.datagrams("syslog-udp", datagram::Protocol::Syslog, at.listen, by_default, spool).await?;
                }
                Transport::Tcp => self.stream("syslog-tcp", Protocol::Syslog, &at, by_default, spool).await?,
                Transport::Tls => self.stream("syslog-tls", Protocol::Syslog, &at, by_default, spool).await?,
            }
        }
        Ok(())
    }

    async fn http(&mut self, config: &Receivers, spool: &Spool, senders: &Senders) -> anyhow::Result<()> {
        let webhooks = config.webhooks.iter().map(config::WebhookConfig::open).collect::<Result<Vec<_>, _>>();
        let webhooks = webhooks.map_err(|error| anyhow::anyhow!(error))?;
        let (http, grpc) = (config.http(), config.otlp_grpc());
        // What the listeners share, so that a limit is one limit, and a delivery is taken once wherever it comes.
        let mut routers: HashMap<(bool, String), axum::Router> = HashMap::new();
        for (listener, version, by_default) in http
            .all
            .iter()
            .map(|listener| (listener, Version::Http1, http.by_default))
            .chain(grpc.all.iter().map(|listener| (listener, Version::Http2, grpc.by_default)))
        {
            let options = http::Options {
                authorize: listener.asks_for_token().then(|| senders.authorize.clone()),
                acknowledge: Some(senders.acknowledge.clone()),
                elasticsearch_version: listener.elasticsearch_version.clone(),
                ..Default::default()
            };
            let (name, router) = match version {
                Version::Http2 => ("otlp-grpc", http::otlp_grpc(spool.clone(), options.clone())),
                Version::Http1 => {
                    let alike = (listener.asks_for_token(), listener.elasticsearch_version.clone());
                    let router = || http::every_protocol(spool, &options, webhooks.clone());
                    ("http", routers.entry(alike).or_insert_with(router).clone())
                }
            };
            let acceptor = listener.tls().as_ref().map(tls::acceptor).transpose()?;
            let bound = http::bind(listener.listen, version, router, acceptor, options).await;
            if let Some(receiver) = self.bound(name, listener.listen, by_default, bound)? {
                let address = receiver.address();
                self.add(Open::Http(receiver), name, address, listener.tls().is_some());
            }
        }
        Ok(())
    }

    async fn stream(
        &mut self,
        name: &str,
        protocol: Protocol,
        at: &Listener,
        by_default: bool,
        spool: &Spool,
    ) -> anyhow::Result<()> {
        let tls = at.tls();
        let bound = stream::bind(protocol, Config::new(at.listen), tls.as_ref(), spool.clone()).await;
        if let Some(receiver) = self.bound(name, at.listen, by_default, bound)? {
            let address = receiver.address();
            self.add(Open::Stream(receiver), name, address, tls.is_some());
        }
        Ok(())
    }

    async fn datagrams(
        &mut self,
        name: &str,
        protocol: datagram::Protocol,
        listen: SocketAddr,
        by_default: bool,
        spool: &Spool,
    ) -> anyhow::Result<()> {
        let bound = datagram::bind(protocol, Config::new(listen), spool.clone()).await;
        if let Some(receiver) = self.bound(name, listen, by_default, bound)? {
            let address = receiver.address();
            self.add(Open::Udp(receiver), name, address, false);
        }
        Ok(())
    }

    /// A listener that was asked for must be there; one that was not may be left out where its port is taken.
    fn bound<T>(
        &mut self,
        name: &str,
        listen: SocketAddr,
        by_default: bool,
        bound: Result<T, ReceiveError>,
    ) -> anyhow::Result<Option<T>> {
        match bound {
            Ok(receiver) => Ok(Some(receiver)),
            Err(ReceiveError::Bind { error, .. }) if by_default && error.kind() == io::ErrorKind::AddrInUse => {
                let why = format!("{name} does not listen on {listen}: another program does");
                tracing::warn!("{why}");
                self.left_out.push(why);
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("cannot receive {name} on {listen}")),
        }
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
