//! The ledger on disk: batches go in, checkpoints come out.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    Algorithm, FormatError, Hash, LedgerError, anchors,
    batch::{BatchTree, Seed},
    checkpoint::Checkpoint,
    edge::{Edge, Written},
    entry::{BatchRecord, Body, Entry, MAX_ENTRY_BYTES, Unsigned},
    error::IoContext,
    index::{Index, Place, SourceHead},
    note::{Note, Signature, VerifierKey},
    sealer::{self, Seal},
    sources::Named,
    tiles::{self, TileFolder, WIDTH},
    tree,
};

/// The newest checkpoint, in the ledger's folder.
pub const CHECKPOINT: &str = "checkpoint";
/// The newest checkpoint that witnesses cosigned.
pub const WITNESSED: &str = "witnessed";
/// The log's public key, as a vkey.
pub const LOG_KEY: &str = "log.vkey";
/// The names of the sources.
pub const SOURCES: &str = "sources.jsonl";
const INDEX: &str = "index.sqlite";
const LOCK: &str = "lock";

/// How a ledger is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// How new batches are hashed.
    pub algorithm: Algorithm,
    /// After so long the key of the epoch is replaced and erased.
    pub epoch: Duration,
    /// After so long without an entry there is one that says so.
    pub heartbeat: Duration,
    /// Called at every step that writes, with its name: tests stop there.
    pub step: fn(&'static str) -> io::Result<()>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            algorithm: Algorithm::default(),
            epoch: Duration::from_secs(600),
            heartbeat: Duration::from_secs(60),
            step: |_| Ok(()),
        }
    }
}

/// A source, as its batches name it.
#[derive(Clone, Copy, Debug)]
pub struct SourceName<'a> {
    /// Its number in the data folder.
    pub number: u32,
    /// Its name.
    pub name: &'a str,
    /// The receiver it comes through.
    pub receiver: &'a str,
}

/// The ledger of a data folder. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    options: Options,
    log_key: VerifierKey,
    state: Mutex<State>,
    _lock: File,
}

struct State {
    sealer: Box<dyn Seal>,
    /// Of the signed tree.
    edge: Edge,
    index: Index,
    /// With the batches that are to be sealed.
    heads: HashMap<u32, SourceHead>,
    /// Only of what a signed checkpoint has.
    sealed: HashMap<u32, u64>,
    sources: HashMap<u32, Named>,
    /// Sources whose lines are not on disk yet.
    unnamed: Vec<u32>,
    pending: Vec<Pending>,
    epoch: u32,
    public: [u8; 32],
    epoch_since: i64,
    last_entry: i64,
    newest: Note,
    /// What a signed checkpoint has, but `checkpoint` or the index do not show yet.
    unpublished: Option<Vec<Vec<u8>>>,
}

/// An entry that is to be sealed. It names the key of the epoch in which it was made, which is the one that will sign it.
struct Pending {
    unsigned: Unsigned,
    seed: Option<Seed>,
    /// Of a batch: its source, and the sequence number after its last event.
    batch: Option<(u32, u64)>,
}

impl Ledger {
    /// Opens the ledger in a folder, or makes one. `now` is in microseconds since 1970.
    ///
    /// # Errors
    /// Another process has it open; a file is missing or damaged; or the folder is older than what the sealer signed.
    pub fn open(dir: &Path, options: Options, mut sealer: Box<dyn Seal>, now: i64) -> Result<Ledger, LedgerError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
        let lock = lock_exclusively(dir, LOCK)?;
        let head = sealer.head()?;
        let log_key: VerifierKey = head.log_key.parse()?;
        let bad_head = || LedgerError::Sealer("its head is not one".into());
        let signed = head.tree.frontier().ok_or_else(bad_head)?;
        let public = sealer::parse_hex(&head.public).ok_or_else(bad_head)?;
        let certificate = Certificate::read(&sealer::parse_hex_bytes(&head.certificate).ok_or_else(bad_head)?)?;

