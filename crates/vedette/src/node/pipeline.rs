//! The way of an event behind the spool: parse, detect, remember.
//!
//! One thread reads what the spool has made durable, in commit order. Records gather into per-source batches;
//! a batch ends at its size or a moment after its first record, is matched against the rules, and goes to
//! the store's tail. Findings go back into the spool as records of their own source: they are events like all
//! others, and when *they* come by, they become alerts. Every batch is entered into the
//! ledger before the store has it. After a crash the unsealed part of the spool is simply read again: the store skips what
//! it has sealed, findings carry content-derived ids, and batches that the ledger has sealed are formed again as they were.

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use vedette_alert::{AlertError, Alerts, Sighting};
use vedette_event::{Batch, BatchBuilder, Derive, Finding, FindingId, Reason, Source, SourceId, Time};
use vedette_intake::parse::Parsers;
use vedette_ledger::{Ledger, LedgerError, SourceName};
use vedette_query::SourceLookup;
use vedette_server::LiveTail;
use vedette_sigma::Effort;
use vedette_spool::{Position, Refused, Spool, SpooledRecord, Ticket};
use vedette_store::{Store, StoreError};

use super::{
    Node, activity::Activities, correlator::Correlator, findings, indicators::Watchlist, maintenance::now, rules::Rules,
};

/// How long a batch may wait for more records.
const BATCH_WAIT: Duration = Duration::from_millis(100);

/// Between attempts at what is blocked for now.
const RETRY: Duration = Duration::from_millis(200);
/// So often something blocked is tried again when Vedette is to stop; what is not done then stays in the spool.
const LAST_TRIES: u32 = 10;
/// Between two checkpoints of the ledger.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// A record is in the spool so long after it was received, in microseconds, or the seconds of then are settled without it.
const UNDER_WAY: i64 = 2_000_000;
/// Between two times that what correlations remember is written; longer where that takes long.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// One part of the time may go into writing it.
const SAVING_SHARE: u32 = 50;
/// How often the sealer looks whether sealing is due.
const SEAL_CHECK: Duration = Duration::from_millis(50);

/// What the pipeline works with.
pub struct Pipeline {
    spool: Spool,
    ledger: Ledger,
    store: Store,
    alerts: Alerts,
    parsers: Arc<Parsers>,
    rules: Arc<Rules>,
    indicators: Arc<Watchlist>,
    correlator: Correlator,
    /// The data folder.
    dir: PathBuf,
    /// What correlations remember is written next at this time.
    save_at: Instant,
    /// Correlations remember what was before this position in the spool; the rest is kept for them.
    remembered: Arc<AtomicU64>,
    /// When the newest record was received.
    newest: Time,
    /// Nothing more will come: imports have ended.
    ends: bool,
    findings: Arc<Source>,
    /// Of the sources with events that the ledger had sealed at the start and the store had not: the sequence number
    /// after the last of them.
    sealed: HashMap<SourceId, u64>,
    sources: SourceLookup,
    open: BTreeMap<SourceId, Gathering>,
    /// Behind the last frame whose every record was taken.
    done: Position,
    /// Findings that are durable in the spool but have not come by yet.
    under_way: HashSet<FindingId>,
    /// Findings that came by and are to be recorded as alerts, before their batch can be sealed.
    raised: Vec<Finding>,
    counters: Arc<Counters>,
    activities: Option<Arc<Activities>>,
    live: Option<LiveTail>,
}

/// Figures of the pipeline for health and metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events parsed.
    pub events: AtomicU64,
    /// Events that no parser understood.
    pub unparsed: AtomicU64,
    /// Findings made.
    pub findings: AtomicU64,
    /// Values that were too long or too many to be looked up among the indicators.
    pub unlooked: AtomicU64,
    /// Set when the pipeline stopped on an error.
    pub failed: AtomicBool,
    /// Why the ledger cannot be sealed for now.
    pub unsealed: Mutex<Option<String>>,
}

struct Gathering {
    batch: BatchBuilder,
    since: Instant,
    /// Before the frame that brought its first record.
    before: Position,
    /// When its first record was received.
    received: Time,
    /// The store has it since before a crash; only correlations have not had it.
    is_stored: bool,
    /// It ends before this sequence number, as it did when the ledger sealed it; none for a new batch.
    until: Option<u64>,
}

impl Gathering {
    fn is_whole(&self, seq: u64) -> bool {
        // What the ledger has sealed ends as it did then, however large it is.
        self.until.is_some_and(|until| seq + 1 >= until)
            || (self.until.is_none() || self.is_stored) && self.batch.is_full()
    }
}

