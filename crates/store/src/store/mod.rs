//! The store itself: one lock-protected state of segments and tail, and what changes it.

mod backup;
mod compact;
mod erase;
mod hold;
mod retain;
mod seal;
mod stats;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, TryLockError},
    io,
    ops::Range,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arrow::array::RecordBatch;
use vedette_event::{Batch, SourceId, Time};

use crate::{
    Budget, Options, Result, Segment, StoreError,
    error::IoContext,
    files,
    manifest::{self, Manifest, SourceRow},
    segment::SegmentWriter,
    tail::{self, Appended, Part},
};

pub use compact::Compacted;
pub use erase::{ERASED, SourceOf};
pub use hold::{Held, Hold};
pub use retain::{Deleted, Plan};
pub use seal::Sealed;
pub use stats::{SegmentSummary, SourceStats, Stats};

/// The file that is locked while a process has the store open.
const LOCK: &str = "store.lock";

/// Events in segments and in the hot tail. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    options: Options,
    read_only: bool,
    /// What readers see. Held for moments only, and always taken last.
    shown: Mutex<Shown>,
    /// What appending changes. Taken after `manifest`.
    writer: Mutex<Writer>,
    /// The manifest, for whoever changes it; none in a store that is open for reading only. Held while sealing.
    manifest: Mutex<Option<Manifest>>,
    /// Held while compacting, and taken before `manifest`: the segments that compaction could not read.
    unreadable: Mutex<BTreeSet<String>>,
    last_id: Mutex<Option<String>>,
    /// By name.
    holds: Mutex<Vec<Hold>>,
    /// How long events are kept, and on how much disk.
    kept: Mutex<(Option<Duration>, Budget)>,
    damaged: Vec<Damage>,
    _lock: Option<Lock>,
}

#[derive(Default)]
struct Shown {
    /// Ascending by hour, first receive time and id.
    segments: Vec<Arc<Segment>>,
    tail: Vec<(u64, Vec<Arc<RecordBatch>>)>,
}

struct Writer {
    /// In the order in which they were begun. Only the last of an hour is appended to.
    parts: Vec<Part>,
    next_part: u64,
    sources: BTreeMap<SourceId, SourceRow>,
    /// Sources with rows in `parts`.
    unsealed: BTreeSet<SourceId>,
    spool_position: u64,
    sealed_position: u64,
    skipped: u64,
    broken: Option<String>,
}

/// A segment of the manifest whose files are missing or not of their length. It is left out of snapshots.
#[derive(Clone, Debug)]
pub struct Damage {
    /// What is wrong, and with which file.
    pub detail: String,
    /// The segment's events, which are not found any more.
    pub segment: SegmentSummary,
}

