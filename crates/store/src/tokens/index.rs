//! Reads a token sidecar.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use memchr::memmem;

use super::{
    directory::{self, BLOCK_KEYS, BatchEntry, Block, Directory, FOOTER_LEN, Footer, Section, VERSION},
    lookup::{Lookup, Term, TermQuery},
    postings,
    split::MAX_TOKEN,
};
use crate::{Granules, Result, StoreError, error::IoContext, varint::Reader};

/// The most that a section may grow to when decompressed; more is damage, not data.
const MAX_SECTION: usize = 1 << 30;
/// The most bytes of a block's keys, decompressed: each has two lengths and itself.
const MAX_KEYS: usize = BLOCK_KEYS * (MAX_TOKEN + 4);
/// A scan of the whole dictionary is worth it while more than one in this many granules is left.
const SCAN_WORTH: usize = 8;

/// A sidecar's directory, kept in memory; the dictionary is read from the file.
#[derive(Debug)]
pub(crate) struct TokenIndex {
    path: PathBuf,
    directory: Directory,
}

impl TokenIndex {
    pub(crate) fn open(path: &Path) -> Result<TokenIndex> {
        let file = File::open(path).at(path, "opening")?;
        let len = file.metadata().at(path, "reading")?.len();
        let footer_at = len
            .checked_sub(FOOTER_LEN as u64)
            .ok_or_else(|| StoreError::damaged(path, "shorter than a token sidecar's footer"))?;
        let mut bytes = [0; FOOTER_LEN];
        file.read_exact_at(&mut bytes, footer_at).at(path, "reading")?;
        let footer =
            Footer::decode(&bytes).ok_or_else(|| StoreError::damaged(path, "does not end as a token sidecar"))?;
        if footer.version > VERSION {
            let (found, known) = (footer.version.into(), VERSION.into());
            return Err(StoreError::Newer { path: path.to_owned(), what: "token sidecar", found, known });
        }
        if footer.version == 0 {
            return Err(StoreError::damaged(path, "there is no version 0"));
        }
        let section = Section {
            offset: footer.offset,
            len: footer.len as usize,
            raw_len: footer.raw_len as usize,
            crc: footer.crc,
        };
        if section.offset.checked_add(u64::from(footer.len)) != Some(footer_at) {
            return Err(StoreError::damaged(path, "the directory is not where the footer says"));
        }
        let bytes = read_section(&file, path, &section, MAX_SECTION)?;
        let directory = Directory::decode(&bytes)
            .filter(|directory| {
                directory.batches.offset.checked_add(directory.batches.len as u64) == Some(footer.offset)
            })
            .ok_or_else(|| StoreError::damaged(path, "the directory cannot be read"))?;
        Ok(TokenIndex { path: path.to_owned(), directory })
    }

    pub(crate) fn granules(&self) -> usize {
        self.directory.granules as usize
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.directory.tokens
    }

    /// The segment's batches in row order.
    pub(crate) fn batches(&self) -> Result<Vec<BatchEntry>> {
        let file = File::open(&self.path).at(&self.path, "opening")?;
        let bytes = read_section(&file, &self.path, &self.directory.batches, MAX_SECTION)?;
        directory::decode_batches(&bytes)
            .ok_or_else(|| StoreError::damaged(&self.path, "the batch table cannot be read"))
    }

    /// Granules that may hold an event that matches.
    pub(crate) fn candidates(&self, query: &TermQuery) -> Result<Granules> {
        let file = File::open(&self.path).at(&self.path, "opening")?;
        self.query(&file, query, Granules::all(self.granules()))
    }

    /// Narrows `within` down to what may match.
    fn query(&self, file: &File, query: &TermQuery, mut within: Granules) -> Result<Granules> {
        match query {
            _ if within.is_empty() => {}
            TermQuery::Any => {}
            TermQuery::Term(term) => self.term(file, term, &mut within)?,
            TermQuery::And(all) => {
                for query in all {
                    within = self.query(file, query, within)?;
                }
            }
            TermQuery::Or(any) => {
                let mut found = Granules::none(self.granules());
                for query in any {
                    found.or(&self.query(file, query, within.clone())?);
                }
                within = found;
            }
        }
        Ok(within)
    }

    fn term(&self, file: &File, term: &Term, within: &mut Granules) -> Result<()> {
        for lookup in term.lookups() {
            let scan = matches!(lookup, Lookup::Suffix(_) | Lookup::Infix(_));
            if within.is_empty() || scan && within.len() * SCAN_WORTH <= self.granules() {
                break;
            }
            within.and(&self.lookup(file, &lookup)?);
        }
        Ok(())
    }

