//! What a running node does beside its events: reload, compact, retain, report losses.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use vedette_alert::Alerts;
use vedette_event::{Losses, Reason, Time};
use vedette_ledger::Ledger;
use vedette_spool::Spool;
use vedette_store::Store;

use super::{
    budget::Budget,
    indicators::{History, Watchlist},
    journal::SelfJournal,
    ledger,
    quiet::Quiet,
    retrohunt::Hunts,
    rules::Rules,
    sealer::News,
    settings::Settings,
};

const RELOAD_EVERY: Duration = Duration::from_secs(2);
const COMPACT_EVERY: Duration = Duration::from_secs(60);
const RETAIN_EVERY: Duration = Duration::from_secs(300);
const RETAIN_ALERTS_EVERY: Duration = Duration::from_secs(3600);
/// What became too old while it did not run goes soon.
const RETAIN_FIRST: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A step of the wall clock that is worth an event. Time servers correct less than this by running slower or faster.
const CLOCK_JUMP_MICROS: i64 = 60 * 1_000_000;
/// Retention warns this long before it will have to delete for want of space.
const WARN_BEFORE_MICROS: i64 = 3 * 86_400 * 1_000_000;
/// With so many original bytes waiting to be sealed, sealing does not keep up.
const BUSY_TAIL_BYTES: u64 = 80 << 20;
const MANY_SEGMENTS: u64 = 1000;
const STEP: Duration = Duration::from_millis(250);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What maintenance works on.
pub struct Maintenance {
    /// For the loss ledger.
    pub spool: Spool,
    /// To prove deletions.
    pub ledger: Ledger,
    /// To compact and retain.
    pub store: Store,
    /// To retain.
    pub alerts: Alerts,
    /// How long.
    pub settings: Settings,
    /// To reload.
    pub rules: Arc<Rules>,
    /// How many alerts a day people can look at.
    pub budget: Arc<Budget>,
    /// Rules that are new or changed, over history.
    pub hunts: Arc<Hunts>,
    /// To reload.
    pub indicators: Arc<Watchlist>,
    /// Where new indicators are looked for.
    pub history: Arc<History>,
    /// Where it says what it did.
    pub journal: SelfJournal,
    /// What it has to say of the sealer.
    pub sealer: News,
    /// Who listens for sources that stop sending.
    pub quiet: Arc<Quiet>,
    /// The clock that the store counts ages by.
    pub ages: Clock,
}

/// Something that is done again and again.
struct Task<'a> {
    every: Duration,
    due: Instant,
    work: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
}

impl<'a> Task<'a> {
    fn every(every: Duration, work: impl FnMut() -> anyhow::Result<()> + 'a) -> Self {
        Task { every, due: Instant::now() + every, work: Box::new(work) }
    }

    /// For the first time after so long already.
    fn first(mut self, after: Duration) -> Self {
        self.due = Instant::now() + after;
        self
    }

    fn run_if_due(&mut self) {
        if Instant::now() < self.due {
            return;
        }
        if let Err(error) = (self.work)() {
            tracing::error!("{error:#}");
        }
        self.due = Instant::now() + self.every;
    }
}

