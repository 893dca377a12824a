//! The one thread that writes: takes what is queued, makes it one frame, makes that durable, resolves the
//! tickets.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use vedette_event::{Reason, Source, SourceId};

use crate::{
    Receipt, Refused,
    accounts::Account,
    disk::{Disk, SegmentFile, is_full},
    format::{
        Chain, Sync,
        frame::Packer,
        payload::Encoder,
        segment::{self, SegmentHeader},
    },
    shared::{COMMIT_BYTES, Pending, Recent, Shared, State},
};

/// The segment file that is appended to.
pub(crate) struct Active {
    pub(crate) file: Box<dyn SegmentFile>,
    pub(crate) number: u64,
    pub(crate) base: u64,
    /// Length of its header and first frame.
    pub(crate) first_len: u64,
    /// Length of its durable part.
    pub(crate) len: u64,
    pub(crate) sync: Sync,
    /// Hash of its last frame.
    pub(crate) chain: Chain,
}

impl Active {
    fn end(&self) -> u64 {
        self.base + self.len
    }
}

/// So many frames may be committed per interval before appends have to wait for company: an idle spool
/// commits a lone append at once, a busy one does not spend its time on tiny frames.
const FRAMES_PER_INTERVAL: u32 = 8;
/// Between two tries to begin a segment on a full disk.
const ROTATE_RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Active,
    packer: Packer,
    interval_start: Instant,
    frames_in_interval: u32,
    rotate_failed: Option<Instant>,
}

enum Work {
    Frame(Vec<Pending>),
    Losses,
    Rotate,
    End,
}

