//! What is wrong with a configuration, by name; before anything is opened.

use std::collections::HashSet;

use hyper::{Uri, header::HeaderName};
use lettre::message::Mailbox;
use vedette_event::Fault;

use super::{Channel, Config, Digest, Kind, Rate, Route, Secret, Smtp, SmtpTls, Syslog};
use crate::{quiet, template::Texts};

/// More channels or routes are refused.
const MAX_EACH: usize = 64;

impl Config {
    /// Checks everything that can be checked without reading secrets and certificates: names, addresses, templates,
    /// time zones.
    ///
    /// # Errors
    /// What is wrong and where, for people. It quotes no secret.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(console) = &self.console {
            let wrong = |what| Fault::from(what).about(format_args!("notifications.console: {console}")).at("console");
            web_address(console).map_err(wrong)?;
        }
        if !(100..=1_000_000).contains(&self.queue) {
            let what = format!("notifications.queue is {}, not 100 to 1000000", self.queue);
            return Err(Fault::from(what).at("queue"));
        }
        let retry = &self.retry;
        for (name, value, range) in [
            ("attempts", u64::from(retry.attempts), 1..=100),
            ("first_seconds", retry.first_seconds, 1..=3600),
            ("longest_seconds", retry.longest_seconds, retry.first_seconds..=86_400),
            ("timeout_seconds", retry.timeout_seconds, 1..=300),
        ] {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                let what = format!("notifications.retry.{name} is {value}, not {least} to {most}");
                return Err(Fault::from(what).at(name).at("retry"));
            }
        }
        if self.channels.len() > MAX_EACH || self.routes.len() > MAX_EACH {
            let key = if self.channels.len() > MAX_EACH { "channels" } else { "routes" };
            return Err(Fault::from(format!("notifications: more than {MAX_EACH} {key}")).at(MAX_EACH).at(key));
        }
        let mut names = HashSet::new();
        for (index, channel) in self.channels.iter().enumerate() {
            let wrong = |fault| wrong_channel(channel, index, fault);
            check_name(&channel.name, &mut names).map_err(wrong)?;
            channel.check(self).map_err(wrong)?;
        }
        let mut names = HashSet::new();
        for (index, route) in self.routes.iter().enumerate() {
            let about = format_args!("notifications.routes: `{}`", route.name);
            let wrong = |fault: Fault| fault.about(about).at(index).at("routes");
            check_name(&route.name, &mut names).map_err(wrong)?;
            route.check(&self.channels).map_err(wrong)?;
        }
        Ok(())
    }
}

/// What is wrong with a channel, seen from the configuration.
pub(crate) fn wrong_channel(channel: &Channel, index: usize, fault: impl Into<Fault>) -> Fault {
    fault.into().about(format_args!("notifications.channels: `{}`", channel.name)).at(index).at("channels")
}

fn check_name<'a>(name: &'a str, others: &mut HashSet<&'a str>) -> Result<(), Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err(Fault::from("a name is 1 to 64 letters, digits, dots, hyphens and underscores").at("name"));
    }
    match others.insert(name) {
        true => Ok(()),
        false => Err(Fault::from("the name is there twice").at("name")),
    }
}

/// Reads an `http://` or `https://` address without user and fragment. The error does not quote it: it may be a secret.
pub(crate) fn web_address(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "this is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err("this is no address of `http://` or `https://`");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("user and password do not belong into an address");
    }
    Ok(uri)
}

/// True for this machine, by name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Refuses to send a secret in the clear over a network.
pub(crate) fn protected(uri: &Uri, has_secret: bool) -> Result<(), String> {
    let host = uri.host().unwrap_or_default();
    if has_secret && uri.scheme_str() == Some("http") && !is_loopback(host) {
        return Err(format!("a secret would go to {host} in the clear; use `https://`"));
    }
    Ok(())
}

impl Channel {
    fn check(&self, config: &Config) -> Result<(), Fault> {
        if let Some(Rate { messages, per_seconds }) = self.rate
            && (!(1..=10_000).contains(&messages) || !(1..=86_400).contains(&per_seconds))
        {
            return Err(Fault::from("rate: messages is 1 to 10000, per_seconds 1 to 86400").at("rate"));
        }
        if !self.kind.gathers() && (self.templates.digest_subject.is_some() || self.templates.digest_body.is_some()) {
            let what = format!("templates: {} sends each notice alone, so it has no digest", self.kind.as_str());
            return Err(Fault::from(what).at("templates"));
        }
        Texts::new(self, config).map_err(|what| Fault::from(what).at("templates"))?;
        self.kind.check().map_err(|what| Fault::from(what).at(self.kind.as_str()))
    }
}

