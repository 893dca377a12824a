//! The notifier: takes notices, keeps them, and has them sent.

mod worker;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use vedette_event::Time;

use crate::{
    Account, Config, Counts, Happened, Letter, Notice, NotifyError, Suppressed,
    account::rfc3339_option,
    message::Message,
    queue::{Channels, Queue},
    ready::{Ready, Setup, Speaks},
    render, route, send,
};

/// Attempts at one time, over all channels.
const CONCURRENT: usize = 8;
/// How often what was told long ago is forgotten.
const PRUNE: Duration = Duration::from_secs(3600);

/// Takes notices, keeps them, and has them sent. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Queue,
    setup: RwLock<Arc<Setup>>,
    /// Counts configurations.
    configured: watch::Sender<u64>,
    /// Counts calls that may have put something into the queue.
    offered: watch::Sender<u64>,
    health: Mutex<BTreeMap<String, Health>>,
}

/// How a channel is.
#[derive(Clone, Debug, Default)]
struct Health {
    last_sent: Option<Time>,
    last_failure: Option<Time>,
    /// Of the last attempt, if that failed.
    error: Option<String>,
    rests_until: Option<Time>,
}

/// What there is to know of the notifications.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Every configured channel.
    pub channels: Vec<ChannelStatus>,
    /// What became of every delivery, by channel and route; also of those that are not configured any more.
    pub accounts: Vec<Account>,
    /// The sum of all.
    pub total: Counts,
}

/// How a channel is.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: &'static str,
    /// Deliveries that wait.
    pub queued: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When something was sent last, since the start.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_sent: Option<Time>,
    /// When an attempt failed last, since the start.
    #[serde(serialize_with = "rfc3339_option")]
    pub last_failure: Option<Time>,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
    /// Until when nothing is tried.
    #[serde(serialize_with = "rfc3339_option")]
    pub rests_until: Option<Time>,
}

/// What a test of a channel came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    /// The other side has it.
    pub is_sent: bool,
    /// The HTTP status or SMTP code, if there was one.
    pub status: Option<u16>,
    /// What the other side said, word for word, without our own secrets; at most 16 KiB.
    pub answer: String,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub millis: u64,
}

impl Notifier {
    /// Opens the queue, creating it if there is none, and reads the secrets and certificates that the configuration
    /// names. Nothing is sent before [`run`](Self::run).
    ///
    /// # Errors
    /// The configuration is wrong, or the file cannot be used.
    pub fn open(path: &Path, config: Config) -> Result<Notifier, NotifyError> {
        let setup = Setup::new(config)?;
        let queue = Queue::open(path)?;
        let notifier = Notifier {
            shared: Arc::new(Shared {
                queue,
                setup: RwLock::new(Arc::new(setup)),
                configured: watch::Sender::new(0),
                offered: watch::Sender::new(0),
                health: Mutex::default(),
            }),
        };
        notifier.orphan()?;
        Ok(notifier)
    }

    /// Decides who gets a notice and when, and puts it into the queue; durable when this returns. A notice of the same
    /// thing (alert and what happened to it) is taken once: true if this one was new. Blocks for a write to the disk.
    ///
    /// # Errors
    /// If the queue cannot be written; then nothing was taken.
    pub fn offer(&self, notice: &Notice, now: Time) -> Result<bool, NotifyError> {
        Ok(self.offer_all(std::slice::from_ref(notice), now)? > 0)
    }

    /// The same for several, in one write. How many were new.
    ///
    /// # Errors
    /// If the queue cannot be written; then nothing was taken.
    pub fn offer_all(&self, notices: &[Notice], now: Time) -> Result<u64, NotifyError> {
        if notices.is_empty() {
            return Ok(0);
        }
        let setup = self.setup();
        let notices: Vec<Notice> = notices.iter().cloned().map(Notice::bounded).collect();
        let offers: Vec<_> =
            notices.iter().map(|notice| (notice, route::shares(&setup.config.routes, notice, now))).collect();
        let new = self.shared.queue.offer(&offers, setup.config.queue, &*setup, now)?;
        self.wake();
        Ok(new)
    }