    fn lookup(&self, file: &File, lookup: &Lookup) -> Result<Granules> {
        let blocks = &self.directory.blocks;
        let mut found = Granules::none(self.granules());
        match lookup {
            Lookup::Exact(token) => {
                let after = blocks.partition_point(|block| *block.first <= **token);
                if let Some(block) = after.checked_sub(1) {
                    self.search(file, &blocks[block], &mut found, |key| key == &token[..])?;
                }
            }
            Lookup::Prefix(start) => {
                let after = blocks.partition_point(|block| *block.first <= **start);
                for block in &blocks[after.saturating_sub(1)..] {
                    if block.first[..block.first.len().min(start.len())] > start[..] || found.is_all() {
                        break;
                    }
                    self.search(file, block, &mut found, |key| key.starts_with(start))?;
                }
            }
            Lookup::Suffix(end) => self.scan(file, &mut found, |key| key.ends_with(end))?,
            Lookup::Infix(part) => {
                let finder = memmem::Finder::new(part);
                self.scan(file, &mut found, |key| key.len() >= part.len() && finder.find(key).is_some())?;
            }
        }
        Ok(found)
    }

    fn scan(&self, file: &File, found: &mut Granules, matches: impl Fn(&[u8]) -> bool) -> Result<()> {
        for block in &self.directory.blocks {
            if found.is_all() {
                break;
            }
            self.search(file, block, found, &matches)?;
        }
        Ok(())
    }

    /// Adds the granules of the block's tokens that match.
    fn search(&self, file: &File, block: &Block, found: &mut Granules, matches: impl Fn(&[u8]) -> bool) -> Result<()> {
        let keys = read_section(file, &self.path, &block.keys, MAX_KEYS)?;
        let mut hits = Vec::new();
        each_key(&keys, block.count, |at, key| {
            if matches(key) {
                hits.push(at);
            }
        })
        .ok_or_else(|| StoreError::damaged(&self.path, "a dictionary block cannot be read"))?;
        if hits.is_empty() {
            return Ok(());
        }
        let bytes = read_section(file, &self.path, &block.postings, MAX_SECTION)?;
        let mut reader = Reader::new(&bytes);
        let (mut next, mut list) = (0, Vec::new());
        for hit in hits {
            let read = (next..hit)
                .try_for_each(|_| postings::skip(&mut reader, self.directory.granules))
                .and_then(|()| postings::read(&mut reader, self.directory.granules, &mut list));
            read.ok_or_else(|| StoreError::damaged(&self.path, "postings cannot be read"))?;
            list.iter().for_each(|granule| found.insert(*granule as usize));
            next = hit + 1;
        }
        Ok(())
    }

    /// Every token with its granules, in ascending order.
    pub(crate) fn stream(&self) -> Result<TokenStream<'_>> {
        let file = File::open(&self.path).at(&self.path, "opening")?;
        Ok(TokenStream { index: self, file, block: 0, at: 0, tokens: Vec::new() })
    }
}

/// Calls `each` with every key of a block and its number.
fn each_key(bytes: &[u8], count: usize, mut each: impl FnMut(usize, &[u8])) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let mut key = Vec::with_capacity(MAX_TOKEN);
    for at in 0..count {
        let (shared, len) = (reader.usize()?, reader.usize()?);
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(reader.bytes(len)?);
        each(at, &key);
    }
    reader.is_empty().then_some(())
}

/// Reads, checks and decompresses a section.
fn read_section(file: &File, path: &Path, section: &Section, max: usize) -> Result<Vec<u8>> {
    if section.raw_len > max || section.len > section.raw_len.saturating_add(1024) {
        return Err(StoreError::damaged(path, format!("a section at {} claims an absurd length", section.offset)));
    }
    let mut stored = vec![0; section.len];
    file.read_exact_at(&mut stored, section.offset).at(path, "reading")?;
    if crc32c::crc32c(&stored) != section.crc {
        return Err(StoreError::damaged(path, format!("checksum of the section at {} does not match", section.offset)));
    }
    zstd::bulk::decompress(&stored, section.raw_len)
        .ok()
        .filter(|raw| raw.len() == section.raw_len)
        .ok_or_else(|| StoreError::damaged(path, format!("the section at {} cannot be decompressed", section.offset)))
}

/// A token and the granules it is in.
pub(crate) type Posted = (Vec<u8>, Vec<u32>);

/// See [`TokenIndex::stream`]; holds one block at a time.
pub(crate) struct TokenStream<'a> {
    index: &'a TokenIndex,
    file: File,
    block: usize,
    at: usize,
    tokens: Vec<Posted>,
}

impl TokenStream<'_> {
    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Option<Posted>> {
        if self.at == self.tokens.len() {
            let TokenIndex { path, directory } = self.index;
            let Some(block) = directory.blocks.get(self.block) else {
                return Ok(None);
            };
            let keys = read_section(&self.file, path, &block.keys, MAX_KEYS)?;
            let postings = read_section(&self.file, path, &block.postings, MAX_SECTION)?;
            self.tokens.clear();
            let mut reader = Reader::new(&postings);
            let mut sound = true;
            each_key(&keys, block.count, |_, key| {
                let mut list = Vec::new();
                sound &= postings::read(&mut reader, directory.granules, &mut list).is_some();
                self.tokens.push((key.to_vec(), list));
            })
            .filter(|()| sound)
            .ok_or_else(|| StoreError::damaged(path, "a dictionary block cannot be read"))?;
            self.at = 0;
            self.block += 1;
        }
        let token = std::mem::take(&mut self.tokens[self.at]);
        self.at += 1;
        Ok(Some(token))
    }
}
