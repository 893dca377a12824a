use std::time::Duration;

use vedette_event::SourceId;
use vedette_store::{Budget, Hold, Options, Run, Store};

use crate::support::{Clock, HOUR, START, batch, events, segment_files};

/// A store with one segment of 100 events in each of four hours; the clock stands at the end of the fourth.
fn four_hours(dir: &std::path::Path, options: impl Fn(Options) -> Options) -> (Store, Clock) {
    let clock = Clock::new();
    let store = Store::open(dir, options(clock.options())).unwrap();
    for hour in 0..4 {
        store.append(&batch(1, hour * 100..hour * 100 + 100, START.plus_micros(hour as i64 * HOUR)), 0).unwrap();
        store.seal().unwrap();
    }
    clock.advance(4 * HOUR);
    (store, clock)
}

fn left(store: &Store) -> Vec<u64> {
    let mut hours: Vec<u64> = events(&store.snapshot()).into_keys().map(|(_, seq)| seq / 100).collect();
    hours.dedup();
    hours
}

#[test]
fn old_hours_go_whole() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Some(Duration::from_secs(2 * 3600 + 1800));
    let (store, clock) = four_hours(dir.path(), |options| Options { keep, ..options });
    let plan = store.plan().unwrap();
    assert_eq!((plan.delete.len(), plan.delete[0].events), (1, 100));
    let deleted = store.retain(|_| Ok(())).unwrap();
    assert_eq!(deleted.segments, plan.delete);
    assert_eq!((deleted.events, deleted.received), (100, Some((START, START))));
    assert_eq!(deleted.runs, [Run { source: SourceId(1), first_seq: 0, last_seq: 99 }]);
    assert_eq!(left(&store), [1, 2, 3]);
    assert_eq!(segment_files(dir.path()).len(), 6);
    assert!(store.retain(|_| Ok(())).unwrap().segments.is_empty());

    clock.advance(2 * HOUR);
    let deleted = store.retain(|_| Ok(())).unwrap();
    assert_eq!(deleted.runs, [Run { source: SourceId(1), first_seq: 100, last_seq: 299 }]);
    assert_eq!(left(&store), [3]);
    drop(store);
    // Deleted events do not come back from the spool.
    let store = crate::support::open(dir.path());
    assert_eq!(store.next_seq(SourceId(1)), 400);
    assert_eq!(left(&store), [3]);
}

#[test]
fn the_oldest_go_when_the_budget_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = four_hours(dir.path(), |options| options);
    let bytes: Vec<u64> = store.snapshot().segments.iter().map(|segment| segment.bytes()).collect();
    drop(store);
    let budget = Budget::Bytes(bytes[2] + bytes[3]);
    let store = Store::open(dir.path(), Options { budget, ..clock.options() }).unwrap();
    let plan = store.plan().unwrap();
    assert_eq!((plan.delete.len(), plan.used_bytes), (2, bytes.iter().sum()));
    assert_eq!(store.retain(|_| Ok(())).unwrap().bytes, bytes[0] + bytes[1]);
    assert_eq!(left(&store), [2, 3]);
    // It can be changed while the store is open: to less, or to so many days.
    store.keep(None, Budget::Bytes(bytes[3]));
    assert_eq!(store.retain(|_| Ok(())).unwrap().bytes, bytes[2]);
    assert_eq!(store.stats().sources[&SourceId(1)].received, Some(START.plus_micros(3 * HOUR)));
    store.keep(Some(Duration::from_secs(60)), Budget::Bytes(u64::MAX));
    clock.advance(4 * HOUR);
    store.retain(|_| Ok(())).unwrap();
    assert_eq!(left(&store), [0; 0]);
}

#[test]
fn what_is_on_hold_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = four_hours(dir.path(), |options| Options { budget: Budget::Bytes(1), ..options });
    let second = store.snapshot().segments[1].id().to_owned();
    let hold = Hold {
        name: "case-7".into(),
        reason: "they asked".into(),
        source: Some("test:1".into()),
        from: Some(START.plus_micros(HOUR)),
        to: Some(START.plus_micros(2 * HOUR)),
        by: "ada".into(),
        since: START,
    };
    assert!(store.hold(hold.clone()).unwrap());
    assert!(!store.hold(hold.clone()).unwrap(), "a second one of this name");
    assert!(store.hold(Hold { name: "other".into(), source: Some("nobody:1".into()), ..hold.clone() }).unwrap());
    drop(store);
    let store = Store::open(dir.path(), Options { budget: Budget::Bytes(1), ..clock.options() }).unwrap();
    assert_eq!(store.holds()[0], hold);
    let held = store.held();
    let at = |hours: i64| START.plus_micros(hours * HOUR);
    assert_eq!((held.event(SourceId(1), at(1)), held.event(SourceId(1), at(2))), (Some("case-7"), None));
    assert_eq!(held.event(SourceId(2), at(1)), None);
    assert_eq!(store.stats().held_segments, 1);
    let plan = store.plan().unwrap();
    assert_eq!((plan.delete.len(), plan.held.len(), &plan.held[0].id), (3, 1, &second));
    assert_eq!(store.retain(|_| Ok(())).unwrap().segments.len(), 3);
    assert_eq!(left(&store), [1]);
    assert!(store.lift("case-7").unwrap() && !store.lift("case-7").unwrap());
    store.retain(|_| Ok(())).unwrap();
    assert!(left(&store).is_empty());
}

/// The plan says when the budget will be reached, from what the last day brought.
#[test]
fn the_plan_warns() {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = four_hours(dir.path(), |options| Options { budget: Budget::Bytes(1 << 30), ..options });
    let plan = store.plan().unwrap();
    assert!(plan.delete.is_empty());
    assert_eq!(plan.bytes_per_day, plan.used_bytes * 6, "four hours, as a day");
    let days = (plan.budget_bytes - plan.used_bytes) as f64 / plan.bytes_per_day as f64;
    let full_in = plan.full_at.unwrap().micros() - START.plus_micros(4 * HOUR).micros();
    assert!((full_in as f64 / 86_400e6 - days).abs() < 1e-6);
    clock.advance(48 * HOUR);
    let plan = store.plan().unwrap();
    assert_eq!((plan.bytes_per_day, plan.full_at), (0, None));

    let empty = tempfile::tempdir().unwrap();
    let plan = crate::support::open(empty.path()).plan().unwrap();
    assert_eq!((plan.used_bytes, plan.full_at), (0, None));
    assert!(plan.delete.is_empty());
}
