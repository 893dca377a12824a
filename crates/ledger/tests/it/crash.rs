//! A ledger that is stopped at any step goes on, and has signed one history only.

use std::{
    cell::Cell,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use vedette_ledger::{Algorithm, Options, checkpoint::Checkpoint, tiles::TileFolder, tree};

use crate::support::{SECOND, append, folder, open, published, stop};

thread_local! {
    /// Steps that go well before one does not.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}
static STOPPED: AtomicUsize = AtomicUsize::new(0);

fn step(_: &'static str) -> io::Result<()> {
    LEFT.with(|left| match left.get() {
        0 => {
            STOPPED.fetch_add(1, Ordering::Relaxed);
            stop()
        }
        more => {
            left.set(more - 1);
            Ok(())
        }
    })
}

fn options() -> Options {
    Options { step, epoch: std::time::Duration::from_secs(2), ..Options::default() }
}

/// Every checkpoint that was ever seen is a part of the last one.
fn assert_one_history(dir: &std::path::Path, seen: &[Checkpoint]) {
    let last = seen.last().expect("a checkpoint");
    let folder = TileFolder::new(&dir.join("ledger"), last.size);
    for checkpoint in seen {
        let root = tree::root_of(Algorithm::Sha256, &folder, checkpoint.size).expect("tiles");
        assert_eq!(root, checkpoint.root, "the tree of {} entries", checkpoint.size);
    }
}

/// Stops at every step, opens again, and goes on.
#[test]
fn stopped_at_every_step() {
    let dir = folder();
    let mut seen = Vec::new();
    let (mut now, mut seq) = (0, 0_u64);
    for round in 0..120 {
        LEFT.set(usize::MAX);
        let ledger = open(dir.path(), options(), now).expect("it opens after a stop");
        seen.push(published(dir.path(), &ledger).0);
        // What was sealed stays sealed; what was not comes again from the spool.
        let sealed = ledger.sealed_seq(1);
        assert!(sealed <= seq);
        for first in sealed..seq {
            append(&ledger, 1, first, 1).expect("it is recorded");
        }
        LEFT.set(round % 15);
        for _ in 0..round % 5 * 60 {
            append(&ledger, 1, seq, 1).expect("it is recorded");
            seq += 1;
        }
        for _ in 0..3 {
            now += SECOND;
            if ledger.checkpoint(now).is_err() {
                break;
            }
            append(&ledger, 1, seq, 1).expect("it is recorded");
            seq += 1;
            seen.push(published(dir.path(), &ledger).0);
        }
    }
    LEFT.set(usize::MAX);
    assert!(STOPPED.load(Ordering::Relaxed) >= 50);
    let ledger = open(dir.path(), options(), now).expect("it opens");
    seen.push(published(dir.path(), &ledger).0);
    assert_one_history(dir.path(), &seen);
}

/// A step that fails (a full disk) is tried again without opening anew.
#[test]
fn failed_at_every_step() {
    let dir = folder();
    let ledger = open(dir.path(), options(), 0).expect("a new ledger");
    let mut seen = Vec::new();
    let mut now = 0;
    for round in 0..200_usize {
        append(&ledger, 1, round as u64, 1).expect("it is recorded");
        for left in [round % 8, usize::MAX] {
            now += SECOND;
            LEFT.set(left);
            let sealed = ledger.checkpoint(now);
            LEFT.set(usize::MAX);
            if sealed.is_ok() {
                seen.push(published(dir.path(), &ledger).0);
            }
        }
        assert_eq!(ledger.sealed_seq(1), round as u64 + 1);
    }
    assert_one_history(dir.path(), &seen);
    drop(ledger);
    open(dir.path(), options(), now).expect("it opens");
}
