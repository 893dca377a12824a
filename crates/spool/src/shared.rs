//! What the handle, the writer and the readers share: one lock over the queue, the accounts and the log's end.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use vedette_event::{Reason, Source, SourceId, Time};

use crate::{
    Options, Refused, SpoolError, Ticket,
    accounts::{Accounts, Loss},
    disk::Disk,
    format::segment,
    ticket::{self, Resolver},
};

/// A place between two frames of the log: the address of the first byte behind the frames that were read.
///
/// Addresses count from 0 over all segment files, and never come back. Other rooms store a position as a
/// plain number ([`Position::to_u64`]) without looking into it; later frames have larger positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first frame ever written.
    pub const START: Position = Position(0);

    /// From a number that [`Position::to_u64`] gave.
    pub const fn from_u64(address: u64) -> Self {
        Position(address)
    }

    /// As a number.
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the spool is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk behind the last released position.
    pub unreleased_bytes: u64,
    /// Bytes that wait for their commit.
    pub queued_bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// Bytes of all segment files.
    pub disk_bytes: u64,
    /// What the file system has left for us.
    pub disk_free_bytes: u64,
    /// Why an append would be refused now.
    pub refusing: Option<Reason>,
    /// How long the last commit took to write and sync, in microseconds.
    pub last_commit_micros: u64,
    /// When the last commit was done; `None` before the first of this run.
    pub last_commit: Option<Time>,
    /// Frames committed in this run.
    pub frames: u64,
    /// Records committed in this run.
    pub records: u64,
    /// The oldest frame that is not released.
    pub start: Position,
    /// Behind the newest durable frame.
    pub end: Position,
}

/// Who appends. Whoever empties the spool (by sealing) also adds to it: findings, own actions. If he had to wait
/// for room that only he can make, all would stand still; so his records pass the limits that hold senders back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Records of senders.
    Intake,
    /// Findings and own actions.
    Own,
}

/// What a record costs in the queue beyond its bytes.
const RECORD_OVERHEAD: usize = 64;
/// From this size on, waiting records are committed at once.
pub(crate) const COMMIT_BYTES: usize = 1 << 20;
/// A frame takes no further append once it holds this much.
const FRAME_BYTES: usize = 4 << 20;
/// Payloads kept for readers near the end.
const RECENT_BYTES: usize = 8 << 20;
/// How old a look at the free space may be.
const SPACE_MAX_AGE: Duration = Duration::from_millis(100);
/// With less than this a disk counts as full even where no reserve was asked for: the next frame would hardly fit.
const LEAST_ROOM: u64 = 64 << 10;
/// How long loss counters may stay in memory only.
const LOSS_DELAY: Duration = Duration::from_millis(500);
/// A released active segment is ended, so that it can be deleted, once it is this long.
const IDLE_ROTATE_BYTES: u64 = 4 << 20;

/// Receive times of an append.
pub(crate) enum Stamps {
    All(Time),
    Each(Vec<Time>),
}

impl Stamps {
    pub(crate) fn get(&self, index: usize) -> Time {
        match self {
            Stamps::All(received) => *received,
            Stamps::Each(each) => each[index],
        }
    }
}

/// An append that waits for its commit.
pub(crate) struct Pending {
    pub(crate) source: SourceId,
    pub(crate) records: Vec<Bytes>,
    pub(crate) received: Stamps,
    pub(crate) cost: usize,
    pub(crate) resolver: Resolver,
}

/// A committed frame that is still in memory.
pub(crate) struct Recent {
    pub(crate) address: u64,
    pub(crate) end: u64,
    pub(crate) payload: Bytes,
}

/// What the file system has left, as of the last look and what was written since.
struct Room {
    looked: Instant,
    free: u64,
    /// The last write that found the disk full.
    full_since: Option<Instant>,
}

