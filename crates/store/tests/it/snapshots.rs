use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use vedette_store::{Options, Store};

use crate::support::{Clock, START, batch, check_events, events, record, segment_files};

/// While one thread appends, one seals and one compacts, every snapshot has a gapless beginning of each source, each
/// event once, and never less than the one before.
#[test]
fn every_snapshot_has_each_event_once() {
    const SOURCES: u32 = 3;
    const EVENTS: u64 = 3000;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { compact_segments: 3, ..Clock::new().options() };
    let store = Store::open(dir.path(), options).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for first in (0..EVENTS).step_by(50) {
                for id in 1..=SOURCES {
                    store.append(&batch(id, first..first + 50, START), first).unwrap();
                }
                thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                store.seal().unwrap();
            }
            store.seal().unwrap();
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                store.compact().unwrap();
                thread::yield_now();
            }
        });
        scope.spawn(|| {
            let mut before: BTreeMap<u32, u64> = BTreeMap::new();
            while !done.load(Ordering::SeqCst) {
                let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
                for ((id, seq), raw) in events(&store.snapshot()) {
                    let next = counts.entry(id).or_default();
                    assert_eq!(seq, *next, "a gap in source {id}");
                    *next += 1;
                    assert_eq!(raw, record(id, seq));
                }
                assert!(before.iter().all(|(id, count)| counts.get(id) >= Some(count)), "{before:?} {counts:?}");
                before = counts;
            }
        });
    });
    check_events(&store, &[(1, EVENTS), (2, EVENTS), (3, EVENTS)]);
    while store.compact().unwrap().is_some() {}
    check_events(&store, &[(1, EVENTS), (2, EVENTS), (3, EVENTS)]);
    // The files of segments that were compacted are gone with the snapshots that used them.
    assert_eq!(segment_files(dir.path()).len() as u64, 2 * store.stats().segments);
    drop(store);
    let store = crate::support::open(dir.path());
    check_events(&store, &[(1, EVENTS), (2, EVENTS), (3, EVENTS)]);
}

/// A snapshot stays readable after compaction has replaced its segments.
#[test]
fn old_snapshots_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let store = Store::open(dir.path(), clock.options()).unwrap();
    for first in [0, 100] {
        store.append(&batch(1, first..first + 100, START), 0).unwrap();
        store.seal().unwrap();
    }
    clock.advance(2 * crate::support::HOUR);
    let old = store.snapshot();
    store.compact().unwrap().unwrap();
    assert_eq!(segment_files(dir.path()).len(), 6);
    assert_eq!(events(&old), events(&store.snapshot()));
    drop(old);
    assert_eq!(segment_files(dir.path()).len(), 2);
    check_events(&store, &[(1, 200)]);
}
