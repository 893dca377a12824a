//! Opens one receiver.

use std::{collections::HashMap, io, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use vedette_intake::receive::{
    Config, ReceiveError,
    datagram::{self, UdpReceiver},
    files::{self, Multiline, Pattern, Start},
    http::{self, Version},
    journald,
    stream::{self, Protocol, StreamReceiver},
    tls,
};
use vedette_notify::config::Secret;
use vedette_spool::Spool;

use super::{LOCAL_FILES, LOCAL_SYSLOG, Wanted, What};
use crate::config::{self, Listener, WebhookConfig};

/// Who may send over HTTP, and who knows what became of it.
pub struct Senders {
    /// Who may send.
    pub authorize: Arc<dyn http::Authorize>,
    /// How far records have come.
    pub acknowledge: Arc<dyn http::Acknowledge>,
}

/// A receiver that is bound but does not run yet.
pub(super) enum Open {
    Udp(UdpReceiver),
    Stream(StreamReceiver),
    Http(http::HttpReceiver),
    Files(files::FileReceiver, Vec<String>),
    Journal(journald::JournalReceiver),
}

impl Open {
    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Open::Udp(receiver) => Some(receiver.address()),
            Open::Stream(receiver) => Some(receiver.address()),
            Open::Http(receiver) => Some(receiver.address()),
            Open::Files(..) | Open::Journal(_) => None,
        }
    }

    /// What it follows, for people.
    pub fn follows(&self) -> Vec<String> {
        match self {
            Open::Files(_, globs) => globs.clone(),
            Open::Journal(_) => vec!["the journal".into()],
            Open::Udp(_) | Open::Stream(_) | Open::Http(_) => Vec::new(),
        }
    }

    pub async fn run(self, stop: CancellationToken) -> Result<(), ReceiveError> {
        match self {
            Open::Udp(receiver) => receiver.run(stop).await,
            Open::Stream(receiver) => receiver.run(stop).await,
            Open::Http(receiver) => receiver.run(stop).await,
            Open::Files(receiver, _) => receiver.run(stop).await,
            Open::Journal(receiver) => receiver.run(stop).await,
        }
    }
}

/// The file in the data folder with what webhooks have taken.
pub const DELIVERIES: &str = "deliveries.db";

/// Opens receivers.
pub(super) struct Opener {
    pub dir: PathBuf,
    pub spool: Spool,
    pub senders: Senders,
    /// What webhooks have taken, once one is asked for.
    deliveries: Option<Arc<http::Deliveries>>,
    /// What HTTP listeners share, so that a limit is one limit, and a delivery is taken once wherever it comes.
    routers: HashMap<(bool, String), axum::Router>,
}

impl Opener {
    pub fn new(dir: PathBuf, spool: Spool, senders: Senders) -> Opener {
        Opener { dir, spool, senders, deliveries: None, routers: HashMap::new() }
    }

    /// Listeners that are opened from now on may answer otherwise than those before.
    pub fn forget_routers(&mut self) {
        self.routers.clear();
    }

