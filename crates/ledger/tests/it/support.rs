//! What several tests need.

use std::{io, path::Path};

use tempfile::TempDir;
use vedette_ledger::{
    Ledger, LedgerError, Options, Sealer, SourceName,
    checkpoint::Checkpoint,
    entry::Entry,
    remote,
    tiles::{TileFolder, WIDTH},
};

pub const SECOND: i64 = 1_000_000;
pub const ORIGIN: &str = "example.org/node";

pub fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

pub fn open(dir: &Path, options: Options, now: i64) -> Result<Ledger, LedgerError> {
    let sealer = Sealer::open(&dir.join("sealer"), ORIGIN, now)?;
    Ledger::open(&dir.join("ledger"), options, Box::new(sealer), now)
}

/// The same with the sealer at the other end of a stream.
pub fn open_remote(dir: &Path, options: Options, now: i64) -> Result<Ledger, LedgerError> {
    let mut sealer = Sealer::open(&dir.join("sealer"), ORIGIN, now)?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
    std::thread::spawn(move || remote::serve(&mut sealer, &theirs, &theirs).expect("it serves until we are gone"));
    Ledger::open(&dir.join("ledger"), options, Box::new(remote::Remote::new(ours)), now)
}

pub fn source(number: u32) -> SourceName<'static> {
    SourceName { number, name: "syslog-udp:192.0.2.7", receiver: "syslog-udp" }
}

/// Events with numbers from `first`, told apart by number and source.
pub fn events(source: u32, first: u64, count: u64) -> Vec<(i64, Vec<u8>)> {
    (first..first + count).map(|seq| (seq as i64 * 10, format!("event {seq} of {source}").into_bytes())).collect()
}

pub fn append(ledger: &Ledger, number: u32, first: u64, count: u64) -> Result<(), LedgerError> {
    let events = events(number, first, count);
    ledger.append(source(number), first, events.iter().map(|(time, original)| (*time, original.as_slice())))
}

/// The published checkpoint, its signature checked, and every entry up to it.
pub fn published(dir: &Path, ledger: &Ledger) -> (Checkpoint, Vec<Entry>) {
    let dir = dir.join("ledger");
    let bytes = std::fs::read(dir.join("checkpoint")).expect("a checkpoint");
    let note = vedette_ledger::note::Note::parse(&bytes).expect("a note");
    ledger.log_key().verify(&note).expect("signed by the log");
    let checkpoint: Checkpoint = note.text.parse().expect("a checkpoint");
    let folder = TileFolder::new(&dir, checkpoint.size);
    let bundles = checkpoint.size.div_ceil(WIDTH);
    let entries: Vec<Entry> = (0..bundles)
        .flat_map(|bundle| folder.bundle(bundle).expect("a bundle"))
        .map(|entry| Entry::parse(&entry).expect("an entry"))
        .collect();
    (checkpoint, entries)
}

pub fn stop() -> io::Result<()> {
    Err(io::Error::other("stopped here"))
}
