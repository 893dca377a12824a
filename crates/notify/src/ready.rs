//! A configuration that is ready to be used: templates compiled, secrets read, certificates loaded.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    Uri,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use lettre::message::Mailbox;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    NotifyError,
    config::{Channel, Config, Facility, Kind, Rate, Secret, Smtp, SmtpTls, SyslogFormat, Transport, wrong_channel},
    render::webhook,
    template::Texts,
};

/// The whole configuration.
pub(crate) struct Setup {
    pub config: Config,
    pub channels: Vec<Arc<Ready>>,
}

/// One channel.
pub(crate) struct Ready {
    pub name: String,
    pub kind: &'static str,
    /// Several notices can be one message.
    pub gathers: bool,
    /// The other side keeps the alert's state.
    pub keeps_state: bool,
    /// It can say that somebody acknowledged an alert.
    pub carries_acknowledged: bool,
    pub rate: Option<Rate>,
    pub texts: Texts,
    pub speaks: Speaks,
    pub target: Target,
    secrets: Vec<String>,
}

impl fmt::Debug for Ready {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {} ({})", self.name, self.kind)
    }
}

/// What a channel's messages are made of.
pub(crate) enum Speaks {
    Webhook { secret: Option<Vec<u8>>, content_type: String },
    Slack,
    Teams,
    Pagerduty { routing_key: String },
    Ntfy { topic: String },
    Alertmanager { labels: BTreeMap<String, String>, hold: Duration },
    Smtp(Writers),
    Syslog(SyslogSettings),
}

/// Who writes to whom.
pub(crate) struct Writers {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
}

pub(crate) struct SyslogSettings {
    pub facility: Facility,
    pub format: SyslogFormat,
    pub hostname: String,
}

/// Where a channel's messages go.
pub(crate) enum Target {
    Http { uri: Uri, headers: Vec<(HeaderName, HeaderValue)>, tls: Arc<ClientConfig> },
    Smtp { host: String, port: u16, tls: SmtpTls, ca: Option<Vec<u8>>, login: Option<(String, String)> },
    Syslog { address: String, transport: Transport, tls: Arc<ClientConfig> },
}

impl Setup {
    /// Checks a configuration and reads what it names.
    pub fn new(config: Config) -> Result<Setup, NotifyError> {
        config.check()?;
        let system = system_roots();
        let ready = |(index, channel)| {
            Ready::new(channel, &config, &system).map(Arc::new).map_err(|what| wrong_channel(channel, index, what))
        };
        let channels = config.channels.iter().enumerate().map(ready).collect::<Result<_, _>>()?;
        Ok(Setup { config, channels })
    }

    pub fn channel(&self, name: &str) -> Option<&Arc<Ready>> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

/// Gathers what must never be shown.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn read(&mut self, key: &str, secret: &Secret) -> Result<String, String> {
        let value = secret.read().map_err(|what| format!("{key}: {what}"))?;
        self.keep(value.clone());
        Ok(value)
    }

    /// Shorter ones would blot out half of every answer, and hide nothing.
    fn keep(&mut self, value: String) {
        if value.len() >= 4 {
            self.0.push(value);
        }
    }

    /// An address, whose path and query are the secret.
    fn address(&mut self, secret: &Secret, is_protected: bool) -> Result<Uri, String> {
        let url = self.read("url", secret)?;
        let uri = crate::config::web_address(&url).map_err(|what| format!("url: {what}"))?;
        crate::config::protected(&uri, is_protected)?;
        for part in [Some(uri.path()), uri.query(), uri.path_and_query().map(|both| both.as_str())] {
            self.keep(part.unwrap_or_default().to_owned());
        }
        // The telling part is the last of a path: an answer may quote it alone.
        uri.path().split('/').filter(|part| part.len() >= 12).for_each(|part| self.keep(part.to_owned()));
        Ok(uri)
    }

    fn login(
        &mut self,
        token: Option<&Secret>,
        user: Option<&String>,
        password: Option<&Secret>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let value = match (token, user, password) {
            (Some(token), _, _) => format!("Bearer {}", self.read("token", token)?),
            (None, Some(user), Some(password)) => {
                let pair = STANDARD.encode(format!("{user}:{}", self.read("password", password)?));
                self.keep(pair.clone());
                format!("Basic {pair}")
            }
            _ => return Ok(vec![]),
        };
        Ok(vec![(AUTHORIZATION, sensitive("the login", &value)?)])
    }
}

