//! Channels: where messages go.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{Secret, secret::Unquoted};

/// Where messages go.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Channel {
    /// Its name, for routes and people.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// At most so many messages.
    pub rate: Option<Rate>,
    /// What messages say, where it is not the default.
    pub templates: Templates,
}

/// What a channel speaks.
#[derive(Clone, Debug)]
pub enum Kind {
    /// HTTP POST of JSON, signed.
    Webhook(Webhook),
    /// Mail.
    Smtp(Smtp),
    /// A Slack incoming webhook.
    Slack(Slack),
    /// A Microsoft Teams workflow that takes webhooks.
    Teams(Teams),
    /// PagerDuty's Events API v2.
    Pagerduty(Pagerduty),
    /// ntfy.
    Ntfy(Ntfy),
    /// Prometheus Alertmanager, API v2.
    Alertmanager(Alertmanager),
    /// Syslog, RFC 5424.
    Syslog(Syslog),
}

impl Kind {
    /// Every secret in it.
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Kind::Webhook(webhook) => {
                [&webhook.url].into_iter().chain(&webhook.secret).chain(webhook.headers.values()).collect()
            }
            Kind::Smtp(smtp) => smtp.password.iter().collect(),
            Kind::Slack(slack) => vec![&slack.url],
            Kind::Teams(teams) => vec![&teams.url],
            Kind::Pagerduty(pagerduty) => vec![&pagerduty.routing_key],
            Kind::Ntfy(ntfy) => [&ntfy.topic].into_iter().chain(&ntfy.token).chain(&ntfy.password).collect(),
            Kind::Alertmanager(manager) => manager.token.iter().chain(&manager.password).collect(),
            Kind::Syslog(_) => Vec::new(),
        }
    }

    /// Its name in the configuration.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Kind::Webhook(_) => "webhook",
            Kind::Smtp(_) => "smtp",
            Kind::Slack(_) => "slack",
            Kind::Teams(_) => "teams",
            Kind::Pagerduty(_) => "pagerduty",
            Kind::Ntfy(_) => "ntfy",
            Kind::Alertmanager(_) => "alertmanager",
            Kind::Syslog(_) => "syslog",
        }
    }

    /// True if several notices can be one message.
    pub const fn gathers(&self) -> bool {
        matches!(self, Kind::Webhook(_) | Kind::Smtp(_) | Kind::Slack(_) | Kind::Teams(_) | Kind::Ntfy(_))
    }

    /// True if the other side keeps the alert's state: then order matters, and a newer state replaces an older one
    /// that was not sent yet.
    pub const fn keeps_state(&self) -> bool {
        matches!(self, Kind::Pagerduty(_) | Kind::Alertmanager(_))
    }
}

/// A channel as it is written: a name and exactly one kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    templates: Templates,
    webhook: Option<Unquoted<Webhook>>,
    smtp: Option<Unquoted<Smtp>>,
    slack: Option<Unquoted<Slack>>,
    teams: Option<Unquoted<Teams>>,
    pagerduty: Option<Unquoted<Pagerduty>>,
    ntfy: Option<Unquoted<Ntfy>>,
    alertmanager: Option<Unquoted<Alertmanager>>,
    syslog: Option<Unquoted<Syslog>>,
}

impl TryFrom<Written> for Channel {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, rate, templates, .. } = written;
        let kinds = [
            written.webhook.map(|Unquoted(settings)| Kind::Webhook(settings)),
            written.smtp.map(|Unquoted(settings)| Kind::Smtp(settings)),
            written.slack.map(|Unquoted(settings)| Kind::Slack(settings)),
            written.teams.map(|Unquoted(settings)| Kind::Teams(settings)),
            written.pagerduty.map(|Unquoted(settings)| Kind::Pagerduty(settings)),
            written.ntfy.map(|Unquoted(settings)| Kind::Ntfy(settings)),
            written.alertmanager.map(|Unquoted(settings)| Kind::Alertmanager(settings)),
            written.syslog.map(|Unquoted(settings)| Kind::Syslog(settings)),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Channel { name, kind, rate, templates }),
            (None, _) => Err(format!(
                "channel `{name}` says not what it speaks: one of webhook, smtp, slack, teams, pagerduty, ntfy, alertmanager, syslog"
            )),
            (Some(one), Some(other)) => {
                Err(format!("channel `{name}` is both {} and {}: make two of it", one.as_str(), other.as_str()))
            }
        }
    }
}

