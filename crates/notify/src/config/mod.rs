//! The configuration of notifications, `notifications:` in Vedette's file.

mod channel;
mod check;
mod route;
mod secret;

use serde::Deserialize;

pub use channel::{
    Alertmanager, Channel, Facility, Kind, Ntfy, Pagerduty, Rate, Slack, Smtp, SmtpTls, Syslog, SyslogFormat, Teams,
    Templates, Transport, Webhook,
};
pub(crate) use check::{protected, web_address, wrong_channel};
pub use route::{Digest, Globs, Match, Quiet, Route, Then, TimeOfDay, Weekday};
pub use secret::Secret;

/// Who is told of what, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where links into the console begin: `https://vedette.example.org:8443`. Without it messages have no links.
    pub console: Option<String>,
    /// Deliveries that may wait; a quarter of them is kept for levels high and critical.
    pub queue: usize,
    /// How often and how long is tried.
    pub retry: Retry,
    /// Where messages go.
    pub channels: Vec<Channel>,
    /// What goes where; in this order.
    pub routes: Vec<Route>,
}

impl Config {
    /// Every secret in it.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.channels.iter().flat_map(|channel| channel.kind.secrets())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config { console: None, queue: 10_000, retry: Retry::default(), channels: vec![], routes: vec![] }
    }
}

/// How often and how long is tried. With the defaults a message is given up after about two hours.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts before a message is given up.
    pub attempts: u32,
    /// Seconds before the second attempt; each further wait is twice as long, less a random part.
    pub first_seconds: u64,
    /// The longest such wait.
    pub longest_seconds: u64,
    /// How long one attempt may take.
    pub timeout_seconds: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 16, first_seconds: 5, longest_seconds: 900, timeout_seconds: 20 }
    }
}
