//! Erasure of single events, so that every other event's proof stays whole.
//!
//! The order: what is to be erased is written down (`erasing` in the data folder); the log says that it is erased, and the
//! salts are forgotten; the segments are rewritten; the spool's copies go with their files. A crash on the way is made good
//! at the next start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    sync::PoisonError,
    time::Instant,
};

use vedette_event::{EventId, SourceId, Time};
use vedette_ledger::EraseFrom;
use vedette_server::{Action, CustodyError, Erased, Selection};

use super::{Batches, Keeper, LOOK, PATIENCE, Result, failed};
use crate::node::{findings, maintenance::now, whole_file};

/// In the data folder while events are being erased: their ids, a line each.
const UNDER_WAY: &str = "erasing";

/// So many events at once: the log says of each that it is erased.
const MAX_ERASED: usize = 1000;
const SEARCHED_AT_ONCE: usize = 50;

/// What is to be erased.
pub(super) struct Plan {
    pub(super) report: Erased,
    events: BTreeSet<EventId>,
    batches: Batches,
    held_by: Option<String>,
}

impl Keeper {
    pub(super) fn plan_erasure(&self, selection: &Selection) -> Result<Plan> {
        let mut events = self.find(selection)?;
        if events.len() > MAX_ERASED {
            let message = format!("more than {MAX_ERASED} events at once; narrow the search or its time");
            return Err(CustodyError::Refused(message));
        }
        if let Some(own) = events.iter().find(|id| id.source == self.journal.source()) {
            let message =
                format!("event {own} is of what people did here, and that cannot be erased; narrow the search");
            return Err(CustodyError::Refused(message));
        }
        self.wait_until_sealed(&events)?;
        let batches = self.batches(&events)?;
        let (held, history) = (self.store.held(), self.history()?);
        let (mut report, mut held_by) = (Erased::default(), None);
        for (name, originals) in &batches {
            for event in originals {
                let id = EventId { source: name.0, seq: event.seq };
                if !events.contains(&id) {
                    continue;
                }
                if event.bytes.is_empty() && history.erasure(id.source.0, id.seq).map_err(failed)?.is_some() {
                    events.remove(&id);
                } else if let Some(hold) = held.event(name.0, event.received) {
                    report.held += 1;
                    held_by.get_or_insert(format!("event {id} is on legal hold: {hold}"));
                } else {
                    report.events += 1;
                }
            }
        }
        report.quoted_by = self.quoted_by(&events)?;
        Ok(Plan { report, events, batches, held_by })
    }

    /// Findings have pieces of the events that they are about.
    fn quoted_by(&self, events: &BTreeSet<EventId>) -> Result<Vec<String>> {
        let mut quoting = BTreeSet::new();
        for some in events.iter().collect::<Vec<_>>().chunks(SEARCHED_AT_ONCE) {
            let query = findings::about(some.iter().copied());
            quoting.extend(self.search(&Selection { query, from: None, to: None })?);
        }
        Ok(quoting.difference(events).map(EventId::to_string).collect())
    }

    pub(super) fn erase_events(&self, selection: &Selection, reason: &str, mut action: Action) -> Result<Erased> {
        let _alone = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_interrupted()?;
        let plan = self.plan_erasure(selection)?;
        if let Some(held_by) = plan.held_by {
            return Err(CustodyError::Conflict(held_by));
        }
        action.target = Some(format!("{} events", plan.report.events));
        action.details.push(("reason", reason.to_owned()));
        let ids: Vec<String> = plan.events.iter().map(EventId::to_string).collect();
        // The query may name what is to be forgotten; the ids do not.
        action.details.push(("events", ids.join(" ")));
        self.record(&action)?;
        let under_way = self.dir.join(UNDER_WAY);
        // Only when everything was compared with what was signed: what cannot be erased must not be tried for ever.
        let begin = || whole_file::replace(&under_way, ids.join("\n").as_bytes());
        self.carry_out(&plan.events, plan.batches, begin)?;
        fs::remove_file(&under_way).map_err(failed)?;
        Ok(plan.report)
    }

