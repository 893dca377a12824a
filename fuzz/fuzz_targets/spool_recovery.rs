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
use vedette_fuzz::spooled;
use vedette_spool::{Options, Position, Spool, SpoolError, SpooledRecord};

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
    let files = spooled::files(data);
    let folder = vedette_fuzz::folder();
    let dir = folder.path().join("spool");
    spooled::write(&dir, &files);
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
