//! The hot tail: rows that are not sealed yet, and what sealing will need to know about them.

use std::{ops::Range, sync::Arc};

use arrow::{array::RecordBatch, compute::concat_batches};
use vedette_event::{
    Batch, Event, Time, Value,
    ecs::{CORE, Kind},
};

use crate::{
    GRANULE_ROWS, Granule, MAX_ROWS_SEALED, Result, StoreError,
    columns::{self, ColumnSet, canonical_ip},
    files,
    tokens::{BatchEntry, TokenBuilder},
};

/// Small record batches of the tail are joined up to this many rows.
const JOIN_ROWS: usize = 1024;
/// A part that has so many original bytes takes no more, however rarely the tail is sealed.
const MAX_PART_BYTES: u64 = 512 << 20;

/// Rows that will become one segment: of one hour, at most [`MAX_ROWS_SEALED`].
pub(crate) struct Part {
    pub(crate) id: u64,
    pub(crate) hour: i64,
    pub(crate) rows: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) longest: u64,
    pub(crate) granules: Vec<Granule>,
    pub(crate) batches: Vec<BatchEntry>,
    pub(crate) inexact: ColumnSet,
    /// None in a store that is open for reading only.
    pub(crate) tokens: Option<TokenBuilder>,
    /// The rows.
    pub(crate) records: Vec<Arc<RecordBatch>>,
    /// When the first of them was appended.
    pub(crate) since: Time,
}

/// How the list of a part's record batches changed.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) part: u64,
    /// How many at the end of the list gave way …
    pub(crate) replaced: usize,
    /// … to this one.
    pub(crate) records: Arc<RecordBatch>,
}

/// Events of a batch that stay together: of one hour and with consecutive sequence numbers.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) hour: i64,
    pub(crate) events: Range<usize>,
    pub(crate) records: RecordBatch,
}

/// Cuts a batch ([`cuts`]), with the rows of each piece.
pub(crate) fn pieces(batch: &Batch, next_seq: u64) -> Result<Vec<Piece>> {
    cuts(batch, next_seq)?
        .into_iter()
        .map(|(hour, events)| Ok(Piece { hour, records: columns::rows(batch, events.clone())?, events }))
        .collect()
}

/// Cuts a batch where the hour of its receive times changes or sequence numbers are missing. Skips events before
/// `next_seq`. Hours and indexes of events.
pub(crate) fn cuts(batch: &Batch, next_seq: u64) -> Result<Vec<(i64, Range<usize>)>> {
    let refuse = |detail: String| StoreError::Batch { source_name: batch.source().name.to_string(), detail };
    let mut cuts: Vec<(i64, Range<usize>)> = Vec::new();
    let mut before: Option<u64> = None;
    for event in batch.events() {
        let seq = event.seq();
        if before.is_some_and(|before| before >= seq) {
            return Err(refuse(format!("sequence number {seq} does not come after the one before it")));
        }
        // SQLite counts to 2^63.
        if seq >= i64::MAX as u64 {
            return Err(refuse(format!("sequence number {seq} is too large")));
        }
        let follows = before.is_some_and(|before| before + 1 == seq);
        before = Some(seq);
        if seq < next_seq {
            continue;
        }
        let hour = files::hour_of(event.received());
        match cuts.last_mut() {
            Some((last_hour, events)) if *last_hour == hour && follows => events.end = event.index() + 1,
            _ => cuts.push((hour, event.index()..event.index() + 1)),
        }
    }
    Ok(cuts)
}

impl Part {
    pub(crate) fn new(id: u64, hour: i64, since: Time, index_tokens: bool) -> Self {
        Part {
            id,
            hour,
            rows: 0,
            raw_bytes: 0,
            longest: 0,
            granules: Vec::new(),
            batches: Vec::new(),
            inexact: ColumnSet::default(),
            tokens: index_tokens.then(TokenBuilder::default),
            records: Vec::new(),
            since,
        }
    }

    /// True if a piece belongs here and there is room.
    pub(crate) fn takes(&self, piece: &Piece) -> bool {
        self.hour == piece.hour
            && self.rows + piece.events.len() as u64 <= MAX_ROWS_SEALED
            && self.raw_bytes < MAX_PART_BYTES
    }

