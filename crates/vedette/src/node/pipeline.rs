//! The way of an event behind the spool: parse, detect, remember.
//!
//! One thread reads what the spool has made durable, in commit order. Records gather into per-source batches;
//! a batch ends at its size or a moment after its first record, is matched against the rules, and goes to
//! the store's tail. Findings go back into the spool as records of their own source: they are events like all
//! others, and when *they* come by, they become alerts. After a crash the unsealed part of the spool is
//! simply read again: the store skips what it has sealed, findings carry content-derived ids.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use vedette_alert::{Alerts, Sighting};
use vedette_event::{Batch, BatchBuilder, Derive, Finding, FindingId, Reason, Source, SourceId};
use vedette_intake::parse::Parsers;
use vedette_server::LiveTail;
use vedette_spool::{Position, Spool, SpooledRecord, Ticket};
use vedette_store::{Store, StoreError};

use super::{findings, maintenance::now, rules::Rules};

/// How long a batch may wait for more records.
const BATCH_WAIT: Duration = Duration::from_millis(100);

/// Between attempts at what is blocked for now.
const RETRY: Duration = Duration::from_millis(200);
/// How often the sealer looks whether sealing is due.
const SEAL_CHECK: Duration = Duration::from_millis(50);

/// What the pipeline works with.
pub struct Pipeline {
    spool: Spool,
    store: Store,
    alerts: Alerts,
    parsers: Arc<Parsers>,
    rules: Arc<Rules>,
    findings: Arc<Source>,
    open: BTreeMap<SourceId, Gathering>,
    /// Behind the last frame whose every record was taken.
    done: Position,
    /// Findings that are durable in the spool but have not come by yet.
    under_way: HashSet<FindingId>,
    /// Findings that came by and are to be recorded as alerts, before their batch can be sealed.
    raised: Vec<Finding>,
    counters: Arc<Counters>,
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
    /// Set when the pipeline stopped on an error.
    pub failed: AtomicBool,
}

struct Gathering {
    batch: BatchBuilder,
    since: Instant,
    /// Before the frame that brought its first record.
    before: Position,
}

