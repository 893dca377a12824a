//! Where records come in.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use vedette_event::Fault;
use vedette_intake::receive::{
    files::Multiline,
    http::{Algorithm, Check, Encoding, Signed, Webhook},
    tls::TlsFiles,
};
use vedette_notify::config::Secret;

/// Where records come in. A protocol that is not mentioned listens on loopback, where its port is free; an empty list turns it
/// off.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Receivers {
    /// Syslog.
    pub syslog: Option<Vec<Syslog>>,
    /// RELP.
    pub relp: Option<Vec<Listener>>,
    /// HTTP/1.1: Elasticsearch `_bulk`, `/ingest`, Splunk HEC, OTLP, Loki, GELF and webhooks, on every listener.
    pub http: Option<Vec<Http>>,
    /// OTLP over gRPC.
    pub otlp_grpc: Option<Vec<Http>>,
    /// Lumberjack 2, of Beats and Logstash.
    pub lumberjack: Option<Vec<Listener>>,
    /// GELF over UDP, TCP or TLS.
    pub gelf: Option<Vec<Gelf>>,
    /// Fluent forward.
    pub fluent: Option<Vec<Fluent>>,
    /// Webhooks, on every HTTP listener.
    pub webhooks: Vec<WebhookConfig>,
    /// Files to follow.
    pub files: Vec<Files>,
    /// Follow the system's journal: `auto` (where one runs), `on`, `off`.
    pub journald: Switch,
    /// Follow this machine's usual log files.
    pub local_files: bool,
}

impl Default for Receivers {
    fn default() -> Self {
        Receivers {
            syslog: None,
            relp: None,
            http: None,
            otlp_grpc: None,
            lumberjack: None,
            gelf: None,
            fluent: None,
            webhooks: Vec::new(),
            files: Vec::new(),
            journald: Switch::Auto,
            local_files: true,
        }
    }
}

/// Listeners of one protocol.
pub struct Listeners<T> {
    /// The listeners.
    pub all: Vec<T>,
    /// Nobody asked for them: one whose port is taken is left out.
    pub by_default: bool,
}

fn listeners<T: Clone>(configured: Option<&Vec<T>>, default: impl FnOnce() -> Vec<T>) -> Listeners<T> {
    match configured {
        Some(all) => Listeners { all: all.clone(), by_default: false },
        None => Listeners { all: default(), by_default: true },
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Receivers {
    /// Syslog listeners.
    pub fn syslog(&self) -> Listeners<Syslog> {
        let on = |transport| Over::plain(transport, loopback(5514));
        listeners(self.syslog.as_ref(), || vec![on(Transport::Udp), on(Transport::Tcp)])
    }

    /// RELP listeners.
    pub fn relp(&self) -> Listeners<Listener> {
        listeners(self.relp.as_ref(), || vec![Listener::plain(loopback(2514))])
    }

    /// HTTP listeners: the usual ports of Elasticsearch, Splunk, OTLP and Loki.
    pub fn http(&self) -> Listeners<Http> {
        let on = |port| Http { listen: loopback(port), ..Http::default() };
        listeners(self.http.as_ref(), || [9200, 8088, 4318, 3100].map(on).into())
    }

    /// Listeners of OTLP over gRPC.
    pub fn otlp_grpc(&self) -> Listeners<Http> {
        listeners(self.otlp_grpc.as_ref(), || vec![Http { listen: loopback(4317), ..Http::default() }])
    }

    /// Lumberjack listeners.
    pub fn lumberjack(&self) -> Listeners<Listener> {
        listeners(self.lumberjack.as_ref(), || vec![Listener::plain(loopback(5044))])
    }

    /// GELF listeners.
    pub fn gelf(&self) -> Listeners<Gelf> {
        let on = |transport| Over::plain(transport, loopback(12201));
        listeners(self.gelf.as_ref(), || vec![on(GelfTransport::Udp), on(GelfTransport::Tcp)])
    }

    /// Fluent listeners.
    pub fn fluent(&self) -> Listeners<Fluent> {
        let Listener { listen, certificate, key, client_ca } = Listener::plain(loopback(24224));
        let plain = Fluent { listen, certificate, key, client_ca, shared_key: None };
        listeners(self.fluent.as_ref(), || vec![plain])
    }

    /// Every secret in it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let shared_keys = self.fluent.iter().flatten().flat_map(|fluent| &fluent.shared_key);
        self.webhooks.iter().map(|webhook| &webhook.secret).chain(shared_keys)
    }

    /// Refuses what makes no sense, or would be open to anybody.
    ///
    /// # Errors
    /// What is wrong, and in which receiver.
    pub fn check(&self) -> Result<(), Fault> {
        each("syslog", self.syslog.as_deref(), |syslog| {
            let at = syslog.at();
            match syslog.transport {
                Transport::Udp => at.check_datagrams("syslog"),
                Transport::Tcp if at.certificate.is_some() => {
                    Err(format!("syslog on {}: `certificate` needs `transport: tls`", at.listen))
                }
                Transport::Tcp => at.check("syslog over TCP", false),
                Transport::Tls if at.tls().is_none() => {
                    Err(format!("syslog over TLS on {} needs `certificate` and `key`", at.listen))
                }
                Transport::Tls => at.check("syslog over TLS", false),
            }
        })?;
        each("gelf", self.gelf.as_deref(), |gelf| match gelf.transport {
            GelfTransport::Udp => gelf.at().check_datagrams("GELF"),
            GelfTransport::Tcp => gelf.at().check("GELF over TCP", false),
        })?;
        each("relp", self.relp.as_deref(), |at| at.check("RELP", false))?;
        each("lumberjack", self.lumberjack.as_deref(), |at| at.check("Lumberjack", false))?;
        each("fluent", self.fluent.as_deref(), |fluent| {
            fluent.at().check("Fluent forward", fluent.shared_key.is_some())
        })?;
        each("http", self.http.as_deref(), Http::check)?;
        each("otlp_grpc", self.otlp_grpc.as_deref(), Http::check)?;
        let mut names = HashSet::new();
        each("webhooks", Some(&self.webhooks), |webhook| {
            webhook.check()?;
            match names.insert(&webhook.name) {
                true => Ok(()),
                false => Err(format!("receivers.webhooks: `{}` is there twice", webhook.name)),
            }
        })?;
        each("files", Some(&self.files), |files| match files.multiline_start.as_deref().map(Multiline::new) {
            Some(Err(error)) => Err(format!("receivers.files: multiline_start: {error}")),
            Some(Ok(_)) | None => Ok(()),
        })
    }
}

/// Checks what is configured under a key; what is there by default is fine.
fn each<'a, T>(
    key: &str,
    configured: Option<&'a [T]>,
    mut check: impl FnMut(&'a T) -> Result<(), String>,
) -> Result<(), Fault> {
    let mut all = configured.unwrap_or_default().iter().enumerate();
    all.try_for_each(|(index, one)| check(one).map_err(|what| Fault::from(what).at(index).at(key)))
}

/// On, off, or wherever it makes sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Where the machine has it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// One listener on TCP, with TLS if it has a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate chain (PEM): speaks TLS if given.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub key: Option<PathBuf>,
    /// Only clients whose certificate this authority signed.
    pub client_ca: Option<PathBuf>,
}