    /// Replaces the configuration, also of a running notifier: attempts that are under way end with the old one. What
    /// waits for a channel that is gone becomes a dead letter.
    ///
    /// # Errors
    /// The configuration is wrong; the old one stays.
    pub fn replace_config(&self, config: Config) -> Result<(), NotifyError> {
        let setup = Arc::new(Setup::new(config)?);
        *self.shared.setup.write().unwrap_or_else(PoisonError::into_inner) = setup;
        self.orphan()?;
        self.shared.configured.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Sends what is due until the end. An attempt that is under way then gets two more seconds; what it has not sent is
    /// sent by the next process.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut configured = self.shared.configured.subscribe();
        let slots = Arc::new(Semaphore::new(CONCURRENT));
        while !shutdown.is_cancelled() {
            configured.borrow_and_update();
            let setup = self.setup();
            let stop = shutdown.child_token();
            let mut workers = JoinSet::new();
            for channel in &setup.channels {
                let worker = worker::Worker::new(self.clone(), channel.clone(), setup.config.retry, setup.config.queue);
                workers.spawn(worker.run(stop.clone(), shutdown.clone(), slots.clone()));
            }
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    changed = configured.changed() => if changed.is_ok() { break },
                    () = tokio::time::sleep(PRUNE) => self.prune().await,
                    Some(ended) = workers.join_next() => {
                        // A worker ends only when it is told to.
                        tracing::error!("a channel's worker ended ({ended:?}); all are started again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        break;
                    }
                }
            }
            stop.cancel();
            while workers.join_next().await.is_some() {}
        }
    }

    /// What there is to know.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub fn status(&self) -> Result<Status, NotifyError> {
        let accounts = self.shared.queue.accounts()?;
        let mut total = Counts::default();
        for Account { counts, .. } in &accounts {
            total.offered += counts.offered;
            total.sent += counts.sent;
            total.queued += counts.queued;
            total.dead += counts.dead;
            add(&mut total.suppressed, &counts.suppressed);
            add(&mut total.held, &counts.held);
        }
        let health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        let setup = self.setup();
        let channels = setup.channels.iter().map(|channel| {
            let ours = || accounts.iter().filter(|account| account.channel == channel.name);
            let Health { last_sent, last_failure, error, rests_until } =
                health.get(&channel.name).cloned().unwrap_or_default();
            ChannelStatus {
                name: channel.name.clone(),
                kind: channel.kind,
                queued: ours().map(|account| account.counts.queued).sum(),
                dead: ours().map(|account| account.counts.dead).sum(),
                last_sent,
                last_failure,
                error,
                rests_until,
            }
        });
        let channels = channels.collect();
        Ok(Status { channels, accounts, total })
    }

    /// What was given up, the latest first.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<Letter>, NotifyError> {
        self.shared.queue.letters(limit)
    }

    /// What was not sent and why, the latest first; the latest thousand are kept.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub fn suppressed(&self, limit: usize) -> Result<Vec<Suppressed>, NotifyError> {
        self.shared.queue.suppressed(limit)
    }

    /// Puts a dead letter back into the queue, as if it had never been tried.
    ///
    /// # Errors
    /// If there is none of this number, or the queue cannot be written.
    pub fn retry(&self, letter: i64, now: Time) -> Result<(), NotifyError> {
        self.shared.queue.retry(letter, now)?;
        self.orphan()?;
        self.wake();
        Ok(())
    }

    /// Removes a dead letter. It counts as suppressed, by somebody who discarded it.
    ///
    /// # Errors
    /// If there is none of this number, or the queue cannot be written.
    pub fn discard(&self, letter: i64, now: Time) -> Result<(), NotifyError> {
        self.shared.queue.discard(letter, now)
    }

    /// Sends a test message over a channel, at once and beside the queue, and says what the other side said. In PagerDuty
    /// it opens an incident and resolves it.
    ///
    /// # Errors
    /// If there is no such channel. A test that fails is not an error but its result.
    pub async fn send_test(&self, channel: &str) -> Result<Tested, NotifyError> {
        let setup = self.setup();
        let ready = setup.channel(channel).ok_or_else(|| NotifyError::UnknownChannel(channel.to_owned()))?;
        let patience = Duration::from_secs(setup.config.retry.timeout_seconds);
        let (start, time) = (Instant::now(), now());
        let mut tested = test_once(ready, Happened::Opened, time, patience).await;
        if tested.is_sent && matches!(ready.speaks, Speaks::Pagerduty { .. }) {
            let resolved = test_once(ready, Happened::Closed, time, patience).await;
            if !resolved.is_sent {
                tested = resolved;
            }
        }
        tested.millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(tested)
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    fn setup(&self) -> Arc<Setup> {
        self.shared.setup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake(&self) {
        self.shared.offered.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn orphan(&self) -> Result<(), NotifyError> {
        let setup = self.setup();
        let names: Vec<&str> = setup.channels.iter().map(|channel| channel.name.as_str()).collect();
        let orphaned = self.shared.queue.orphan(&names, setup.config.queue, now())?;
        if orphaned > 0 {
            tracing::warn!(
                orphaned,
                "notifications wait for channels that are not configured any more: dead letters now"
            );
        }
        Ok(())
    }

    async fn prune(&self) {
        let queue = self.shared.queue.clone();
        match tokio::task::spawn_blocking(move || queue.prune(now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("old notifications are not forgotten: {error}"),
            Err(error) => tracing::error!("old notifications are not forgotten: {error}"),
        }
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("channels", &self.setup().channels).finish_non_exhaustive()
    }
}

impl Channels for Setup {
    fn keeps_state(&self, channel: &str) -> bool {
        self.channel(channel).is_some_and(|channel| channel.keeps_state)
    }

    fn gathers(&self, channel: &str) -> bool {
        self.channel(channel).is_some_and(|channel| channel.gathers)
    }

    fn carries(&self, channel: &str, what: Happened) -> bool {
        what != Happened::Acknowledged || self.channel(channel).is_none_or(|channel| channel.carries_acknowledged)
    }
}

async fn test_once(channel: &Ready, what: Happened, time: Time, patience: Duration) -> Tested {
    let message = Message {
        id: format!("vedette-test-{:x}", time.micros()),
        notices: vec![Notice::test(what, time)],
        held: None,
    };
    let result = match render::payload(channel, &message, time) {
        Ok(payload) => send::attempt(channel, payload, patience).await,
        Err(what) => Err(send::Failure::lasting(channel.scrub(&what))),
    };
    let (answer, error) = match result {
        Ok(answer) => (Some(answer), None),
        Err(failure) => (failure.answer, Some(failure.what)),
    };
    Tested {
        is_sent: error.is_none(),
        status: answer.as_ref().and_then(|answer| answer.status),
        answer: answer.map(|answer| answer.text).unwrap_or_default(),
        error,
        millis: 0,
    }
}

fn add<K: Copy + Ord>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (&key, count) in more {
        *sum.entry(key).or_default() += count;
    }
}

/// The system's clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
