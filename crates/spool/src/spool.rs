//! The handle that the rest of the house holds.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use vedette_event::{Losses, Reason, Source, Time};

use crate::{
    Options, Position, Reader, Recovery, Refused, SpoolError, Status, Ticket,
    accounts::Loss,
    disk::{Disk, RealDisk},
    recover,
    shared::{Lane, Shared},
    writer::Writer,
};

/// The durable batch log of one data folder. Clones are the same spool.
#[derive(Clone)]
pub struct Spool(Arc<Handle>);

/// Ends the writer when the last clone is dropped.
struct Handle {
    shared: Arc<Shared>,
    recovery: Recovery,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held until the writer has ended.
    _lock: Lock,
}

impl Spool {
    /// Opens the spool in `dir`, creating both where needed: takes the lock, checks every frame, cuts off
    /// a tail that a crash left unfinished, and starts the writer.
    ///
    /// # Errors
    /// When another process holds it, a file is damaged or of a newer version, or the system refuses.
    pub fn open(dir: &Path, options: Options) -> Result<Spool, SpoolError> {
        Spool::open_on(Arc::new(RealDisk), dir, options)
    }

    pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: Options) -> Result<Spool, SpoolError> {
        let options = options.checked();
        create_dir(&*disk, dir)?;
        let lock = lock(dir)?;
        let recovered = recover::recover(&*disk, dir)?;
        let recovery = recovered.report.clone();
        let (begin, active) = recovered.open(&*disk, dir)?;
        let shared = Arc::new(Shared::new(dir, options, disk, begin)?);
        let writer = Writer::new(shared.clone(), active).map_err(SpoolError::io("start the compression for", dir))?;
        let writer = thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(SpoolError::io("start the writer thread for", dir))?;
        Ok(Spool(Arc::new(Handle { shared, recovery, writer: Mutex::new(Some(writer)), _lock: lock })))
    }

    /// What recovery found when the spool was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// The source of that name: the same number for ever once one of its records or losses is durable.
    /// `receiver` counts on first sight; `parser` is the configuration's and may change.
    ///
    /// # Errors
    /// [`Reason::TooManySources`] beyond `max_sources`; `<receiver>:other` is granted even then, to store
    /// and count what cannot be told apart. [`Reason::Malformed`] for names over 1 KiB.
    pub fn source(&self, name: &str, receiver: &str, parser: Option<&str>) -> Result<Arc<Source>, Refused> {
        let max_sources = self.0.shared.options.max_sources;
        self.0.shared.lock().accounts.source(name, receiver, parser, max_sources)
    }

    /// Queues records for the next commit: all of them become durable, in one frame, or none. They are
    /// stamped now, never before an earlier record of the source. An empty append waits for the records
    /// before it.
    ///
    /// # Errors
    /// Without waiting: [`Reason::TooLarge`], [`Reason::Busy`], [`Reason::DiskFull`], [`Reason::WriteFailed`].
    /// A refusal is not counted here; see [`Refused`].
    pub fn append(&self, source: &Source, records: Vec<Bytes>) -> Result<Ticket, Refused> {
        self.0.shared.append(source, records, None, Lane::Intake)
    }

    /// As [`Spool::append`], for findings and own actions: not held back by `max_spool_bytes`, and with half of
    /// `min_free_bytes` left to them. What empties the spool must be able to add to it.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn append_own(&self, source: &Source, records: Vec<Bytes>) -> Result<Ticket, Refused> {
        self.0.shared.append(source, records, None, Lane::Own)
    }

    /// The same with receive times of the caller, each raised to the one before it where needed.
    ///
    /// # Errors
    /// As [`Spool::append`].
    pub fn append_at(&self, source: &Source, records: Vec<(Time, Bytes)>) -> Result<Ticket, Refused> {
        let (times, records) = records.into_iter().unzip();
        self.0.shared.append(source, records, Some(times), Lane::Intake)
    }

    /// Counts records that were handed back to their sender. Durable within a second.
    pub fn refuse(&self, source: &Source, reason: Reason, count: u64) {
        self.0.shared.count_loss(source, Loss::Refused, reason, count);
    }

    /// Counts records that are lost. Durable within a second.
    pub fn shed(&self, source: &Source, reason: Reason, count: u64) {
        self.0.shared.count_loss(source, Loss::Shed, reason, count);
    }

    /// Every source's account. `stored` counts what is durable.
    pub fn ledger(&self) -> Vec<(Arc<Source>, Losses)> {
        self.0.shared.lock().accounts.ledger()
    }

    /// Reads from `from` on, and then follows the commits. A position before [`Spool::start`] was released
    /// by its user, so reading begins at the start then.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(self.0.shared.clone(), from)
    }

    /// The oldest frame that is not released. After a restart it is that of the oldest file, so frames that
    /// were released shortly before come again; their users know them by source and sequence number.
    pub fn start(&self) -> Position {
        self.0.shared.lock().start()
    }

    /// Where the oldest file begins: nothing before it is on disk any more.
    pub fn oldest(&self) -> Position {
        self.0.shared.lock().oldest()
    }

    /// Says that the frames before `position` are sealed elsewhere. Segment files below it are deleted; the
    /// active one is ended for that when it is large and holds nothing else.
    ///
    /// # Errors
    /// When the position is beyond the end, or a file cannot be deleted.
    pub fn release(&self, position: Position) -> Result<(), SpoolError> {
        self.0.shared.release(position)
    }

    /// Asks the writer to begin a new segment file, so that the next release can free this one.
    pub fn rotate(&self) {
        self.0.shared.lock().rotate = true;
        self.0.shared.work.notify_one();
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.0.shared.status()
    }

    /// Commits what is queued and ends the writer; appends to other clones are refused from now on.
    /// Dropping the last clone does the same.
    pub fn close(self) {
        self.0.close();
    }
}

