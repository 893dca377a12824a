//! The spool: events that are in no segment yet (`docs/formats.md`, Spool).

use std::{collections::BTreeMap, fs, path::Path};

use crate::{Kind, Problem, Report};

/// Receive time in microseconds and original bytes.
pub(crate) type Event = (i64, Vec<u8>);

const MAX_PAYLOAD: usize = 1 << 28;
/// Sequence numbers are below this; where one is not, the file is damaged.
const END_OF_NUMBERS: u64 = 1 << 62;

/// The events of the spool from a sequence number on, by source: all that no segment has.
pub(crate) fn read(dir: &Path, wanted: impl Fn(u32, u64) -> bool, report: &mut Report) -> BTreeMap<(u32, u64), Event> {
    let mut events = BTreeMap::new();
    let mut files: Vec<_> = match fs::read_dir(dir.join("spool")) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => return events,
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "spool"));
    files.sort();
    let last = files.len().saturating_sub(1);
    let mut before = None;
    for (index, path) in files.iter().enumerate() {
        let name = format!("spool/{}", path.file_name().unwrap_or_default().to_string_lossy());
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.add(Problem::new(Kind::Damaged, error.to_string()).file(name));
                continue;
            }
        };
        let mut keep = |source, seq, event| {
            if wanted(source, seq) {
                events.insert((source, seq), event);
            }
        };
        match segment(&bytes, &mut before, &mut keep) {
            Ok(()) => {}
            // The end of the newest file may be unfinished.
            Err((_, Fault::Unfinished)) if index == last => {}
            Err((at, _)) => {
                let what = format!("the frame at byte {at} is not what was written");
                report.add(Problem::new(Kind::Damaged, what).file(name));
                before = None;
            }
        }
    }
    events
}

enum Fault {
    Unfinished,
    Damaged,
}

/// Reads the frames of a file. `before` is the chain hash of the last frame, if it is known.
fn segment(
    bytes: &[u8],
    before: &mut Option<[u8; 32]>,
    keep: &mut impl FnMut(u32, u64, Event),
) -> Result<(), (usize, Fault)> {
    let header = bytes.get(..72).ok_or((0, Fault::Damaged))?;
    let (sync, chain) = (&header[28..36], &header[36..68]);
    let is_good = header.starts_with(b"VEDSPOOL") && u32_at(header, 68) == crc32c::crc32c(&header[..68]);
    if !is_good || before.is_some_and(|before| before != chain) {
        return Err((0, Fault::Damaged));
    }
    let mut chain = chain.to_vec();
    let mut at = 72;
    while at < bytes.len() {
        match frame(&bytes[at..], sync, &chain, keep) {
            Some((len, hash)) => {
                at += len;
                chain = hash.to_vec();
            }
            None => {
                // A good header behind it says that it was finished once.
                let follows = bytes[at + 1..]
                    .windows(72)
                    .any(|header| header.starts_with(sync) && u32_at(header, 68) == crc32c::crc32c(&header[..68]));
                return Err((at, if follows { Fault::Damaged } else { Fault::Unfinished }));
            }
        }
    }
    *before = chain.try_into().ok();
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// Length and chain hash of the frame at the beginning of the bytes.
fn frame(bytes: &[u8], sync: &[u8], chain: &[u8], keep: &mut impl FnMut(u32, u64, Event)) -> Option<(usize, [u8; 32])> {
    let header = bytes.get(..72)?;
    let stored = u32_at(header, 52) as usize;
    let payload = bytes.get(72..72 + stored)?;
    let is_good = &header[..8] == sync
        && &header[16..48] == chain
        && u32_at(header, 68) == crc32c::crc32c(&header[..68])
        && u32_at(header, 60) == crc32c::crc32c(payload);
    let len = u32_at(header, 56) as usize;
    if !is_good || len > MAX_PAYLOAD {
        return None;
    }
    let plain = match u32_at(header, 64) {
        0 => payload.to_vec(),
        1 => zstd::bulk::decompress(payload, len).ok()?,
        _ => return None,
    };
    records(&plain, keep)?;
    Some((72 + stored, *blake3::hash(&bytes[..72 + stored]).as_bytes()))
}

struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.varint()?;
        self.bytes(len)
    }

    fn time(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }
}

fn records(payload: &[u8], keep: &mut impl FnMut(u32, u64, Event)) -> Option<()> {
    let mut payload = Payload(payload);
    for _ in 0..payload.varint()? {
        payload.varint()?;
        payload.text()?;
        payload.text()?;
        if payload.bytes(1)? == [1] {
            payload.text()?;
        }
    }
    for _ in 0..payload.varint()? {
        payload.varint()?;
        payload.varint()?;
        payload.time()?;
        for _ in 0..2 {
            for _ in 0..payload.varint()? {
                payload.bytes(1)?;
                payload.varint()?;
            }
        }
    }
    for _ in 0..payload.varint()? {
        let (source, first, mut time) = (payload.varint()?, payload.varint()?, payload.time()?);
        if first >= END_OF_NUMBERS {
            return None;
        }
        let mut lengths = Vec::new();
        for _ in 0..payload.varint()? {
            time = time.checked_add(i64::try_from(payload.varint()?).ok()?)?;
            lengths.push((time, payload.varint()?));
        }
        for (seq, (time, len)) in (first..).zip(lengths) {
            keep(u32::try_from(source).ok()?, seq, (time, payload.bytes(len)?.to_vec()));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by the fuzz target `verify_spool`.
    #[test]
    fn the_last_sequence_number_of_all_is_damage() {
        // No sources, no losses, one run of source 1 with one empty event.
        let run = |first: &[u8]| [&[0, 0, 1, 1], first, &[0; 8], &[1, 0, 0]].concat();
        let mut found = Vec::new();
        assert_eq!(records(&run(&[5]), &mut |source, seq, _| found.push((source, seq))), Some(()));
        assert_eq!(found, [(1, 5)]);
        let last = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(records(&run(&last), &mut |_, _, _| {}), None);
    }
}
