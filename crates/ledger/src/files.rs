//! Writes a folder's files so that they are on disk, for their owner only.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    LedgerError,
    batch::Seed,
    edge::Written,
    error::IoContext,
    salts::Salts,
    tiles::{self, WIDTH},
};

/// A folder's lock.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // By name: a process that was just started may still have a copy of the file.
        if let Err(error) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "cannot release the ledger's lock");
        }
    }
}

/// Locks a folder by a file in it, for this process alone.
pub(crate) fn lock_exclusively(dir: &Path, name: &str) -> Result<Lock, LedgerError> {
    let path = dir.join(name);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked(dir.to_owned())),
        Err(error) => Err(io::Error::from(error)).at(&path),
    }
}

/// The seeds of entries from `first` on; an entry that is no batch has zeroes.
pub(crate) fn write_seeds(dir: &Path, first: u64, seeds: &[Option<Seed>]) -> Result<(), LedgerError> {
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
pub(crate) fn write_salts(dir: &Path, entry: u64, salts: &Salts) -> Result<(), LedgerError> {
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

pub(crate) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
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
pub(crate) fn remove_partial(dir: &Path, old: u64, new: u64) -> Result<(), LedgerError> {
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
pub(crate) fn remove_unsigned(dir: &Path, size: u64) -> Result<(), LedgerError> {
    remove_beyond(dir, size / WIDTH, size % WIDTH, tiles::bundle_path)?;
    for level in 0..=tiles::MAX_LEVEL {
        let hashes = tiles::hashes_at(level, size);
        remove_beyond(dir, hashes / WIDTH, hashes % WIDTH, |index, width| tiles::tile_path(level, index, width))?;
    }
    Ok(())
}

pub(crate) fn remove_beyond(
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

pub(crate) fn remove_folder(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at(path),
        _ => Ok(()),
    }
}
