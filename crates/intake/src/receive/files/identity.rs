//! Which file a file is, whatever its name.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

use serde::{Deserialize, Serialize};

/// How many bytes at a file's beginning tell it from another that got the same inode later.
const FINGERPRINT: usize = 1024;

/// A file's number on its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &std::fs::Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A hash of the file's first bytes, up to 1 KiB: as many as there were.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    bytes: usize,
    hash: String,
}

impl Fingerprint {
    pub(super) fn of(file: &File) -> io::Result<Fingerprint> {
        Self::of_first(file, FINGERPRINT)
    }

    fn of_first(file: &File, bytes: usize) -> io::Result<Fingerprint> {
        let mut head = vec![0; bytes];
        let mut filled = 0;
        while filled < head.len() {
            match file.read_at(&mut head[filled..], filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let hash = blake3::hash(&head[..filled]).to_hex();
        Ok(Fingerprint { bytes: filled, hash: hash[..32].to_owned() })
    }

    /// Whether the file still begins as it did.
    pub(super) fn matches(&self, file: &File) -> io::Result<bool> {
        Ok(Self::of_first(file, self.bytes)? == *self)
    }

    /// Whether there was nothing yet to tell it by.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether more of the file could be covered now.
    pub(super) fn can_grow(&self) -> bool {
        self.bytes < FINGERPRINT
    }
}