    /// Binds it; the error says for people why one that nobody asked for is left out.
    ///
    /// # Errors
    /// Its address is taken, its certificate cannot be read, a pattern is wrong.
    pub async fn open(&mut self, wanted: &Wanted) -> anyhow::Result<Result<Open, String>> {
        let (listen, bound) = match &wanted.what {
            What::Datagrams(protocol, listen) => {
                let bound = datagram::bind(*protocol, Config::new(*listen), self.spool.clone()).await;
                (*listen, bound.map(Open::Udp))
            }
            What::Stream(protocol, at) => (at.listen, self.stream(protocol.clone(), at).await),
            What::Fluent(fluent) => {
                let shared_key = fluent.shared_key.as_ref().map(Secret::read).transpose();
                let shared_key =
                    shared_key.map_err(|error| anyhow::anyhow!("receivers.fluent: {error}"))?.map(Arc::from);
                (fluent.listen, self.stream(Protocol::Fluent { shared_key }, &fluent.at()).await)
            }
            What::Http(version, listener, webhooks) => {
                let (router, options) = self.http(*version, listener, webhooks)?;
                let acceptor = listener.tls().as_ref().map(tls::acceptor).transpose()?;
                let bound = http::bind(listener.listen, *version, router, acceptor, options).await;
                (listener.listen, bound.map(Open::Http))
            }
            What::Files { configured, local, has_journal } => {
                return self.files(configured, *local, *has_journal).map(Ok);
            }
            What::Journal => {
                let config = journald::Config::new(self.dir.join("journald.cursor"));
                return Ok(Ok(Open::Journal(journald::open(config, self.spool.clone())?)));
            }
        };
        match bound {
            Ok(open) => Ok(Ok(open)),
            Err(ReceiveError::Bind { error, .. }) if wanted.by_default && error.kind() == io::ErrorKind::AddrInUse => {
                Ok(Err(format!("{} does not listen on {listen}: another program does", wanted.name)))
            }
            Err(error) => Err(error).with_context(|| format!("cannot receive {} on {listen}", wanted.name)),
        }
    }

    async fn stream(&self, protocol: Protocol, at: &Listener) -> Result<Open, ReceiveError> {
        let bound = stream::bind(protocol, Config::new(at.listen), at.tls().as_ref(), self.spool.clone()).await;
        bound.map(Open::Stream)
    }

    fn http(
        &mut self,
        version: Version,
        listener: &config::Http,
        webhooks: &[WebhookConfig],
    ) -> anyhow::Result<(axum::Router, http::Options)> {
        let options = http::Options {
            authorize: listener.asks_for_token().then(|| self.senders.authorize.clone()),
            acknowledge: Some(self.senders.acknowledge.clone()),
            elasticsearch_version: listener.elasticsearch_version.clone(),
            ..Default::default()
        };
        if version == Version::Http2 {
            return Ok((http::otlp_grpc(self.spool.clone(), options.clone()), options));
        }
        let alike = (listener.asks_for_token(), listener.elasticsearch_version.clone());
        if let Some(router) = self.routers.get(&alike) {
            return Ok((router.clone(), options));
        }
        let webhooks = webhooks.iter().map(WebhookConfig::open).collect::<Result<Vec<_>, _>>();
        let webhooks = webhooks.map_err(|error| anyhow::anyhow!(error))?;
        let options = match webhooks.is_empty() {
            true => options,
            false => http::Options { deliveries: self.deliveries()?, ..options },
        };
        let router = http::every_protocol(&self.spool, &options, webhooks);
        self.routers.insert(alike, router.clone());
        Ok((router, options))
    }

    fn deliveries(&mut self) -> Result<Arc<http::Deliveries>, ReceiveError> {
        if let Some(deliveries) = &self.deliveries {
            return Ok(deliveries.clone());
        }
        let deliveries = Arc::new(http::Deliveries::open(&self.dir.join(DELIVERIES))?);
        self.deliveries = Some(deliveries.clone());
        Ok(deliveries)
    }

    fn files(&self, configured: &[config::Files], local: bool, has_journal: bool) -> anyhow::Result<Open> {
        let mut patterns = Vec::new();
        for files in configured {
            for glob in &files.paths {
                let multiline = files.multiline_start.as_deref().map(Multiline::new).transpose()?;
                patterns.push(Pattern {
                    parser: files.parser.clone(),
                    start: if files.from_end { Start::End } else { Start::Beginning },
                    multiline,
                    ..Pattern::new(glob.clone())
                });
            }
        }
        if local {
            let syslog = if has_journal { &[][..] } else { &LOCAL_SYSLOG[..] };
            patterns.extend(LOCAL_FILES.iter().chain(syslog).map(|glob| Pattern::new(*glob)));
        }
        let globs = patterns.iter().map(|pattern| pattern.glob.clone()).collect();
        let config = files::Config::new(patterns, self.dir.join("files.checkpoint"));
        Ok(Open::Files(files::open(config, self.spool.clone())?, globs))
    }
}
