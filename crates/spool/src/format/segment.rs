//! A segment file's name and header.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
};

use super::{Bad, Chain, MAX_NUMBER, Sync, bytes_at, u32_at, u64_at};

pub(crate) const MAGIC: [u8; 8] = *b"VEDSPOOL";
/// The version this code writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_LEN: usize = 72;
const CRC_AT: usize = HEADER_LEN - 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The file's number, as in its name: 1, 2, 3, …
    pub(crate) number: u64,
    /// The log address of the file's first byte.
    pub(crate) base: u64,
    pub(crate) sync: Sync,
    /// Hash of the last frame of the segment before; zeros in the first.
    pub(crate) previous: Chain,
}

pub(crate) enum HeaderError {
    /// A later release's version.
    Newer(u32),
    Bad(Bad),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.base.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.sync);
        bytes[36..68].copy_from_slice(&self.previous);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Magic and version stand first and never move, so a later version is named as such whatever follows.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        if bytes[..8] != MAGIC {
            return Err(HeaderError::Bad(Bad::new("it does not begin as a spool segment does")));
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        if crc32c::crc32c(&bytes[..CRC_AT]) != u32_at(bytes, CRC_AT) || version == 0 {
            return Err(HeaderError::Bad(Bad::new("the segment header's checksum is wrong")));
        }
        let header = SegmentHeader {
            number: u64_at(bytes, 12),
            base: u64_at(bytes, 20),
            sync: bytes_at(bytes, 28),
            previous: bytes_at(bytes, 36),
        };
        if header.number >= MAX_NUMBER || header.base >= MAX_NUMBER {
            return Err(HeaderError::Bad(Bad::new("the segment's number or log address is out of range")));
        }
        Ok(header)
    }
}

/// Unpredictable, from the keys that the standard library draws for its hash maps.
pub(crate) fn new_sync() -> Sync {
    RandomState::new().build_hasher().finish().to_le_bytes()
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.spool"))
}

/// The name a segment has until its first frame is durable.
pub(crate) fn new_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.spool.new"))
}

/// What a name in the folder stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Segment(u64),
    /// A segment whose creation was interrupted.
    Unborn,
    /// Ends like a segment, but is none.
    Unknown,
    Other,
}

pub(crate) fn read_name(name: &str) -> Name {
    if name.ends_with(".spool.new") {
        return Name::Unborn;
    }
    let Some(stem) = name.strip_suffix(".spool") else { return Name::Other };
    let digits = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
    match stem.parse() {
        Ok(number) if digits && number > 0 => Name::Segment(number),
        _ => Name::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("00000000000000000001.spool", Name::Segment(1)),
            ("18446744073709551615.spool", Name::Segment(u64::MAX)),
            ("18446744073709551616.spool", Name::Unknown),
            ("00000000000000000000.spool", Name::Unknown),
            ("1.spool", Name::Unknown),
            ("+0000000000000000001.spool", Name::Unknown),
            ("00000000000000000002.spool.new", Name::Unborn),
            ("lock", Name::Other),
            ("notes.txt", Name::Other),
        ] {
            assert_eq!(read_name(name), expected, "{name}");
        }
    }

    #[test]
    fn header_round_trip_and_every_flipped_bit_is_seen() {
        let header = SegmentHeader { number: 7, base: 1 << 40, sync: *b"12345678", previous: [9; 32] };
        let bytes = header.encode();
        assert!(SegmentHeader::decode(&bytes).is_ok_and(|read| read == header));
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn numbers_that_could_overflow_are_refused() {
        let good = SegmentHeader { number: 7, base: 1 << 40, sync: *b"12345678", previous: [9; 32] };
        assert!(SegmentHeader::decode(&good.encode()).is_ok());
        for bad in [SegmentHeader { number: u64::MAX, ..good }, SegmentHeader { base: u64::MAX - 100, ..good }] {
            assert!(matches!(SegmentHeader::decode(&bad.encode()), Err(HeaderError::Bad(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = [0xff; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        assert!(matches!(SegmentHeader::decode(&bytes), Err(HeaderError::Newer(2))));
    }
}
