//! What the server stands on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Semaphore, broadcast};
use utoipa::ToSchema;
use vedette_alert::Alerts;
use vedette_event::{Batch, SourceId, Time};
use vedette_notify::Notifier;

use crate::{
    Action, Console, Custody, IndicatorsView, ParsersView, Retrohunts, RulesView, Searches, SettingsView,
    accounts::Accounts, rooms::Rooms,
};

/// Everything the routes work on. The binary builds one and gives it to [`router`](crate::router).
pub struct App {
    /// The alert file.
    pub alerts: Alerts,
    /// Who is told of alerts.
    pub notifier: Notifier,
    /// The account file.
    pub accounts: Accounts,
    /// The searches that people keep.
    pub searches: Searches,
    /// The rooms below: spool, store, query.
    pub rooms: Arc<dyn Rooms>,
    /// What keeps and proves the history.
    pub custody: Arc<dyn Custody>,
    /// The rules that are loaded.
    pub rules: Arc<dyn RulesView>,
    /// Indicators of compromise.
    pub indicators: Arc<dyn IndicatorsView>,
    /// Rules over stored history.
    pub retrohunts: Arc<dyn Retrohunts>,
    /// Where actions are written down before they are carried out.
    pub journal: Arc<dyn Journal>,
    /// The parsers that people write.
    pub parsers: Arc<dyn ParsersView>,
    /// What is configured.
    pub settings: Arc<dyn SettingsView>,
    /// What the binary knows of its own health.
    pub health: Arc<dyn HealthView>,
    /// The console's files.
    pub console: Console,
    /// Batches as they are stored, for live views.
    pub live: LiveTail,
    /// What time it is.
    pub clock: Arc<dyn Fn() -> Time + Send + Sync>,
    /// Vedette's version.
    pub version: &'static str,
    /// What was counted.
    pub counters: Counters,
    /// How much at once.
    pub gates: Gates,
}

impl App {
    pub(crate) fn now(&self) -> Time {
        (self.clock)()
    }
}

/// The system's clock, for [`App::clock`].
pub fn system_clock() -> Arc<dyn Fn() -> Time + Send + Sync> {
    Arc::new(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
    })
}

/// Writes the server's own actions into the event store, as events of source `vedette:self`.
pub trait Journal: Send + Sync {
    /// Returns once the action is durable. If it cannot be written down it is not carried out.
    ///
    /// May block; is called outside the async threads.
    ///
    /// # Errors
    /// What went wrong, for people.
    fn record(&self, action: &Action) -> Result<(), String>;
}

/// What the binary knows of its own health: receivers, detection, retention.
pub trait HealthView: Send + Sync {
    /// One entry for each part.
    fn checks(&self) -> Vec<Check>;
    /// How far the history is proved.
    fn ledger(&self) -> LedgerStatus;
    /// Since when a source is quiet, if it is, and by when its next record is expected, if it has a rhythm.
    fn quiet(&self, source: SourceId) -> (Option<Time>, Option<Time>);
    /// Today's new alerts against the budget.
    fn alert_budget(&self) -> AlertBudget;
    /// How full the disk with the data folder is.
    fn disk(&self) -> DiskStatus;
    /// How busy a source is.
    fn activity(&self, source: SourceId) -> Activity;
}

/// Today's new alerts (UTC) against what people can look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AlertBudget {
    /// New alerts a day; 0 if there is no budget, and then nothing is counted.
    pub budget: u64,
    /// New alerts today.
    pub opened: u64,
    /// The rules that opened the most.
    pub noisiest: Vec<NoisyRule>,
}

/// A rule that opens alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NoisyRule {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// New alerts today.
    pub alerts: u64,
}

/// How full the disk with the data folder is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiskStatus {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes that the disk has.
    pub total_bytes: u64,
    /// Bytes in use on it, by whomever.
    pub used_bytes: u64,
}

/// How busy a source is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// When its latest record was received. Until it sends something after a restart this is as exact as the segment of
    /// that record: up to an hour too late.
    pub last_seen: Option<Time>,
    /// Records a minute, over the last five minutes or since the start.
    pub rate_per_minute: f64,
}