impl Listener {
    fn plain(listen: SocketAddr) -> Listener {
        Listener { listen, certificate: None, key: None, client_ca: None }
    }

    /// Its certificates, if it speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        tls_files(self.certificate.as_deref(), self.key.as_deref(), self.client_ca.as_deref())
    }

    /// `asks`: the protocol itself asks clients who they are.
    fn check(&self, protocol: &str, asks: bool) -> Result<(), String> {
        let listen = self.listen;
        if self.certificate.is_some() != self.key.is_some() {
            return Err(format!("{protocol} on {listen} needs both `certificate` and `key`, or neither"));
        }
        match (listen.ip().is_loopback(), self.tls()) {
            (true, _) => Ok(()),
            (false, None) => Err(format!(
                "{protocol} on {listen} would take anybody's records in the clear; give it `certificate`, `key` and `client_ca`, or loopback"
            )),
            (false, Some(TlsFiles { client_authorities: None, .. })) if !asks => Err(format!(
                "{protocol} on {listen} is open to the network and needs `client_ca` (client certificates)"
            )),
            (false, Some(_)) => Ok(()),
        }
    }

    fn check_datagrams(&self, protocol: &str) -> Result<(), String> {
        let listen = self.listen;
        if self.certificate.is_some() || self.key.is_some() || self.client_ca.is_some() {
            return Err(format!("{protocol} over UDP on {listen} cannot speak TLS"));
        }
        match listen.ip().is_loopback() {
            true => Ok(()),
            false => Err(format!(
                "{protocol} over UDP on {listen} would take anybody's records in the clear; use TLS with `client_ca`, or loopback"
            )),
        }
    }
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams (RFC 5426).
    Udp,
    /// A stream (RFC 6587).
    Tcp,
    /// A TLS stream (RFC 5425).
    Tls,
}

/// One listener of a protocol that travels in several ways.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Over<T> {
    /// How.
    pub transport: T,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate chain (PEM): speaks TLS if given.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub key: Option<PathBuf>,
    /// Only clients whose certificate this authority signed.
    pub client_ca: Option<PathBuf>,
}