/// The store at one moment: every event exactly once.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Sealed rows, ascending by the segments' earliest receive times.
    pub segments: Vec<Arc<Segment>>,
    /// Rows that are not sealed yet, in the same columns ([`crate::schema`]).
    pub tail: Vec<RecordBatch>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock is held leaves whole values behind: every change below is made in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in a folder; creates it if there is none. Files that the manifest does not have are leftovers
    /// of a crash and are removed.
    ///
    /// # Errors
    /// If another process has it open, if a newer version wrote it, or if the folder or the manifest cannot be used.
    /// Damaged segments are no error; see [`damaged`](Self::damaged).
    pub fn open(dir: &Path, options: Options) -> Result<Store> {
        // For its owner only, as the events in it are.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir, "creating")?;
        let lock = take_lock(dir, true)?;
        let temporary = dir.join(files::TEMPORARY);
        fs::create_dir_all(&temporary).at(&temporary, "creating")?;
        let manifest = Manifest::open(dir)?;
        let contents = manifest.contents()?;
        let known: BTreeSet<PathBuf> = contents
            .segments
            .iter()
            .map(|segment| dir.join(&segment.path))
            .flat_map(|path| [path.with_extension(files::TOKENS), path])
            .collect();
        let mut leftovers = files::walk(&temporary)?;
        leftovers.extend(files::walk(&dir.join(files::SEGMENTS))?.into_iter().filter(|path| !known.contains(path)));
        for path in leftovers {
            tracing::info!(path = %path.display(), "removing a file that no finished operation left behind");
            files::remove(&path)?;
            files::remove_empty_parents(&path, dir);
        }
        fs::create_dir_all(&temporary).at(&temporary, "creating")?;
        files::sync_dir(dir)?;
        Ok(Self::with(dir, options, Some(manifest), contents, Some(lock), false))
    }

    /// Opens the store in a folder for reading, without changing anything on disk. [`append`](Self::append) still
    /// adds to the tail in memory, so that a reader can show what the spool holds beyond the segments.
    ///
    /// # Errors
    /// As [`open`](Self::open); also if a process has it open for writing.
    pub fn open_read_only(dir: &Path, options: Options) -> Result<Store> {
        let lock = match take_lock(dir, false) {
            Err(StoreError::Io { error, .. })
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                None
            }
            lock => Some(lock?),
        };
        let manifest = Manifest::open_read_only(dir, lock.is_some())?;
        let contents = manifest.as_ref().map(Manifest::contents).transpose()?.unwrap_or_default();
        Ok(Self::with(dir, options, None, contents, lock, true))
    }

    fn with(
        dir: &Path,
        options: Options,
        manifest: Option<Manifest>,
        contents: manifest::Contents,
        lock: Option<Lock>,
        read_only: bool,
    ) -> Store {
        let last_id = contents.segments.iter().map(|segment| segment.id.clone()).max();
        let mut segments = Vec::new();
        let mut damaged = Vec::new();
        for row in contents.segments {
            let segment = Segment::new(dir, row);
            match segment.glance() {
                Ok(()) => segments.push(Arc::new(segment)),
                Err(error) => {
                    tracing::error!(%error, segment = segment.id(), rows = segment.rows(), "segment not readable");
                    damaged.push(Damage { detail: error.to_string(), segment: SegmentSummary::of(&segment) });
                }
            }
        }
        let writer = Writer {
            parts: Vec::new(),
            next_part: 0,
            sources: contents.sources,
            unsealed: BTreeSet::new(),
            spool_position: contents.spool_position,
            sealed_position: contents.spool_position,
            skipped: 0,
            broken: None,
        };
        let kept = (options.keep, options.budget);
        Store {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                options,
                read_only,
                shown: Mutex::new(Shown { segments, tail: Vec::new() }),
                writer: Mutex::new(writer),
                manifest: Mutex::new(manifest),
                unreadable: Mutex::new(BTreeSet::new()),
                last_id: Mutex::new(last_id),
                holds: Mutex::new(contents.holds),
                kept: Mutex::new(kept),
                damaged,
                _lock: lock,
            }),
        }
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Segments that the manifest has but that could not be opened. Their events are missing from every answer.
    pub fn damaged(&self) -> &[Damage] {
        &self.inner.damaged
    }

    /// Appends a batch to the hot tail. Events that the store already has (sequence numbers before
    /// [`next_seq`](Self::next_seq)) are skipped, so that the spool can be read again from an earlier position.
    ///
    /// `spool_position` is a number that does not decrease from call to call; the highest that is covered by sealing
    /// comes back from [`seal`](Self::seal).
    ///
    /// The batch is kept whole; it is cut only where its receive times pass into another hour, or where sequence
    /// numbers are missing. Each cut begins a new batch: `vedette.batch` is the sequence number of its first event.
    ///
    /// # Errors
    /// [`StoreError::TailFull`] if sealing does not keep up; [`StoreError::Batch`] if sequence numbers do not
    /// ascend. Nothing is appended then.
    pub fn append(&self, batch: &Batch, spool_position: u64) -> Result<()> {
        let inner = &*self.inner;
        let mut writer = lock(&inner.writer);
        writer.usable()?;
        let source = batch.source();
        let next_seq = writer.sources.get(&source.id).map_or(0, |source| source.next_seq);
        let pieces = tail::pieces(batch, next_seq)?;
        let waiting = writer.raw_bytes();
        if !pieces.is_empty() && waiting >= inner.options.max_tail_bytes {
            return Err(StoreError::TailFull { bytes: waiting, limit: inner.options.max_tail_bytes });
        }
        let fresh: usize = pieces.iter().map(|piece| piece.events.len()).sum();
        let first = pieces.first().map(|piece| batch.event(piece.events.start).seq());
        if let Some(first) = first.filter(|first| *first > next_seq) {
            let missing = first - next_seq;
            tracing::warn!(source = %source.name, next_seq, first, missing, "sequence numbers are missing");
        }
        let mut changes = Vec::with_capacity(pieces.len());
        for piece in pieces {
            changes.push(writer.part_for(&piece, &inner.options, !inner.read_only).append(batch, piece)?);
        }
        if let Some(last) = batch.len().checked_sub(1).filter(|_| fresh > 0).map(|last| batch.event(last)) {
            let row = SourceRow {
                name: source.name.to_string(),
                receiver: source.receiver.to_string(),
                next_seq: last.seq() + 1,
            };
            writer.sources.insert(source.id, row);
            writer.unsealed.insert(source.id);
        }
        writer.skipped += (batch.len() - fresh) as u64;
        writer.spool_position = writer.spool_position.max(spool_position);
        lock(&inner.shown).append(changes);
        Ok(())
    }

    /// How [`append`](Self::append) will cut a batch: for each piece that is new the indexes of its events.
    ///
    /// # Errors
    /// As [`append`](Self::append), for a batch that breaks a rule of batches.
    pub fn cuts(&self, batch: &Batch) -> Result<Vec<Range<usize>>> {
        let cuts = tail::cuts(batch, self.next_seq(batch.source().id))?;
        Ok(cuts.into_iter().map(|(_, events)| events).collect())
    }

    /// The sequence number that the source's next event must have; after opening: the first that is not sealed.
    pub fn next_seq(&self, source: SourceId) -> u64 {
        lock(&self.inner.writer).sources.get(&source).map_or(0, |source| source.next_seq)
    }

    /// The spool position up to which everything is sealed, as the manifest has it.
    pub fn sealed_position(&self) -> u64 {
        lock(&self.inner.writer).sealed_position
    }

    fn segment_writer(&self) -> SegmentWriter<'_> {
        let inner = &*self.inner;
        SegmentWriter { base: &inner.dir, options: &inner.options, last_id: &inner.last_id }
    }

    /// The store as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let shown = lock(&self.inner.shown);
        Snapshot {
            segments: shown.segments.clone(),
            tail: shown.tail.iter().flat_map(|(_, records)| records).map(|records| (**records).clone()).collect(),
        }
    }
}