impl Pipeline {
    /// A pipeline over an open spool and store. Reads the unsealed findings once, so that none is made twice.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn new(
        spool: Spool,
        store: Store,
        alerts: Alerts,
        parsers: Arc<Parsers>,
        rules: Arc<Rules>,
    ) -> anyhow::Result<Self> {
        let findings = spool
            .source(findings::SOURCE, findings::RECEIVER, None)
            .context("cannot register the findings' own source")?;
        let mut pipeline = Pipeline {
            under_way: HashSet::new(),
            raised: Vec::new(),
            open: BTreeMap::new(),
            done: spool.start(),
            counters: Arc::default(),
            live: None,
            spool,
            store,
            alerts,
            parsers,
            rules,
            findings,
        };
        pipeline.remember_findings_under_way()?;
        Ok(pipeline)
    }

    /// Shows batches to live views as they are stored.
    pub fn watch(&mut self, live: LiveTail) {
        self.live = Some(live);
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
        let (spool, store, counters) = (self.spool.clone(), self.store.clone(), self.counters());
        let drained = AtomicBool::new(false);
        let result = std::thread::scope(|scope| {
            let sealer = std::thread::Builder::new()
                .name("sealer".into())
                .spawn_scoped(scope, || seal_when_due(&spool, &store, &drained))
                .context("cannot start the sealer")?;
            let followed = self.follow(stop);
            drained.store(true, Ordering::Relaxed);
            let sealed = sealer.join().map_err(|_| anyhow::anyhow!("the sealer panicked"))?;
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
                    self.take(record)?;
                }
                self.raise()?;
                self.done = frame.position_after;
            }
            self.finish_batches(|gathering| (stopping && idle) || gathering.since.elapsed() >= BATCH_WAIT)?;
            // Findings of the last batches are records too: it is over when nothing new came and nothing is open.
            if stopping && idle && self.open.is_empty() && self.done >= self.spool.status().end {
                return Ok(());
            }
        }
    }

    /// How long to wait for the next frame: until the oldest open batch ends.
    fn patience(&self) -> Duration {
        let oldest = self.open.values().map(|gathering| gathering.since).min();
        oldest.map_or(Duration::from_millis(500), |since| BATCH_WAIT.saturating_sub(since.elapsed()))
    }

    fn take(&mut self, record: SpooledRecord) -> anyhow::Result<()> {
        if record.seq < self.store.next_seq(record.source.id) {
            return Ok(()); // in the store since before a crash
        }
        if record.source.id == self.findings.id {
            self.raised.extend(findings::decode(&record.raw));
        }
        let done = self.done;
        let gathering = self.open.entry(record.source.id).or_insert_with(|| Gathering {
            batch: BatchBuilder::new(record.source.clone()),
            since: Instant::now(),
            before: done,
        });
        self.parsers.derive(&record.source, record.seq, record.received, &record.raw, &mut gathering.batch);
        if gathering.batch.is_full() {
            let id = record.source.id;
            self.finish_batch(id)?;
        }
        Ok(())
    }

    /// Findings that came by become, or join, alerts.
    fn raise(&mut self) -> anyhow::Result<()> {
        let sightings: Vec<Sighting<'_>> = self.raised.iter().map(Sighting::from).collect();
        self.alerts.record(&sightings, now()).context("cannot record alerts")?;
        for finding in self.raised.drain(..) {
            self.under_way.remove(&finding.id);
        }
        Ok(())
    }

    fn finish_batches(&mut self, ends: impl Fn(&Gathering) -> bool) -> anyhow::Result<()> {
        let ended: Vec<SourceId> =
            self.open.iter().filter(|(_, gathering)| ends(gathering)).map(|(id, _)| *id).collect();
        ended.into_iter().try_for_each(|id| self.finish_batch(id))
    }

    fn finish_batch(&mut self, id: SourceId) -> anyhow::Result<()> {
        let Some(gathering) = self.open.remove(&id) else { return Ok(()) };
        let batch = gathering.batch.finish();
        let mut found = Vec::new();
        if id == self.findings.id {
            // What the store has is not read again after a crash, so that alerts come first.
            self.raise()?;
        } else {
            // Findings do not feed rules: a rule that matched its own finding would never end.
            self.rules.current().run(&batch, &mut found);
        }
        let unparsed = batch.events().filter(|event| event.parser().is_none()).count();
        self.counters.events.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.counters.unparsed.fetch_add(unparsed as u64, Ordering::Relaxed);
        self.report(&found)?;
        self.remember(&batch)?;
        if let Some(live) = self.live.as_ref().filter(|live| live.is_watched()) {
            live.send(Arc::new(batch));
        }
        Ok(())
    }

    /// Makes new findings durable before their events may be sealed.
    fn report(&mut self, found: &[Finding]) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for finding in found {
            if !self.under_way.contains(&finding.id) && !self.alerts.has(finding.id)? {
                records.push(Bytes::from(findings::encode(finding)));
                self.under_way.insert(finding.id);
                self.rules.hit(&finding.rule.id, finding.time);
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.counters.findings.fetch_add(records.len() as u64, Ordering::Relaxed);
        loop {
            let appended = self.spool.append_own(&self.findings, records.clone());
            let Err(refused) = appended.and_then(Ticket::wait_blocking) else { return Ok(()) };
            if !matches!(refused.reason, Reason::Busy | Reason::DiskFull) {
                anyhow::bail!("cannot keep findings: {refused}");
            }
            tracing::warn!(reason = %refused.reason, "findings wait for the spool");
            std::thread::sleep(RETRY);
        }
    }

    /// Appends to the store's tail; waits while sealing does not keep up.
    fn remember(&mut self, batch: &Batch) -> anyhow::Result<()> {
        // Sealing may release only frames whose every record is in the store: those before the oldest record that
        // is still being gathered.
        let covered = self.open.values().map(|gathering| gathering.before).min().unwrap_or(self.done).min(self.done);
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

/// Seals whenever it is due, and at last when the pipeline has drained; frees what the spool no longer needs.
fn seal_when_due(spool: &Spool, store: &Store, drained: &AtomicBool) -> anyhow::Result<()> {
    loop {
        let last = drained.load(Ordering::Relaxed);
        let sealed = if last { store.seal() } else { store.seal_if_due() };
        match sealed {
            Ok(Some(sealed)) => {
                let position = if last { spool.status().end } else { Position::from_u64(sealed.spool_position) };
                spool.release(position).context("cannot release sealed spool segments")?;
                tracing::debug!(segments = sealed.segments.len(), "sealed");
            }
            Ok(None) => {}
            Err(error @ StoreError::Broken(_)) => return Err(error).context("cannot seal"),
            Err(error) if last => return Err(error).context("cannot seal"),
            Err(error) => {
                // Everything is still in the spool and in the tail; a full disk, usually.
                tracing::error!("cannot seal, trying again: {error}");
                std::thread::sleep(RETRY);
            }
        }
        if last {
            return Ok(());
        }
        std::thread::sleep(SEAL_CHECK);
    }
}