/// At most so many messages in so many seconds. What comes faster waits; where the channel can, it becomes one message.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Messages.
    pub messages: u32,
    /// Seconds.
    pub per_seconds: u32,
}

/// What messages say, in the template language of [minijinja](https://docs.rs/minijinja).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Templates {
    /// The subject, title or summary.
    pub subject: Option<String>,
    /// The body.
    pub body: Option<String>,
    /// The subject of several notices in one message.
    pub digest_subject: Option<String>,
    /// The body of several notices in one message.
    pub digest_body: Option<String>,
}

/// HTTP POST of JSON, signed as [Standard Webhooks](https://www.standardwebhooks.com/) says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: Secret,
    /// The key of the signature: `whsec_` and base64, or any text.
    pub secret: Option<Secret>,
    /// Further headers.
    #[serde(default, deserialize_with = "unquoted")]
    pub headers: BTreeMap<String, Secret>,
    /// Of the body, if `templates.body` makes something other than JSON.
    #[serde(default = "json")]
    pub content_type: String,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

fn unquoted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    Unquoted::deserialize(deserializer).map(|Unquoted(headers)| headers)
}

fn json() -> String {
    "application/json".into()
}

/// Mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// The server's name.
    pub host: String,
    /// Its port; otherwise 587, 465 with `tls: tls`, 25 with `tls: none`.
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Who logs in.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// Who writes: `Vedette <vedette@example.org>`.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// It begins in the clear and must become TLS before anything is said.
    #[default]
    Starttls,
    /// TLS from the start.
    Tls,
    /// In the clear; only to this machine.
    None,
}

/// A Slack incoming webhook.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// Its address, which is a secret.
    pub url: Secret,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// A Microsoft Teams workflow, «when a Teams webhook request is received».
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teams {
    /// Its address, which is a secret.
    pub url: Secret,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// PagerDuty's Events API v2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// The integration key of a service.
    pub routing_key: Secret,
    /// Where events go; `https://events.eu.pagerduty.com/v2/enqueue` in the EU.
    #[serde(default = "pagerduty_url")]
    pub url: String,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

fn pagerduty_url() -> String {
    "https://events.pagerduty.com/v2/enqueue".into()
}

/// ntfy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ntfy {
    /// The server.
    #[serde(default = "ntfy_url")]
    pub url: String,
    /// The topic; on an open server whoever knows it reads along.
    pub topic: Secret,
    /// An access token.
    pub token: Option<Secret>,
    /// Or a user,
    pub user: Option<String>,
    /// with a password.
    pub password: Option<Secret>,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

fn ntfy_url() -> String {
    "https://ntfy.sh".into()
}

/// Prometheus Alertmanager.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// What comes before `/api/v2/alerts`.
    pub url: String,
    /// A bearer token, for a proxy before it.
    pub token: Option<Secret>,
    /// Or a user,
    pub user: Option<String>,
    /// with a password.
    pub password: Option<Secret>,
    /// Labels that every alert gets.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Hours that an alert fires without being closed in Vedette.
    #[serde(default = "a_week")]
    pub hold_hours: u32,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

fn a_week() -> u32 {
    168
}

/// Syslog, RFC 5424.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Host and port.
    pub address: String,
    /// How.
    #[serde(default)]
    pub transport: Transport,
    /// What the message is.
    #[serde(default)]
    pub format: SyslogFormat,
    /// The facility.
    #[serde(default)]
    pub facility: Facility,
    /// The name of this machine in the messages; otherwise the system's.
    pub hostname: Option<String>,
    /// Certificates (PEM) to trust besides the system's.
    pub ca: Option<PathBuf>,
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// One datagram a message (RFC 5426).
    Udp,
    /// Octet-counted (RFC 6587).
    #[default]
    Tcp,
    /// Octet-counted in TLS (RFC 5425).
    Tls,
}

/// What a syslog message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogFormat {
    /// ArcSight's Common Event Format.
    #[default]
    Cef,
    /// The subject of the templates.
    Text,
}

/// The facility of a syslog message (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Facility {
    User = 1,
    Daemon = 3,
    Auth = 4,
    Authpriv = 10,
    #[default]
    Audit = 13,
    Alert = 14,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}
