//! The end of a token sidecar: where its blocks are, and which batches the segment's rows belong to.

use std::collections::HashMap;

use crate::varint::{self, Reader};

/// The first eight bytes of a sidecar.
pub(crate) const MAGIC: [u8; 8] = *b"VDTTOKEN";
/// The version of the format that this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;
/// Keys of a full block.
pub(crate) const BLOCK_KEYS: usize = 4096;
/// Length of the footer.
pub(crate) const FOOTER_LEN: usize = 32;

/// A compressed piece of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) offset: u64,
    /// Stored length, compressed.
    pub(crate) len: usize,
    /// Length once decompressed.
    pub(crate) raw_len: usize,
    /// CRC-32C of the stored bytes.
    pub(crate) crc: u32,
}

/// A block of the dictionary: up to [`BLOCK_KEYS`] tokens and their postings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) first: Box<[u8]>,
    pub(crate) count: usize,
    pub(crate) keys: Section,
    pub(crate) postings: Section,
}

/// Everything needed to read the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) granules: u32,
    pub(crate) tokens: u64,
    pub(crate) blocks: Vec<Block>,
    pub(crate) batches: Section,
}

/// Consecutive rows of one batch: events of one source with consecutive sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchEntry {
    pub(crate) source: u32,
    pub(crate) first_seq: u64,
    pub(crate) rows: u32,
}

impl Directory {
    /// The sections follow each other from the magic on, so offsets are not written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let section = |out: &mut Vec<u8>, section: &Section| {
            varint::put(out, section.len as u64);
            varint::put(out, section.raw_len as u64);
            out.extend_from_slice(&section.crc.to_le_bytes());
        };
        varint::put(&mut out, u64::from(self.granules));
        varint::put(&mut out, self.tokens);
        varint::put(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            varint::put(&mut out, block.first.len() as u64);
            out.extend_from_slice(&block.first);
            varint::put(&mut out, block.count as u64);
            section(&mut out, &block.keys);
            section(&mut out, &block.postings);
        }
        section(&mut out, &self.batches);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Directory> {
        let mut reader = Reader::new(bytes);
        let mut offset = MAGIC.len() as u64;
        let mut section = |reader: &mut Reader<'_>| {
            let len = reader.usize()?;
            let raw_len = reader.usize()?;
            let crc = u32::from_le_bytes(reader.bytes(4)?.try_into().ok()?);
            let section = Section { offset, len, raw_len, crc };
            offset = offset.checked_add(len as u64)?;
            Some(section)
        };
        let (granules, tokens, count) = (reader.u32()?, reader.u64()?, reader.usize()?);
        let mut blocks = Vec::new();
        for _ in 0..count {
            let len = reader.usize()?;
            let first = reader.bytes(len)?.into();
            let count = reader.usize().filter(|count| (1..=BLOCK_KEYS).contains(count))?;
            blocks.push(Block { first, count, keys: section(&mut reader)?, postings: section(&mut reader)? });
        }
        let batches = section(&mut reader)?;
        reader.is_empty().then_some(Directory { granules, tokens, blocks, batches })
    }
}

/// Batches in row order: source, difference of the first sequence number to the one expected next of that
/// source, rows.
pub(crate) fn encode_batches(batches: &[BatchEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(batches.len() * 4);
    let mut expected: HashMap<u32, u64> = HashMap::new();
    for batch in batches {
        let next = expected.entry(batch.source).or_default();
        varint::put(&mut out, u64::from(batch.source));
        varint::put_signed(&mut out, batch.first_seq.wrapping_sub(*next) as i64);
        varint::put(&mut out, u64::from(batch.rows));
        *next = batch.first_seq.wrapping_add(u64::from(batch.rows));
    }
    out
}

/// See [`encode_batches`].
pub(crate) fn decode_batches(bytes: &[u8]) -> Option<Vec<BatchEntry>> {
    let mut reader = Reader::new(bytes);
    let mut expected: HashMap<u32, u64> = HashMap::new();
    let mut batches = Vec::new();
    while !reader.is_empty() {
        let source = reader.u32()?;
        let next = expected.entry(source).or_default();
        let first_seq = next.wrapping_add(reader.i64()? as u64);
        let rows = reader.u32()?;
        *next = first_seq.wrapping_add(u64::from(rows));
        batches.push(BatchEntry { source, first_seq, rows });
    }
    Some(batches)
}

/// The last bytes of a sidecar: where its directory is. Little-endian: offset u64, stored length u32, raw length
/// u32, CRC-32C of the stored directory u32, version u32, magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) raw_len: u32,
    pub(crate) crc: u32,
    pub(crate) version: u32,
}

impl Footer {
    pub(crate) fn encode(self) -> [u8; FOOTER_LEN] {
        let mut bytes = [0; FOOTER_LEN];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        for (at, value) in [self.len, self.raw_len, self.crc, self.version].into_iter().enumerate() {
            bytes[8 + at * 4..][..4].copy_from_slice(&value.to_le_bytes());
        }
        bytes[24..].copy_from_slice(&MAGIC);
        bytes
    }

    /// `None` if the magic is not there.
    pub(crate) fn decode(bytes: &[u8; FOOTER_LEN]) -> Option<Footer> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (bytes[24..] == MAGIC).then(|| Footer {
            offset: u64::from(u32_at(0)) | u64::from(u32_at(4)) << 32,
            len: u32_at(8),
            raw_len: u32_at(12),
            crc: u32_at(16),
            version: u32_at(20),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_batches_and_footer_survive() {
        let section = |offset, len| Section { offset, len, raw_len: 70, crc: 0xdead_beef };
        let block = Block { first: b"abc"[..].into(), count: 4096, keys: section(8, 10), postings: section(18, 2) };
        let directory = Directory { granules: 32, tokens: 4096, blocks: vec![block], batches: section(20, 300) };
        let bytes = directory.encode();
        assert_eq!(Directory::decode(&bytes), Some(directory));
        (0..bytes.len()).for_each(|end| assert_eq!(Directory::decode(&bytes[..end]), None));

        let entry = |source, first_seq, rows| BatchEntry { source, first_seq, rows };
        let batches = [entry(1, 5, 1024), entry(2, u64::MAX - 9, 3), entry(1, 1029, 1), entry(1, 7, 1)];
        assert_eq!(decode_batches(&encode_batches(&batches)).as_deref(), Some(&batches[..]));

        let footer = Footer { offset: u64::MAX - 1, len: 2, raw_len: 3, crc: 4, version: 5 };
        assert_eq!(Footer::decode(&footer.encode()), Some(footer));
        assert_eq!(Footer::decode(&[0; FOOTER_LEN]), None);
    }
}
