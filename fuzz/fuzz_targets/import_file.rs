//! Files for import: NDJSON, JSON arrays and sequences, CloudTrail, Zeek tables, plain lines, EVTX; plain, gzip or
//! zstd.
//!
//! By the first byte: the file is the data, or the data compressed, or an event log whose headers, checksums and
//! record frames are right and whose records' binary XML is the data. Opening is an error or gives records and
//! errors, no more than the file has bytes (a JSON record is one valid object and a piece of the file), and the same
//! each time.

#![no_main]

use std::{fs, io::Write, path::Path};

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::take;
use vedette_intake::import::{self, Format, Item, Options};

const LIMIT: usize = 4096;

fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

/// An event log of one chunk; records are a length (u16) and so many bytes of binary XML.
fn event_log(mut data: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0; 512];
    let mut count = 0u64;
    let mut last = 512;
    while !data.is_empty() {
        let len = usize::from(u16::from_le_bytes(take(&mut data))).min(data.len());
        if chunk.len() + len + 28 > 65_536 {
            break;
        }
        let (xml, rest) = data.split_at(len);
        data = rest;
        last = chunk.len();
        count += 1;
        let size = (len as u32 + 28).to_le_bytes();
        chunk.extend([0x2a, 0x2a, 0, 0]);
        chunk.extend(size);
        chunk.extend(count.to_le_bytes());
        chunk.extend(0x01dc_5a00_0000_0000u64.to_le_bytes());
        chunk.extend(xml);
        chunk.extend(size);
    }
    let free = chunk.len() as u32;
    let records = crc32(&[&chunk[512..]]);
    chunk.resize(65_536, 0);
    chunk[..8].copy_from_slice(b"ElfChnk\0");
    for at in [8, 24] {
        chunk[at..at + 8].copy_from_slice(&1u64.to_le_bytes());
        chunk[at + 8..at + 16].copy_from_slice(&count.to_le_bytes());
    }
    for (at, value) in [(40, 128), (44, last as u32), (48, free), (52, records)] {
        chunk[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let header = crc32(&[&chunk[..120], &chunk[128..512]]);
    chunk[124..128].copy_from_slice(&header.to_le_bytes());

    let mut file = vec![0; 4096];
    file[..8].copy_from_slice(b"ElfFile\0");
    file[24..32].copy_from_slice(&(count + 1).to_le_bytes());
    file[32..36].copy_from_slice(&128u32.to_le_bytes());
    for (at, value) in [(36, 1u16), (38, 3), (40, 4096), (42, 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    let header = crc32(&[&file[..120]]);
    file[124..128].copy_from_slice(&header.to_le_bytes());
    file.extend(chunk);
    file
}

fn read(path: &Path, options: &Options) -> Option<(Format, Vec<Item>)> {
    let mut import = import::open(path, options).ok()?;
    let mut items = Vec::new();
    let mut bytes = 0;
    for item in import.by_ref() {
        bytes += item.as_ref().map_or(0, Vec::len);
        assert!(bytes < 256 << 20, "{bytes} bytes of records");
        items.push(item);
    }
    let (read, total) = import.progress();
    assert!(read <= total);
    Some((import.format(), items))
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, plain)) = data.split_first() else { return };
    let plain = &plain[..plain.len().min(65_535)];
    let file = match mode % 4 {
        0 => plain.to_vec(),
        1 => event_log(plain),
        2 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory")
        }
        _ => zstd::bulk::compress(plain, 1).expect("memory"),
    };
    let folder = vedette_fuzz::folder();
    let path = folder.path().join("import");
    fs::write(&path, file).expect("a file can be written");
    let options = Options { record_bytes: LIMIT, compressed_evtx_bytes: 128 << 10, ..Options::default() };
    let Some((format, items)) = read(&path, &options) else { return };
    assert_eq!(read(&path, &options), Some((format, items.clone())));
    // A compressed file found inside the data decompresses once more at most, so this bounds nothing then.
    if mode % 4 == 0 && (plain.starts_with(&[0x1f, 0x8b]) || plain.starts_with(&[0x28, 0xb5])) {
        return;
    }
    assert!(format == Format::Evtx || items.len() <= plain.len() + 1, "{} items of {} bytes", items.len(), plain.len());
    for record in items.iter().flatten() {
        assert!(format == Format::Evtx || record.len() <= LIMIT);
        if matches!(format, Format::Evtx | Format::ZeekTsv) {
            assert!(serde_json::from_slice::<serde_json::Value>(record).is_ok_and(|value| value.is_object()));
            continue;
        }
        assert!(memchr::memmem::find(plain, record).is_some());
        if format != Format::Lines {
            assert_eq!(record.trim_ascii_start().first(), Some(&b'{'));
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(record).is_ok());
        }
    }
});
