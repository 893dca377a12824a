use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use vedette_event::{BatchBuilder, Derive, Source, SourceId, Time, Value};
use vedette_store::{PARSER, Store, Term};

use crate::support::{Clock, HOUR, START, batch, events, files, read_all, record, source};

/// What [`batch`] makes of a record.
pub struct Again;

impl Derive for Again {
    fn derive(&self, source: &Source, seq: u64, received: Time, raw: &[u8], batch: &mut BatchBuilder) {
        batch.begin(seq, received, raw);
        batch.push("host.name", Value::Str("srv-01.example.com"));
        batch.push("source.ip", Value::Str(&format!("10.{}.{}.{}", source.id.0, seq / 256 % 256, seq % 256)));
    }
}

pub fn erase(store: &Store, events: &[(u32, u64)]) -> u64 {
    let events = events.iter().map(|(id, seq)| (SourceId(*id), *seq)).collect();
    store.erase(&events, &Again, &|id, _| source(id.0)).unwrap()
}

/// Granules that may have a word.
fn found(store: &Store, word: &str) -> usize {
    let term = Term::Word(word.into()).into();
    store.snapshot().segments.iter().map(|segment| segment.candidates(&term).len()).sum()
}

#[test]
fn an_erased_event_leaves_its_row_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let store = Store::open(dir.path(), clock.options()).unwrap();
    // Three granules, two sources.
    store.append(&batch(1, 0..9000, START), 0).unwrap();
    store.append(&batch(2, 0..50, START), 0).unwrap();
    store.seal().unwrap();
    let before = events(&store.snapshot());
    assert_eq!((found(&store, "10.1.19.136"), found(&store, "10.2.0.7")), (1, 1));

    assert_eq!(erase(&store, &[(1, 5000), (2, 7), (3, 1), (1, 9000)]), 2);
    let gone = BTreeSet::from([(1, 5000), (2, 7)]);
    let expected = before.into_iter().map(|(id, raw)| (id, if gone.contains(&id) { Vec::new() } else { raw }));
    assert!(events(&store.snapshot()) == expected.collect());
    // Nothing that was in it leads there, and what is beside it is found as before.
    assert_eq!((found(&store, "10.1.19.136"), found(&store, "10.2.0.7")), (0, 0));
    assert_eq!((found(&store, "10.1.19.137"), found(&store, "10.2.0.8"), found(&store, "10.1.0.1")), (1, 1, 1));
    let segment = store.snapshot().segments[0].clone();
    let row = segment.locate(SourceId(1), 5000).unwrap().unwrap();
    let rows: Vec<_> =
        segment.read_rows(std::slice::from_ref(&(row..row + 1)), None).unwrap().map(Result::unwrap).collect();
    for (field, column) in rows[0].schema().fields().iter().zip(rows[0].columns()) {
        let is_kept =
            field.name().starts_with("vedette.") || ["@timestamp", "event.original"].contains(&&**field.name());
        assert_eq!(column.is_null(0), !is_kept, "{}", field.name());
    }
    assert_eq!(rows[0].column_by_name(PARSER).unwrap().as_string::<i32>().value(0), "erased");
    let time = |name: &str| rows[0].column_by_name(name).unwrap().to_data();
    assert_eq!(time("@timestamp"), time("vedette.received"));

    // Again changes nothing, and it outlives compaction and a restart. No file has the bytes.
    assert_eq!(erase(&store, &[(1, 5000)]), 1);
    store.append(&batch(2, 50..60, START), 0).unwrap();
    store.seal().unwrap();
    clock.advance(2 * HOUR);
    store.compact().unwrap().unwrap();
    drop(segment);
    drop(store);
    let store = Store::open(dir.path(), clock.options()).unwrap();
    let all = events(&store.snapshot());
    assert_eq!((all[&(1, 5000)].len(), &all[&(1, 5001)]), (0, &record(1, 5001)));
    assert_eq!(files(&dir.path().join("segments")).len(), 2);
    assert_eq!(read_all(&store.snapshot().segments[0]).iter().map(|rows| rows.num_rows()).sum::<usize>(), 9060);
}