impl Pipeline {
    /// A pipeline over an open folder. Reads the unsealed findings once, so that none is made twice.
    ///
    /// # Errors
    /// The spool cannot be read, or does not have what the ledger has sealed; or the disk.
    pub fn new(node: &Node) -> anyhow::Result<Self> {
        let (spool, ledger, store) = (node.spool.clone(), node.ledger.clone(), node.store.clone());
        let rules = node.rules.clone();
        let findings = spool
            .source(findings::SOURCE, findings::RECEIVER, None)
            .context("cannot register the findings' own source")?;
        let sealed = sealed_ahead(&spool, &ledger, &store)?;
        let mut correlator = Correlator::load(rules.current(), &rules.detection().correlations, &node.dir)?;
        correlator.report_to(rules.reports.clone());
        let remembered = if correlator.is_empty() { u64::MAX } else { spool.start().to_u64() };
        let mut pipeline = Pipeline {
            indicators: node.indicators.clone(),
            correlator,
            dir: node.dir.clone(),
            save_at: Instant::now() + SAVE_EVERY,
            remembered: Arc::new(AtomicU64::new(remembered)),
            newest: Time::from_micros(i64::MIN),
            ends: false,
            sealed,
            under_way: HashSet::new(),
            raised: Vec::new(),
            open: BTreeMap::new(),
            done: spool.start(),
            counters: Arc::default(),
            activities: None,
            live: None,
            sources: super::sources(&spool),
            spool,
            ledger,
            store,
            alerts: node.alerts.clone(),
            parsers: node.parsers.clone(),
            rules,
            findings,
        };
        pipeline.remember_findings_under_way()?;
        Ok(pipeline)
    }

    /// Tells how busy each source is.
    pub fn note(&mut self, activities: Arc<Activities>) {
        self.activities = Some(activities);
    }

    /// Shows batches to live views as they are stored.
    pub fn watch(&mut self, live: LiveTail) {
        self.live = Some(live);
    }

    /// When all is read, imports have ended.
    pub fn end_imports(&mut self) {
        self.ends = true;
    }

