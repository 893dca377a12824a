//! Following the frames, from memory near the end and from the files before it.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use vedette_event::{Source, Time};

use crate::{
    Position, SpoolError,
    format::{
        Sync, frame, payload,
        segment::{self, SegmentHeader},
    },
    recover::read_header,
    shared::Shared,
};

/// The records of one group commit, over all sources; each source's are in order.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where it begins.
    pub position: Position,
    /// Where the next one begins: what to store, and to release once these records are sealed.
    pub position_after: Position,
    /// At least one record. They share the frame's memory: copy what is kept for long.
    pub records: Vec<SpooledRecord>,
}

/// A record as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledRecord {
    /// Where it came from.
    pub source: Arc<Source>,
    /// Its sequence number within the source.
    pub seq: u64,
    /// When it came.
    pub received: Time,
    /// Its exact bytes.
    pub raw: Bytes,
}

/// Reads frames in order. Several readers of one spool do not disturb each other.
pub struct Reader {
    shared: Arc<Shared>,
    at: u64,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    base: u64,
    sync: Sync,
    file: File,
    path: PathBuf,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from: Position) -> Self {
        let at = from.max(shared.lock().start()).to_u64();
        Reader { shared, at, open: None }
    }

    /// The next frame that has records; waits for it up to `timeout`. `None` when none came, or the spool
    /// was closed ([`Reader::is_ended`]).
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or was released.
    #[allow(clippy::should_implement_trait)] // it waits, and may have more after `None`
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Frame>, SpoolError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let Some(recent) = self.wait(deadline)? else { return Ok(None) };
            let (end, payload, place) = match recent {
                Some((end, payload)) => (end, payload, None),
                None => {
                    let (end, payload, place) = self.read_from_disk()?;
                    (end, payload, Some(place))
                }
            };
            let position = self.position();
            self.at = end;
            let records = self.records(&payload).map_err(|what| match place {
                Some((path, offset)) => SpoolError::damaged(path, offset, what),
                None => SpoolError::damaged(&self.shared.dir, position.to_u64(), what),
            })?;
            if !records.is_empty() {
                return Ok(Some(Frame { position, position_after: self.position(), records }));
            }
        }
    }

    /// Behind the last frame that was read.
    pub fn position(&self) -> Position {
        Position::from_u64(self.at)
    }

    /// The spool is closed and everything in it was read: no more will come.
    pub fn is_ended(&self) -> bool {
        let state = self.shared.lock();
        state.closed && self.at >= state.end
    }

    /// Waits until there is a frame at `self.at`; gives its end and payload where it is still in memory.
    #[allow(clippy::type_complexity)]
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Option<(u64, Bytes)>>, SpoolError> {
        let mut state = self.shared.lock();
        loop {
            self.at = state.behind_quiet(self.at);
            if self.at > state.end {
                return Err(SpoolError::Ahead { position: self.position(), end: Position::from_u64(state.end) });
            }
            if self.at < state.end {
                break;
            }
            let left = match deadline {
                None => Duration::MAX,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if state.closed || left.is_zero() {
                return Ok(None);
            }
            (state, _) = self.shared.committed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        let Some((base, _)) = state.segments.range(..=self.at).next_back() else {
            return Err(SpoolError::Released { position: self.position(), start: state.start() });
        };
        if self.at == *base {
            self.at += segment::HEADER_LEN as u64;
        }
        Ok(Some(state.recent(self.at).map(|frame| (frame.end, frame.payload.clone()))))
    }

    fn read_from_disk(&mut self) -> Result<(u64, Bytes, (PathBuf, u64)), SpoolError> {
        let state = self.shared.lock();
        let start = state.start();
        let segment = state.segments.range(..=self.at).next_back().map(|(base, number)| (*base, *number));
        drop(state);
        let released = SpoolError::Released { position: self.position(), start };
        let Some((base, number)) = segment else { return Err(released) };
        if self.open.as_ref().is_none_or(|open| open.base != base) {
            let path = segment::path(&self.shared.dir, number);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(released),
                Err(error) => return Err(SpoolError::io("open", path)(error)),
            };
            let SegmentHeader { sync, .. } = read_header(&file, &path)?;
            self.open = Some(OpenSegment { base, sync, file, path });
        }
        let open = self.open.as_ref().expect("it was opened above");
        open.read(self.at)
    }

    fn records(&self, payload: &Bytes) -> Result<Vec<SpooledRecord>, String> {
        let payload = payload::decode(payload).map_err(|bad| bad.0)?;
        let state = self.shared.lock();
        let mut records = Vec::with_capacity(payload.runs.iter().map(|run| run.records.len()).sum());
        for run in payload.runs {
            let account = state.accounts.get(run.source);
            let source = &account.ok_or_else(|| format!("source {} was not defined", run.source.0))?.source;
            let numbered = (run.first_seq..).zip(run.records);
            records.extend(numbered.map(|(seq, (received, raw))| SpooledRecord {
                source: source.clone(),
                seq,
                received,
                raw,
            }));
        }
        Ok(records)
    }
}

impl OpenSegment {
    fn read(&self, address: u64) -> Result<(u64, Bytes, (PathBuf, u64)), SpoolError> {
        let offset = address - self.base;
        let io = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SpoolError::damaged(&self.path, offset, "the file ends inside a frame"),
            _ => SpoolError::io("read", &self.path)(error),
        };
        let damaged = |bad: crate::format::Bad| SpoolError::damaged(&self.path, offset, bad.0);
        let mut header = [0; frame::HEADER_LEN];
        self.file.read_exact_at(&mut header, offset).map_err(io)?;
        let header = frame::FrameHeader::decode(&header, self.sync, address).map_err(damaged)?;
        let mut stored = vec![0; header.stored_len as usize];
        self.file.read_exact_at(&mut stored, offset + frame::HEADER_LEN as u64).map_err(io)?;
        let payload = header.unpack(stored).map_err(damaged)?;
        Ok((address + header.frame_len(), payload, (self.path.clone(), offset)))
    }
}
