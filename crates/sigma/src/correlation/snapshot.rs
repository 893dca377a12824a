//! State as bytes: written, and read back with every length checked.

use vedette_event::EventId;

/// What hits and entries are ordered by: time, event, rule.
pub(super) type Key = (i64, EventId, u32);

/// Why a snapshot was not restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The bytes are no snapshot of correlations.
    #[error("this is no snapshot of correlations")]
    Foreign,
    /// A version that this program does not know.
    #[error("a snapshot of version {0}; this program reads version {VERSION}")]
    Version(u16),
    /// It was made with another key, under which its groups have other names.
    #[error("the snapshot was made with another key")]
    Key,
    /// Some of it is missing, or says what cannot be.
    #[error("the snapshot is damaged at byte {0}")]
    Damaged(usize),
}

pub(super) type Snapshot<T> = Result<T, RestoreError>;

pub(super) const MAGIC: &[u8; 8] = b"VdtCorr\0";
pub(super) const VERSION: u16 = 1;

/// Little-endian numbers, texts behind their lengths.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    pub(super) fn count(&mut self, value: usize) {
        self.u64(value as u64);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    pub(super) fn event(&mut self, event: EventId) {
        self.u32(event.source.0);
        self.u64(event.seq);
    }
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    pub(super) fn damaged<T>(&self) -> Snapshot<T> {
        Err(RestoreError::Damaged(self.at))
    }

    pub(super) fn take(&mut self, count: usize) -> Snapshot<&'a [u8]> {
        let Some(taken) = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)) else { return self.damaged() };
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Snapshot<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Snapshot<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Snapshot<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Snapshot<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Snapshot<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Snapshot<f64> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// A number of things of so many bytes at least: there cannot be more than the rest of the bytes hold.
    pub(super) fn count(&mut self, least: usize) -> Snapshot<usize> {
        let count = self.u64()?;
        let rest = (self.bytes.len() - self.at) / least.max(1);
        if count > rest as u64 {
            return self.damaged();
        }
        Ok(count as usize)
    }

    pub(super) fn text(&mut self) -> Snapshot<&'a str> {
        let length = self.count(1)?;
        let at = self.at;
        std::str::from_utf8(self.take(length)?).map_err(|_| RestoreError::Damaged(at))
    }

    pub(super) fn event(&mut self) -> Snapshot<EventId> {
        Ok(EventId { source: vedette_event::SourceId(self.u32()?), seq: self.u64()? })
    }

    pub(super) fn end(&self) -> Snapshot<()> {
        if self.at == self.bytes.len() { Ok(()) } else { self.damaged() }
    }
}
