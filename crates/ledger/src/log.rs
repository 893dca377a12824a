//! The ledger on disk: batches go in, checkpoints come out.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    Algorithm, FormatError, Hash, LedgerError, anchors,
    batch::{BatchTree, Seed},
    checkpoint::Checkpoint,
    edge::{Edge, Written},
    entry::{BatchRecord, Body, Entry, ErasureRecord, MAX_ENTRY_BYTES, Unsigned},
    error::IoContext,
    history::History,
    index::{Index, Place},
    note::{Note, Signature, VerifierKey},
    salts::{Hidden, Salts},
    sealer::{self, Head, Seal},
    sources::Named,
    tiles::{self, TileFolder, WIDTH},
    tree::{self, Frontier},
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
    _lock: File,
}

struct State {
    sealer: Box<dyn Seal>,
    /// Of the signed tree.
    edge: Edge,
    index: Index,
    /// By source: the sequence number after its last event that was recorded.
    next: HashMap<u32, u64>,
    /// By source: the chain hash of its last batch in the signed tree.
    chains: HashMap<u32, Hash>,
    sources: HashMap<u32, Named>,
    /// Sources whose lines are not on disk yet.
    unnamed: Vec<u32>,
    epoch: Epoch,
    /// Of the epoch's key, until it is in the log. It comes before anything that the key signs.
    certificate: Option<Unsigned>,
    pending: Vec<Pending>,
    last_entry: i64,
    /// What a signed checkpoint has, but `checkpoint` or the index do not show yet.
    unpublished: Option<Unpublished>,
    /// A request failed: the sealer may have taken or signed what is not in the log, or begun an epoch.
    in_doubt: bool,
    /// The tree that is in doubt, with its files on disk.
    attempt: Option<Attempt>,
}

/// An entry that is to be sealed. Which key signs it and where its source's chain stands is known only then.
struct Pending {
    body: Body,
    seed: Option<Seed>,
}

/// The epoch whose key signs.
struct Epoch {
    number: u32,
    public: [u8; 32],
    since: i64,
}

/// A tree that the sealer was asked to sign.
struct Attempt {
    edge: Edge,
    /// What the tree has more than the one before: the certificate, if there is one to log, and so many that were pending.
    entries: Vec<Vec<u8>>,
    pending: usize,
    chains: HashMap<u32, Hash>,
}

