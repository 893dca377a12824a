//! Segments: immutable Parquet files, each with its token sidecar.

mod read;
mod write;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use vedette_event::{SourceId, Time};

use crate::{
    Granule, Granules, Result, StoreError, TermQuery, files,
    manifest::{Run, SegmentRow},
    tokens::{BatchEntry, TokenIndex},
};

pub use read::OpenSegment;
pub(crate) use write::{Contents, SegmentWriter};

/// One immutable file of rows, with its token sidecar. Its files stay on disk as long as a
/// [`crate::Snapshot`] holds it, even after compaction or retention has dropped it from the store.
pub struct Segment {
    base: PathBuf,
    path: PathBuf,
    tokens: PathBuf,
    row: SegmentRow,
    index: OnceLock<TokenIndex>,
    dropped: AtomicBool,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {} rows)", self.row.id, self.row.rows)
    }
}

impl Segment {
    pub(crate) fn new(base: &Path, row: SegmentRow) -> Self {
        let path = base.join(&row.path);
        let tokens = path.with_extension(files::TOKENS);
        Segment { base: base.to_owned(), path, tokens, row, index: OnceLock::new(), dropped: AtomicBool::new(false) }
    }

    /// Its name: unique for ever, and ascending with the time it was made.
    pub fn id(&self) -> &str {
        &self.row.id
    }

    /// The Parquet file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token sidecar.
    pub fn tokens_path(&self) -> &Path {
        &self.tokens
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.row.rows
    }

    /// Original bytes of all rows.
    pub fn raw_bytes(&self) -> u64 {
        self.row.raw_bytes
    }

    /// Length of the longest original record.
    pub fn longest(&self) -> u64 {
        self.row.longest
    }

    /// Bytes of the Parquet file.
    pub fn parquet_bytes(&self) -> u64 {
        self.row.parquet_bytes
    }

    /// Bytes of the token sidecar.
    pub fn tokens_bytes(&self) -> u64 {
        self.row.tokens_bytes
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.row.parquet_bytes + self.row.tokens_bytes
    }

    /// Earliest and latest event time.
    pub fn time(&self) -> (Time, Time) {
        self.row.time
    }

    /// Earliest and latest receive time; both within one hour.
    pub fn received(&self) -> (Time, Time) {
        self.row.received
    }

    /// When the hour of its partition begins.
    pub fn partition(&self) -> Time {
        files::hour_start(self.row.hour)
    }

    /// The version of its set of columns ([`crate::SCHEMA_ID`]).
    pub fn schema_id(&self) -> u32 {
        self.row.schema
    }

    /// Number of batches.
    pub fn batches(&self) -> u64 {
        self.row.batches
    }

    /// Which events it has, by source and sequence number.
    pub fn runs(&self) -> &[Run] {
        &self.row.runs
    }

    /// Its granules, in row order.
    pub fn granules(&self) -> &[Granule] {
        &self.row.granules
    }

    pub(crate) fn row(&self) -> &SegmentRow {
        &self.row
    }

    /// The granules with events of the given time span (both ends included).
    pub fn within(&self, from: Option<Time>, to: Option<Time>) -> Granules {
        let mut granules = Granules::none(self.row.granules.len());
        for (at, granule) in self.row.granules.iter().enumerate() {
            if from.is_none_or(|from| granule.time.1 >= from) && to.is_none_or(|to| granule.time.0 <= to) {
                granules.insert(at);
            }
        }
        granules
    }

    /// The granules that may hold an event that matches; none that does is missed. If the sidecar cannot be
    /// read, that is logged and the answer is all granules.
    pub fn candidates(&self, terms: &TermQuery) -> Granules {
        self.try_candidates(terms).unwrap_or_else(|error| {
            tracing::warn!(segment = self.row.id, %error, "token sidecar not usable, reading the whole segment");
            Granules::all(self.row.granules.len())
        })
    }