        replace(&dir.join(LOG_KEY), format!("{log_key}\n").as_bytes())?;
        let path = dir.join(CHECKPOINT);
        let published = read_checkpoint(&path, &log_key)?;
        if published.as_ref().is_some_and(|checkpoint| checkpoint.size > head.tree.size) {
            return Err(LedgerError::Damaged {
                path,
                what: format!("it is of a larger tree than the sealer has signed ({} entries)", head.tree.size),
            });
        }
        let folder = TileFolder::new(dir, head.tree.size);
        let behind = |what: String| LedgerError::Damaged {
            path: dir.to_owned(),
            what: format!("the log is not the one that the sealer signed at {} entries: {what}", head.tree.size),
        };
        let edge = Edge::read(&folder).map_err(|error| behind(error.to_string()))?;
        if *edge.frontier() != signed {
            return Err(behind("its hashes are others".into()));
        }
        remove_unsigned(dir, head.tree.size)?;
        let newest = sealer.checkpoint(head.tree.size, signed.root())?;

        let mut index = Index::open(&dir.join(INDEX))?;
        catch_up(&mut index, &folder)?;
        let heads: HashMap<u32, SourceHead> = index.heads()?.into_iter().collect();
        let (_, epoch_logged) = index.state()?;
        let is_published = published.is_some_and(|checkpoint| checkpoint.size == head.tree.size);
        let mut state = State {
            sealer,
            edge,
            index,
            sealed: heads.iter().map(|(source, head)| (*source, head.next_seq)).collect(),
            heads,
            sources: read_sources(&dir.join(SOURCES))?,
            unnamed: Vec::new(),
            pending: Vec::new(),
            epoch: head.epoch,
            public,
            epoch_since: certificate.since,
            last_entry: now,
            newest,
            unpublished: (!is_published).then(Vec::new),
        };
        if epoch_logged.is_none_or(|logged| logged < head.epoch) {
            state.begin_epoch(certificate);
        }
        let ledger = Ledger {
            inner: Arc::new(Inner { dir: dir.to_owned(), options, log_key, state: Mutex::new(state), _lock: lock }),
        };
        ledger.checkpoint(now)?;
        Ok(ledger)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log's public key.
    pub fn log_key(&self) -> &VerifierKey {
        &self.inner.log_key
    }

    /// The newest checkpoint, signed by the log.
    pub fn newest(&self) -> Note {
        self.state().newest.clone()
    }

    /// The sequence number after the last event of a source that is recorded, if only in memory.
    pub fn next_seq(&self, source: u32) -> u64 {
        self.state().heads.get(&source).map_or(0, |head| head.next_seq)
    }

    /// The sequence number after the last event of a source that a signed checkpoint has.
    pub fn sealed_seq(&self, source: u32) -> u64 {
        self.state().sealed.get(&source).copied().unwrap_or(0)
    }

