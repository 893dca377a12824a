//! Opening a spool whose segment files hold anything.
//!
//! Two ways, by the first byte: the data is a segment file as it is; or it is the contents of frames, which get
//! headers, checksums and hashes as `docs/formats.md` says (so that what lies behind the checksums is reached),
//! perhaps in two segment files, perhaps damaged afterwards.
//!
//! Opening either is an error or gives a spool that works: what recovery counted is what a reader reads, a record
//! can be appended, and opening again finds exactly that. An undamaged file's records come out as they are.

#![no_main]

use std::{fs, path::Path, time::Duration};

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::take;
use vedette_spool::{Options, Position, Spool, SpoolError, SpooledRecord};

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

fn open(dir: &Path) -> Result<Spool, SpoolError> {
    let options = Options { min_free_bytes: 0, commit_interval: Duration::ZERO, ..Options::default() };
    Spool::open(dir, options)
}

fn read(spool: &Spool) -> Result<Vec<SpooledRecord>, SpoolError> {
    let mut reader = spool.reader(Position::START);
    let mut records = Vec::new();
    while let Some(frame) = reader.next(Duration::ZERO)? {
        assert!(frame.position < frame.position_after);
        records.extend(frame.records);
    }
    Ok(records)
}

fuzz_target!(|data: &[u8]| {
    let files = match data.split_first() {
        Some((mode, rest)) if mode & 1 == 1 => segments(rest),
        Some((_, rest)) => vec![rest.to_vec()],
        None => return,
    };
    let folder = vedette_fuzz::folder();
    let dir = folder.path().join("spool");
    fs::create_dir(&dir).expect("a folder can be made");
    for (number, file) in files.iter().enumerate() {
        fs::write(dir.join(format!("{:020}.spool", number + 1)), file).expect("a file can be written");
    }
    let spool = match open(&dir) {
        Ok(spool) => spool,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // A refusal changes nothing.
            for (number, file) in files.iter().enumerate() {
                assert_eq!(fs::read(dir.join(format!("{:020}.spool", number + 1))).ok().as_ref(), Some(file));
            }
            return;
        }
    };
    let found = match read(&spool) {
        Ok(found) => found,
        // Recovery reads what the last file's frames say, and of the others only that nothing has damaged them.
        Err(SpoolError::Damaged { .. }) if files.len() > 1 => return,
        Err(error) => panic!("recovery accepted what cannot be read: {error}"),
    };
    let stored: u64 = spool.ledger().iter().map(|(_, losses)| losses.stored).fold(0, u64::saturating_add);
    assert!(found.len() as u64 <= stored, "{} records read, {stored} in the ledger", found.len());

    let Ok(source) = spool.source("test:fuzz", "test", None) else { return };
    let receipt = match spool.append(&source, vec!["one more".into()]) {
        Ok(ticket) => ticket.wait_blocking(),
        // Numbers or addresses have come to their end.
        Err(_) => return,
    };
    let Ok(receipt) = receipt else { return };
    spool.close();

    let spool = open(&dir).expect("a spool that was written to opens again");
    assert_eq!(spool.recovery().cut, None);
    let mut again = read(&spool).expect("it was read before");
    let last = again.pop().expect("one was appended");
    assert_eq!((last.seq, &last.raw[..]), (receipt.first_seq, &b"one more"[..]));
    assert_eq!(again, found);
});
