//! The ledger on disk: batches go in, checkpoints come out.

mod state;

use std::{
    collections::HashMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use self::state::{Certificate, Pending, State, Unpublished, read_head};
use crate::{
    Algorithm, FormatError, Hash, LedgerError, anchors,
    batch::BatchTree,
    checkpoint::Checkpoint,
    edge::Edge,
    entry::{BatchRecord, Body, Entry, ErasureRecord, MAX_ENTRY_BYTES, Unsigned},
    error::IoContext,
    files::{Lock, lock_exclusively, remove_unsigned, replace, write_salts},
    history::History,
    index::{Index, Place},
    note::{Note, Signature, VerifierKey},
    salts::{Hidden, Salts},
    sealer::Seal,
    sources,
    tiles::{self, TileFolder, WIDTH},
};

/// The newest checkpoint, in the ledger's folder.
pub const CHECKPOINT: &str = "checkpoint";
/// The newest checkpoint that witnesses cosigned.
pub const WITNESSED: &str = "witnessed";
/// The log's public key, as a vkey.
pub const LOG_KEY: &str = "log.vkey";
/// The names of the sources.
pub const SOURCES: &str = "sources.jsonl";
pub(crate) const INDEX: &str = "index.sqlite";
const LOCK: &str = "lock";
/// Checkpoints that are kept for the witnesses that have not cosigned yet.
const COSIGNING: usize = 8;

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

/// Events of a batch that are to be erased.
#[derive(Clone, Debug)]
pub struct EraseFrom {
    /// The batch's source.
    pub source: u32,
    /// Sequence number of its first event.
    pub first_seq: u64,
    /// All of its events: receive time, original bytes. What these say of one that is erased already does not matter.
    pub events: Vec<(i64, Vec<u8>)>,
    /// The sequence numbers of those to be erased.
    pub erase: Vec<u64>,
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
    /// Apart from the state, which is locked for as long as signing takes.
    sealed: Mutex<Sealed>,
    /// Newest checkpoints that some witnesses have cosigned, and not enough.
    cosigning: Mutex<Vec<Note>>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    _lock: Lock,
}

/// What published checkpoints have.
struct Sealed {
    newest: Newest,
    /// By source: the sequence number after its last event.
    next: HashMap<u32, u64>,
}

/// The newest checkpoint.
#[derive(Clone, Debug)]
pub struct Newest {
    /// As the log signed it.
    pub note: Note,
    /// Entries of the log.
    pub size: u64,
    /// When it was signed, in microseconds since 1970.
    pub time: i64,
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
        let (log_key, signed, certificate) = read_head(&head)?;
        let size = signed.size();

        replace(&dir.join(LOG_KEY), format!("{log_key}\n").as_bytes())?;
        let path = dir.join(CHECKPOINT);
        let published = read_checkpoint(&path, &log_key)?;
        if published.as_ref().is_some_and(|checkpoint| checkpoint.size > size) {
            return Err(LedgerError::Damaged {
                path,
                what: format!("it is of a larger tree than the sealer has signed ({size} entries)"),
            });
        }
        let folder = TileFolder::new(dir, size);
        let behind = |what: String| LedgerError::Damaged {
            path: dir.to_owned(),
            what: format!("the log is not the one that the sealer signed at {size} entries: {what}"),
        };
        let edge = Edge::read(&folder).map_err(|error| behind(error.to_string()))?;
        if *edge.frontier() != signed {
            return Err(behind("its hashes are others".into()));
        }
        remove_unsigned(dir, size)?;
        let note = sealer.checkpoint(size, signed.root())?;

        let mut index = Index::open(&dir.join(INDEX))?;
        catch_up(&mut index, &folder)?;
        let heads = index.heads()?;
        let next: HashMap<u32, u64> = heads.iter().map(|(source, head)| (*source, head.next_seq)).collect();
        let (_, epoch_logged) = index.state()?;
        let is_published = published.is_some_and(|checkpoint| checkpoint.size == size);
        let is_certified = epoch_logged.is_some_and(|logged| logged >= certificate.epoch.number);
        let newest = Newest { note, size, time: now };
        let unpublished = || Unpublished { newest: newest.clone(), entries: Vec::new(), next: Vec::new() };
        let state = State {
            sealer,
            edge,
            index,
            next: next.clone(),
            chains: heads.into_iter().map(|(source, head)| (source, head.chain)).collect(),
            sources: sources::read(&dir.join(SOURCES))?.into_iter().map(|named| (named.source, named)).collect(),
            unnamed: Vec::new(),
            epoch: certificate.epoch,
            certificate: (!is_certified).then_some(certificate.unsigned),
            pending: Vec::new(),
            last_entry: now,
            unpublished: (!is_published).then(unpublished),
            in_doubt: false,
            attempt: None,
        };
        let ledger = Ledger {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                options,
                log_key,
                state: Mutex::new(state),
                sealed: Mutex::new(Sealed { newest, next }),
                cosigning: Mutex::default(),
                wake: OnceLock::new(),
                _lock: lock,
            }),
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

    /// The newest checkpoint. Does not wait for one that is being signed.
    pub fn newest(&self) -> Newest {
        self.inner.sealed().newest.clone()
    }

    /// The sequence number after the last event of a source that is recorded, if only in memory.
    pub fn next_seq(&self, source: u32) -> u64 {
        self.state().next.get(&source).copied().unwrap_or(0)
    }

    /// The sequence number after the last event of a source that a published checkpoint has.
    pub fn sealed_seq(&self, source: u32) -> u64 {
        self.inner.sealed().next.get(&source).copied().unwrap_or(0)
    }

    /// The size of a checkpoint that has all events of a source before `next_seq`, if one is published. Does not wait.
    pub fn size_with(&self, source: u32, next_seq: u64) -> Option<u64> {
        let sealed = self.inner.sealed();
        let is_in = sealed.next.get(&source).copied().unwrap_or(0) >= next_seq;
        is_in.then_some(sealed.newest.size)
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
        let body = Body::Batch(BatchRecord {
            algorithm,
            source: source.number,
            commitment,
            first_seq,
            count,
            root,
            digest,
            // The chain is joined when the batch is sealed.
            prev: [0; 32],
            received_min,
            received_max,
        });
        state.next.insert(source.number, first_seq + u64::from(count));
        state.pending.push(Pending { body, seed: Some(seed) });
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
        let salts = Salts::read(&self.inner.dir, place.entry)?;
        if salts.leaves(&record, events).is_none() {
            return Err(contradiction("is not the one that was sealed: the spool was changed"));
        }
        Ok(())
    }

    /// Runs something while nothing is signed, with the newest checkpoint.
    ///
    /// # Errors
    /// What was signed last is not on disk yet.
    pub fn hold_still<T>(&self, meanwhile: impl FnOnce(&Note) -> T) -> Result<T, LedgerError> {
        let state = self.state();
        if state.unpublished.is_some() || state.in_doubt {
            return Err(LedgerError::Sealer("it has signed what is not on disk yet; try again".into()));
        }
        Ok(meanwhile(&self.newest().note))
    }

    /// The log as of a checkpoint that was signed, of `size` entries.
    ///
    /// # Errors
    /// The index cannot be opened.
    pub fn history(&self, size: u64) -> Result<History, LedgerError> {
        let signed = self.state().edge.size();
        if size > signed {
            return Err(FormatError::new(format!("the log has {signed} entries, not {size}")).into());
        }
        History::new(&self.inner.dir, size)
    }

    /// That the tree of `old` entries is the beginning of the one of `new`.
    ///
    /// # Errors
    /// A tile cannot be read, or the log is not so large.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, LedgerError> {
        self.history(new)?.consistency_proof(old)
    }

    /// Keeps a witness's signatures of a checkpoint, beside those that others gave for the same one. The newest checkpoint that
    /// `quorum` witnesses have cosigned is what `witnessed` shows.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn cosign(&self, note: &Note, signatures: Vec<Signature>, quorum: usize) -> Result<(), LedgerError> {
        let mut cosigning = self.inner.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.inner.dir.join(WITNESSED);
        let size = |note: &Note| note.text.parse::<Checkpoint>().map_or(0, |checkpoint| checkpoint.size);
        let shown = fs::read(&path).ok().and_then(|shown| Note::parse(&shown).ok());
        let mut cosigned = Note { text: note.text.clone(), signatures };
        for other in cosigning.iter().chain(&shown).filter(|other| other.text == note.text) {
            // Whoever cosigned twice is counted once.
            let new = |signature: &&Signature| !cosigned.signatures.iter().any(|known| known.id == signature.id);
            let more: Vec<Signature> = other.signatures.iter().filter(new).cloned().collect();
            cosigned.signatures.extend(more);
        }
        let is_witness = |signature: &&Signature| note.signatures.iter().all(|logs| logs.id != signature.id);
        let by = cosigned.signatures.iter().filter(is_witness).count();
        cosigning.retain(|other| other.text != note.text);
        if by < quorum {
            // Others may come; but when they have seen a later one, they do not cosign this any more.
            cosigning.push(cosigned);
            let old = cosigning.len().saturating_sub(COSIGNING);
            cosigning.drain(..old);
            return Ok(());
        }
        if shown.is_some_and(|shown| size(&shown) > size(&cosigned)) {
            return Ok(());
        }
        let logs = note.signatures.iter();
        let logs = logs.filter(|logs| cosigned.signatures.iter().all(|known| known.id != logs.id)).cloned();
        // The log's own signature comes first.
        let signatures = logs.chain(cosigned.signatures.iter().cloned()).collect();
        replace(&path, Note { text: cosigned.text, signatures }.to_string().as_bytes())
    }

    /// The newest checkpoint that enough witnesses have cosigned, as it was kept by [`cosign`](Self::cosign).
    pub fn witnessed(&self) -> Option<Note> {
        Note::parse(&fs::read(self.inner.dir.join(WITNESSED)).ok()?).ok()
    }

    /// Has `wake` called after each new checkpoint. It must not wait for anything; only the first that is given counts.
    pub fn on_checkpoint(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.inner.wake.get_or_init(|| Box::new(wake));
    }

    /// Erases events for ever: signs that they are erased, then forgets their salts. Who erases their bytes does so
    /// afterwards. An event that is erased already is left alone. `begin` is called when everything was compared, and before
    /// anything is signed or forgotten.
    ///
    /// # Errors
    /// A batch is in no signed checkpoint, or is not what was signed; or it cannot be written.
    pub fn erase(
        &self,
        batches: &[EraseFrom],
        now: i64,
        begin: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), LedgerError> {
        let size = self.state().edge.size();
        let mut history = self.history(size)?;
        let (mut records, mut left) = (Vec::new(), Vec::new());
        for batch in batches {
            let (source, first_seq) = (batch.source, batch.first_seq);
            let contradiction = |what: &str| LedgerError::Contradiction {
                source_number: source,
                what: format!("the batch that begins with event {first_seq} {what}"),
            };
            let place = history.batches(source, first_seq, first_seq)?.pop();
            let place = place.filter(|place| place.first_seq == first_seq);
            let place = place.ok_or_else(|| contradiction("is not sealed yet"))?;
            let Body::Batch(record) = Entry::parse(history.entry(place.entry)?)?.body else {
                return Err(contradiction("is another entry in the log"));
            };
            let salts = history.salts(place.entry)?;
            let leaves = salts.leaves(&record, batch.events.iter().map(|(received, bytes)| (*received, &bytes[..])));
            // What is not what was signed is evidence of something else: nothing of it is destroyed.
            let leaves = leaves.ok_or_else(|| contradiction("is not what was signed"))?;
            let mut each = salts.each(&record);
            for seq in &batch.erase {
                let index = seq.wrapping_sub(first_seq) as usize;
                let (Some(hidden @ Hidden::Salt(_)), Some(leaf)) = (each.get_mut(index), leaves.get(index)) else {
                    continue;
                };
                *hidden = Hidden::Leaf(*leaf);
                records.push(ErasureRecord { time: now, source, seq: *seq, leaf: *leaf });
            }
            left.push((place.entry, Salts::Each(each)));
        }
        begin().at(&self.inner.dir)?;
        records.into_iter().try_for_each(|record| self.record(Body::Erasure(record)))?;
        self.checkpoint(now)?;
        left.into_iter().try_for_each(|(entry, salts)| write_salts(&self.inner.dir, entry, &salts))
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
        // Every epoch's number and key are of one length.
        if Unsigned::new(&body, 0, &[0; 32]).bytes().len() + 64 > MAX_ENTRY_BYTES {
            return Err(FormatError::new("the entry is longer than 65,535 bytes").into());
        }
        self.state().pending.push(Pending { body, seed: None });
        Ok(())
    }

    /// Seals what was recorded: writes it, has the sealer sign it, and publishes the checkpoint. Without anything new there
    /// is a heartbeat when one is due, or nothing to do.
    ///
    /// # Errors
    /// Writing failed, or the sealer refused or is gone. What was recorded stays, and can be tried again.
    pub fn checkpoint(&self, now: i64) -> Result<Option<Checkpoint>, LedgerError> {
        let inner = &*self.inner;
        let mut state = self.state();
        if state.in_doubt {
            state.agree(inner, now)?;
        }
        state.publish(inner)?;
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        if state.pending.is_empty() && state.certificate.is_none() {
            if now.saturating_sub(state.last_entry) < micros(inner.options.heartbeat) {
                return Ok(None);
            }
            state.pending.push(Pending { body: Body::Heartbeat(now), seed: None });
        }
        let checkpoint = state.seal(inner, now)?;
        state.publish(inner)?;
        if now.saturating_sub(state.epoch.since) >= micros(inner.options.epoch) {
            state.in_doubt = true;
            match state.sealer.rotate(now).and_then(|certificate| Certificate::read(&certificate)) {
                Ok(certificate) => {
                    state.begin_epoch(certificate);
                    state.in_doubt = false;
                }
                // The checkpoint is signed all the same; which epoch it is turns out with the next.
                Err(error) => tracing::warn!(%error, "the sealer began no new epoch"),
            }
        }
        Ok(Some(checkpoint))
    }
}

impl Inner {
    fn sealed(&self) -> MutexGuard<'_, Sealed> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
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
