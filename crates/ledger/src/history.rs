//! The signed log as it stands on disk, for whoever proves something with it.

use std::{fs, io, path::Path, path::PathBuf};

use crate::{
    Algorithm, Hash, LedgerError,
    anchors::{self, AnchorFile},
    error::IoContext,
    index::{Index, Place},
    log::{INDEX, SOURCES},
    salts::Salts,
    sources::{self, Named},
    tiles::{TileFolder, WIDTH},
    tree,
};

/// The first entries of a log, as many as a checkpoint has. Nothing of it changes any more, but for what is erased.
pub struct History {
    dir: PathBuf,
    folder: TileFolder,
    index: Index,
    /// The bundle that was read last, and its number.
    bundle: Option<(u64, Vec<Vec<u8>>)>,
}

impl History {
    pub(crate) fn new(dir: &Path, size: u64) -> Result<History, LedgerError> {
        let index = Index::open_read_only(&dir.join(INDEX))?;
        Ok(History { dir: dir.to_owned(), folder: TileFolder::new(dir, size), index, bundle: None })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn folder(&self) -> &TileFolder {
        &self.folder
    }

    /// Number of entries.
    pub fn size(&self) -> u64 {
        self.folder.size()
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// The log is not so large, or cannot be read.
    pub fn entry(&mut self, entry: u64) -> Result<&[u8], LedgerError> {
        let number = entry / WIDTH;
        if self.bundle.as_ref().is_none_or(|(have, _)| *have != number) {
            self.bundle = Some((number, self.folder.bundle(number).at(&self.dir)?));
        }
        let entries = self.bundle.as_ref().map_or(&[][..], |(_, entries)| entries);
        let none = || io::Error::other(format!("the log has no entry {entry}"));
        entries.get((entry % WIDTH) as usize).map(Vec::as_slice).ok_or_else(none).at(&self.dir)
    }

    /// The batches of a source that have events from `first` to `last`, in order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn batches(&self, source: u32, first: u64, last: u64) -> Result<Vec<Place>, LedgerError> {
        let places = self.index.batches(source, first, last)?;
        Ok(places.into_iter().filter(|place| place.entry < self.size()).collect())
    }

    /// The entries that certify the keys of the epochs up to one, in order.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn keys(&self, last_epoch: u32) -> Result<Vec<u64>, LedgerError> {
        self.index.keys(last_epoch)
    }

    /// The entry that says that an event was erased, if one does.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn erasure(&self, source: u32, seq: u64) -> Result<Option<u64>, LedgerError> {
        Ok(self.index.erasure(source, seq)?.filter(|entry| *entry < self.size()))
    }

    /// The audit path of an entry in the tree of all entries.
    ///
    /// # Errors
    /// A tile cannot be read, or there is no such entry.
    pub fn inclusion_proof(&self, entry: u64) -> Result<Vec<Hash>, LedgerError> {
        if entry >= self.size() {
            return Err(io::Error::other(format!("the log has no entry {entry}"))).at(&self.dir);
        }
        tree::inclusion_proof(Algorithm::Sha256, &self.folder, entry, self.size()).at(&self.dir)
    }

    /// What hides the events of a batch.
    ///
    /// # Errors
    /// As [`Salts::read`].
    pub fn salts(&self, entry: u64) -> Result<Salts, LedgerError> {
        Salts::read(&self.dir, entry)
    }

    /// The anchors of beginnings of this log, by size.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn anchors(&self) -> Result<Vec<AnchorFile>, LedgerError> {
        let mut files = anchors::files(&self.dir)?;
        files.retain(|file| file.size() <= self.size());
        files.sort();
        Ok(files)
    }

    /// The bytes of an anchor's file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn anchor(&self, file: &AnchorFile) -> Result<Vec<u8>, LedgerError> {
        let path = self.dir.join(file.path());
        fs::read(&path).at(&path)
    }

    /// That the tree of `old` entries is the beginning of this one.
    ///
    /// # Errors
    /// A tile cannot be read, or this log is not so large.
    pub fn consistency_proof(&self, old: u64) -> Result<Vec<Hash>, LedgerError> {
        if old > self.size() {
            return Err(io::Error::other(format!("the log has no {old} entries"))).at(&self.dir);
        }
        tree::consistency_proof(Algorithm::Sha256, &self.folder, old, self.size()).at(&self.dir)
    }

    /// The names of the sources, all that they ever had.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sources(&self) -> Result<Vec<Named>, LedgerError> {
        sources::read(&self.dir.join(SOURCES))
    }
}