/// Why a frame could not be made durable.
enum Failure {
    /// The file is as before; it may go better later.
    Full(String),
    /// The file's state is unknown.
    Unknown(String),
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, active: Active) -> io::Result<Self> {
        let packer = Packer::new()?;
        let interval_start = Instant::now();
        Ok(Writer { shared, active, packer, interval_start, frames_in_interval: 0, rotate_failed: None })
    }

    pub(crate) fn run(mut self) {
        let _ending = Ending(self.shared.clone());
        loop {
            match self.next_work() {
                Work::Frame(appends) => self.commit(appends),
                Work::Losses => self.commit(Vec::new()),
                Work::Rotate => self.rotate_on_request(),
                Work::End => return,
            }
        }
    }

    fn next_work(&mut self) -> Work {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            if state.failed.is_some() {
                state.rotate = false;
                state.losses_since = None;
            }
            let due = if !state.queue.is_empty() {
                self.frame_due(&state)
            } else if state.rotate {
                Some(Instant::now())
            } else if let Some(due) = state.losses_due() {
                Some(if state.closing { Instant::now() } else { due })
            } else if state.closing {
                return Work::End;
            } else {
                None
            };
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            match left {
                Some(Duration::ZERO) => return self.take(state),
                Some(left) => {
                    (state, _) = shared.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
                }
                None => state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// When the waiting appends become a frame.
    fn frame_due(&self, state: &State) -> Option<Instant> {
        let interval_end = self.interval_start + self.shared.options.commit_interval;
        let is_now =
            state.closing || state.queued_bytes >= COMMIT_BYTES || self.frames_in_interval < FRAMES_PER_INTERVAL;
        Some(if is_now { Instant::now() } else { interval_end })
    }

    fn take(&mut self, mut state: MutexGuard<'_, State>) -> Work {
        if !state.queue.is_empty() {
            return Work::Frame(state.take_frame());
        }
        if state.rotate {
            state.rotate = false;
            return Work::Rotate;
        }
        Work::Losses
    }

    fn commit(&mut self, appends: Vec<Pending>) {
        let now = Instant::now();
        if now.duration_since(self.interval_start) >= self.shared.options.commit_interval {
            self.interval_start = now;
            self.frames_in_interval = 0;
        }
        self.frames_in_interval += 1;

        let plan = Plan::new(&self.shared.lock(), &appends);
        let written = if plan.is_empty() { Ok(None) } else { self.write(&plan, &appends).map(Some) };
        let cost: usize = appends.iter().map(|pending| pending.cost).sum();
        let mut state = self.shared.lock();
        state.queued_bytes -= cost;
        match written {
            Ok(frame) => {
                let records_end = plan.apply(&mut state, self.active.end());
                if let Some(frame) = frame {
                    let all_released = state.is_all_released();
                    state.advance(frame);
                    if all_released && plan.records == 0 {
                        state.skip_quiet();
                    }
                    state.frames += 1;
                    state.last_commit_micros = now.elapsed().as_micros() as u64;
                    state.last_commit = Some(self.shared.options.clock.now());
                }
                state.records_end = state.records_end.max(records_end);
                drop(state);
                self.shared.committed.notify_all();
                plan.resolve(appends);
            }
            Err(failure) => {
                let refused = self.note(&mut state, failure);
                drop(state);
                for pending in appends {
                    pending.resolver.send(Err(refused.clone())).ok();
                }
            }
        }
    }

    /// Remembers a failure; gives what the senders are told.
    fn note(&self, state: &mut State, failure: Failure) -> Refused {
        match failure {
            Failure::Full(detail) => {
                tracing::warn!(detail, "the spool's disk is full");
                state.disk_was_full();
                // Counters are tried again later; a spool that closes on a full disk cannot wait for that.
                let retry = state.losses_since.is_some() && !state.closing;
                state.losses_since = retry.then(Instant::now);
                Refused::new(Reason::DiskFull, detail)
            }
            Failure::Unknown(detail) => {
                tracing::error!(detail, "the spool cannot write any more");
                state.failed.get_or_insert_with(|| detail.clone());
                Refused::new(Reason::WriteFailed, detail)
            }
        }
    }

    /// Makes one frame durable. The file is as before when the disk is full.
    fn write(&mut self, plan: &Plan, appends: &[Pending]) -> Result<Recent, Failure> {
        if let Some(failure) = &self.shared.lock().failed {
            return Err(Failure::Unknown(failure.clone()));
        }
        let payload = plan.encode(appends);
        let is_long = self.active.len - self.active.first_len >= self.shared.options.segment_bytes;
        if is_long && self.rotate_failed.is_none_or(|failed| failed.elapsed() > ROTATE_RETRY) {
            self.rotate()?;
        }
        let path = segment::path(&self.shared.dir, self.active.number);
        let packed = self.packer.compress(&payload);
        let packed = packed.map_err(|error| Failure::Unknown(format!("cannot compress a frame: {error}")))?;
        let address = self.active.end();
        let (frame, chain) = packed.frame(self.active.sync, address, self.active.chain, plan.records);
        if let Err(error) = self.active.file.write_all_at(frame, self.active.len) {
            let detail = format!("cannot write {}: {error}", path.display());
            // Part of the frame may stand in the file. It was never acknowledged; without it the next one
            // can take its place.
            return Err(match self.active.file.set_len(self.active.len) {
                Ok(()) if is_full(&error) => Failure::Full(detail),
                _ => Failure::Unknown(detail),
            });
        }
        // After a failed sync the kernel may have marked the pages clean though they never reached the disk:
        // a second sync would then succeed and lie (the "fsyncgate" of PostgreSQL, 2018). Neither the frame
        // nor anything after it can be trusted until the file was read again by recovery.
        if let Err(error) = self.active.file.sync_data() {
            return Err(Failure::Unknown(format!("cannot sync {}: {error}", path.display())));
        }
        self.active.len += frame.len() as u64;
        self.active.chain = chain;
        Ok(Recent { address, end: self.active.end(), payload })
    }

    fn rotate_on_request(&mut self) {
        if self.active.len == self.active.first_len {
            return;
        }
        if let Err(failure) = self.rotate() {
            self.note(&mut self.shared.lock(), failure);
        }
    }

    /// Begins a new segment; where that fails (a full disk) stays with the old one.
    fn rotate(&mut self) -> Result<(), Failure> {
        let (payload, saved) = restate(&self.shared.lock());
        let header = SegmentHeader {
            number: self.active.number + 1,
            base: self.active.end(),
            sync: segment::new_sync(),
            previous: self.active.chain,
        };
        let dir = &self.shared.dir;
        let created = create(&*self.shared.disk, dir, header, &payload, &mut self.packer);
        let (active, frame) = match created {
            Ok(created) => created,
            Err(CreateError::NotBegun(detail)) => {
                // The old one can grow beyond its size; where the disk is at fault, the next frame shows it.
                tracing::warn!(detail, "cannot begin a new spool segment");
                self.rotate_failed = Some(Instant::now());
                return Ok(());
            }
            Err(CreateError::Unknown(detail)) => return Err(Failure::Unknown(detail)),
        };
        self.rotate_failed = None;
        self.active = active;
        let mut state = self.shared.lock();
        let all_released = state.is_all_released();
        state.segments.insert(header.base, header.number);
        state.advance(frame);
        state.active_begin = state.end;
        if all_released {
            state.skip_quiet();
        }
        for (source, changes) in saved {
            if let Some(account) = state.accounts.get_mut(source.id) {
                account.saved_definition(&source);
                account.saved(changes);
            }
        }
        if state.accounts.iter().all(|account| !account.is_unsaved()) {
            state.losses_since = None;
        }
        drop(state);
        self.shared.committed.notify_all();
        if let Err(error) = self.shared.trim() {
            tracing::warn!(%error, "cannot delete released spool segments");
        }
        Ok(())
    }
}

/// Tells everyone when the writer ends, even by a panic.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        if !state.closing {
            state.failed.get_or_insert_with(|| "the spool's writer has stopped".to_owned());
        }
        state.queue.clear();
        drop(state);
        self.0.committed.notify_all();
    }
}

