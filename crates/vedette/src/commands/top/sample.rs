//! What the server says of itself at one moment, and the rates between two.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::Context;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;

/// The list of rules is long; it is not asked for each time.
const RULES_EVERY: Duration = Duration::from_secs(5);
/// So many open alerts are shown at most.
const ALERTS: usize = 100;

/// Asks the server.
pub struct Sampler {
    client: Client,
    rules: Option<(Instant, Vec<Rule>)>,
}

/// The server's figures at one moment.
pub struct Sample {
    /// When they were asked for.
    pub at: Instant,
    /// Sums.
    pub stats: Stats,
    /// Every source.
    pub sources: Vec<Source>,
    /// When the list of rules was asked for.
    pub rules_at: Instant,
    /// Every loaded rule.
    pub rules: Vec<Rule>,
    /// The worst open alerts.
    pub alerts: Vec<Alert>,
    /// Every part's health.
    pub health: Health,
}

/// What is used of `/api/v1/stats`.
#[derive(Deserialize)]
pub struct Stats {
    /// Alerts: state -> level -> count.
    pub alerts: BTreeMap<String, BTreeMap<String, u64>>,
    /// Records that came in.
    pub received: u64,
    /// Of them durable.
    pub stored: u64,
    /// Of them handed back.
    pub refused: u64,
    /// Of them lost.
    pub shed: u64,
    /// Rules that did not load.
    pub rules_refused: u64,
    /// The spool.
    pub spool: Spool,
    /// The store.
    pub store: Store,
}

/// The spool.
#[derive(Deserialize)]
pub struct Spool {
    /// Not yet sealed.
    pub unreleased_bytes: u64,
    /// In memory.
    pub queued_bytes: u64,
    /// On the disk.
    pub disk_free_bytes: u64,
}

/// The store.
#[derive(Deserialize)]
pub struct Store {
    /// Files.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Events in memory.
    pub tail_events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of the records.
    pub original_bytes: u64,
}

/// One source's account.
#[derive(Clone, Deserialize)]
pub struct Source {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Records that came in.
    pub received: u64,
    /// Handed back, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Lost, by reason.
    pub shed: BTreeMap<String, u64>,
}

/// One loaded rule.
#[derive(Clone, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
    /// Findings since start.
    pub hits: u64,
    /// Events that it was tried on.
    pub tried: u64,
}

/// One alert.
#[derive(Deserialize)]
pub struct Alert {
    /// Its number.
    pub id: i64,
    /// Its rule.
    pub rule: AlertRule,
    /// Whom it is about.
    pub entity: Entity,
    /// Number of findings.
    pub count: u64,
    /// Event time of the latest finding.
    pub last: String,
    /// Its state.
    pub state: String,
}

/// An alert's rule.
#[derive(Deserialize)]
pub struct AlertRule {
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: String,
}

/// Whom an alert is about.
#[derive(Deserialize)]
pub struct Entity {
    /// Its name.
    pub value: String,
}

/// What is used of `/api/v1/health/detail`.
#[derive(Deserialize)]
pub struct Health {
    /// The worst of all parts.
    pub status: String,
    /// Vedette's version.
    pub version: String,
    /// Every part.
    pub checks: Vec<Check>,
    /// How far the history is proved.
    pub ledger: Ledger,
}

/// One part's health.
#[derive(Deserialize)]
pub struct Check {
    /// The part.
    pub name: String,
    /// `ok`, `warn`, `fail`.
    pub status: String,
    /// Why.
    pub detail: Option<String>,
}

/// How far the history is proved.
#[derive(Deserialize)]
pub struct Ledger {
    /// How old the newest checkpoint is.
    pub sealed_seconds_ago: u64,
}

impl Sampler {
    /// Over a connection.
    pub fn new(client: Client) -> Sampler {
        Sampler { client, rules: None }
    }

    /// Asks.
    ///
    /// # Errors
    /// The server does not answer, or in another form.
    pub fn take(&mut self) -> anyhow::Result<Sample> {
        let at = Instant::now();
        let stats = self.get("/api/v1/stats")?;
        let sources = list(self.get("/api/v1/sources")?, "sources")?;
        let alerts = list(self.get(&format!("/api/v1/alerts?state=open&sort=worst&limit={ALERTS}"))?, "alerts")?;
        let health = self.get("/api/v1/health/detail")?;
        let (rules_at, rules) = match &self.rules {
            Some((asked, rules)) if asked.elapsed() < RULES_EVERY => (*asked, rules.clone()),
            _ => {
                let asked = (Instant::now(), list(self.get("/api/v1/rules")?, "rules")?);
                self.rules.insert(asked).clone()
            }
        };
        Ok(Sample { at, stats, sources, rules_at, rules, alerts, health })
    }

    /// The same with the list of rules as it is now.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_anew(&mut self) -> anyhow::Result<Sample> {
        self.rules = None;
        self.take()
    }

    fn get<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        let answer = self.client.json(Method::GET, path, None)?;
        serde_json::from_value(answer).with_context(|| format!("the server's answer to {path} is of another version"))
    }
}

fn list<T: serde::de::DeserializeOwned>(mut answer: Value, name: &str) -> anyhow::Result<Vec<T>> {
    serde_json::from_value(answer[name].take()).with_context(|| format!("the server's {name} are of another version"))
}

/// Changes per second.
#[derive(Default)]
pub struct Rates {
    /// Records that came in.
    pub received: f64,
    /// Of them durable.
    pub stored: f64,
    /// Of them handed back.
    pub refused: f64,
    /// Of them lost.
    pub shed: f64,
    /// Records that came in, by the number of their source.
    pub sources: HashMap<u32, f64>,
    /// Events that a rule was tried on, by its id; none if the rules were not asked for in between.
    pub tried: Option<HashMap<String, f64>>,
}

impl Rates {
    /// With the rules' rates of before, where there are no newer ones.
    pub fn or_tried_of(mut self, before: Rates) -> Rates {
        self.tried = self.tried.or(before.tried);
        self
    }

    /// From one sample to a later one. Counts that went back, as after a restart, have no rate.
    pub fn between(before: &Sample, after: &Sample) -> Rates {
        let per_second = |time: Duration| {
            move |from: u64, to: u64| to.saturating_sub(from) as f64 / time.as_secs_f64().max(f64::EPSILON)
        };
        let rate = per_second(after.at.duration_since(before.at));
        let (a, b) = (&before.stats, &after.stats);
        let earlier: HashMap<u32, u64> = before.sources.iter().map(|source| (source.id, source.received)).collect();
        let sources = after.sources.iter().map(|source| {
            // A source that was not there before began at nothing.
            let from = earlier.get(&source.id).copied().unwrap_or_default();
            (source.id, rate(from, source.received))
        });
        let tried = if after.rules_at > before.rules_at {
            let rate = per_second(after.rules_at.duration_since(before.rules_at));
            let earlier: HashMap<&str, u64> = before.rules.iter().map(|rule| (rule.id.as_str(), rule.tried)).collect();
            let tried = after.rules.iter().filter_map(|rule| {
                Some((rule.id.clone(), rate(*earlier.get(rule.id.as_str())?, rule.tried)))
                    .filter(|(_, rate)| *rate > 0.0)
            });
            Some(tried.collect())
        } else {
            None
        };
        Rates {
            received: rate(a.received, b.received),
            stored: rate(a.stored, b.stored),
            refused: rate(a.refused, b.refused),
            shed: rate(a.shed, b.shed),
            sources: sources.collect(),
            tried,
        }
    }
}