/// A signed checkpoint, and what it has more than the one before.
struct Unpublished {
    newest: Newest,
    entries: Vec<Vec<u8>>,
    /// By source: the sequence number after its last event.
    next: Vec<(u32, u64)>,
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
            sources: read_sources(&dir.join(SOURCES))?,
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
        let size = self.state().edge.size();
        if old > new || new > size {
            return Err(FormatError::new(format!("no proof from {old} to {new} in a log of {size} entries")).into());
        }
        let folder = TileFolder::new(&self.inner.dir, size);
        tree::consistency_proof(Algorithm::Sha256, &folder, old, new).at(&self.inner.dir)
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
    /// afterwards. An event that is erased already is left alone.
    ///
    /// # Errors
    /// A batch is in no signed checkpoint, or is not what was signed; or it cannot be written.
    pub fn erase(&self, batches: &[EraseFrom], now: i64) -> Result<(), LedgerError> {
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

/// The entry that begins an epoch, signed by the epoch before.
struct Certificate {
    unsigned: Unsigned,
    epoch: Epoch,
}

impl Certificate {
    fn read(bytes: &[u8]) -> Result<Certificate, LedgerError> {
        let entry = Entry::parse(bytes)?;
        let Body::Key(key) = &entry.body else {
            return Err(LedgerError::Sealer("what certifies its key is another entry".into()));
        };
        let epoch = Epoch { number: key.epoch, public: key.public, since: key.time };
        Ok(Certificate { epoch, unsigned: entry.unsigned() })
    }
}

/// What a sealer's head says: the log's key, the signed tree, the epoch.
fn read_head(head: &Head) -> Result<(VerifierKey, Frontier, Certificate), LedgerError> {
    let bad_head = || LedgerError::Sealer("its head is not one".into());
    let signed = head.tree.frontier().ok_or_else(bad_head)?;
    let certificate = Certificate::read(&sealer::parse_hex_bytes(&head.certificate).ok_or_else(bad_head)?)?;
    let public = sealer::parse_hex(&head.public).ok_or_else(bad_head)?;
    if (certificate.epoch.number, certificate.epoch.public) != (head.epoch, public) {
        return Err(bad_head());
    }
    Ok((head.log_key.parse()?, signed, certificate))
}

impl State {
    /// From now on the key of this epoch signs.
    fn begin_epoch(&mut self, certificate: Certificate) {
        self.epoch = certificate.epoch;
        self.certificate = Some(certificate.unsigned);
    }

    /// After a failure: finds out what the sealer has signed, which may be one that was started since. It is the tree that is
    /// known, or the one that it was asked for last; with any other there is no way on.
    fn agree(&mut self, inner: &Inner, now: i64) -> Result<(), LedgerError> {
        let (log_key, signed, certificate) = read_head(&self.sealer.head()?)?;
        if log_key != inner.log_key {
            return Err(LedgerError::Sealer(format!("it has another key than the log, {log_key}")));
        }
        if signed != *self.edge.frontier() {
            if self.attempt.as_ref().is_none_or(|attempt| *attempt.edge.frontier() != signed) {
                let (theirs, ours) = (signed.size(), self.edge.size());
                let what =
                    format!("it has signed a tree of {theirs} entries, which is not this log's ({ours} entries)");
                return Err(LedgerError::Sealer(what));
            }
            let note = self.sealer.checkpoint(signed.size(), signed.root())?;
            if let Some(attempt) = self.attempt.take() {
                self.adopt(attempt, note, now);
            }
        }
        match certificate.epoch {
            Epoch { number, public, .. } if (number, public) == (self.epoch.number, self.epoch.public) => {}
            Epoch { number, .. } if number == self.epoch.number + 1 => self.begin_epoch(certificate),
            Epoch { number, .. } => {
                let what = format!("it is in epoch {number}, the log in {}", self.epoch.number);
                return Err(LedgerError::Sealer(what));
            }
        }
        self.attempt = None;
        self.in_doubt = false;
        Ok(())
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

    /// What is to be sealed next, in order: the certificate, if there is one to log, and what is pending. And where the chains
    /// of its sources stand then.
    fn unsigned(&self) -> (Vec<Unsigned>, HashMap<u32, Hash>) {
        let mut chains: HashMap<u32, Hash> = HashMap::new();
        let mut unsigned: Vec<Unsigned> = self.certificate.iter().cloned().collect();
        for Pending { body, .. } in &self.pending {
            let entry = |body| Unsigned::new(body, self.epoch.number, &self.epoch.public);
            unsigned.push(match body {
                Body::Batch(batch) => {
                    let prev = chains.get(&batch.source).or_else(|| self.chains.get(&batch.source));
                    let batch = BatchRecord { prev: prev.copied().unwrap_or_default(), ..batch.clone() };
                    let source = batch.source;
                    let entry = entry(&Body::Batch(batch));
                    chains.insert(source, entry.chain_hash());
                    entry
                }
                body => entry(body),
            });
        }
        (unsigned, chains)
    }

    /// Writes what is pending and has it signed. Nothing here changes before the checkpoint is signed.
    fn seal(&mut self, inner: &Inner, now: i64) -> Result<Checkpoint, LedgerError> {
        let step = |name| (inner.options.step)(name).at(&inner.dir);
        self.in_doubt = true;
        let (unsigned, chains) = self.unsigned();
        let count = unsigned.len();
        let entries = self.sealer.sign(unsigned)?;
        if entries.len() != count {
            return Err(LedgerError::Sealer("it did not sign every entry".into()));
        }
        step("entries signed")?;
        self.write_sources(inner)?;
        let certificate = self.certificate.iter().map(|_| None);
        let seeds: Vec<_> = certificate.chain(self.pending.iter().map(|pending| pending.seed)).collect();
        write_seeds(&inner.dir, self.edge.size(), &seeds)?;
        step("seeds written")?;
        let mut edge = self.edge.clone();
        let files = edge.extend(entries.clone());
        write_files(&inner.dir, &files)?;
        step("tiles written")?;
        let (size, root) = (edge.size(), edge.frontier().root());
        self.attempt = Some(Attempt { edge, entries, pending: self.pending.len(), chains });
        let note = self.sealer.checkpoint(size, root)?;
        let checkpoint = note.text.parse()?;
        if let Some(attempt) = self.attempt.take() {
            self.adopt(attempt, note, now);
        }
        self.in_doubt = false;
        step("checkpoint signed")?;
        Ok(checkpoint)
    }

    /// The tree is signed: it is the log's from now on.
    fn adopt(&mut self, attempt: Attempt, note: Note, now: i64) {
        let ends = |pending: Pending| match pending.body {
            Body::Batch(batch) => Some((batch.source, batch.first_seq + u64::from(batch.count))),
            _ => None,
        };
        let next = self.pending.drain(..attempt.pending).filter_map(ends).collect();
        let newest = Newest { note, size: attempt.edge.size(), time: now };
        self.unpublished = Some(Unpublished { newest, entries: attempt.entries, next });
        self.certificate = None;
        self.chains.extend(attempt.chains);
        self.edge = attempt.edge;
        self.last_entry = now;
    }

    /// Shows the newest checkpoint, and puts its entries into the index.
    fn publish(&mut self, inner: &Inner) -> Result<(), LedgerError> {
        let Some(Unpublished { newest, entries, next }) = &self.unpublished else { return Ok(()) };
        let step = |name| (inner.options.step)(name).at(&inner.dir);
        replace(&inner.dir.join(CHECKPOINT), newest.note.to_string().as_bytes())?;
        let mut sealed = inner.sealed();
        sealed.newest = newest.clone();
        sealed.next.extend(next.iter().copied());
        drop(sealed);
        if let Some(wake) = inner.wake.get() {
            wake();
        }
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
fn write_seeds(dir: &Path, first: u64, seeds: &[Option<Seed>]) -> Result<(), LedgerError> {
    let mut at = first;
    let mut rest = seeds;
    while !rest.is_empty() {
        let (index, offset) = (at / WIDTH, at % WIDTH);
        let (now, later) = rest.split_at(rest.len().min((WIDTH - offset) as usize));
        let seeds: Vec<u8> = now.iter().flat_map(|seed| seed.unwrap_or_default()).collect();
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

/// Keeps the salts of a batch one by one, and forgets its seed.
fn write_salts(dir: &Path, entry: u64, salts: &Salts) -> Result<(), LedgerError> {
    let path = dir.join(tiles::erased_path(entry));
    create_parent(dir, &path)?;
    replace(&path, &salts.to_bytes())?;
    let path = dir.join(tiles::seeds_path(entry / WIDTH));
    let file = OpenOptions::new().write(true).open(&path).at(&path)?;
    file.write_all_at(&[0; 32], entry % WIDTH * 32).and_then(|()| file.sync_data()).at(&path)
}

/// Writes files and everything that leads to them to disk.
pub(crate) fn write_files(dir: &Path, files: &[Written]) -> Result<(), LedgerError> {
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
