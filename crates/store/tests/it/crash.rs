//! kill -9 at every step of sealing, compaction and retention.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use vedette_event::SourceId;
use vedette_store::{Budget, Options, Store, StoreError};

use crate::{
    erasure::Again,
    support::{Clock, HOUR, START, batch, check_events, events, record, segment_files, source},
};

const DIR: &str = "VEDETTE_TEST_CRASH_DIR";
const OPERATION: &str = "VEDETTE_TEST_CRASH_OPERATION";
const STEP: &str = "VEDETTE_TEST_CRASH_STEP";

/// Everything that the spool would give again: two sources, two hours.
fn append_all(store: &Store) {
    for (id, range, received) in [
        (1, 0..300, START),
        (2, 0..50, START),
        (1, 300..400, START.plus_micros(HOUR)),
        (2, 50..120, START.plus_micros(HOUR)),
    ] {
        store.append(&batch(id, range, received), 5).unwrap();
    }
}

/// Of source 1, in two segments.
const ERASED: [u64; 2] = [50, 150];

const ALL: [(u32, u64); 2] = [(1, 400), (2, 120)];

/// What is in the folder before the operation that is going to be interrupted.
fn prepare(dir: &Path, operation: &str) {
    let store = Store::open(dir, Clock::new().options()).unwrap();
    match operation {
        "seal" => {
            store.append(&batch(1, 0..100, START), 1).unwrap();
            store.seal().unwrap();
        }
        _ => {
            for (range, received) in [(0..100, START), (100..300, START), (300..400, START.plus_micros(HOUR))] {
                store.append(&batch(1, range, received), 1).unwrap();
                store.seal().unwrap();
            }
        }
    }
}

fn operate(store: &Store, operation: &str) -> Result<(), StoreError> {
    match operation {
        "seal" => {
            append_all(store);
            store.seal().map(drop)
        }
        "compact" => store.compact().map(drop),
        "erase" => store.erase(&ERASED.map(|seq| (SourceId(1), seq)).into(), &Again, &|id, _| source(id.0)).map(drop),
        _ => store.retain(|_| Ok(())).map(drop),
    }
}

fn options(operation: &str) -> Options {
    let clock = Clock::new();
    clock.advance(3 * HOUR);
    let budget = Budget::Bytes(if operation == "retain" { 1 } else { u64::MAX });
    Options { budget, ..clock.options() }
}

/// Not a test of its own: the process that [`a_crash_at_any_step_loses_and_doubles_nothing`] starts, and that ends
/// itself at a step.
#[test]
fn crashing_child() {
    let (Ok(dir), Ok(operation), Ok(step)) = (std::env::var(DIR), std::env::var(OPERATION), std::env::var(STEP)) else {
        return;
    };
    let step: u64 = step.parse().unwrap();
    let steps = AtomicU64::new(0);
    let fail_point = Arc::new(move |name: &'static str| {
        if steps.fetch_add(1, Ordering::SeqCst) == step {
            eprintln!("crash at {name}");
            std::process::abort();
        }
        Ok(())
    });
    let store = Store::open(Path::new(&dir), Options { fail_point: Some(fail_point), ..options(&operation) }).unwrap();
    operate(&store, &operation).unwrap();
    std::process::exit(0);
}

/// What must hold after an operation was interrupted or done.
fn check_after(dir: &Path, operation: &str) {
    let store = Store::open(dir, options("none")).unwrap();
    assert!(store.damaged().is_empty());
    assert_eq!(segment_files(dir).len() as u64, 2 * store.stats().segments, "leftovers");
    store.snapshot().segments.iter().for_each(|segment| segment.check().unwrap());
    match operation {
        "seal" => {
            // The spool gives everything again; then each event is there once, sealed or not.
            append_all(&store);
            check_events(&store, &ALL);
            store.seal().unwrap();
            check_events(&store, &ALL);
        }
        "compact" => check_events(&store, &[(1, 400)]),
        "erase" => {
            let events = events(&store.snapshot());
            let is_right = |((id, seq), raw): (&(u32, u64), &Vec<u8>)| {
                *raw == record(*id, *seq) || ERASED.contains(seq) && raw.is_empty()
            };
            assert!(events.len() == 400 && events.iter().all(is_right));
            operate(&store, operation).unwrap();
            let events = crate::support::events(&store.snapshot());
            assert!(ERASED.iter().all(|seq| events[&(1, *seq)].is_empty()));
        }
        _ => {
            // Retention takes all or nothing, and never gives sequence numbers again.
            let events = events(&store.snapshot());
            assert!(matches!(events.len(), 0 | 400), "{}", events.len());
            assert!(events.into_iter().all(|((id, seq), raw)| raw == record(id, seq)));
            assert_eq!(store.next_seq(SourceId(1)), 400);
        }
    }
}

#[test]
fn a_crash_at_any_step_loses_and_doubles_nothing() {
    for (operation, least) in [("seal", 18), ("compact", 10), ("erase", 18), ("retain", 2)] {
        let mut step = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path(), operation);
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "crash::crashing_child", "--nocapture", "--test-threads=1"])
                .env(DIR, dir.path())
                .env(OPERATION, operation)
                .env(STEP, step.to_string())
                .output()
                .unwrap();
            let crashed = String::from_utf8_lossy(&child.stderr).contains("crash at");
            assert!(crashed || child.status.success(), "{operation} {step}: {child:?}");
            check_after(dir.path(), operation);
            if !crashed {
                break;
            }
            step += 1;
        }
        assert!(step >= least, "{operation} has only {step} steps");
    }
}

/// A failure that is no crash (a full disk, say) leaves the store usable: the same sealing succeeds later.
#[test]
fn a_failed_operation_can_be_repeated() {
    for operation in ["seal", "compact"] {
        let mut step = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            prepare(dir.path(), operation);
            let (steps, reached) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
            let at_step = reached.clone();
            let failing = Arc::new(move |name: &'static str| match steps.fetch_add(1, Ordering::SeqCst) == step {
                true if at_step.swap(true, Ordering::SeqCst) => Ok(()),
                // After the transaction there is no way back; these steps cannot fail in real life.
                true if matches!(name, "committed" | "shown") => Ok(()),
                true => Err(StoreError::Io {
                    path: name.into(),
                    action: "writing",
                    error: std::io::ErrorKind::StorageFull.into(),
                }),
                false => Ok(()),
            });
            let store = Store::open(dir.path(), Options { fail_point: Some(failing), ..options(operation) }).unwrap();
            let all: &[(u32, u64)] = if operation == "seal" { &ALL } else { &[(1, 400)] };
            let failed = operate(&store, operation).is_err();
            let last = !reached.load(Ordering::SeqCst);
            check_events(&store, all);
            // Nothing is left behind by what failed.
            assert_eq!(segment_files(dir.path()).len() as u64, 2 * store.stats().segments, "{operation} {step}");
            operate(&store, operation).unwrap();
            check_events(&store, all);
            drop(store);
            check_after(dir.path(), operation);
            if last {
                assert!(!failed && step >= 10, "{operation} {step}");
                break;
            }
            step += 1;
        }
    }
}
