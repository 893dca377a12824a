//! Reads a token sidecar.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    directory::{self, BLOCK_KEYS, BatchEntry, Block, Directory, FOOTER_LEN, Footer, Section, VERSION},
    lookup::{Lookup, Term, TermQuery},
    postings,
    scan::{Scan, Scanned},
    section::Sections,
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
        let mut sections = Sections::open(path)?;
        let file = sections.file();
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
        let mut bytes = Vec::new();
        sections.read(&section, MAX_SECTION, &mut bytes)?;
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
        let mut bytes = Vec::new();
        self.sections()?.read(&self.directory.batches, MAX_SECTION, &mut bytes)?;
        directory::decode_batches(&bytes)
            .ok_or_else(|| StoreError::damaged(&self.path, "the batch table cannot be read"))
    }

    /// Granules that may hold an event that matches.
    pub(crate) fn candidates(&self, query: &TermQuery) -> Result<Granules> {
        let mut looking =
            Looking { index: self, sections: self.sections()?, scanned: Scanned::new(), wanted: Vec::new() };
        let found = looking.query(query, Granules::all(self.granules()))?;
        if looking.wanted.is_empty() {
            return Ok(found);
        }
        // What needs every token is looked up at once, and only now, when it is known whether anything is left to narrow.
        looking.scan()?;
        looking.query(query, found)
    }

    fn sections(&self) -> Result<Sections<'_>> {
        Sections::open(&self.path)
    }

    fn unreadable(&self) -> StoreError {
        StoreError::damaged(&self.path, "a dictionary block cannot be read")
    }

    /// Every token with its granules, in ascending order.
    pub(crate) fn stream(&self) -> Result<TokenStream<'_>> {
        Ok(TokenStream { index: self, sections: self.sections()?, block: 0, at: 0, tokens: Vec::new() })
    }
}

/// A query on its way through a dictionary.
struct Looking<'a> {
    index: &'a TokenIndex,
    sections: Sections<'a>,
    /// What look-ups that need every token came to.
    scanned: Scanned,
    /// Those that are not known yet, and would narrow.
    wanted: Vec<Lookup>,
}