    fn carry_out(
        &self,
        events: &BTreeSet<EventId>,
        batches: Batches,
        begin: impl FnOnce() -> io::Result<()>,
    ) -> Result<()> {
        // The tail becomes segments, of which the events are taken out; then nothing of the spool is needed any more.
        self.store.seal().map_err(failed)?;
        let from: Vec<EraseFrom> = batches
            .into_iter()
            .map(|((source, first_seq), originals)| {
                let is_wanted = |seq: &u64| events.contains(&EventId { source, seq: *seq });
                EraseFrom {
                    source: source.0,
                    first_seq,
                    erase: originals.iter().map(|event| event.seq).filter(is_wanted).collect(),
                    events: originals.into_iter().map(|event| (event.received.micros(), event.bytes)).collect(),
                }
            })
            .collect();
        self.ledger.erase(&from, now().micros(), begin).map_err(failed)?;
        let wanted: BTreeSet<(SourceId, u64)> = events.iter().map(|id| (id.source, id.seq)).collect();
        let source = |id, name: &str| {
            (self.sources)(id, name).unwrap_or_else(|| vedette_event::Source::new(id, name, "unknown"))
        };
        self.store.erase(&wanted, &*self.derive, &source).map_err(failed)?;
        self.forget_in_spool()
    }

    /// Frames go with the files that have them: all that there are now.
    fn forget_in_spool(&self) -> Result<()> {
        let end = self.spool.status().end;
        let deadline = Instant::now() + PATIENCE;
        while self.spool.oldest() < end {
            if Instant::now() > deadline {
                return Err(failed("the events are erased, but for the spool, whose files do not go; try again"));
            }
            self.spool.rotate();
            self.store.seal().map_err(failed)?;
            let sealed = vedette_spool::Position::from_u64(self.store.sealed_position());
            self.spool.release(sealed).map_err(failed)?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Ends what a crash interrupted.
    ///
    /// # Errors
    /// It cannot be ended now.
    pub fn finish_erasure(&self) -> anyhow::Result<()> {
        let _alone = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        self.end_interrupted().map_err(|error| anyhow::anyhow!("cannot end an erasure that was interrupted: {error}"))
    }

    /// A list that was left over is only a file: what it may not ask for, or what was put on hold since and is not in the log as
    /// erased, stays.
    fn keep_to_the_rules(&self, events: &mut BTreeSet<EventId>) -> Result<()> {
        let (held, own) = (self.store.held(), self.journal.source());
        let batches = self.batches_there(events)?;
        let received: BTreeMap<EventId, Time> = batches
            .iter()
            .flat_map(|(name, events)| {
                events.iter().map(|event| (EventId { source: name.0, seq: event.seq }, event.received))
            })
            .collect();
        let history = self.history()?;
        let mut refused = Vec::new();
        for event in events.iter() {
            let is_held = received.get(event).is_some_and(|received| held.event(event.source, *received).is_some());
            let is_erased = history.erasure(event.source.0, event.seq).map_err(failed)?.is_some();
            if event.source == own || is_held && !is_erased {
                refused.push(*event);
            }
        }
        for event in refused {
            tracing::warn!(%event, "not erased: it is on hold, or of what people did here");
            events.remove(&event);
        }
        Ok(())
    }

    pub(super) fn end_interrupted(&self) -> Result<()> {
        let path = self.dir.join(UNDER_WAY);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(failed)?,
        };
        let mut events: BTreeSet<EventId> = text.lines().filter_map(|line| line.parse().ok()).collect();
        self.keep_to_the_rules(&mut events)?;
        tracing::info!(events = events.len(), "going on with an erasure that was interrupted");
        self.wait_until_sealed(&events)?;
        // What retention has deleted meanwhile is gone.
        let batches = self.batches_there(&events)?;
        self.carry_out(&events, batches, || Ok(()))?;
        fs::remove_file(&path).map_err(failed)
    }
}