/// What one frame will say, taken from the accounts under the lock.
struct Plan {
    definitions: Vec<Arc<Source>>,
    totals: Vec<(crate::format::payload::Total, u64)>,
    runs: Vec<Run>,
    /// Per append, the sequence number of its first record.
    first_seqs: Vec<u64>,
    records: u32,
}

struct Run {
    source: SourceId,
    first_seq: u64,
    count: u64,
    /// Which of the appends.
    appends: Vec<usize>,
}

impl Plan {
    fn new(state: &State, appends: &[Pending]) -> Plan {
        let mut runs: Vec<Run> = Vec::new();
        let mut run_of: HashMap<SourceId, usize> = HashMap::new();
        let mut first_seqs = Vec::with_capacity(appends.len());
        for (index, pending) in appends.iter().enumerate() {
            let run = *run_of.entry(pending.source).or_insert_with(|| {
                let first_seq = state.accounts.get(pending.source).map_or(0, |account| account.next_seq);
                runs.push(Run { source: pending.source, first_seq, count: 0, appends: Vec::new() });
                runs.len() - 1
            });
            let run = &mut runs[run];
            first_seqs.push(run.first_seq + run.count);
            run.count += pending.records.len() as u64;
            run.appends.push(index);
        }
        let stored_more = |account: &Account| run_of.get(&account.source.id).map_or(0, |run: &usize| runs[*run].count);
        let definitions = state
            .accounts
            .iter()
            .filter(|account| account.needs_definition() && (account.is_unsaved() || stored_more(account) > 0))
            .map(|account| account.source.clone())
            .collect();
        let totals = state
            .accounts
            .iter()
            .filter(|account| account.is_unsaved())
            .map(|account| (account.total(stored_more(account)), account.changes()))
            .collect();
        runs.retain(|run| run.count > 0);
        let records = runs.iter().map(|run| run.count as u32).sum();
        Plan { definitions, totals, runs, first_seqs, records }
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.totals.is_empty()
    }

    fn encode(&self, appends: &[Pending]) -> Bytes {
        let bytes: usize = appends.iter().map(|pending| pending.cost).sum();
        let mut encoder = Encoder::new(bytes + 256);
        encoder.count(self.definitions.len());
        self.definitions.iter().for_each(|source| encoder.definition(source));
        encoder.count(self.totals.len());
        self.totals.iter().for_each(|(total, _)| encoder.total(total));
        encoder.count(self.runs.len());
        for run in &self.runs {
            let appends = run.appends.iter().map(|index| &appends[*index]);
            let records = appends.flat_map(|pending| {
                pending.records.iter().enumerate().map(|(index, raw)| (pending.received.get(index), raw))
            });
            encoder.run(run.source, run.first_seq, records);
        }
        encoder.finish()
    }