    /// The sealed batch that has an event.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn find(&self, source: u32, seq: u64) -> Result<Option<Place>, LedgerError> {
        self.state().index.find(source, seq)
    }

    /// Records a batch: consecutive events of one source (receive time, original bytes), the first with number `first_seq`.
    /// It is sealed with the next [`checkpoint`](Self::checkpoint). A batch that was sealed already is compared.
    ///
    /// # Errors
    /// The batch has no events, or contradicts what was recorded.
    pub fn append<'a>(
        &self,
        source: SourceName<'_>,
        first_seq: u64,
        events: impl Iterator<Item = (i64, &'a [u8])>,
    ) -> Result<(), LedgerError> {
        let contradiction = |what: String| LedgerError::Contradiction { source_number: source.number, what };
        let next_seq = self.next_seq(source.number);
        if first_seq < next_seq {
            return self.compare(source.number, first_seq, events);
        }
        let seed = crate::random()?;
        let algorithm = self.inner.options.algorithm;
        // Hashing does not hold the lock: one thread appends.
        let mut tree = BatchTree::new(algorithm, seed, first_seq);
        let mut received: Option<(i64, i64)> = None;
        for (time, original) in events {
            tree.add(time, original);
            received = Some(received.map_or((time, time), |(min, max)| (min.min(time), max.max(time))));
        }
        let (Some((received_min, received_max)), Ok(count)) = (received, u32::try_from(tree.len())) else {
            return Err(contradiction("a batch without events, or with too many".into()));
        };
        let (root, digest) = tree.finish();
        let mut state = self.state();
        let commitment = state.commitment(source)?;
        let prev = state.heads.get(&source.number).map_or([0; 32], |head| head.chain);
        let body = Body::Batch(BatchRecord {
            algorithm,
            source: source.number,
            commitment,
            first_seq,
            count,
            root,
            digest,
            prev,
            received_min,
            received_max,
        });
        let unsigned = Unsigned::new(&body, state.epoch, &state.public);
        let next_seq = first_seq + u64::from(count);
        state.heads.insert(source.number, SourceHead { next_seq, chain: unsigned.chain_hash() });
        state.pending.push(Pending { unsigned, seed: Some(seed), batch: Some((source.number, next_seq)) });
        Ok(())
    }

    /// After a crash the spool is read again: what is in it must be what was sealed.
    fn compare<'a>(
        &self,
        source: u32,
        first_seq: u64,
        events: impl Iterator<Item = (i64, &'a [u8])>,
    ) -> Result<(), LedgerError> {
        let contradiction = |what: &str| LedgerError::Contradiction {
            source_number: source,
            what: format!("the batch that begins with event {first_seq} {what}"),
        };
        let place = self.find(source, first_seq)?.filter(|place| place.first_seq == first_seq);
        let place = place.ok_or_else(|| contradiction("was sealed within another one"))?;
        let folder = TileFolder::new(&self.inner.dir, self.state().edge.size());
        let entry = Entry::parse(&folder.entry(place.entry).at(&self.inner.dir)?)?;
        let Body::Batch(record) = entry.body else { return Err(contradiction("is another entry in the log")) };
        let seed = read_seed(&self.inner.dir, place.entry)?;
        let mut tree = BatchTree::new(record.algorithm, seed, first_seq);
        events.for_each(|(received, original)| tree.add(received, original));
        if tree.len() != u64::from(record.count) || tree.finish().0 != record.root {
            return Err(contradiction("is not the one that was sealed: the spool was changed"));
        }
        Ok(())
    }

    /// That the tree of `old` entries is the beginning of the one of `new`.
    ///
    /// # Errors
    /// A tile cannot be read, or the log is not so large.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, LedgerError> {
        let size = self.state().edge.size();
        if old > new || new > size {
            return Err(FormatError::new(format!("no proof from {old} to {new} in a log of {size} entries")).into());
        }
        let folder = TileFolder::new(&self.inner.dir, size);
        tree::consistency_proof(Algorithm::Sha256, &folder, old, new).at(&self.inner.dir)
    }

    /// Keeps witnesses' signatures of a checkpoint, beside those that others gave for the same one.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn cosign(&self, note: &Note, signatures: Vec<Signature>) -> Result<(), LedgerError> {
        let path = self.inner.dir.join(WITNESSED);
        let mut cosigned = Note { text: note.text.clone(), signatures: note.signatures.clone() };
        cosigned.signatures.extend(signatures);
        // One at a time.
        let _state = self.state();
        if let Ok(before) = fs::read(&path)
            && let Ok(before) = Note::parse(&before)
        {
            let size = |note: &Note| note.text.parse::<Checkpoint>().map_or(0, |checkpoint| checkpoint.size);
            if size(&before) > size(&cosigned) {
                return Ok(());
            }
            cosigned.merge(&before);
        }
        replace(&path, cosigned.to_string().as_bytes())
    }

    /// Keeps an authority's reply with its token for a checkpoint of this log, and the checkpoint beside it: an anchor.
    ///
    /// # Errors
    /// They cannot be written, or the note has no checkpoint.
    pub fn anchor(&self, note: &Note, authority: &str, reply: &[u8]) -> Result<(), LedgerError> {
        let size = note.text.parse::<Checkpoint>()?.size;
        // One at a time.
        let _state = self.state();
        anchors::keep(&self.inner.dir, note, size, authority, reply)
    }

    /// Size and time (microseconds since 1970) of an authority's newest anchor.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn newest_anchor(&self, authority: &str) -> Result<Option<(u64, i64)>, LedgerError> {
        anchors::newest(&self.inner.dir, authority)
    }

    /// Adds another entry, which is signed with the next checkpoint.
    ///
    /// # Errors
    /// It is longer than an entry may be.
    pub fn record(&self, body: Body) -> Result<(), LedgerError> {
        let mut state = self.state();
        let unsigned = Unsigned::new(&body, state.epoch, &state.public);
        if unsigned.bytes().len() + 64 > MAX_ENTRY_BYTES {
            return Err(FormatError::new("the entry is longer than 65,535 bytes").into());
        }
        state.pending.push(Pending { unsigned, seed: None, batch: None });
        Ok(())
    }

    /// Seals what was recorded: writes it, has the sealer sign it, and publishes the checkpoint. Without anything new there
    /// is a heartbeat when one is due, or nothing to do.
    ///
    /// # Errors
    /// Writing failed or the sealer refused. What was recorded stays, and can be tried again.
    pub fn checkpoint(&self, now: i64) -> Result<Option<Checkpoint>, LedgerError> {
        let inner = &*self.inner;
        let mut state = self.state();
        state.publish(inner)?;
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        if state.pending.is_empty() {
            if now.saturating_sub(state.last_entry) < micros(inner.options.heartbeat) {
                return Ok(None);
            }
            let unsigned = Unsigned::new(&Body::Heartbeat(now), state.epoch, &state.public);
            state.pending.push(Pending { unsigned, seed: None, batch: None });
        }
        let sealed = state.seal(inner);
        if sealed.is_err() {
            // The sealer took entries that are not in the log.
            state.sealer.head()?;
        }
        let checkpoint = sealed?;
        state.last_entry = now;
        state.publish(inner)?;
        if now.saturating_sub(state.epoch_since) >= micros(inner.options.epoch) {
            let certificate = state.sealer.rotate(now)?;
            state.begin_epoch(Certificate::read(&certificate)?);
        }
        Ok(Some(checkpoint))
    }
}