/// One syslog listener.
pub type Syslog = Over<Transport>;

impl<T> Over<T> {
    fn plain(transport: T, listen: SocketAddr) -> Self {
        Over { transport, listen, certificate: None, key: None, client_ca: None }
    }

    /// Where it listens.
    pub fn at(&self) -> Listener {
        let Over { transport: _, listen, certificate, key, client_ca } = self;
        Listener { listen: *listen, certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() }
    }
}

/// How GELF travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GelfTransport {
    /// Datagrams, perhaps in chunks.
    Udp,
    /// A stream, with TLS if there is a certificate.
    Tcp,
}

/// One GELF listener.
pub type Gelf = Over<GelfTransport>;

/// One Fluent listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fluent {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate chain (PEM): speaks TLS if given.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub key: Option<PathBuf>,
    /// Only clients whose certificate this authority signed.
    pub client_ca: Option<PathBuf>,
    /// What clients must show that they know.
    pub shared_key: Option<Secret>,
}

impl Fluent {
    /// Where it listens.
    pub fn at(&self) -> Listener {
        let Fluent { listen, certificate, key, client_ca, shared_key: _ } = self;
        Listener { listen: *listen, certificate: certificate.clone(), key: key.clone(), client_ca: client_ca.clone() }
    }
}

/// One HTTP listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The Elasticsearch version to report to clients that insist on one.
    pub elasticsearch_version: String,
    /// Certificate chain (PEM): speaks TLS if given.
    pub certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub key: Option<PathBuf>,
    /// Require an API token with the scope `ingest`. Needs no setting beyond loopback: there it is always required.
    pub token: bool,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: loopback(9200),
            elasticsearch_version: "8.19.0".into(),
            certificate: None,
            key: None,
            token: false,
        }
    }
}

impl Http {
    /// Its certificates, if it speaks TLS.
    pub fn tls(&self) -> Option<TlsFiles> {
        tls_files(self.certificate.as_deref(), self.key.as_deref(), None)
    }

    /// Whether clients need a token.
    pub fn asks_for_token(&self) -> bool {
        self.token || !self.listen.ip().is_loopback()
    }

    fn check(&self) -> Result<(), String> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(format!("the HTTP receiver on {} needs both `certificate` and `key`", self.listen));
        }
        if !self.listen.ip().is_loopback() && self.certificate.is_none() {
            let listen = self.listen;
            return Err(format!(
                "the HTTP receiver on {listen} is open to the network and needs `certificate` and `key`"
            ));
        }
        Ok(())
    }
}

fn tls_files(certificate: Option<&Path>, key: Option<&Path>, authorities: Option<&Path>) -> Option<TlsFiles> {
    Some(TlsFiles {
        certificates: certificate?.to_owned(),
        key: key?.to_owned(),
        client_authorities: authorities.map(Path::to_owned),
    })
}

/// How a service signs its webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// Slack: `X-Slack-Signature` with a time.
    Slack,
    /// Okta's event hooks: the secret as `Authorization`.
    Okta,
    /// The secret as a bearer token: Kubernetes' audit backend, Azure Event Grid with a header of one's own.
    Bearer,
    /// Standard Webhooks: `webhook-signature` with id and time.
    Standard,
    /// HMAC in a header.
    Generic,
}

/// One webhook.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its name, in the path `/webhooks/<name>`.
    pub name: String,
    /// How the service signs.
    pub kind: WebhookKind,
    /// What both sides know.
    pub secret: Secret,
    /// How far a signed time may be from ours; how long ids are remembered where none is signed.
    pub window_seconds: Option<u64>,
    /// Where the events are, if a delivery carries several.
    pub events: Option<String>,
    /// The parser; otherwise chosen by content.
    pub parser: Option<String>,
    /// The header with the signature, for `generic`.
    #[serde(default)]
    pub header: Option<String>,
    /// What comes before the signature there.
    #[serde(default)]
    pub prefix: String,
    /// The hash.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// The header with the time, which is then signed with the body.
    #[serde(default)]
    pub time_header: Option<String>,
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const A_DAY: Duration = Duration::from_secs(24 * 3600);