pub(crate) struct State {
    pub(crate) queue: VecDeque<Pending>,
    /// Of the queue and of the frame that is being committed.
    pub(crate) queued_bytes: usize,
    pub(crate) accounts: Accounts,
    /// Since when counters wait to be saved.
    pub(crate) losses_since: Option<Instant>,
    pub(crate) rotate: bool,
    pub(crate) closing: bool,
    /// The writer has ended.
    pub(crate) closed: bool,
    /// Why nothing can be written until the spool is opened again.
    pub(crate) failed: Option<String>,
    /// Base address of each segment file, and its number.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// Behind the newest durable frame.
    pub(crate) end: u64,
    /// Behind the newest frame that has records.
    pub(crate) records_end: u64,
    /// Behind the active segment's first frame.
    pub(crate) active_begin: u64,
    released: u64,
    /// The last stretch without records that was released without being asked for.
    quiet: Range<u64>,
    recent: VecDeque<Recent>,
    recent_bytes: usize,
    room: Room,
    pub(crate) last_commit_micros: u64,
    pub(crate) last_commit: Option<Time>,
    pub(crate) frames: u64,
    pub(crate) records: u64,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) disk: Arc<dyn Disk>,
    state: Mutex<State>,
    /// Wakes the writer.
    pub(crate) work: Condvar,
    /// Wakes the readers.
    pub(crate) committed: Condvar,
    /// Held while segment files are deleted, so that the oldest always goes first.
    trimming: Mutex<()>,
}

/// What recovery found, to begin from.
pub(crate) struct Begin {
    pub(crate) accounts: Accounts,
    pub(crate) segments: BTreeMap<u64, u64>,
    pub(crate) end: u64,
    pub(crate) records_end: u64,
    pub(crate) active_begin: u64,
}