/// The entry that begins an epoch, signed by the epoch before.
struct Certificate {
    unsigned: Unsigned,
    epoch: u32,
    public: [u8; 32],
    since: i64,
}

impl Certificate {
    fn read(bytes: &[u8]) -> Result<Certificate, LedgerError> {
        let entry = Entry::parse(bytes)?;
        let Body::Key(key) = &entry.body else {
            return Err(LedgerError::Sealer("what certifies its key is another entry".into()));
        };
        Ok(Certificate { epoch: key.epoch, public: key.public, since: key.time, unsigned: entry.unsigned() })
    }
}

impl State {
    /// From now on the key of this epoch signs. Its certificate comes first.
    fn begin_epoch(&mut self, certificate: Certificate) {
        (self.epoch, self.public, self.epoch_since) = (certificate.epoch, certificate.public, certificate.since);
        self.pending.push(Pending { unsigned: certificate.unsigned, seed: None, batch: None });
    }

    fn commitment(&mut self, source: SourceName<'_>) -> Result<Hash, LedgerError> {
        let known = self.sources.get(&source.number);
        if let Some(known) = known.filter(|known| known.name == source.name && known.receiver == source.receiver) {
            return Ok(known.commitment());
        }
        let named = Named::new(source.number, source.name, source.receiver, &crate::random()?);
        let commitment = named.commitment();
        self.sources.insert(source.number, named);
        self.unnamed.push(source.number);
        Ok(commitment)
    }

    /// Writes what is pending and has it signed. Nothing here changes before the checkpoint is signed.
    fn seal(&mut self, inner: &Inner) -> Result<Checkpoint, LedgerError> {
        let step = |name| (inner.options.step)(name).at(&inner.dir);
        let unsigned: Vec<Unsigned> = self.pending.iter().map(|pending| pending.unsigned.clone()).collect();
        let entries = self.sealer.sign(unsigned)?;
        if entries.len() != self.pending.len() {
            return Err(LedgerError::Sealer("it did not sign every entry".into()));
        }
        step("entries signed")?;
        self.write_sources(inner)?;
        write_seeds(&inner.dir, self.edge.size(), &self.pending)?;
        step("seeds written")?;
        let mut edge = self.edge.clone();
        let files = edge.extend(entries.clone());
        write_files(&inner.dir, &files)?;
        step("tiles written")?;
        let note = self.sealer.checkpoint(edge.size(), edge.frontier().root())?;
        let checkpoint = note.text.parse()?;
        self.sealed.extend(self.pending.drain(..).filter_map(|pending| pending.batch));
        self.edge = edge;
        self.newest = note;
        self.unpublished = Some(entries);
        step("checkpoint signed")?;
        Ok(checkpoint)
    }