impl Maintenance {
    /// Runs until `stop` is set.
    pub fn run(self, stop: &AtomicBool) {
        let (mut reported, mut ahead) = (BTreeMap::new(), self.clock_ahead());
        let mut tasks = [
            Task::every(RELOAD_EVERY, || self.reload()),
            Task::every(RELOAD_EVERY, || self.reload_indicators()),
            Task::every(COMPACT_EVERY, || self.compact()),
            Task::every(RETAIN_EVERY, || self.retain()).first(RETAIN_FIRST),
            Task::every(RETAIN_ALERTS_EVERY, || self.retain_alerts()).first(RETAIN_FIRST),
            Task::every(REPORT_EVERY, || self.report_losses(&mut reported)),
            Task::every(LOOK_EVERY, || self.look_at_clock(&mut ahead)),
            Task::every(LOOK_EVERY, || self.sealer.tell(|(what, details)| self.journal.write(what, None, details))),
            Task::every(LOOK_EVERY, || self.quiet.look(now())),
            Task::every(LOOK_EVERY, || self.budget.look(now())),
        ];
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(STEP);
            tasks.iter_mut().for_each(Task::run_if_due);
        }
        self.history.cancel.cancel();
        if let Err(error) = self.rules.logsources.write() {
            tracing::error!("cannot write which log sources were seen: {error}");
        }
        if let Err(error) = self.quiet.close() {
            tracing::error!("{error:#}");
        }
    }

    fn reload_indicators(&self) -> anyhow::Result<()> {
        if let Some(set) = self.indicators.reload_if_changed() {
            let (loaded, refused) = (set.settled.indicators, set.refusals());
            tracing::info!(loaded, refused, files = set.files.len(), "indicators reloaded");
            let details = vec![("loaded", loaded.to_string()), ("refused", refused.to_string())];
            self.journal.write("indicators.reload", None, details)?;
        }
        self.indicators.search_history(&self.history)
    }

    fn reload(&self) -> anyhow::Result<()> {
        if self.rules.reload_if_changed() {
            let (loaded, refused) = (self.rules.current().len(), self.rules.refused().len());
            tracing::info!(loaded, refused, "rules reloaded");
            let details = vec![("loaded", loaded.to_string()), ("refused", refused.to_string())];
            self.journal.write("rules.reload", None, details)?;
        }
        self.rules.logsources.write().context("cannot write which log sources were seen")?;
        self.hunts.look()
    }

    /// Compaction can wait until the way in is not short of processor time; but not for ever, since every search opens
    /// every segment.
    fn has_time_to_compact(&self) -> bool {
        let stats = self.store.stats();
        stats.tail_raw_bytes < BUSY_TAIL_BYTES || stats.segments > MANY_SEGMENTS
    }

    fn compact(&self) -> anyhow::Result<()> {
        while self.has_time_to_compact()
            && let Some(compacted) = self.store.compact().context("cannot compact, trying again")?
        {
            tracing::debug!(from = compacted.from.len(), events = compacted.into.events, "segments compacted");
        }
        Ok(())
    }

    fn retain(&self) -> anyhow::Result<()> {
        let plan = self.store.plan()?;
        let soon = now().plus_micros(WARN_BEFORE_MICROS);
        if let Some(full_at) = plan.full_at.filter(|full_at| *full_at < soon) {
            tracing::warn!(%full_at, "the disk budget will soon be reached; the oldest events will be deleted then");
            let details = vec![
                ("full_at", full_at.to_string()),
                ("used_bytes", plan.used_bytes.to_string()),
                ("budget_bytes", plan.budget_bytes.to_string()),
            ];
            self.journal.write("retention.warning", None, details)?;
        }
        if plan.delete.is_empty() {
            return Ok(());
        }
        // The deletion is journalled and signed before it happens.
        let deleted = self.store.retain(|deleted| {
            let details =
                vec![("segments", deleted.segments.len().to_string()), ("events", deleted.events.to_string())];
            let journalled = self.journal.write("retention.delete", None, details);
            journalled
                .and_then(|()| ledger::seal_deletion(&self.ledger, &deleted.runs))
                .map_err(|error| format!("{error:#}"))
        })?;
        tracing::info!(segments = deleted.segments.len(), events = deleted.events, "old segments deleted");
        Ok(())
    }

    /// What is judged is kept as long as events are.
    fn retain_alerts(&self) -> anyhow::Result<()> {
        let (Some(keep), _) = self.settings.kept() else { return Ok(()) };
        let before = (self.ages)().plus_micros(-i64::try_from(keep.as_micros()).unwrap_or(i64::MAX));
        let pruned = self.alerts.prune_risk(before)?;
        let alerts = self.alerts.prune(before)?;
        if alerts + pruned.incidents + pruned.cases == 0 {
            return Ok(());
        }
        tracing::info!(alerts, pruned.incidents, pruned.cases, "old alerts, incidents and cases deleted");
        let details = [("alerts", alerts), ("incidents", pruned.incidents), ("cases", pruned.cases)];
        let details = details.into_iter().map(|(name, count)| (name, count.to_string())).collect();
        self.journal.write("retention.alerts", None, details)
    }

    /// How far the wall clock is ahead of the one that ages are counted by.
    fn clock_ahead(&self) -> i64 {
        now().micros().saturating_sub((self.ages)().micros())
    }

    /// Who sets the clock can hide what he does: that is an event.
    fn look_at_clock(&self, ahead: &mut i64) -> anyhow::Result<()> {
        let (before, after) = (*ahead, self.clock_ahead());
        *ahead = after;
        if after.abs_diff(before) < CLOCK_JUMP_MICROS.unsigned_abs() {
            return Ok(());
        }
        let seconds = (after - before) / 1_000_000;
        tracing::warn!(
            seconds,
            "the clock was set; what is kept is still counted from the clock as it was at the start"
        );
        self.journal.write("clock.jump", None, vec![("seconds", seconds.to_string())])
    }

    /// Losses are events too: whenever a source's refused or shed count has grown.
    fn report_losses(&self, reported: &mut BTreeMap<u32, Losses>) -> anyhow::Result<()> {
        for (source, losses) in self.spool.ledger() {
            let before = reported.get(&source.id.0);
            let lost = |losses: &Losses| (losses.refused.clone(), losses.shed.clone());
            if before.map(lost).unwrap_or_default() != lost(&losses) {
                let details = vec![
                    ("received", losses.received().to_string()),
                    ("stored", losses.stored.to_string()),
                    ("refused", reasons(&losses.refused)),
                    ("shed", reasons(&losses.shed)),
                ];
                self.journal.write("losses.report", Some(source.name.to_string()), details)?;
                reported.insert(source.id.0, losses);
            }
        }
        Ok(())
    }
}

/// `too_large=1 busy=20`
fn reasons(counts: &BTreeMap<Reason, u64>) -> String {
    counts.iter().map(|(reason, count)| format!("{reason}={count}")).collect::<Vec<_>>().join(" ")
}

/// The clock, as Vedette counts time.
pub fn now() -> Time {
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// A clock for ages: the wall clock as it is now, and what passes from now on, also while the machine sleeps. When the
/// wall clock is set, nothing becomes old at once and is deleted, and nothing waits for a time that has been before.
pub fn steady_clock() -> Clock {
    let since_boot = || {
        let time = clock_gettime(ClockId::Boottime);
        time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000)
    };
    let (begin, begin_since_boot) = (now(), since_boot());
    Arc::new(move || begin.plus_micros(since_boot() - begin_since_boot))
}
