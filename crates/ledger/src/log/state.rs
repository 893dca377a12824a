//! What the ledger knows, and how it has it signed.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use super::{CHECKPOINT, Inner, Newest, SOURCES, SourceName};
use crate::{
    Hash, LedgerError,
    batch::Seed,
    checkpoint::Checkpoint,
    edge::Edge,
    entry::{BatchRecord, Body, Entry, Unsigned},
    error::IoContext,
    files::{remove_partial, replace, sync_dir, write_files, write_seeds},
    index::Index,
    note::{Note, VerifierKey},
    sealer::{self, Head, Seal},
    sources::Named,
    tree::Frontier,
};

pub(super) struct State {
    pub(super) sealer: Box<dyn Seal>,
    /// Of the signed tree.
    pub(super) edge: Edge,
    pub(super) index: Index,
    /// By source: the sequence number after its last event that was recorded.
    pub(super) next: HashMap<u32, u64>,
    /// By source: the chain hash of its last batch in the signed tree.
    pub(super) chains: HashMap<u32, Hash>,
    pub(super) sources: HashMap<u32, Named>,
    /// Sources whose lines are not on disk yet.
    pub(super) unnamed: Vec<u32>,
    pub(super) epoch: Epoch,
    /// Of the epoch's key, until it is in the log. It comes before anything that the key signs.
    pub(super) certificate: Option<Unsigned>,
    pub(super) pending: Vec<Pending>,
    pub(super) last_entry: i64,
    /// What a signed checkpoint has, but `checkpoint` or the index do not show yet.
    pub(super) unpublished: Option<Unpublished>,
    /// A request failed: the sealer may have taken or signed what is not in the log, or begun an epoch.
    pub(super) in_doubt: bool,
    /// The tree that is in doubt, with its files on disk.
    pub(super) attempt: Option<Attempt>,
}

/// An entry that is to be sealed. Which key signs it and where its source's chain stands is known only then.
pub(super) struct Pending {
    pub(super) body: Body,
    pub(super) seed: Option<Seed>,
}

/// The epoch whose key signs.
pub(super) struct Epoch {
    pub(super) number: u32,
    pub(super) public: [u8; 32],
    pub(super) since: i64,
}

/// A tree that the sealer was asked to sign.
pub(super) struct Attempt {
    pub(super) edge: Edge,
    /// What the tree has more than the one before: the certificate, if there is one to log, and so many that were pending.
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) pending: usize,
    pub(super) chains: HashMap<u32, Hash>,
}

/// A signed checkpoint, and what it has more than the one before.
pub(super) struct Unpublished {
    pub(super) newest: Newest,
    pub(super) entries: Vec<Vec<u8>>,
    /// By source: the sequence number after its last event.
    pub(super) next: Vec<(u32, u64)>,
}

/// The entry that begins an epoch, signed by the epoch before.
pub(super) struct Certificate {
    pub(super) unsigned: Unsigned,
    pub(super) epoch: Epoch,
}

impl Certificate {
    pub(super) fn read(bytes: &[u8]) -> Result<Certificate, LedgerError> {
        let entry = Entry::parse(bytes)?;
        let Body::Key(key) = &entry.body else {
            return Err(LedgerError::Sealer("what certifies its key is another entry".into()));
        };
        let epoch = Epoch { number: key.epoch, public: key.public, since: key.time };
        Ok(Certificate { epoch, unsigned: entry.unsigned() })
    }
}

/// What a sealer's head says: the log's key, the signed tree, the epoch.
pub(super) fn read_head(head: &Head) -> Result<(VerifierKey, Frontier, Certificate), LedgerError> {
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
    pub(super) fn begin_epoch(&mut self, certificate: Certificate) {
        self.epoch = certificate.epoch;
        self.certificate = Some(certificate.unsigned);
    }

    /// After a failure: finds out what the sealer has signed, which may be one that was started since. It is the tree that is
    /// known, or the one that it was asked for last; with any other there is no way on.
    pub(super) fn agree(&mut self, inner: &Inner, now: i64) -> Result<(), LedgerError> {
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

    pub(super) fn commitment(&mut self, source: SourceName<'_>) -> Result<Hash, LedgerError> {
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
    pub(super) fn unsigned(&self) -> (Vec<Unsigned>, HashMap<u32, Hash>) {
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
    pub(super) fn seal(&mut self, inner: &Inner, now: i64) -> Result<Checkpoint, LedgerError> {
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
    pub(super) fn adopt(&mut self, attempt: Attempt, note: Note, now: i64) {
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
    pub(super) fn publish(&mut self, inner: &Inner) -> Result<(), LedgerError> {
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

    pub(super) fn write_sources(&mut self, inner: &Inner) -> Result<(), LedgerError> {
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