    /// Shows the newest checkpoint, and puts its entries into the index.
    fn publish(&mut self, inner: &Inner) -> Result<(), LedgerError> {
        let Some(entries) = &self.unpublished else { return Ok(()) };
        let step = |name| (inner.options.step)(name).at(&inner.dir);
        replace(&inner.dir.join(CHECKPOINT), self.newest.to_string().as_bytes())?;
        step("checkpoint published")?;
        let (indexed, _) = self.index.state()?;
        // Of an attempt that failed behind the index's transaction everything is there.
        if indexed < self.edge.size() {
            self.index.extend(entries.iter().map(Vec::as_slice))?;
        }
        step("indexed")?;
        let first = self.edge.size() - entries.len() as u64;
        remove_partial(&inner.dir, first, self.edge.size())?;
        self.unpublished = None;
        Ok(())
    }

    fn write_sources(&mut self, inner: &Inner) -> Result<(), LedgerError> {
        if self.unnamed.is_empty() {
            return Ok(());
        }
        let path = inner.dir.join(SOURCES);
        let mut lines = Vec::new();
        for named in self.unnamed.iter().filter_map(|source| self.sources.get(source)) {
            serde_json::to_writer(&mut lines, named).map_err(io::Error::from).at(&path)?;
            lines.push(b'\n');
        }
        let is_new = !path.try_exists().at(&path)?;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).at(&path)?;
        let len = file.metadata().at(&path)?.len();
        if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
            // A torn line would be refused when the file is read again.
            file.set_len(len).at(&path)?;
            return Err(error).at(&path);
        }
        if is_new {
            sync_dir(&inner.dir)?;
        }
        self.unnamed.clear();
        Ok(())
    }
}

/// Locks a folder by a file in it, for this process alone.
pub(crate) fn lock_exclusively(dir: &Path, name: &str) -> Result<File, LedgerError> {
    let path = dir.join(name);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked(dir.to_owned())),
        Err(error) => Err(io::Error::from(error)).at(&path),
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // By name: a process that was just started may still have a copy of the file.
        if let Err(error) = flock(&self._lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "cannot release the ledger's lock");
        }
    }
}

/// A checkpoint file that the log has signed; none if there is no file.
fn read_checkpoint(path: &Path, key: &VerifierKey) -> Result<Option<Checkpoint>, LedgerError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.at(path)?,
    };
    let read = || -> Result<_, FormatError> {
        let note = Note::parse(&bytes)?;
        key.verify(&note)?;
        note.text.parse()
    };
    read().map(Some).map_err(|error| LedgerError::Damaged { path: path.to_owned(), what: error.to_string() })
}

fn read_sources(path: &Path) -> Result<HashMap<u32, Named>, LedgerError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        text => text.at(path)?,
    };
    let read = |line: &str| -> serde_json::Result<(u32, Named)> {
        let named: Named = serde_json::from_str(line)?;
        Ok((named.source, named))
    };
    text.lines()
        .map(|line| read(line).map_err(|error| LedgerError::Damaged { path: path.to_owned(), what: error.to_string() }))
        .collect()
}

fn catch_up(index: &mut Index, folder: &TileFolder) -> Result<(), LedgerError> {
    let (mut indexed, _) = index.state()?;
    if indexed > folder.size() {
        index.clear()?;
        indexed = 0;
    }
    while indexed < folder.size() {
        let bundle = indexed / WIDTH;
        let entries = folder.bundle(bundle).at(Path::new(&tiles::bundle_path(bundle, WIDTH)))?;
        index.extend(entries.iter().skip((indexed % WIDTH) as usize).map(Vec::as_slice))?;
        indexed = (bundle * WIDTH) + entries.len() as u64;
    }
    Ok(())
}

/// The seeds of entries from `first` on; an entry that is no batch has zeroes.
fn write_seeds(dir: &Path, first: u64, pending: &[Pending]) -> Result<(), LedgerError> {
    let mut at = first;
    let mut rest = pending;
    while !rest.is_empty() {
        let (index, offset) = (at / WIDTH, at % WIDTH);
        let (now, later) = rest.split_at(rest.len().min((WIDTH - offset) as usize));
        let seeds: Vec<u8> = now.iter().flat_map(|pending| pending.seed.unwrap_or_default()).collect();
        let path = dir.join(tiles::seeds_path(index));
        let parent = create_parent(dir, &path)?;
        let mut open = OpenOptions::new();
        let file = open.write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)?;
        file.write_all_at(&seeds, offset * 32).and_then(|()| file.sync_data()).at(&path)?;
        sync_dir(parent)?;
        (at, rest) = (at + now.len() as u64, later);
    }
    Ok(())
}

