//! The offline verifier's own reader of spool files, beside the spool. Its module is included alone: Arrow, Parquet and
//! SQLite are not needed to read it.
//!
//! Files as for `spool_recovery`. Whatever a spool opens and reads, the verifier reads as the same events and finds nothing wrong with.

#![no_main]
#![allow(dead_code)]

use std::{collections::BTreeMap, time::Duration};

use libfuzzer_sys::fuzz_target;
use vedette_fuzz::spooled;
use vedette_spool::{Options, Position, Spool};

#[path = "../../crates/verify/src/report.rs"]
mod report;
#[path = "../../crates/verify/src/spool.rs"]
mod spool;

pub use report::{Kind, Problem, Report};

/// The events that a spool reads, if it reads the files at all.
fn by_the_spool(dir: &std::path::Path) -> Option<BTreeMap<(u32, u64), spool::Event>> {
    let options = Options { min_free_bytes: 0, commit_interval: Duration::ZERO, ..Options::default() };
    let spool = Spool::open(dir, options).ok()?;
    let mut reader = spool.reader(Position::START);
    let mut events = BTreeMap::new();
    while let Some(frame) = reader.next(Duration::ZERO).ok()? {
        for record in frame.records {
            events.insert((record.source.id.0, record.seq), (record.received.micros(), record.raw.to_vec()));
        }
    }
    Some(events)
}

fuzz_target!(|data: &[u8]| {
    let files = spooled::files(data);
    let folder = vedette_fuzz::folder();
    spooled::write(&folder.path().join("spool"), &files);
    let mut report = Report::default();
    let events = spool::read(folder.path(), |_, _| true, &mut report);
    assert!(report.problems.iter().all(|problem| problem.kind == Kind::Damaged && problem.file.is_some()));
    if let Some(expected) = by_the_spool(&folder.path().join("spool")) {
        assert_eq!(report.problems, []);
        assert_eq!(events, expected);
    }
});
