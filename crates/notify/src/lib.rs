//! Notifications: who is told of an alert or an incident, when, and over which channel.
//!
//! A [`Notice`] says that something happened to an alert or an incident. Routes decide which channels get it, at once, after quiet
//! hours, or gathered with others; each channel writes it in the other side's terms. [`Notifier::offer`] has it on the disk
//! before it returns; [`Notifier::run`] sends it, again and again with growing pauses, and what is given up becomes a
//! dead letter that people can look at, retry or discard. So a notice is sent *at least once*; where the other side knows a
//! key of the message (PagerDuty, Alertmanager, webhooks, mail) it can see that a second one is the first.
//!
//! Nothing is lost in silence: for every channel and route offered = sent + suppressed + queued + dead, and what is
//! suppressed has a [`Reason`] and is listed.
//!
//! Deciding and writing are pure: routes, quiet hours, templates and payloads see no clock and no network.
//!
//! ```
//! use vedette_alert::{Alerts, Sighting};
//! use vedette_event::{Entity, EventId, Finding, FindingId, Level, RuleRef, SourceId, Time};
//! use vedette_notify::{Config, Notifier};
//!
//! let config: Config = serde_norway::from_str(r#"
//! console: https://vedette.example.org:8443
//! channels:
//!   - name: on-call
//!     ntfy: {url: "https://ntfy.example.org", topic: "vedette-7d1f"}
//! routes:
//!   - {name: bad, match: {level: high}, channels: [on-call]}
//! "#)?;
//! let folder = tempfile::tempdir()?;
//! let notifier = Notifier::open(&folder.path().join("notify.db"), config)?;
//!
//! // From here on, what happens to alerts and incidents is news.
//! let alerts = Alerts::in_memory()?;
//! notifier.follow(&alerts, &|_| None, Time::from_secs(100))?;
//!
//! let event = EventId { source: SourceId(1), seq: 42 };
//! let finding = Finding {
//!     id: FindingId::of("ssh-brute-force", &[event]),
//!     rule: RuleRef {
//!         id: "ssh-brute-force".into(),
//!         title: "SSH brute force".into(),
//!         level: Level::High,
//!         author: None,
//!         techniques: vec!["T1110".into()],
//!         tactics: vec![],
//!     }
//!     .into(),
//!     time: Time::from_secs(100),
//!     events: vec![event],
//!     entities: vec![Entity { kind: "ip".into(), value: "192.0.2.7".into() }],
//!     matched: vec![],
//! };
//! alerts.record(&[Sighting::from(&finding)], Time::from_secs(101))?;
//! assert_eq!(notifier.follow(&alerts, &|_| None, Time::from_secs(102))?, 1);
//!
//! let status = notifier.status()?;
//! assert_eq!(status.channels[0].queued, 1);
//! assert!(status.total.is_whole());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod backoff;
pub mod config;
mod error;
mod follow;
mod message;
mod notice;
mod notifier;
mod queue;
mod quiet;
mod ready;
mod render;
mod route;
mod sample;
mod send;
mod template;
mod text;

pub use account::{Account, Counts, Held, Letter, Reason, Suppressed};
pub use config::Config;
pub use error::NotifyError;
pub use follow::SourceNames;
pub use notice::{About, Happened, Notice, RuleName, Subject};
pub use notifier::{ChannelStatus, Notifier, Status, Tested};
pub use ready::tls_client;