fn read_seed(dir: &Path, entry: u64) -> Result<Seed, LedgerError> {
    let path = dir.join(tiles::seeds_path(entry / WIDTH));
    let mut seed = [0; 32];
    File::open(&path).and_then(|file| file.read_exact_at(&mut seed, entry % WIDTH * 32)).at(&path)?;
    Ok(seed)
}

/// Writes files and everything that leads to them to disk.
fn write_files(dir: &Path, files: &[Written]) -> Result<(), LedgerError> {
    let mut folders = BTreeSet::new();
    for (name, bytes) in files {
        let path = dir.join(name);
        folders.insert(create_parent(dir, &path)?.to_owned());
        let mut open = OpenOptions::new();
        let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&path).at(&path)?;
        file.write_all(bytes).and_then(|()| file.sync_data()).at(&path)?;
    }
    folders.iter().try_for_each(|folder| sync_dir(folder))
}

/// The folder of a file; folders that are made are on disk afterwards.
pub(crate) fn create_parent<'a>(dir: &Path, path: &'a Path) -> Result<&'a Path, LedgerError> {
    let parent = path.parent().unwrap_or(path);
    if !parent.try_exists().at(parent)? {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).at(parent)?;
        parent.ancestors().skip(1).take_while(|folder| folder.starts_with(dir)).try_for_each(sync_dir)?;
    }
    Ok(parent)
}

fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).at(dir)
}

/// Replaces a file as a whole, on disk. For its owner only, whatever was there: it may be a secret.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).at(&new),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).at(&new)?;
    file.write_all(bytes).and_then(|()| file.sync_data()).at(&new)?;
    fs::rename(&new, path).at(path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes partial tiles and bundles whose full ones came with a tree that grew from `old` to `new`.
fn remove_partial(dir: &Path, old: u64, new: u64) -> Result<(), LedgerError> {
    for level in 0..=tiles::MAX_LEVEL {
        let (from, to) = (tiles::hashes_at(level, old) / WIDTH, tiles::hashes_at(level, new) / WIDTH);
        for index in from..to {
            remove_folder(&dir.join(format!("{}.p", tiles::tile_path(level, index, WIDTH))))?;
            if level == 0 {
                remove_folder(&dir.join(format!("{}.p", tiles::bundle_path(index, WIDTH))))?;
            }
        }
    }
    Ok(())
}

/// Removes what was written for a tree that was never signed.
fn remove_unsigned(dir: &Path, size: u64) -> Result<(), LedgerError> {
    remove_beyond(dir, size / WIDTH, size % WIDTH, tiles::bundle_path)?;
    for level in 0..=tiles::MAX_LEVEL {
        let hashes = tiles::hashes_at(level, size);
        remove_beyond(dir, hashes / WIDTH, hashes % WIDTH, |index, width| tiles::tile_path(level, index, width))?;
    }
    Ok(())
}

fn remove_beyond(
    dir: &Path,
    mut index: u64,
    mut width: u64,
    path: impl Fn(u64, u64) -> String,
) -> Result<(), LedgerError> {
    loop {
        let full = dir.join(path(index, WIDTH));
        let partial = dir.join(format!("{}.p", path(index, WIDTH)));
        let mut found = match fs::remove_file(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            removed => removed.at(&full).map(|()| true)?,
        };
        if partial.try_exists().at(&partial)? {
            found = true;
            for entry in fs::read_dir(&partial).at(&partial)? {
                let path = entry.at(&partial)?.path();
                let name = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
                if name.is_none_or(|name| name > width) {
                    fs::remove_file(&path).at(&path)?;
                }
            }
        }
        if !found {
            return Ok(());
        }
        (index, width) = (index + 1, 0);
    }
}

fn remove_folder(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(path),
        _ => Ok(()),
    }
}
