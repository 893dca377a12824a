use vedette_event::{SourceId, Time};
use vedette_store::{GRANULE_ROWS, Options, Store, Term};

use crate::support::{Clock, HOUR, START, batch, check_events, read_all};

fn compact_all(store: &Store) -> usize {
    let mut count = 0;
    while store.compact().unwrap().is_some() {
        count += 1;
    }
    count
}

/// Small segments of a closed hour become one, hour by hour; batches stay whole and in order, granules stay within
/// their size, and look-ups still find what they found.
#[test]
fn small_segments_become_one_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let store = Store::open(dir.path(), clock.options()).unwrap();
    let mut tables = Vec::new();
    for hour in 0..2 {
        let received = START.plus_micros(hour as i64 * HOUR);
        for part in 0..5 {
            let first = (hour * 5 + part) * 1500;
            store.append(&batch(1, first..first + 1000, received), 0).unwrap();
            store.append(&batch(1, first + 1000..first + 1500, received), 0).unwrap();
            store.append(&batch(2, first / 1500..first / 1500 + 1, received), 0).unwrap();
            store.seal().unwrap();
        }
    }
    for segment in store.snapshot().segments {
        tables.extend(segment.batch_table().unwrap());
    }
    assert!(store.compact().unwrap().is_none(), "the hours are not over");
    clock.advance(3 * HOUR);
    assert_eq!(compact_all(&store), 2);

    check_events(&store, &[(1, 15_000), (2, 10)]);
    let segments = store.snapshot().segments;
    assert_eq!(segments.len(), 2);
    let mut joined = Vec::new();
    for segment in &segments {
        segment.check().unwrap();
        joined.extend(segment.batch_table().unwrap());
        let rows: Vec<u64> = segment.granules().iter().map(|granule| granule.rows.end - granule.rows.start).collect();
        assert_eq!(rows, [3002, 3002, 1501]);
        assert!(rows.iter().all(|rows| *rows <= GRANULE_ROWS));
        let read: usize = read_all(segment).iter().map(|rows| rows.num_rows()).sum();
        assert_eq!(read as u64, segment.rows());
    }
    assert_eq!(joined, tables, "whole batches, in the same order");
    let needle = 7 * 1500 + 3;
    let term = Term::Value(format!("10.1.{}.{}", needle / 256 % 256, needle % 256)).into();
    let found: Vec<Vec<usize>> = segments.iter().map(|segment| segment.candidates(&term).iter().collect()).collect();
    assert_eq!(found, [vec![], vec![1]]);
    let row = segments[1].locate(SourceId(1), needle).unwrap().unwrap();
    assert!(segments[1].granules()[1].rows.contains(&row));

    let reopened = {
        drop((store, segments));
        Store::open(dir.path(), clock.options()).unwrap()
    };
    check_events(&reopened, &[(1, 15_000), (2, 10)]);
    assert_eq!(reopened.stats().segments, 2);
}

/// In an hour that still receives, segments wait until there are enough of the same rank.
#[test]
fn an_open_hour_is_compacted_in_ranks() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { compact_segments: 4, ..Clock::new().options() };
    let store = Store::open(dir.path(), options).unwrap();
    let mut compactions = 0;
    for seq in 0..16 {
        store.append(&batch(1, seq..seq + 1, START), 0).unwrap();
        store.seal().unwrap();
        compactions += compact_all(&store);
    }
    check_events(&store, &[(1, 16)]);
    assert_eq!((compactions, store.stats().segments), (5, 1));
}

#[test]
fn big_segments_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let store = Store::open(dir.path(), clock.options()).unwrap();
    for seq in 0..3 {
        store.append(&batch(1, seq..seq + 1, START), 0).unwrap();
        store.seal().unwrap();
    }
    clock.advance(2 * HOUR);
    store.compact().unwrap().unwrap();
    check_events(&store, &[(1, 3)]);
    drop(store);

    let store = Store::open(dir.path(), Options { compact_bytes: 1, ..clock.options() }).unwrap();
    store.append(&batch(1, 3..4, Time::from_micros(START.micros())), 0).unwrap();
    store.seal().unwrap();
    assert!(store.compact().unwrap().is_none());
}
