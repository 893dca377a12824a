//! The account of notices: what became of every one.

use std::collections::BTreeMap;

use serde::Serialize;
use vedette_event::{Level, Time};

use crate::{Happened, Subject};

/// Why a notice is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No route fits.
    NoRoute,
    /// The route that fits does not want what happened.
    NotWanted,
    /// Quiet hours that drop.
    QuietHours,
    /// A newer state of the alert or incident went to the channel instead.
    Superseded,
    /// The channel cannot say this: Alertmanager knows no acknowledgement.
    NotCarried,
    /// The queue is full.
    QueueFull,
    /// Somebody discarded it after the last try.
    Discarded,
    /// There were too many dead letters, and it was the oldest.
    TooManyDead,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 8] = [
        Reason::NoRoute,
        Reason::NotWanted,
        Reason::QuietHours,
        Reason::Superseded,
        Reason::NotCarried,
        Reason::QueueFull,
        Reason::Discarded,
        Reason::TooManyDead,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::NoRoute => "no_route",
            Reason::NotWanted => "not_wanted",
            Reason::QuietHours => "quiet_hours",
            Reason::Superseded => "superseded",
            Reason::NotCarried => "not_carried",
            Reason::QueueFull => "queue_full",
            Reason::Discarded => "discarded",
            Reason::TooManyDead => "too_many_dead",
        }
    }
}

/// Why a notice comes late, together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Its route gathers.
    Digest,
    /// Quiet hours that hold.
    QuietHours,
    /// The channel's rate was reached.
    RateLimit,
}

impl Held {
    /// Every one.
    pub const ALL: [Held; 3] = [Held::Digest, Held::QuietHours, Held::RateLimit];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Held::Digest => "digest",
            Held::QuietHours => "quiet_hours",
            Held::RateLimit => "rate_limit",
        }
    }
}

/// What became of the notices of one channel and route. A *delivery* is one notice for one channel; for every line
/// offered = sent + suppressed + queued + dead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The channel; empty where no route led to one.
    pub channel: String,
    /// The route; empty where none fitted.
    pub route: String,
    /// What happened to its deliveries.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Numbers of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Offered.
    pub offered: u64,
    /// The other side said that it has them.
    pub sent: u64,
    /// Not sent, by reason.
    pub suppressed: BTreeMap<Reason, u64>,
    /// Waiting now.
    pub queued: u64,
    /// Given up, and neither discarded nor tried again.
    pub dead: u64,
    /// Of all: that were held back, by why. They count above too.
    pub held: BTreeMap<Held, u64>,
}

impl Counts {
    /// True if the sum adds up.
    pub fn is_whole(&self) -> bool {
        let suppressed: u64 = self.suppressed.values().sum();
        self.offered == self.sent + suppressed + self.queued + self.dead
    }
}

/// A notice that was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// When that was decided.
    #[serde(serialize_with = "rfc3339")]
    pub time: Time,
    /// The channel; empty where no route led to one.
    pub channel: String,
    /// The route; empty where none fitted.
    pub route: String,
    /// Why.
    pub reason: Reason,
    /// The alert or the incident.
    #[serde(flatten)]
    pub subject: Subject,
    /// What happened to it.
    pub what: Happened,
    /// Its level.
    pub level: Level,
    /// The alert's rule, or the incident's number and entity.
    pub title: String,
}

/// A message that was given up after the last try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its number, for [`retry`](crate::Notifier::retry) and [`discard`](crate::Notifier::discard).
    pub id: i64,
    /// The channel.
    pub channel: String,
    /// The route of its first notice.
    pub route: String,
    /// Its notices.
    pub notices: u64,
    /// The alert or the incident of its first notice.
    #[serde(flatten)]
    pub subject: Subject,
    /// What happened to it.
    pub what: Happened,
    /// Its level.
    pub level: Level,
    /// The alert's rule, or the incident's number and entity.
    pub title: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What the other side said last.
    pub error: String,
    /// When the notice was offered.
    #[serde(serialize_with = "rfc3339")]
    pub offered: Time,
    /// When it was given up.
    #[serde(serialize_with = "rfc3339")]
    pub given_up: Time,
}

/// Writes a time as RFC 3339.
pub(crate) fn rfc3339<S: serde::Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// The same for one that may be missing.
pub(crate) fn rfc3339_option<S: serde::Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}
