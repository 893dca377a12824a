//! The bytes of a segment file, as `docs/formats.md`, section Spool, specifies them.
//!
//! Pure functions between bytes and values: no I/O here.

pub(crate) mod frame;
pub(crate) mod payload;
pub(crate) mod segment;

/// Log addresses, segment numbers and sequence numbers in a file stay below this: no spool gets there, and sums
/// of them do not overflow.
pub(crate) const MAX_NUMBER: u64 = 1 << 62;

/// BLAKE3 of the frame before.
pub(crate) type Chain = [u8; 32];
/// Random bytes that begin every frame of one segment. A record's content cannot contain them on purpose,
/// so finding them behind a bad frame means that a frame was written there.
pub(crate) type Sync = [u8; 8];

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad(pub(crate) String);

impl Bad {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Bad(what.into())
    }
}

/// `N` bytes at `at` of a buffer whose length the caller's array type proves.
pub(crate) fn bytes_at<const N: usize>(buffer: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&buffer[at..at + N]);
    bytes
}

pub(crate) fn u32_at(buffer: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(buffer, at))
}

pub(crate) fn u64_at(buffer: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(buffer, at))
}