    /// Appends a piece of a batch.
    pub(crate) fn append(&mut self, batch: &Batch, piece: Piece) -> Result<Appended> {
        // First what can fail.
        let (replaced, records) = self.join(piece.records)?;
        let first_seq = batch.event(piece.events.start).seq();
        let cores = columns::cores(batch);
        let entry = BatchEntry { source: batch.source().id.0, first_seq, rows: piece.events.len() as u32 };
        for event in piece.events.map(|index| batch.event(index)) {
            if self.rows.is_multiple_of(GRANULE_ROWS) {
                self.granules.push(Granule::starting_at(self.rows));
            }
            let granule = self.granules.len() - 1;
            if let Some(tokens) = &mut self.tokens {
                index(tokens, granule as u32, event, &cores);
            }
            add_inexact(&mut self.inexact, event, &cores);
            self.granules[granule].add_row(event.time(), event.received(), event.raw().len());
            self.rows += 1;
            self.raw_bytes += event.raw().len() as u64;
            self.longest = self.longest.max(event.raw().len() as u64);
        }
        self.batches.push(entry);
        self.records.truncate(self.records.len() - replaced);
        self.records.push(records.clone());
        Ok(Appended { part: self.id, replaced, records })
    }

    /// Joins new rows with the small record batches before them, so that a trickle of single events does not become
    /// a hundred thousand record batches. Each row is copied at most about ten times.
    fn join(&self, records: RecordBatch) -> Result<(usize, Arc<RecordBatch>)> {
        let mut rows = records.num_rows();
        let mut replaced = 0;
        for before in self.records.iter().rev() {
            if before.num_rows() > rows || before.num_rows() + rows > JOIN_ROWS {
                break;
            }
            rows += before.num_rows();
            replaced += 1;
        }
        if replaced == 0 {
            return Ok((0, Arc::new(records)));
        }
        let from = self.records.len() - replaced;
        let all = self.records[from..].iter().map(|records| &**records).chain([&records]);
        let joined = concat_batches(&columns::schema(), all);
        joined
            .map(|joined| (replaced, Arc::new(joined)))
            .map_err(|error| StoreError::Parquet { path: Default::default(), error: error.into() })
    }

    /// Memory in use besides the rows, in bytes.
    pub(crate) fn index_memory(&self) -> u64 {
        self.tokens.as_ref().map_or(0, TokenBuilder::memory) as u64
    }
}

/// Adds the columns that do not say all of an event's fields.
fn add_inexact(inexact: &mut ColumnSet, event: Event<'_>, cores: &[Option<usize>]) {
    let mut seen = ColumnSet::default();
    for field in event.fields() {
        let Some(core) = cores[field.id.index()].filter(|core| !inexact.contains(*core)) else { continue };
        let is_kept = match (CORE[core].kind, field.value) {
            (_, Value::Null) | (Kind::Keywords, _) => false,
            (Kind::Keyword, _) | (Kind::Long, Value::Int(_)) => true,
            (Kind::Long, value) => value.as_int().is_some_and(|int| int.to_string() == value.to_text()),
            (Kind::Ip, value) => canonical_ip(value).is_some_and(|address| address == value.to_text()),
        };
        if !is_kept || seen.contains(core) {
            inexact.insert(core);
        }
        seen.insert(core);
    }
}

/// Adds an event's tokens: of the original bytes, of each field's value, and of what core columns make of values.
pub(crate) fn index(tokens: &mut TokenBuilder, granule: u32, event: Event<'_>, cores: &[Option<usize>]) {
    tokens.original(granule, event.raw());
    for field in event.fields() {
        match field.value {
            Value::Null => {}
            Value::Str(text) => tokens.value(text),
            other => tokens.value(&other.to_text()),
        }
        let Value::Str(text) = field.value else {
            continue;
        };
        let kept = match cores[field.id.index()].map(|core| CORE[core].kind) {
            Some(Kind::Ip) => canonical_ip(field.value),
            Some(Kind::Long) => field.value.as_int().map(|int| int.to_string()),
            _ => None,
        };
        if let Some(kept) = kept.filter(|kept| kept != text) {
            tokens.value(&kept);
        }
    }
}