impl Looking<'_> {
    /// Narrows `within` down to what may match.
    fn query(&mut self, query: &TermQuery, mut within: Granules) -> Result<Granules> {
        match query {
            _ if within.is_empty() => {}
            TermQuery::Any => {}
            TermQuery::Term(term) => self.term(term, &mut within)?,
            TermQuery::And(all) => {
                for query in all {
                    within = self.query(query, within)?;
                }
            }
            TermQuery::Or(any) => {
                let mut found = Granules::none(self.index.granules());
                for query in any {
                    found.or(&self.query(query, within.clone())?);
                }
                within = found;
            }
        }
        Ok(within)
    }

    fn term(&mut self, term: &Term, within: &mut Granules) -> Result<()> {
        for lookup in term.lookups() {
            if within.is_empty() {
                break;
            }
            match &lookup {
                Lookup::Exact(token) => within.and(&self.exact(token)?),
                Lookup::Prefix(start) => within.and(&self.prefix(start)?),
                Lookup::Suffix(_) | Lookup::Infix(_) => match self.scanned.get(&lookup) {
                    Some(found) => within.and(found),
                    None if within.len() * SCAN_WORTH <= self.index.granules() => {}
                    None => self.wanted.push(lookup),
                },
            }
        }
        Ok(())
    }

    fn exact(&mut self, token: &[u8]) -> Result<Granules> {
        let blocks = &self.index.directory.blocks;
        let mut found = Granules::none(self.index.granules());
        let after = blocks.partition_point(|block| *block.first <= *token);
        if let Some(block) = after.checked_sub(1) {
            self.search(&blocks[block], &mut found, |key| key == token)?;
        }
        Ok(found)
    }

    fn prefix(&mut self, start: &[u8]) -> Result<Granules> {
        let blocks = &self.index.directory.blocks;
        let mut found = Granules::none(self.index.granules());
        let after = blocks.partition_point(|block| *block.first <= *start);
        for block in &blocks[after.saturating_sub(1)..] {
            if block.first[..block.first.len().min(start.len())] > *start || found.is_all() {
                break;
            }
            self.search(block, &mut found, |key| key.starts_with(start))?;
        }
        Ok(found)
    }

    /// Looks through the whole dictionary for what is wanted.
    fn scan(&mut self) -> Result<()> {
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.sort();
        wanted.dedup();
        let Some(mut scan) = Scan::new(wanted) else { return Ok(()) };
        let index = self.index;
        let mut found = vec![Granules::none(index.granules()); scan.lookups().len()];
        let (mut keys, mut hits) = (Vec::new(), Vec::new());
        for block in &index.directory.blocks {
            if found.iter().all(Granules::is_all) {
                break;
            }
            self.sections.read(&block.keys, MAX_KEYS, &mut keys)?;
            scan.begin();
            each_key(&keys, block.count, |_, key| scan.add(key)).ok_or_else(|| index.unreadable())?;
            hits.clear();
            scan.hits(|key, lookup| hits.push((key, lookup)));
            self.postings(
                block,
                hits.chunk_by(|a, b| a.0 == b.0).map(|chunk| (chunk[0].0, chunk)),
                |chunk, granules| {
                    for (_, lookup) in chunk {
                        granules.iter().for_each(|granule| found[*lookup].insert(*granule as usize));
                    }
                },
            )?;
        }
        self.scanned = scan.lookups().iter().cloned().zip(found).collect();
        Ok(())
    }

    /// Adds the granules of the block's tokens that match.
    fn search(&mut self, block: &Block, found: &mut Granules, matches: impl Fn(&[u8]) -> bool) -> Result<()> {
        let mut keys = Vec::new();
        self.sections.read(&block.keys, MAX_KEYS, &mut keys)?;
        let mut hits = Vec::new();
        each_key(&keys, block.count, |at, key| {
            if matches(key) {
                hits.push((at, ()));
            }
        })
        .ok_or_else(|| self.index.unreadable())?;
        self.postings(block, hits.into_iter(), |(), granules| {
            granules.iter().for_each(|granule| found.insert(*granule as usize));
        })
    }

    /// Hands out the granules of some of a block's keys, which come in ascending order, each with what it was found for.
    fn postings<T>(
        &mut self,
        block: &Block,
        hits: impl Iterator<Item = (usize, T)>,
        mut each: impl FnMut(T, &[u32]),
    ) -> Result<()> {
        let mut hits = hits.peekable();
        if hits.peek().is_none() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.sections.read(&block.postings, MAX_SECTION, &mut bytes)?;
        let granules = self.index.directory.granules;
        let mut reader = Reader::new(&bytes);
        let (mut next, mut list) = (0, Vec::new());
        for (hit, what) in hits {
            let read = (next..hit)
                .try_for_each(|_| postings::skip(&mut reader, granules))
                .and_then(|()| postings::read(&mut reader, granules, &mut list));
            read.ok_or_else(|| StoreError::damaged(&self.index.path, "postings cannot be read"))?;
            each(what, &list);
            next = hit + 1;
        }
        Ok(())
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

/// A token and the granules it is in.
pub(crate) type Posted = (Vec<u8>, Vec<u32>);

/// See [`TokenIndex::stream`]; holds one block at a time.
pub(crate) struct TokenStream<'a> {
    index: &'a TokenIndex,
    sections: Sections<'a>,
    block: usize,
    at: usize,
    tokens: Vec<Posted>,
}

impl TokenStream<'_> {
    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Option<Posted>> {
        if self.at == self.tokens.len() {
            let directory = &self.index.directory;
            let Some(block) = directory.blocks.get(self.block) else {
                return Ok(None);
            };
            let (mut keys, mut postings) = (Vec::new(), Vec::new());
            self.sections.read(&block.keys, MAX_KEYS, &mut keys)?;
            self.sections.read(&block.postings, MAX_SECTION, &mut postings)?;
            self.tokens.clear();
            let mut reader = Reader::new(&postings);
            let mut sound = true;
            each_key(&keys, block.count, |_, key| {
                let mut list = Vec::new();
                sound &= postings::read(&mut reader, directory.granules, &mut list).is_some();
                self.tokens.push((key.to_vec(), list));
            })
            .filter(|()| sound)
            .ok_or_else(|| self.index.unreadable())?;
            self.at = 0;
            self.block += 1;
        }
        let token = std::mem::take(&mut self.tokens[self.at]);
        self.at += 1;
        Ok(Some(token))
    }
}