    /// The frame is durable: its numbers count. Gives the end of the newest frame with records.
    fn apply(&self, state: &mut State, end: u64) -> u64 {
        for definition in &self.definitions {
            if let Some(account) = state.accounts.get_mut(definition.id) {
                account.saved_definition(definition);
            }
        }
        for run in &self.runs {
            if let Some(account) = state.accounts.get_mut(run.source) {
                account.next_seq += run.count;
            }
        }
        for (total, changes) in &self.totals {
            if let Some(account) = state.accounts.get_mut(total.source) {
                account.saved(*changes);
            }
        }
        if state.accounts.iter().all(|account| !account.is_unsaved()) {
            state.losses_since = None;
        } else {
            state.losses_since = Some(Instant::now());
        }
        state.records += u64::from(self.records);
        if self.runs.is_empty() { 0 } else { end }
    }

    fn resolve(&self, appends: Vec<Pending>) {
        for (pending, first_seq) in appends.into_iter().zip(&self.first_seqs) {
            let count = pending.records.len();
            let received = if count > 0 { pending.received.get(0) } else { vedette_event::Time::default() };
            // The caller may have dropped its ticket.
            pending.resolver.send(Ok(Receipt { first_seq: *first_seq, count, received })).ok();
        }
    }
}

/// The payload of a segment's first frame: every durable source and account, so that the segments before it
/// can be deleted. With the counters' states, for when it is durable.
fn restate(state: &State) -> (Bytes, Vec<(Arc<Source>, u64)>) {
    let accounts: Vec<&Account> = state.accounts.iter().filter(|account| account.is_defined()).collect();
    let mut encoder = Encoder::new(64 * accounts.len() + 16);
    encoder.count(accounts.len());
    accounts.iter().for_each(|account| encoder.definition(&account.source));
    encoder.count(accounts.len());
    accounts.iter().for_each(|account| encoder.total(&account.total(0)));
    encoder.count(0);
    let saved = accounts.iter().map(|account| (account.source.clone(), account.changes())).collect();
    (encoder.finish(), saved)
}

pub(crate) enum CreateError {
    /// The folder is as before.
    NotBegun(String),
    /// Whether the new file is there is not known.
    Unknown(String),
}

/// Writes a segment with its first frame under another name, and names it once it is durable: a segment file
/// is never seen without them.
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &std::path::Path,
    header: SegmentHeader,
    payload: &Bytes,
    packer: &mut Packer,
) -> Result<(Active, Recent), CreateError> {
    let path = segment::path(dir, header.number);
    let new_path = segment::new_path(dir, header.number);
    let address = header.base + segment::HEADER_LEN as u64;
    let packed = packer.compress(payload);
    let packed = packed.map_err(|error| CreateError::NotBegun(format!("cannot compress a frame: {error}")))?;
    let (frame, chain) = packed.frame(header.sync, address, header.previous, 0);
    let len = (segment::HEADER_LEN + frame.len()) as u64;
    let write = || {
        let mut file = disk.create(&new_path)?;
        file.write_all_at(&header.encode(), 0)?;
        file.write_all_at(frame, segment::HEADER_LEN as u64)?;
        file.sync_all()?;
        Ok(file)
    };
    let file: Box<dyn SegmentFile> = match write() {
        Ok(file) => file,
        Err(error) => {
            let error: io::Error = error;
            let detail = format!("cannot write {}: {error}", new_path.display());
            // Without its final name the file counts for nothing, and recovery removes it.
            disk.remove(&new_path).ok();
            return Err(CreateError::NotBegun(detail));
        }
    };
    let named = disk.rename(&new_path, &path).and_then(|()| disk.sync_dir(dir));
    named.map_err(|error| CreateError::Unknown(format!("cannot create {}: {error}", path.display())))?;
    let active =
        Active { file, number: header.number, base: header.base, first_len: len, len, sync: header.sync, chain };
    let recent = Recent { address, end: header.base + len, payload: payload.clone() };
    Ok((active, recent))
}