impl WebhookConfig {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(format!("receivers.webhooks: `{name}` is no name; use 1 to 64 letters, digits, `-`, `_`, `.`"));
        }
        match (self.kind, &self.header) {
            (WebhookKind::Generic, None) => {
                Err(format!("receivers.webhooks: {name}: a generic webhook needs `header`, where the signature is"))
            }
            (WebhookKind::Generic, Some(_)) => Ok(()),
            (_, Some(_)) => Err(format!("receivers.webhooks: {name}: `header` is for `kind: generic`")),
            (_, None) => Ok(()),
        }
    }

    /// The webhook with its secret.
    ///
    /// # Errors
    /// The secret cannot be had, for people.
    pub fn open(&self) -> Result<Webhook, String> {
        let secret = self.secret.read().map_err(|error| format!("receivers.webhooks: {}: {error}", self.name))?;
        let secret = secret.into();
        let signed = || Signed {
            header: self.header.clone().unwrap_or_default().to_ascii_lowercase(),
            prefix: self.prefix.clone(),
            algorithm: self.algorithm,
            encoding: self.encoding,
            time_header: self.time_header.as_deref().map(str::to_ascii_lowercase),
        };
        let signs_time = match self.kind {
            WebhookKind::Slack | WebhookKind::Standard => true,
            WebhookKind::Generic => self.time_header.is_some(),
            WebhookKind::Github | WebhookKind::Okta | WebhookKind::Bearer => false,
        };
        let window = self.window_seconds.map(Duration::from_secs);
        Ok(Webhook {
            name: self.name.clone(),
            check: match self.kind {
                WebhookKind::Github => Check::GitHub(secret),
                WebhookKind::Slack => Check::Slack(secret),
                WebhookKind::Okta => Check::Okta(secret),
                WebhookKind::Bearer => Check::Bearer(secret),
                WebhookKind::Standard => Check::Standard(secret),
                WebhookKind::Generic => Check::Generic(secret, signed()),
            },
            window: window.unwrap_or(if signs_time { FIVE_MINUTES } else { A_DAY }),
            events: self.events.clone().or_else(|| (self.kind == WebhookKind::Okta).then(|| "data.events".to_owned())),
            parser: self.parser.clone(),
        })
    }
}

/// Files to follow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Paths with `*`, `?`, `[…]`, `**`.
    pub paths: Vec<String>,
    /// The parser; otherwise chosen by content.
    #[serde(default)]
    pub parser: Option<String>,
    /// A regular expression that matches the first line of each record.
    #[serde(default)]
    pub multiline_start: Option<String>,
    /// Begin at the end of files that are there already.
    #[serde(default)]
    pub from_end: bool,
}

#[cfg(test)]
mod tests {
    use crate::config::tests::check;

    #[test]
    fn open_receivers_need_protection() {
        check(
            "receivers:\n  syslog:\n    - {transport: udp, listen: '0.0.0.0:514'}\n",
            expect_test::expect![
                "vedette.yml:3:7: syslog over UDP on 0.0.0.0:514 would take anybody's records in the clear; use TLS with `client_ca`, or loopback (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "receivers:\n  http:\n    - {listen: '0.0.0.0:9200'}\n",
            expect_test::expect![
                "vedette.yml:3:7: the HTTP receiver on 0.0.0.0:9200 is open to the network and needs `certificate` and `key` (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "receivers:\n  syslog:\n    - {transport: tls, listen: '127.0.0.1:6514', certificate: c.pem, key: k.pem}\n",
            expect_test::expect!["fine"],
        );
        check(
            "receivers:\n  relp:\n    - {listen: '0.0.0.0:2514', certificate: c.pem, key: k.pem}\n",
            expect_test::expect![
                "vedette.yml:3:7: RELP on 0.0.0.0:2514 is open to the network and needs `client_ca` (client certificates) (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "receivers:\n  fluent:\n    - {listen: '0.0.0.0:24224', certificate: c.pem, key: k.pem, shared_key: x}\n",
            expect_test::expect!["fine"],
        );
        check(
            "receivers:\n  gelf:\n    - {transport: udp, listen: '0.0.0.0:12201'}\n",
            expect_test::expect![
                "vedette.yml:3:7: GELF over UDP on 0.0.0.0:12201 would take anybody's records in the clear; use TLS with `client_ca`, or loopback (docs/configuration.md lists every key with its default)"
            ],
        );
    }
    #[test]
    fn webhooks_are_checked() {
        check(
            "receivers:\n  webhooks:\n    - {name: gh, kind: github, secret: 's'}\n    - {name: gh, kind: slack, secret: 's'}\n",
            expect_test::expect![
                "vedette.yml:4:7: receivers.webhooks: `gh` is there twice (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "receivers:\n  webhooks:\n    - {name: x, kind: generic, secret: 's'}\n",
            expect_test::expect![
                "vedette.yml:3:7: receivers.webhooks: x: a generic webhook needs `header`, where the signature is (docs/configuration.md lists every key with its default)"
            ],
        );
        check(
            "receivers:\n  webhooks:\n    - {name: 'a/b', kind: okta, secret: 's'}\n",
            expect_test::expect![
                "vedette.yml:3:7: receivers.webhooks: `a/b` is no name; use 1 to 64 letters, digits, `-`, `_`, `.` (docs/configuration.md lists every key with its default)"
            ],
        );
    }
}
