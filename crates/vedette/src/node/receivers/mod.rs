//! Where records come in: what the configuration asks for, and what of it runs.

mod open;
mod running;

use std::net::SocketAddr;

use vedette_intake::{
    parse::Parsers,
    receive::{datagram, http::Version, journald, stream},
};

pub use self::{
    open::{DELIVERIES, Senders},
    running::{Listening, Receiving},
};
use crate::config::{self, GelfTransport, Listener, Receivers, Switch, Transport, WebhookConfig};

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

/// Names of parsers that files are to be read with and that do not exist: such files are parsed by their content.
pub fn unknown_parsers<'a>(config: &'a Receivers, parsers: &Parsers) -> Vec<&'a str> {
    let is_known = |name: &str| parsers.names().any(|id| id.rsplit_once('@').is_some_and(|(known, _)| known == name));
    config.files.iter().filter_map(|files| files.parser.as_deref()).filter(|name| !is_known(name)).collect()
}

/// A receiver that the configuration asks for.
#[derive(Debug)]
struct Wanted {
    name: &'static str,
    what: What,
    /// Nobody asked for it: if its port is taken, it is left out.
    by_default: bool,
}

#[derive(Debug)]
enum What {
    Datagrams(datagram::Protocol, SocketAddr),
    Stream(stream::Protocol, Listener),
    Fluent(config::Fluent),
    Http(Version, config::Http, Vec<WebhookConfig>),
    Files { configured: Vec<config::Files>, local: bool, has_journal: bool },
    Journal,
}

impl Wanted {
    /// What it is, with every setting but its secrets.
    fn key(&self) -> String {
        format!("{self:?}")
    }

    /// Whether one with the same key that runs already is as good. Not where secrets and certificates were read: the files
    /// that they are in may have others by now.
    fn can_stay(&self) -> bool {
        match &self.what {
            What::Datagrams(..) | What::Files { .. } | What::Journal => true,
            What::Stream(_, at) => at.certificate.is_none(),
            What::Fluent(fluent) => fluent.certificate.is_none() && fluent.shared_key.is_none(),
            What::Http(_, http, webhooks) => http.certificate.is_none() && webhooks.is_empty(),
        }
    }
}

/// Everything that a configuration asks for.
fn wanted(config: &Receivers) -> Vec<Wanted> {
    let mut all = Vec::new();
    let mut want = |name, by_default, what| all.push(Wanted { name, what, by_default });
    let syslog = config.syslog();
    for listener in &syslog.all {
        let (at, stream) = (listener.at(), stream::Protocol::Syslog);
        let (name, what) = match listener.transport {
            Transport::Udp => ("syslog-udp", What::Datagrams(datagram::Protocol::Syslog, at.listen)),
            Transport::Tcp => ("syslog-tcp", What::Stream(stream, at)),
            Transport::Tls => ("syslog-tls", What::Stream(stream, at)),
        };
        want(name, syslog.by_default, what);
    }
    let relp = config.relp();
    for at in relp.all {
        want("relp", relp.by_default, What::Stream(stream::Protocol::Relp, at));
    }
    let http = config.http();
    for listener in http.all {
        want("http", http.by_default, What::Http(Version::Http1, listener, config.webhooks.clone()));
    }
    let grpc = config.otlp_grpc();
    for listener in grpc.all {
        want("otlp-grpc", grpc.by_default, What::Http(Version::Http2, listener, Vec::new()));
    }
    let lumberjack = config.lumberjack();
    for at in lumberjack.all {
        want("lumberjack", lumberjack.by_default, What::Stream(stream::Protocol::Lumberjack, at));
    }
    let gelf = config.gelf();
    for listener in &gelf.all {
        let (name, what) = match listener.transport {
            GelfTransport::Udp => ("gelf-udp", What::Datagrams(datagram::Protocol::Gelf, listener.listen)),
            GelfTransport::Tcp => ("gelf-tcp", What::Stream(stream::Protocol::Gelf, listener.at())),
        };
        want(name, gelf.by_default, what);
    }
    let fluent = config.fluent();
    for listener in fluent.all {
        want("fluent", fluent.by_default, What::Fluent(listener));
    }
    let has_journal = match config.journald {
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
    if has_journal {
        want("journald", false, What::Journal);
    }
    if config.local_files || config.files.iter().any(|files| !files.paths.is_empty()) {
        let (configured, local) = (config.files.clone(), config.local_files);
        want("files", false, What::Files { configured, local, has_journal });
    }
    all
}
