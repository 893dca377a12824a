//! Opening, filling and reading a spool.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use vedette_spool::{Options, Position, Receipt, Refused, Source, Spool, SpooledRecord};

pub fn options() -> Options {
    Options { min_free_bytes: 0, ..Options::default() }
}

pub fn open(dir: &Path) -> Spool {
    Spool::open(dir, options()).unwrap()
}

pub fn store(spool: &Spool, source: &Source, records: &[&str]) -> Result<Receipt, Refused> {
    let records = records.iter().map(|record| Bytes::copy_from_slice(record.as_bytes())).collect();
    spool.append(source, records)?.wait_blocking()
}

pub fn source(spool: &Spool, name: &str) -> Arc<Source> {
    spool.source(name, name.split(':').next().unwrap(), None).unwrap()
}

/// Everything that is in the spool, in order.
pub fn records(spool: &Spool) -> Vec<SpooledRecord> {
    let mut reader = spool.reader(Position::START);
    let mut records = Vec::new();
    while let Some(frame) = reader.next(Duration::ZERO).unwrap() {
        assert!(!frame.records.is_empty() && frame.position < frame.position_after);
        records.extend(frame.records);
    }
    records
}

pub fn texts(spool: &Spool) -> Vec<String> {
    records(spool).iter().map(|record| String::from_utf8(record.raw.to_vec()).unwrap()).collect()
}

/// The segment files, oldest first.
pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "spool"))
        .collect();
    files.sort();
    files
}

/// A copy of a spool's segment files, as a crash would leave them.
pub fn copy(from: &Path, to: &Path) {
    for file in segments(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Where the frames of a segment file begin, by the lengths in their headers (see docs/formats.md).
pub fn frame_offsets(file: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut at = 72;
    while at < file.len() {
        offsets.push(at);
        at += 72 + u32::from_le_bytes(file[at + 52..at + 56].try_into().unwrap()) as usize;
    }
    assert_eq!(at, file.len());
    offsets
}

pub fn wait_until(mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come within five seconds");
}