impl Handle {
    fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.shared.dir.display(), "the spool's writer ended with a panic");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The folder's lock.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file alone would not do: a process that another thread is starting has a copy for a moment.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot release the spool's lock");
        }
    }
}

fn create_dir(disk: &dyn Disk, dir: &Path) -> Result<(), SpoolError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SpoolError::io("create", dir))?;
    match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => disk.sync_dir(parent).map_err(SpoolError::io("sync", parent)),
        None => Ok(()),
    }
}

/// The lock is the kernel's and ends with the process; the number in the file is for people.
fn lock(dir: &Path) -> Result<Lock, SpoolError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(SpoolError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let is_read = Read::by_ref(&mut file).take(20).read_to_string(&mut text).is_ok();
            let pid = text.trim().parse::<u32>().ok().filter(|_| is_read);
            let holder = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
            return Err(SpoolError::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(SpoolError::io("lock", &path)(error)),
    }
    // On a full disk the number may not fit; the lock holds all the same.
    let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    if let Err(error) = written {
        tracing::warn!(file = %path.display(), %error, "cannot note the process number");
    }
    Ok(Lock(file))
}

/// Every `.spool` file of the folder by number, and leftovers of an interrupted creation.
pub(crate) fn list(dir: &Path) -> Result<(Vec<u64>, Vec<std::path::PathBuf>), SpoolError> {
    use crate::format::segment::{Name, read_name};
    let mut numbers = Vec::new();
    let mut unborn = Vec::new();
    let entries = fs::read_dir(dir).map_err(SpoolError::io("list", dir))?;
    for entry in entries {
        let entry = entry.map_err(SpoolError::io("list", dir))?;
        match entry.file_name().to_str().map_or(Name::Other, read_name) {
            Name::Segment(number) => numbers.push(number),
            Name::Unborn => unborn.push(entry.path()),
            Name::Unknown => return Err(SpoolError::UnknownFile { file: entry.path() }),
            Name::Other => {}
        }
    }
    numbers.sort_unstable();
    Ok((numbers, unborn))
}
