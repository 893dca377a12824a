//! Reads the sections of a token sidecar: checked and decompressed.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use zstd::bulk::Decompressor;

use super::directory::Section;
use crate::{Result, StoreError, error::IoContext};

/// An open sidecar. What decompressing needs is kept from one section to the next.
pub(super) struct Sections<'p> {
    path: &'p Path,
    file: File,
    context: Decompressor<'static>,
    stored: Vec<u8>,
}

impl<'p> Sections<'p> {
    pub(super) fn open(path: &'p Path) -> Result<Sections<'p>> {
        let file = File::open(path).at(path, "opening")?;
        let context = Decompressor::new().at(path, "decompressing")?;
        Ok(Sections { path, file, context, stored: Vec::new() })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reads a section of at most `max` bytes over what is in `out`.
    pub(super) fn read(&mut self, section: &Section, max: usize, out: &mut Vec<u8>) -> Result<()> {
        let damaged =
            |what: &str| Err(StoreError::damaged(self.path, format!("the section at {} {what}", section.offset)));
        if section.raw_len > max || section.len > section.raw_len.saturating_add(1024) {
            return damaged("claims an absurd length");
        }
        self.stored.resize(section.len, 0);
        self.file.read_exact_at(&mut self.stored, section.offset).at(self.path, "reading")?;
        if crc32c::crc32c(&self.stored) != section.crc {
            return damaged("has not the checksum that it claims");
        }
        out.clear();
        out.reserve(section.raw_len);
        match self.context.decompress_to_buffer(&self.stored, out) {
            Ok(len) if len == section.raw_len => Ok(()),
            _ => damaged("cannot be decompressed"),
        }
    }
}