    /// The pipeline's figures.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    fn remember_findings_under_way(&mut self) -> anyhow::Result<()> {
        let mut reader = self.spool.reader(self.spool.start());
        while let Some(frame) = reader.next(Duration::ZERO).context("cannot read the spool")? {
            for record in frame.records.iter().filter(|record| record.source.id == self.findings.id) {
                self.under_way.extend(findings::decode(&record.raw).map(|finding| finding.id));
            }
        }
        Ok(())
    }

    /// Runs until `stop` is set; then processes what is durable already, seals it, and returns.
    ///
    /// # Errors
    /// Reading the spool or writing the store failed; what is acknowledged stays in the spool.
    pub fn run(mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let (spool, ledger, store) = (self.spool.clone(), self.ledger.clone(), self.store.clone());
        let counters = self.counters();
        let (drained, remembered) = (OnceLock::new(), self.remembered.clone());
        let result = std::thread::scope(|scope| {
            let sealer = std::thread::Builder::new()
                .name("sealer".into())
                .spawn_scoped(scope, || seal_when_due(&spool, &store, &remembered, &drained))
                .context("cannot start the sealer")?;
            let checkpoints = std::thread::Builder::new()
                .name("checkpoints".into())
                .spawn_scoped(scope, || checkpoint_when_due(&ledger, &counters, &drained))
                .context("cannot start the thread for checkpoints")?;
            let followed = self.follow(stop).and_then(|()| self.save_correlations());
            // Where following stopped on an error, frames behind the last batch are in no store.
            drained.get_or_init(|| followed.is_ok().then_some(self.done));
            let sealed = sealer.join().map_err(|_| anyhow::anyhow!("the sealer panicked"))?;
            checkpoints.join().map_err(|_| anyhow::anyhow!("the thread for checkpoints panicked"))?;
            followed.and(sealed)
        });
        if result.is_err() {
            counters.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn follow(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut reader = self.spool.reader(self.spool.start());
        loop {
            let stopping = stop.load(Ordering::Relaxed);
            let patience = if stopping { Duration::ZERO } else { self.patience() };
            let frame = reader.next(patience).context("cannot read the spool")?;
            let idle = frame.is_none();
            if let Some(frame) = frame {
                for record in frame.records {
                    self.take(record, stop)?;
                }
                self.raise(stop)?;
            }
            // Frames without records (counts of what was refused) are behind it too.
            self.done = reader.position();
            // What the ledger has sealed ends as it did then: its records are all in the spool.
            let ends = |gathering: &Gathering| {
                gathering.until.is_none() && (stopping && idle || gathering.since.elapsed() >= BATCH_WAIT)
            };
            self.finish_batches(ends, stop)?;
            self.settle(idle, stop)?;
            if Instant::now() >= self.save_at {
                // A full disk, usually. What is not written yet stays in the spool.
                self.save_correlations().unwrap_or_else(|error| tracing::error!("trying again: {error:#}"));
            }
            // Findings of the last batches are records too: it is over when nothing new came and nothing is open.
            if stopping && idle && self.open.is_empty() && self.done >= self.spool.status().end {
                let mut found = Vec::new();
                if self.ends {
                    self.correlator.end_imports(&mut found);
                }
                if found.is_empty() {
                    return Ok(());
                }
                self.report(&found, stop)?;
            }
        }
    }

    /// How long to wait for the next frame: until the oldest open batch ends.
    fn patience(&self) -> Duration {
        let oldest = self.open.values().map(|gathering| gathering.since).min();
        oldest.map_or(Duration::from_millis(500), |since| BATCH_WAIT.saturating_sub(since.elapsed()))
    }

    fn take(&mut self, record: SpooledRecord, stop: &AtomicBool) -> anyhow::Result<()> {
        self.newest = self.newest.max(record.received);
        let stored = self.store.next_seq(record.source.id);
        let is_stored = record.seq < stored; // since before a crash
        if is_stored
            && (record.source.id == self.findings.id || record.seq < self.correlator.next_seq(record.source.id))
        {
            return Ok(());
        }
        if record.source.id == self.findings.id {
            self.raised.extend(findings::decode(&record.raw));
        }
        let gathering = match self.open.entry(record.source.id) {
            Entry::Occupied(gathering) => gathering.into_mut(),
            Entry::Vacant(place) => place.insert(Gathering {
                batch: BatchBuilder::new(record.source.clone()),
                since: Instant::now(),
                before: self.done,
                received: record.received,
                is_stored,
                until: match is_stored {
                    true => Some(stored),
                    false => batch_that_was_sealed(&mut self.sealed, &self.ledger, record.source.id, record.seq)?,
                },
            }),
        };
        self.parsers.derive(&record.source, record.seq, record.received, &record.raw, &mut gathering.batch);
        if gathering.is_whole(record.seq) {
            let id = record.source.id;
            self.finish_batch(id, stop)?;
        }
        Ok(())
    }

    /// Findings that came by become, or join, alerts.
    fn raise(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let sources: Vec<Option<Arc<Source>>> = self.raised.iter().map(|finding| self.source_of(finding)).collect();
        let sightings: Vec<Sighting<'_>> = std::iter::zip(&self.raised, &sources)
            .map(|(finding, source)| Sighting {
                source: source.as_deref().map(|source| &*source.name),
                ..finding.into()
            })
            .collect();
        patiently("cannot record alerts", stop, is_passing, || self.alerts.record(&sightings, now()))?;
        for finding in self.raised.drain(..) {
            self.under_way.remove(&finding.id);
        }
        Ok(())
    }

    fn source_of(&self, finding: &Finding) -> Option<Arc<Source>> {
        (self.sources)(finding.events.first()?.source, "")
    }

    fn finish_batches(&mut self, ends: impl Fn(&Gathering) -> bool, stop: &AtomicBool) -> anyhow::Result<()> {
        let ended: Vec<SourceId> =
            self.open.iter().filter(|(_, gathering)| ends(gathering)).map(|(id, _)| *id).collect();
        ended.into_iter().try_for_each(|id| self.finish_batch(id, stop))
    }

    fn finish_batch(&mut self, id: SourceId, stop: &AtomicBool) -> anyhow::Result<()> {
        let Some(gathering) = self.open.remove(&id) else { return Ok(()) };
        let batch = gathering.batch.finish();
        let mut found = Vec::new();
        if id == self.findings.id {
            // What the store has is not read again after a crash, so that alerts come first.
            self.raise(stop)?;
        } else {
            // Findings do not feed rules: a rule that matched its own finding would never end.
            let rules = self.rules.current();
            let mut effort = Effort::default();
            rules.program.run_counted(&batch, &mut found, &mut effort);
            self.rules.count(&rules, &effort, now());
            self.correlator.go_on_with(&rules);
            self.correlator.take(&batch, &mut found);
            let unlooked = self.indicators.current().set.matches(&batch, &mut found);
            self.counters.unlooked.fetch_add(unlooked, Ordering::Relaxed);
        }
        if gathering.is_stored {
            return self.report(&found, stop);
        }
        if let (Some(activities), Some(last)) = (&self.activities, batch.events().last()) {
            activities.saw(id, batch.len() as u64, last.received());
        }
        let unparsed = batch.events().filter(|event| event.parser().is_none()).count();
        self.counters.events.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.counters.unparsed.fetch_add(unparsed as u64, Ordering::Relaxed);
        self.report(&found, stop)?;
        self.remember(&batch)?;
        if let Some(live) = self.live.as_ref().filter(|live| live.is_watched()) {
            live.send(Arc::new(batch));
        }
        Ok(())
    }

    /// Lets correlations know how far everything has come: up to the oldest record that is still being gathered. When
    /// nothing comes, time passes all the same.
    fn settle(&mut self, idle: bool, stop: &AtomicBool) -> anyhow::Result<()> {
        if self.correlator.is_empty() {
            return Ok(());
        }
        let open = self.open.values().map(|gathering| gathering.received).min();
        let newest = if idle { self.newest.max(now()) } else { self.newest };
        let mut found = Vec::new();
        self.correlator.settle(open.unwrap_or(newest).min(newest).plus_micros(-UNDER_WAY), &mut found);
        self.report(&found, stop)
    }

    /// Writes what correlations remember, and lets go of what they had before in the spool.
    fn save_correlations(&mut self) -> anyhow::Result<()> {
        self.save_at = Instant::now() + SAVE_EVERY;
        let mut remembered = u64::MAX;
        if !self.correlator.is_empty() {
            let started = Instant::now();
            self.correlator.save(&self.dir)?;
            self.correlator.tell();
            self.save_at += started.elapsed() * SAVING_SHARE;
            remembered = self.covered().to_u64();
        }
        self.remembered.store(remembered, Ordering::Release);
        Ok(())
    }

    /// Only frames whose every record was taken lie before it: the oldest record that is still being gathered does not.
    fn covered(&self) -> Position {
        self.open.values().map(|gathering| gathering.before).min().unwrap_or(self.done).min(self.done)
    }

    /// Makes new findings durable before their events may be sealed.
    fn report(&mut self, found: &[Finding], stop: &AtomicBool) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for finding in found {
            let known = || self.alerts.has(finding.id);
            if !self.under_way.contains(&finding.id) && !patiently("cannot read the alerts", stop, is_passing, known)? {
                records.push(Bytes::from(findings::encode(finding)));
                self.under_way.insert(finding.id);
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.counters.findings.fetch_add(records.len() as u64, Ordering::Relaxed);
        let is_passing = |refused: &Refused| matches!(refused.reason, Reason::Busy | Reason::DiskFull);
        patiently("cannot keep findings", stop, is_passing, || {
            self.spool.append_own(&self.findings, records.clone()).and_then(Ticket::wait_blocking)
        })
        .map(drop)
    }

    /// Enters into the ledger and appends to the store's tail; waits while sealing does not keep up.
    fn remember(&mut self, batch: &Batch) -> anyhow::Result<()> {
        for events in self.store.cuts(batch).context("cannot append to the store")? {
            self.commit(batch, events).context("cannot enter a batch into the ledger")?;
        }
        // Sealing may release only frames whose every record is in the store.
        let covered = self.covered();
        loop {
            match self.store.append(batch, covered.to_u64()) {
                Ok(()) => return Ok(()),
                Err(error @ StoreError::TailFull { .. }) => {
                    tracing::debug!(%error, "waiting for the sealer");
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error).context("cannot append to the store"),
            }
        }
    }
}

impl Pipeline {
    fn commit(&self, batch: &Batch, events: Range<usize>) -> Result<(), LedgerError> {
        let source = batch.source();
        let name = SourceName { number: source.id.0, name: &source.name, receiver: &source.receiver };
        let first_seq = batch.event(events.start).seq();
        let events = events.map(|index| batch.event(index));
        self.ledger.append(name, first_seq, events.map(|event| (event.received().micros(), event.raw())))
    }
}

/// See [`Pipeline::sealed`].
fn sealed_ahead(spool: &Spool, ledger: &Ledger, store: &Store) -> anyhow::Result<HashMap<SourceId, u64>> {
    let mut ahead = HashMap::new();
    for (source, losses) in spool.ledger() {
        let sealed = ledger.sealed_seq(source.id.0);
        anyhow::ensure!(
            sealed <= losses.stored,
            "the ledger has sealed {sealed} events of {}, the spool has only had {}: it was cut or replaced; restore it",
            source.name,
            losses.stored,
        );
        if sealed > store.next_seq(source.id) {
            ahead.insert(source.id, sealed);
        }
    }
    Ok(ahead)
}

/// Where the batch that begins with an event ends, if the ledger has sealed it.
fn batch_that_was_sealed(
    sealed: &mut HashMap<SourceId, u64>,
    ledger: &Ledger,
    source: SourceId,
    seq: u64,
) -> anyhow::Result<Option<u64>> {
    let Some(end) = sealed.get(&source) else { return Ok(None) };
    if seq >= *end {
        sealed.remove(&source);
        return Ok(None);
    }
    let place = ledger.find(source.0, seq).context("cannot read the ledger")?;
    Ok(place.map(|place| place.first_seq + u64::from(place.count)))
}

/// Whether the alert file may take the same later: the disk is full, or another process reads the file.
fn is_passing(error: &AlertError) -> bool {
    // SQLite's result codes, <https://sqlite.org/rescode.html>; the last: no room for its index of the log.
    const BUSY: i32 = 5;
    const FULL: i32 = 13;
    const IOERR_SHMSIZE: i32 = 4874;
    let AlertError::Sqlite(error) = error else { return false };
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    code == IOERR_SHMSIZE || matches!(code & 0xff, BUSY | FULL)
}

/// Tries until it is done, or until it is clear that waiting does not help.
fn patiently<T, E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
    stop: &AtomicBool,
    is_passing: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let (mut last_tries, mut is_said) = (LAST_TRIES, false);
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !is_passing(&error) || last_tries == 0 {
            return Err(error).context(what);
        }
        if !is_said {
            tracing::warn!("{what}, trying again: {error}");
            is_said = true;
        }
        last_tries -= u32::from(stop.load(Ordering::Relaxed));
        std::thread::sleep(RETRY);
    }
}

