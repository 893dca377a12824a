//! Writes a token sidecar from sorted tokens.

use std::io::{self, Write};

use super::{
    directory::{self, BLOCK_KEYS, BatchEntry, Block, Directory, Footer, MAGIC, Section, VERSION},
    postings,
};

use crate::varint;

const LEVEL: i32 = 3;

/// Writes tokens as they come, in ascending order of their bytes.
pub(crate) struct DictionaryWriter<W> {
    out: W,
    offset: u64,
    compressor: zstd::bulk::Compressor<'static>,
    directory: Directory,
    previous: Vec<u8>,
    first: Box<[u8]>,
    count: usize,
    keys: Vec<u8>,
    postings: Vec<u8>,
}

impl<W: Write> DictionaryWriter<W> {
    /// Begins the sidecar of a segment with so many granules.
    pub(crate) fn new(mut out: W, granules: u32) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        Ok(DictionaryWriter {
            out,
            offset: MAGIC.len() as u64,
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            directory: Directory { granules, ..Directory::default() },
            previous: Vec::new(),
            first: Box::default(),
            count: 0,
            keys: Vec::new(),
            postings: Vec::new(),
        })
    }

    /// Adds a token that is greater than the one before, and the granules (ascending, at least one) it is in.
    pub(crate) fn push(&mut self, token: &[u8], granules: &[u32]) -> io::Result<()> {
        debug_assert!(self.directory.tokens == 0 || token > &self.previous[..]);
        let shared = if self.count == 0 {
            self.first = token.into();
            0
        } else {
            self.previous.iter().zip(token).take_while(|(a, b)| a == b).count()
        };
        varint::put(&mut self.keys, shared as u64);
        varint::put(&mut self.keys, (token.len() - shared) as u64);
        self.keys.extend_from_slice(&token[shared..]);
        postings::put(&mut self.postings, granules, self.directory.granules);
        self.previous.truncate(shared);
        self.previous.extend_from_slice(&token[shared..]);
        self.directory.tokens += 1;
        self.count += 1;
        if self.count == BLOCK_KEYS { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let (keys, postings) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.postings));
        let block = Block {
            first: std::mem::take(&mut self.first),
            count: std::mem::take(&mut self.count),
            keys: self.section(&keys)?,
            postings: self.section(&postings)?,
        };
        self.directory.blocks.push(block);
        (self.keys, self.postings) = (keys, postings);
        self.keys.clear();
        self.postings.clear();
        self.previous.clear();
        Ok(())
    }

    fn section(&mut self, raw: &[u8]) -> io::Result<Section> {
        let stored = self.compressor.compress(raw)?;
        self.out.write_all(&stored)?;
        let section =
            Section { offset: self.offset, len: stored.len(), raw_len: raw.len(), crc: crc32c::crc32c(&stored) };
        self.offset += stored.len() as u64;
        Ok(section)
    }

    /// Ends the dictionary and writes the batch table, the directory and the footer.
    pub(crate) fn finish(mut self, batches: &[BatchEntry]) -> io::Result<W> {
        self.end_block()?;
        self.directory.batches = self.section(&directory::encode_batches(batches))?;
        let Section { offset, len, raw_len, crc } = self.section(&self.directory.encode())?;
        let too_large = |_| io::Error::other("the directory of a token sidecar exceeds 4 GiB");
        let footer = Footer {
            offset,
            len: u32::try_from(len).map_err(too_large)?,
            raw_len: u32::try_from(raw_len).map_err(too_large)?,
            crc,
            version: VERSION,
        };
        self.out.write_all(&footer.encode())?;
        Ok(self.out)
    }
}