/// How far the history is proved.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct LedgerStatus {
    /// Entries of the log in the newest checkpoint.
    pub entries: u64,
    /// Seconds since that was signed.
    pub sealed_seconds_ago: u64,
    /// How many witnesses must have cosigned.
    pub required_witnesses: u64,
    /// The newest checkpoint that so many have cosigned, at least one; none if there is none.
    pub witnessed: Option<Witnessed>,
    /// Every witness.
    pub witnesses: Vec<WitnessStatus>,
}

/// A checkpoint that enough witnesses have cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Witnessed {
    /// Entries of the log in it.
    pub entries: u64,
    /// Seconds since there were enough cosignatures.
    pub seconds_ago: u64,
    /// How many witnesses have cosigned it or a later one.
    pub by: u64,
}

/// How one witness is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WitnessStatus {
    /// The name of its key.
    pub name: String,
    /// What it has cosigned; none if it never has.
    pub cosigned: Option<Cosigned>,
    /// Why it does not cosign now.
    pub complaint: Option<String>,
}

/// The newest checkpoint that a witness has cosigned.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Cosigned {
    /// Entries of the log in it.
    pub entries: u64,
    /// When it did so.
    #[serde(serialize_with = "crate::api::model::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// Seconds since then.
    pub seconds_ago: u64,
}

/// How one part is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Check {
    /// The part: `spool`, `store`, `detection`, `receiver:syslog-udp`.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// Why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a part, or the whole, is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Works.
    Ok,
    /// Works, but somebody should look.
    Warn,
    /// Does not work.
    Fail,
}

impl Status {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// Passes batches on to whoever watches. Nobody waits for a watcher: a slow one is told how much it missed.
#[derive(Clone, Debug)]
pub struct LiveTail {
    sender: broadcast::Sender<Arc<Batch>>,
}

impl Default for LiveTail {
    fn default() -> Self {
        LiveTail { sender: broadcast::channel(64).0 }
    }
}

impl LiveTail {
    /// True if somebody watches; otherwise there is no need to [`send`](Self::send).
    pub fn is_watched(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Shows a batch to those who watch.
    pub fn send(&self, batch: Arc<Batch>) {
        // No receiver is not an error here.
        drop(self.sender.send(batch));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.sender.subscribe()
    }
}

/// What the server counts, for `/metrics` and `stats`.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) queries: AtomicU64,
    pub(crate) queries_refused: AtomicU64,
    pub(crate) queries_failed: AtomicU64,
    pub(crate) queries_cancelled: AtomicU64,
    pub(crate) log_ins: AtomicU64,
    pub(crate) log_ins_failed: AtomicU64,
    pub(crate) requests_denied: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Every counter by name.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BTreeMap::from([
            ("queries", read(&self.queries)),
            ("queries_refused", read(&self.queries_refused)),
            ("queries_failed", read(&self.queries_failed)),
            ("queries_cancelled", read(&self.queries_cancelled)),
            ("log_ins", read(&self.log_ins)),
            ("log_ins_failed", read(&self.log_ins_failed)),
            ("requests_denied", read(&self.requests_denied)),
        ])
    }
}

/// How much of what is dear may run at once.
#[derive(Debug)]
pub struct Gates {
    /// Password hashes: each takes 19 MiB and a tenth of a second.
    pub(crate) passwords: Semaphore,
    /// Searches.
    pub(crate) searches: Arc<Semaphore>,
    /// Open streams (live tail, alert stream).
    pub(crate) streams: Arc<Semaphore>,
    /// How long rules are tried on stored events.
    pub trial: Duration,
}

/// Searches run at once, and streams are open at once.
const SEARCHES: usize = 4;
const STREAMS: usize = 64;

impl Gates {
    /// How many searches run and how many streams are open.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        let used = |of: usize, gate: &Semaphore| of.saturating_sub(gate.available_permits());
        (used(SEARCHES, &self.searches), used(STREAMS, &self.streams))
    }
}

impl Default for Gates {
    fn default() -> Self {
        Gates {
            passwords: Semaphore::new(2),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            trial: Duration::from_secs(20),
        }
    }
}