/// Has a checkpoint signed every second in which the ledger grew, until the pipeline has ended.
fn checkpoint_when_due(ledger: &Ledger, counters: &Counters, drained: &OnceLock<Option<Position>>) {
    let mut next = Instant::now() + CHECKPOINT_EVERY;
    while drained.get().is_none() {
        std::thread::sleep(SEAL_CHECK);
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + CHECKPOINT_EVERY;
        let complaint = ledger.checkpoint(now().micros()).err().map(|error| error.to_string());
        let mut known = counters.unsealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = complaint.as_ref().filter(|new| known.as_ref() != Some(new)) {
            tracing::error!("cannot seal the ledger, trying again: {new}");
        }
        *known = complaint;
    }
}

/// Seals whenever it is due, and at last when the pipeline has ended; frees what the spool no longer needs.
/// `drained` says, once it has ended, up to where every record is in the store, if that is the whole spool. What is not
/// `remembered` by correlations stays.
fn seal_when_due(
    spool: &Spool,
    store: &Store,
    remembered: &AtomicU64,
    drained: &OnceLock<Option<Position>>,
) -> anyhow::Result<()> {
    let mut complaint = String::new();
    loop {
        let last = drained.get();
        let sealed = if last.is_some() { store.seal() } else { store.seal_if_due() };
        match sealed {
            Ok(Some(sealed)) => {
                let position = last.copied().flatten().unwrap_or(Position::from_u64(sealed.spool_position));
                let position = position.min(Position::from_u64(remembered.load(Ordering::Acquire)));
                spool.release(position).context("cannot release sealed spool segments")?;
                tracing::debug!(segments = sealed.segments.len(), "sealed");
                complaint.clear();
            }
            Ok(None) => {}
            Err(error @ StoreError::Broken(_)) => return Err(error).context("cannot seal"),
            Err(error) if last.is_some() => return Err(error).context("cannot seal"),
            Err(error) => {
                // Everything is still in the spool and in the tail; a full disk, usually.
                let new = error.to_string();
                if new != complaint {
                    tracing::error!("cannot seal, trying again: {new}");
                    complaint = new;
                }
                std::thread::sleep(RETRY);
            }
        }
        if last.is_some() {
            return Ok(());
        }
        std::thread::sleep(SEAL_CHECK);
    }
}