impl Kind {
    fn check(&self) -> Result<(), String> {
        match self {
            Kind::Webhook(webhook) => {
                check_headers(webhook.headers.keys())?;
                if webhook.content_type.parse::<hyper::header::HeaderValue>().is_err() {
                    return Err("content_type is no header's value".into());
                }
                check_secret_url(&webhook.url, !webhook.headers.is_empty())
            }
            Kind::Slack(slack) => check_secret_url(&slack.url, true),
            Kind::Teams(teams) => check_secret_url(&teams.url, true),
            Kind::Pagerduty(pagerduty) => {
                protected(&web_address(&pagerduty.url).map_err(|what| format!("url: {what}"))?, true)
            }
            Kind::Ntfy(ntfy) => {
                let uri = web_address(&ntfy.url).map_err(|what| format!("url: {what}"))?;
                check_login(ntfy.token.as_ref(), ntfy.user.as_ref(), ntfy.password.as_ref())?;
                protected(&uri, ntfy.token.is_some() || ntfy.password.is_some())
            }
            Kind::Alertmanager(alertmanager) => {
                let uri = web_address(&alertmanager.url).map_err(|what| format!("url: {what}"))?;
                let login = (alertmanager.token.as_ref(), alertmanager.user.as_ref(), alertmanager.password.as_ref());
                check_login(login.0, login.1, login.2)?;
                if !(1..=8760).contains(&alertmanager.hold_hours) {
                    return Err("hold_hours is 1 to 8760".into());
                }
                for name in alertmanager.labels.keys() {
                    check_label(name)?;
                }
                protected(&uri, login.0.or(login.2).is_some())
            }
            Kind::Smtp(smtp) => check_smtp(smtp),
            Kind::Syslog(syslog) => check_syslog(syslog),
        }
    }
}

/// An address that is written down is checked at once, one that is elsewhere when it is read.
fn check_secret_url(url: &Secret, is_protected: bool) -> Result<(), String> {
    if url.reference().is_some() {
        return Ok(());
    }
    let uri =
        url.read().and_then(|url| web_address(&url).map_err(str::to_owned)).map_err(|what| format!("url: {what}"))?;
    protected(&uri, is_protected)
}

fn check_headers<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        let header: HeaderName = name.parse().map_err(|_| format!("headers: `{name}` is not a header's name"))?;
        let ours = ["host", "content-type", "content-length", "connection", "transfer-encoding", "user-agent"];
        if ours.contains(&header.as_str()) || header.as_str().starts_with("webhook-") {
            return Err(format!("headers: `{name}` is written by Vedette itself"));
        }
        if !seen.insert(header) {
            return Err(format!("headers: `{name}` is there twice"));
        }
    }
    Ok(())
}

fn check_login(token: Option<&Secret>, user: Option<&String>, password: Option<&Secret>) -> Result<(), String> {
    if user.is_some() != password.is_some() {
        return Err("`user` and `password` belong together".into());
    }
    if token.is_some() && user.is_some() {
        return Err("either `token`, or `user` and `password`".into());
    }
    Ok(())
}

/// [Prometheus data model](https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels).
fn check_label(name: &str) -> Result<(), String> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    if !is_name || name.starts_with("__") {
        return Err(format!("labels: `{name}` is not a label's name"));
    }
    if crate::render::LABELS.contains(&name) {
        return Err(format!("labels: `{name}` is written by Vedette itself"));
    }
    Ok(())
}

fn check_smtp(smtp: &Smtp) -> Result<(), String> {
    if smtp.host.is_empty() || smtp.host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("host is no name".into());
    }
    if smtp.tls == SmtpTls::None && !is_loopback(&smtp.host) {
        return Err(format!(
            "mail would go to {} in the clear; use `tls: starttls` or `tls: tls` (`none` is for this machine)",
            smtp.host
        ));
    }
    check_login(None, smtp.user.as_ref(), smtp.password.as_ref())?;
    if smtp.to.is_empty() || smtp.to.len() > 100 {
        return Err("to: 1 to 100 addresses".into());
    }
    for address in smtp.to.iter().chain([&smtp.from]) {
        address.parse::<Mailbox>().map_err(|error| format!("`{address}` is no mail address: {error}"))?;
    }
    Ok(())
}

fn check_syslog(syslog: &Syslog) -> Result<(), String> {
    let parts = syslog.address.rsplit_once(':');
    if !parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(format!("`{}` is no address, for example siem.example.org:6514", syslog.address));
    }
    if let Some(hostname) = &syslog.hostname
        && (hostname.is_empty() || hostname.len() > 255 || !hostname.chars().all(|c| c.is_ascii_graphic()))
    {
        return Err("hostname is 1 to 255 visible ASCII characters".into());
    }
    Ok(())
}

impl Route {
    fn check(&self, channels: &[Channel]) -> Result<(), Fault> {
        if self.channels.is_empty() {
            return Err(Fault::from("it has no channels").at("channels"));
        }
        if self.on.is_empty() {
            return Err(Fault::from("`on` is empty: nothing would ever take it").at("on"));
        }
        for (index, name) in self.channels.iter().enumerate() {
            let wrong = |what: String| Fault::from(what).at(index).at("channels");
            let Some(channel) = channels.iter().find(|channel| channel.name == *name) else {
                return Err(wrong(format!("there is no channel `{name}`")));
            };
            if self.digest.is_some() && !channel.kind.gathers() {
                return Err(wrong(format!(
                    "channel `{name}` ({}) sends each notice alone; a digest needs a route of its own without it",
                    channel.kind.as_str()
                )));
            }
        }
        if let Some(Digest { minutes, .. }) = self.digest
            && !(1..=1440).contains(&minutes)
        {
            let what = format!("digest.minutes is {minutes}, not 1 to 1440");
            return Err(Fault::from(what).at("minutes").at("digest"));
        }
        quiet::check(&self.quiet).map_err(|what| Fault::from(what).about("quiet").at("quiet"))
    }
}