    /// As [`candidates`](Self::candidates), but a sidecar that cannot be read is an error.
    pub fn try_candidates(&self, terms: &TermQuery) -> Result<Granules> {
        if matches!(terms, TermQuery::Any) {
            return Ok(Granules::all(self.row.granules.len()));
        }
        self.index()?.candidates(terms)
    }

    /// Number of distinct tokens in the sidecar.
    pub fn tokens(&self) -> Result<u64> {
        Ok(self.index()?.tokens())
    }

    pub(crate) fn index(&self) -> Result<&TokenIndex> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = TokenIndex::open(&self.tokens)?;
        if index.granules() != self.row.granules.len() {
            return Err(StoreError::damaged(&self.tokens, "not the sidecar of this segment: other number of granules"));
        }
        Ok(self.index.get_or_init(|| index))
    }

    /// The rows' batches, in row order: source, sequence number of the first event, events.
    pub fn batch_table(&self) -> Result<Vec<(SourceId, u64, u32)>> {
        let batches = self.index()?.batches()?;
        if batches.iter().map(|batch| u64::from(batch.rows)).sum::<u64>() != self.row.rows {
            return Err(StoreError::damaged(&self.tokens, "the batch table does not have the segment's rows"));
        }
        Ok(batches
            .into_iter()
            .map(|BatchEntry { source, first_seq, rows }| (SourceId(source), first_seq, rows))
            .collect())
    }

    /// The row of an event, if the segment has it.
    pub fn locate(&self, source: SourceId, seq: u64) -> Result<Option<u64>> {
        if !self.row.runs.iter().any(|run| run.source == source && (run.first_seq..=run.last_seq).contains(&seq)) {
            return Ok(None);
        }
        let mut row = 0;
        for (batch_source, first_seq, rows) in self.batch_table()? {
            if batch_source == source
                && let Some(offset) = seq.checked_sub(first_seq).filter(|offset| *offset < u64::from(rows))
            {
                return Ok(Some(row + offset));
            }
            row += u64::from(rows);
        }
        Err(StoreError::damaged(&self.tokens, format!("the batch table lacks event {}-{seq}", source.0)))
    }

    /// Reads both files and compares them with the manifest's lengths and checksums.
    pub fn check(&self) -> Result<()> {
        let row = &self.row;
        for (path, bytes, crc) in
            [(&self.path, row.parquet_bytes, row.parquet_crc), (&self.tokens, row.tokens_bytes, row.tokens_crc)]
        {
            let (found_bytes, found_crc) = files::checksum(path)?;
            if found_bytes != bytes {
                return Err(StoreError::damaged(path, format!("{found_bytes} bytes, {bytes} expected")));
            }
            if found_crc != crc {
                return Err(StoreError::damaged(path, "checksum does not match the manifest"));
            }
        }
        Ok(())
    }

    /// What is wrong with its files at first sight: missing, or not of their length.
    pub(crate) fn glance(&self) -> Result<()> {
        let row = &self.row;
        for (path, bytes) in [(&self.path, row.parquet_bytes), (&self.tokens, row.tokens_bytes)] {
            match fs::metadata(path) {
                Ok(metadata) if metadata.len() == bytes => {}
                Ok(metadata) => {
                    return Err(StoreError::damaged(path, format!("{} bytes, {bytes} expected", metadata.len())));
                }
                Err(error) => return Err(StoreError::damaged(path, format!("cannot be opened: {error}"))),
            }
        }
        Ok(())
    }

    /// The manifest no longer has it: its files go when the last reader is done.
    pub(crate) fn drop_files(&self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.dropped.load(Ordering::Relaxed) {
            return;
        }
        for path in [&self.path, &self.tokens] {
            // A file that stays is removed when the store is opened the next time.
            if let Err(error) = files::remove(path) {
                tracing::warn!(%error, "a dropped segment's file stays until the next start");
            }
        }
        files::remove_empty_parents(&self.path, &self.base);
    }
}
