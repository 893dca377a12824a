//! A frame: its header, and its payload plain or compressed.

use std::io;

use bytes::Bytes;

use super::{Bad, Chain, Sync, bytes_at, u32_at, u64_at};
use crate::options::MAX_PAYLOAD_BYTES;

pub(crate) const HEADER_LEN: usize = 72;
const CRC_AT: usize = HEADER_LEN - 4;
/// Below this a payload is not worth compressing.
const PLAIN_BELOW: usize = 192;
const ZSTD_LEVEL: i32 = 1;

const PLAIN: u32 = 0;
const ZSTD: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The log address of the frame's first byte.
    pub(crate) address: u64,
    /// Hash of the frame before.
    pub(crate) previous: Chain,
    pub(crate) records: u32,
    /// Length of the payload as it is stored.
    pub(crate) stored_len: u32,
    /// Length of the payload before compression.
    pub(crate) plain_len: u32,
    payload_crc: u32,
    compression: u32,
}

impl FrameHeader {
    pub(crate) fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.stored_len)
    }

    fn encode(&self, sync: Sync) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&sync);
        bytes[8..16].copy_from_slice(&self.address.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.previous);
        bytes[48..52].copy_from_slice(&self.records.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.plain_len.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.compression.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header of the frame that should stand at `address` of a segment with this `sync`.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN], sync: Sync, address: u64) -> Result<Self, Bad> {
        if bytes[..8] != sync {
            return Err(Bad::new("no frame begins here"));
        }
        if crc32c::crc32c(&bytes[..CRC_AT]) != u32_at(bytes, CRC_AT) {
            return Err(Bad::new("the frame header's checksum is wrong"));
        }
        let header = FrameHeader {
            address: u64_at(bytes, 8),
            previous: bytes_at(bytes, 16),
            records: u32_at(bytes, 48),
            stored_len: u32_at(bytes, 52),
            plain_len: u32_at(bytes, 56),
            payload_crc: u32_at(bytes, 60),
            compression: u32_at(bytes, 64),
        };
        if header.address != address {
            return Err(Bad::new(format!("the frame of log address {} stands at {address}", header.address)));
        }
        let sizes_fit = match header.compression {
            PLAIN => header.stored_len == header.plain_len,
            ZSTD => header.stored_len < header.plain_len,
            _ => false,
        };
        if !sizes_fit || header.plain_len as usize > MAX_PAYLOAD_BYTES {
            return Err(Bad::new("the frame header's lengths contradict each other"));
        }
        Ok(header)
    }

    /// Whether `stored` is the payload that this header was written for.
    pub(crate) fn check(&self, stored: &[u8]) -> Result<(), Bad> {
        let is_right = stored.len() == self.stored_len as usize && crc32c::crc32c(stored) == self.payload_crc;
        if is_right { Ok(()) } else { Err(Bad::new("the frame's checksum is wrong")) }
    }

    /// The payload before compression.
    pub(crate) fn unpack(&self, stored: Vec<u8>) -> Result<Bytes, Bad> {
        self.check(&stored)?;
        if self.compression == PLAIN {
            return Ok(stored.into());
        }
        let plain = zstd::bulk::decompress(&stored, self.plain_len as usize)
            .map_err(|error| Bad::new(format!("the frame does not decompress: {error}")))?;
        if plain.len() != self.plain_len as usize {
            return Err(Bad::new("the frame decompresses to another length than it says"));
        }
        Ok(plain.into())
    }
}

/// The chain hash of a frame, that the next one carries.
pub(crate) fn chain(header: &[u8], stored: &[u8]) -> Chain {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(stored);
    *hasher.finalize().as_bytes()
}

/// Turns payloads into frames, reusing its buffers.
pub(crate) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    compressed: Vec<u8>,
    frame: Vec<u8>,
}

/// A buffer that one large frame has grown is given back above this size.
const KEEP_BYTES: usize = 8 << 20;

impl Packer {
    pub(crate) fn new() -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        Ok(Packer { compressor, compressed: Vec::new(), frame: Vec::new() })
    }

    /// Compresses `payload` where that helps.
    pub(crate) fn compress<'a>(&'a mut self, payload: &'a [u8]) -> io::Result<Packed<'a>> {
        debug_assert!(payload.len() <= MAX_PAYLOAD_BYTES);
        self.compressed.clear();
        self.compressed.shrink_to(KEEP_BYTES);
        self.frame.clear();
        self.frame.shrink_to(KEEP_BYTES);
        let mut compression = PLAIN;
        if payload.len() >= PLAIN_BELOW {
            self.compressed.reserve(zstd::zstd_safe::compress_bound(payload.len()));
            self.compressor.compress_to_buffer(payload, &mut self.compressed)?;
            if self.compressed.len() < payload.len() {
                compression = ZSTD;
            }
        }
        let stored = if compression == ZSTD { &self.compressed[..] } else { payload };
        Ok(Packed { stored, compression, plain_len: payload.len(), frame: &mut self.frame })
    }
}

/// A payload as it will be stored.
pub(crate) struct Packed<'a> {
    stored: &'a [u8],
    compression: u32,
    plain_len: usize,
    frame: &'a mut Vec<u8>,
}

impl<'a> Packed<'a> {
    /// The whole frame's bytes and its chain hash.
    pub(crate) fn frame(self, sync: Sync, address: u64, previous: Chain, records: u32) -> (&'a [u8], Chain) {
        let header = FrameHeader {
            address,
            previous,
            records,
            stored_len: self.stored.len() as u32,
            plain_len: self.plain_len as u32,
            payload_crc: crc32c::crc32c(self.stored),
            compression: self.compression,
        };
        let header = header.encode(sync);
        self.frame.extend_from_slice(&header);
        self.frame.extend_from_slice(self.stored);
        (self.frame, chain(&header, self.stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Sync = *b"abcdefgh";

    fn packed(payload: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new().unwrap();
        packer.compress(payload).unwrap().frame(SYNC, 72, [3; 32], 5).0.to_vec()
    }

    fn read(frame: &[u8]) -> Result<Bytes, Bad> {
        let header = FrameHeader::decode(&bytes_at(frame, 0), SYNC, 72)?;
        header.unpack(frame[HEADER_LEN..].to_vec())
    }

    #[test]
    fn round_trip() {
        let noise: Vec<u8> = (0..64u64).flat_map(|i| *blake3::hash(&i.to_le_bytes()).as_bytes()).collect();
        for (payload, shorter) in
            [(vec![], false), (vec![0; PLAIN_BELOW - 1], false), (vec![b'x'; 10_000], true), (noise, false)]
        {
            let frame = packed(&payload);
            assert_eq!(read(&frame).unwrap(), payload);
            assert_eq!(frame.len() < HEADER_LEN + payload.len(), shorter, "payload of {}", payload.len());
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        for payload in [vec![b'x'; 100], vec![b'x'; 1000]] {
            let frame = packed(&payload);
            for bit in 0..frame.len() * 8 {
                let mut flipped = frame.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&flipped).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_at_another_address_is_refused() {
        let frame = packed(b"payload");
        assert!(FrameHeader::decode(&bytes_at(&frame, 0), SYNC, 73).is_err());
        assert!(FrameHeader::decode(&bytes_at(&frame, 0), *b"another.", 72).is_err());
    }
}