impl Shared {
    pub(crate) fn new(dir: &Path, options: Options, disk: Arc<dyn Disk>, begin: Begin) -> Result<Self, SpoolError> {
        let free = disk.space(dir).map_err(SpoolError::io("ask for the free space of", dir))?.free;
        let start = begin.segments.keys().next().copied().unwrap_or(begin.end);
        let state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            accounts: begin.accounts,
            losses_since: None,
            rotate: false,
            closing: false,
            closed: false,
            failed: None,
            segments: begin.segments,
            end: begin.end,
            records_end: begin.records_end,
            active_begin: begin.active_begin,
            released: start,
            quiet: 0..0,
            recent: VecDeque::new(),
            recent_bytes: 0,
            room: Room { looked: Instant::now(), free, full_since: None },
            last_commit_micros: 0,
            last_commit: None,
            frames: 0,
            records: 0,
        };
        Ok(Shared {
            dir: dir.to_owned(),
            options,
            disk,
            state: Mutex::new(state),
            work: Condvar::new(),
            committed: Condvar::new(),
            trimming: Mutex::new(()),
        })
    }

    /// No code panics while it holds the lock half-way through a change, so a poisoned one is still good.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(
        &self,
        source: &Source,
        records: Vec<Bytes>,
        times: Option<Vec<Time>>,
        lane: Lane,
    ) -> Result<Ticket, Refused> {
        let options = &self.options;
        if let Some((index, record)) =
            records.iter().enumerate().find(|(_, record)| record.len() > options.max_record_bytes)
        {
            let detail = format!(
                "record {} of {} has {} bytes; the limit is {} (max_record_bytes)",
                index + 1,
                records.len(),
                record.len(),
                options.max_record_bytes
            );
            return Err(Refused::new(Reason::TooLarge, detail));
        }
        let cost = records.iter().map(|record| record.len() + RECORD_OVERHEAD).sum::<usize>();
        if cost > options.queue_bytes {
            let detail = format!(
                "an append of {} records costs {cost} bytes; the limit is {} (queue_bytes)",
                records.len(),
                options.queue_bytes
            );
            return Err(Refused::new(Reason::TooLarge, detail));
        }
        let (resolver, ticket) = ticket::ticket();
        let mut state = self.lock();
        if let Some(refused) = self.refusal(&mut state, cost, lane) {
            return Err(refused);
        }
        let Some(account) = state.accounts.of(source) else {
            let detail = format!("source {} ({}) was not given out by this spool", source.name, source.id.0);
            return Err(Refused::new(Reason::Malformed, detail));
        };
        // Stamped under the lock, so that the order of the queue is the order of the stamps.
        let received = match times {
            None => Stamps::All(account.last_received.max(options.clock.now())),
            Some(mut times) => {
                let mut last = account.last_received;
                for time in &mut times {
                    last = last.max(*time);
                    *time = last;
                }
                Stamps::Each(times)
            }
        };
        if let Some(last) = records.len().checked_sub(1) {
            account.last_received = received.get(last);
        }
        let source = account.source.id;
        let queued_before = state.queued_bytes;
        let was_idle = state.queue.is_empty();
        state.queued_bytes += cost;
        state.queue.push_back(Pending { source, records, received, cost, resolver });
        let is_full_frame = queued_before < COMMIT_BYTES && state.queued_bytes >= COMMIT_BYTES;
        drop(state);
        if was_idle || is_full_frame {
            self.work.notify_one();
        }
        Ok(ticket)
    }

    /// Why `cost` more bytes cannot be taken now.
    fn refusal(&self, state: &mut State, cost: usize, lane: Lane) -> Option<Refused> {
        let options = &self.options;
        if let Some(failure) = &state.failed {
            let detail = format!("{failure}; nothing is written until the spool is opened again");
            return Some(Refused::new(Reason::WriteFailed, detail));
        }
        if state.closing {
            return Some(Refused::new(Reason::Busy, "the spool is closing"));
        }
        let queued = state.queued_bytes + cost;
        if queued > options.queue_bytes {
            let detail = format!(
                "{} bytes wait for the disk; the limit is {} (queue_bytes)",
                state.queued_bytes, options.queue_bytes
            );
            return Some(Refused::new(Reason::Busy, detail));
        }
        let unreleased = state.unreleased();
        if lane == Lane::Intake && unreleased + queued as u64 > options.max_spool_bytes {
            let detail = format!(
                "{unreleased} bytes are not yet in the store; the limit is {} (max_spool_bytes)",
                options.max_spool_bytes
            );
            return Some(Refused::new(Reason::Busy, detail));
        }
        self.look_at_room(state);
        if let Some(since) = state.room.full_since
            && since.elapsed() < SPACE_MAX_AGE
        {
            let detail = format!("no space left on the file system of {}", self.dir.display());
            return Some(Refused::new(Reason::DiskFull, detail));
        }
        let reserve = if lane == Lane::Intake { options.min_free_bytes } else { options.min_free_bytes / 2 };
        if state.room.free.saturating_sub(queued as u64) < reserve.max(LEAST_ROOM) {
            let detail = format!(
                "the file system of {} has {} bytes free; {} are kept in reserve (min_free_bytes)",
                self.dir.display(),
                state.room.free,
                options.min_free_bytes.max(LEAST_ROOM)
            );
            return Some(Refused::new(Reason::DiskFull, detail));
        }
        None
    }

    fn look_at_room(&self, state: &mut State) {
        if state.room.looked.elapsed() < SPACE_MAX_AGE {
            return;
        }
        state.room.looked = Instant::now();
        match self.disk.space(&self.dir) {
            Ok(space) => state.room.free = space.free,
            Err(error) => tracing::warn!(dir = %self.dir.display(), %error, "cannot ask for the free space"),
        }
    }

    pub(crate) fn count_loss(&self, source: &Source, loss: Loss, reason: Reason, count: u64) {
        if count == 0 {
            return;
        }
        let mut state = self.lock();
        if !state.accounts.count(source, loss, reason, count) {
            tracing::error!(source = %source.name, %reason, count, "a loss of a source of another spool was not counted");
            return;
        }
        if state.losses_since.is_none() {
            state.losses_since = Some(Instant::now());
            drop(state);
            self.work.notify_one();
        }
    }

    pub(crate) fn status(&self) -> Status {
        let mut state = self.lock();
        let refusing = self.refusal(&mut state, 1, Lane::Intake).map(|refused| refused.reason);
        let first = state.segments.keys().next().copied().unwrap_or(state.end);
        Status {
            unreleased_bytes: state.unreleased(),
            queued_bytes: state.queued_bytes as u64,
            segments: state.segments.len(),
            disk_bytes: state.end - first,
            disk_free_bytes: state.room.free,
            refusing,
            last_commit_micros: state.last_commit_micros,
            last_commit: state.last_commit,
            frames: state.frames,
            records: state.records,
            start: state.start(),
            end: Position(state.end),
        }
    }

    /// Remembers that the frames before `position` are no longer needed, and deletes the files they fill.
    pub(crate) fn release(&self, position: Position) -> Result<(), SpoolError> {
        let mut state = self.lock();
        if position.0 > state.end {
            return Err(SpoolError::Ahead { position, end: Position(state.end) });
        }
        state.released = state.released.max(position.0);
        if state.released >= state.records_end {
            state.skip_quiet();
            let is_worth_it = IDLE_ROTATE_BYTES.min(self.options.segment_bytes / 4);
            if state.end - state.active_begin >= is_worth_it {
                state.rotate = true;
                self.work.notify_one();
            }
        }
        drop(state);
        self.trim()
    }

    /// Deletes the segment files that lie wholly before the released position, never the active one.
    pub(crate) fn trim(&self) -> Result<(), SpoolError> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        loop {
            let oldest = self.lock().first_released_segment();
            let Some((base, number)) = oldest else { break };
            let path = segment::path(&self.dir, number);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SpoolError::io("delete", path)(error));
                }
                _ => self.lock().segments.remove(&base),
            };
            any = true;
        }
        if any {
            self.disk.sync_dir(&self.dir).map_err(SpoolError::io("sync", &self.dir))?;
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn start(&self) -> Position {
        Position(self.released)
    }

    pub(crate) fn oldest(&self) -> Position {
        Position(self.segments.keys().next().copied().unwrap_or(self.active_begin))
    }

    pub(crate) fn is_all_released(&self) -> bool {
        self.released >= self.end
    }

    /// Releases the frames up to the end, which have no records: their counters are restated by the next
    /// segment.
    pub(crate) fn skip_quiet(&mut self) {
        self.quiet = self.records_end..self.end;
        self.released = self.end;
    }

    /// Where a reader at `address` goes on: behind a stretch that is released and without records.
    pub(crate) fn behind_quiet(&self, address: u64) -> u64 {
        if self.quiet.contains(&address) { self.quiet.end } else { address }
    }

    fn unreleased(&self) -> u64 {
        self.end.saturating_sub(self.released)
    }

    fn first_released_segment(&self) -> Option<(u64, u64)> {
        let mut segments = self.segments.iter();
        let (base, number) = segments.next()?;
        let (next_base, _) = segments.next()?;
        (*next_base <= self.released).then_some((*base, *number))
    }

    /// The appends for the next frame: as many as are waiting, up to a frame's size, and one at least.
    pub(crate) fn take_frame(&mut self) -> Vec<Pending> {
        let mut bytes = 0;
        let count = self
            .queue
            .iter()
            .take_while(|pending| {
                let fits = bytes == 0 || bytes + pending.cost <= FRAME_BYTES;
                bytes += pending.cost;
                fits
            })
            .count();
        self.queue.drain(..count).collect()
    }

    /// A frame is durable: readers may have it.
    pub(crate) fn advance(&mut self, frame: Recent) {
        self.room.free = self.room.free.saturating_sub(frame.end - frame.address);
        self.room.full_since = None;
        self.end = frame.end;
        self.recent_bytes += frame.payload.len();
        self.recent.push_back(frame);
        while self.recent_bytes > RECENT_BYTES && self.recent.len() > 1 {
            if let Some(oldest) = self.recent.pop_front() {
                self.recent_bytes -= oldest.payload.len();
            }
        }
    }

    pub(crate) fn disk_was_full(&mut self) {
        self.room.full_since = Some(Instant::now());
    }

    pub(crate) fn recent(&self, address: u64) -> Option<&Recent> {
        let index = self.recent.binary_search_by_key(&address, |frame| frame.address).ok()?;
        self.recent.get(index)
    }

    /// When counters that are not saved yet must be.
    pub(crate) fn losses_due(&self) -> Option<Instant> {
        self.losses_since.map(|since| since + LOSS_DELAY)
    }
}
