//! Spool files from the bytes of an input.

use std::{fs, path::Path};

use crate::take;

const SYNC: [u8; 8] = *b"\xd1sync\xfe\0\x01";

fn segment_header(number: u64, base: u64, previous: [u8; 32]) -> Vec<u8> {
    let mut bytes = b"VEDSPOOL".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(base.to_le_bytes());
    bytes.extend(SYNC);
    bytes.extend(previous);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// A frame and its hash.
fn frame(address: u64, previous: [u8; 32], records: u32, payload: &[u8], compress: bool) -> (Vec<u8>, [u8; 32]) {
    let packed = compress.then(|| zstd::bulk::compress(payload, 1).expect("memory")).filter(|packed| packed.len() < payload.len());
    let stored = packed.as_deref().unwrap_or(payload);
    let mut bytes = SYNC.to_vec();
    bytes.extend(address.to_le_bytes());
    bytes.extend(previous);
    bytes.extend(records.to_le_bytes());
    bytes.extend((stored.len() as u32).to_le_bytes());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32c::crc32c(stored).to_le_bytes());
    bytes.extend(u32::from(packed.is_some()).to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.extend(stored);
    let hash = *blake3::hash(&bytes).as_bytes();
    (bytes, hash)
}

/// Segment files of frames: each is a length (u16), a flag byte and so many bytes of content.
fn segments(mut data: &[u8]) -> Vec<Vec<u8>> {
    let [flags, cut, flip] = take(&mut data);
    // Addresses near the end of their range must not overflow anything.
    let base = if flags & 0x10 != 0 { u64::MAX - u64::from(cut) * 8 } else { u64::from(flags & 0x20) };
    let mut files = vec![segment_header(1, base, [0; 32])];
    let mut base = base;
    let mut hash = [0; 32];
    while !data.is_empty() {
        let [low, high, kind] = take(&mut data);
        let len = usize::from(u16::from_le_bytes([low, high])).min(data.len());
        let (payload, rest) = data.split_at(len);
        data = rest;
        if kind & 8 != 0 && files.len() < 3 {
            base = base.wrapping_add(files.last().map_or(0, Vec::len) as u64);
            files.push(segment_header(files.len() as u64 + 1, base, hash));
        }
        let file = files.last_mut().expect("there is a first");
        let address = base.wrapping_add(file.len() as u64);
        let (bytes, after) = frame(address, hash, u32::from(kind >> 4), payload, kind & 1 != 0);
        hash = after;
        file.extend(bytes);
    }
    let file = files.last_mut().expect("there is a first");
    if flags & 2 != 0 {
        file.truncate(file.len().saturating_sub(usize::from(cut)));
    }
    if flags & 4 != 0 && !file.is_empty() {
        let at = usize::from(cut) * 257 % file.len();
        file[at] ^= flip;
    }
    files
}

/// Segment files: by the first byte one that is the data as it is, or some with right checksums and hashes.
pub fn files(data: &[u8]) -> Vec<Vec<u8>> {
    match data.split_first() {
        Some((mode, rest)) if mode & 1 == 1 => segments(rest),
        Some((_, rest)) => vec![rest.to_vec()],
        None => Vec::new(),
    }
}

/// Puts them into a new folder.
pub fn write(dir: &Path, files: &[Vec<u8>]) {
    fs::create_dir(dir).expect("a folder can be made");
    for (number, file) in files.iter().enumerate() {
        fs::write(dir.join(format!("{:020}.spool", number + 1)), file).expect("a file can be written");
    }
}