fn sensitive(what: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| format!("{what} has characters that no header can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Ready {
    fn new(channel: &Channel, config: &Config, system: &RootCertStore) -> Result<Ready, String> {
        let mut secrets = Secrets::default();
        let http = |uri: Uri, headers: Vec<(HeaderName, HeaderValue)>, ca: Option<&Path>| {
            Ok::<_, String>(Target::Http { uri, headers, tls: client(system, ca)? })
        };
        let plain = |url: &str| crate::config::web_address(url).map_err(|what| format!("url: {what}"));
        let (speaks, target) = match &channel.kind {
            Kind::Webhook(webhook) => {
                let uri = secrets.address(&webhook.url, !webhook.headers.is_empty())?;
                let secret = webhook.secret.as_ref().map(|secret| secrets.read("secret", secret)).transpose()?;
                let secret = secret.map(|secret| webhook::key(&secret)).transpose()?;
                let mut headers = Vec::new();
                for (name, value) in &webhook.headers {
                    let what = format!("headers: {name}");
                    let value = sensitive(&what, &secrets.read(&what, value)?)?;
                    headers.push((name.parse().map_err(|_| format!("{what} is no header's name"))?, value));
                }
                let content_type = webhook.content_type.clone();
                (Speaks::Webhook { secret, content_type }, http(uri, headers, webhook.ca.as_deref())?)
            }
            Kind::Slack(slack) => {
                (Speaks::Slack, http(secrets.address(&slack.url, true)?, vec![], slack.ca.as_deref())?)
            }
            Kind::Teams(teams) => {
                (Speaks::Teams, http(secrets.address(&teams.url, true)?, vec![], teams.ca.as_deref())?)
            }
            Kind::Pagerduty(pagerduty) => {
                let routing_key = secrets.read("routing_key", &pagerduty.routing_key)?;
                (Speaks::Pagerduty { routing_key }, http(plain(&pagerduty.url)?, vec![], pagerduty.ca.as_deref())?)
            }
            Kind::Ntfy(ntfy) => {
                let topic = secrets.read("topic", &ntfy.topic)?;
                let login = secrets.login(ntfy.token.as_ref(), ntfy.user.as_ref(), ntfy.password.as_ref())?;
                (Speaks::Ntfy { topic }, http(plain(&ntfy.url)?, login, ntfy.ca.as_deref())?)
            }
            Kind::Alertmanager(manager) => {
                let login = secrets.login(manager.token.as_ref(), manager.user.as_ref(), manager.password.as_ref())?;
                let uri = plain(&format!("{}/api/v2/alerts", manager.url.trim_end_matches('/')))?;
                let hold = Duration::from_secs(u64::from(manager.hold_hours) * 3600);
                let speaks = Speaks::Alertmanager { labels: manager.labels.clone(), hold };
                (speaks, http(uri, login, manager.ca.as_deref())?)
            }
            Kind::Smtp(smtp) => smtp_ready(smtp, &mut secrets)?,
            Kind::Syslog(syslog) => {
                let (facility, format) = (syslog.facility, syslog.format);
                let hostname = syslog.hostname.clone().unwrap_or_else(hostname);
                let (address, transport) = (syslog.address.clone(), syslog.transport);
                let tls = client(system, syslog.ca.as_deref())?;
                (
                    Speaks::Syslog(SyslogSettings { facility, format, hostname }),
                    Target::Syslog { address, transport, tls },
                )
            }
        };
        // The longest first: what is part of another must not leave the rest of it.
        let mut secrets = secrets.0;
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Ok(Ready {
            name: channel.name.clone(),
            kind: channel.kind.as_str(),
            gathers: channel.kind.gathers(),
            keeps_state: channel.kind.keeps_state(),
            carries_acknowledged: !matches!(channel.kind, Kind::Alertmanager(_)),
            rate: channel.rate,
            texts: Texts::new(channel, config)?,
            speaks,
            target,
            secrets,
        })
    }

    /// A text that may be shown: without this channel's secrets, whoever quotes them.
    pub fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "[secret]"))
    }
}

fn smtp_ready(smtp: &Smtp, secrets: &mut Secrets) -> Result<(Speaks, Target), String> {
    let mailbox =
        |text: &String| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is no mail address: {error}"));
    let login = match (&smtp.user, &smtp.password) {
        (Some(user), Some(password)) => {
            let password = secrets.read("password", password)?;
            // As the protocol writes it: AUTH PLAIN and AUTH LOGIN.
            secrets.keep(STANDARD.encode(format!("\0{user}\0{password}")));
            secrets.keep(STANDARD.encode(&password));
            Some((user.clone(), password))
        }
        _ => None,
    };
    let port = smtp.port.unwrap_or(match smtp.tls {
        SmtpTls::Starttls => 587,
        SmtpTls::Tls => 465,
        SmtpTls::None => 25,
    });
    let ca = smtp.ca.as_deref().map(read_ca).transpose()?;
    // Certificates that lettre will not read are found now, not with the first mail.
    if let Some(pem) = &ca {
        certificates(pem)?;
    }
    let writers = Writers { from: mailbox(&smtp.from)?, to: smtp.to.iter().map(mailbox).collect::<Result<_, _>>()? };
    Ok((Speaks::Smtp(writers), Target::Smtp { host: smtp.host.clone(), port, tls: smtp.tls, ca, login }))
}

fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".into() } else { name }
}

/// The system's certificates; a machine may have none, and then only those of `ca` are trusted.
fn system_roots() -> RootCertStore {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!("a certificate of the system cannot be loaded: {error}");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    roots
}

/// TLS towards others: whom the system trusts, and the certificates in the file `ca`.
///
/// # Errors
/// The file cannot be read, or there are no certificates in it.
pub fn tls_client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    client(&system_roots(), ca)
}

fn client(system: &RootCertStore, ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = system.clone();
    if let Some(path) = ca {
        for certificate in certificates(&read_ca(path)?)? {
            roots.add(certificate).map_err(|error| format!("ca: {}: {error}", path.display()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_ca(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("ca: cannot read {}: {error}", path.display()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("ca: it is no PEM: {error}"))?;
    if found.is_empty() {
        return Err("ca: there are no certificates in it".into());
    }
    Ok(found)
}