impl Shown {
    fn append(&mut self, changes: Vec<Appended>) {
        for Appended { part, replaced, records } in changes {
            let list = match self.tail.iter().position(|(id, _)| *id == part) {
                Some(at) => &mut self.tail[at].1,
                None => {
                    self.tail.push((part, Vec::new()));
                    let last = self.tail.len() - 1;
                    &mut self.tail[last].1
                }
            };
            list.truncate(list.len() - replaced);
            list.push(records);
        }
    }

    /// Parts of the tail have become segments.
    fn seal(&mut self, parts: &[Part], segments: Vec<Arc<Segment>>) {
        self.tail.retain(|(id, _)| !parts.iter().any(|part| part.id == *id));
        self.segments.extend(segments);
        self.sort();
    }

    /// Segments have given way to others, or to none.
    fn replace(&mut self, old: &[Arc<Segment>], new: Option<Arc<Segment>>) {
        self.segments.retain(|segment| !old.iter().any(|old| old.id() == segment.id()));
        self.segments.extend(new);
        self.sort();
    }

    fn sort(&mut self) {
        let place = |segment: &Segment| (segment.row().hour, segment.received().0);
        self.segments.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.id().cmp(b.id())));
    }
}

impl Writer {
    fn usable(&self) -> Result<()> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(StoreError::Broken(why.clone())))
    }

    fn raw_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.raw_bytes).sum()
    }

    fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    fn since(&self) -> Option<Time> {
        self.parts.iter().map(|part| part.since).min()
    }

    fn part_for(&mut self, piece: &tail::Piece, options: &Options, index_tokens: bool) -> &mut Part {
        let known = self.parts.iter().rposition(|part| part.hour == piece.hour);
        let at = known.filter(|at| self.parts[*at].takes(piece)).unwrap_or_else(|| {
            self.parts.push(Part::new(self.next_part, piece.hour, options.now(), index_tokens));
            self.next_part += 1;
            self.parts.len() - 1
        });
        &mut self.parts[at]
    }
}

/// The folder's lock.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that is being started by another thread has a copy for a moment.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot release the store's lock");
        }
    }
}

/// Takes the folder's lock: alone, or together with other readers.
fn take_lock(dir: &Path, exclusive: bool) -> Result<Lock> {
    let path = dir.join(LOCK);
    let file = match exclusive {
        true => File::options().create(true).write(true).truncate(false).open(&path),
        false => File::open(&path),
    };
    let file = file.at(&path, "opening")?;
    let locked = if exclusive { file.try_lock() } else { file.try_lock_shared() };
    match locked {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(error).at(&path, "locking"),
    }
}
