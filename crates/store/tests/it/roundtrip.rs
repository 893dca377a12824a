use std::{os::unix::fs::FileExt, sync::Arc};

use arrow::{
    array::{Array, AsArray},
    compute::concat_batches,
    datatypes::{Int64Type, TimestampMicrosecondType, UInt64Type},
};
use vedette_event::{BatchBuilder, SourceId, Time, Value, ecs::CORE};
use vedette_store::{BATCH, Granules, PARSER, SEQ, SOURCE_NAME, StoreError, TermQuery, schema};

use crate::support::{Clock, HOUR, START, batch, check_events, open, read_all, source};

/// An event with a value in every core column comes back from tail and segment in the same columns, and its bytes are
/// exactly those that came in.
#[test]
fn every_column_and_every_byte_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let raw: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let mut builder = BatchBuilder::new(source(1));
    builder.begin(0, START, &raw);
    for (at, column) in CORE.iter().enumerate() {
        builder.push(column.name, Value::Str(&format!("10.0.0.{at}")));
        builder.push(column.name, Value::Int(at as i64));
    }
    builder.time(Time::from_micros(-1));
    builder.parser(&Arc::from("p@1"));
    builder.begin(1, START, b"");
    store.append(&builder.finish(), 7).unwrap();

    let tail = store.snapshot().tail.remove(0);
    assert_eq!(tail.schema(), schema());
    let sealed = store.seal().unwrap().unwrap();
    assert_eq!((sealed.spool_position, store.sealed_position()), (7, 7));
    let snapshot = store.snapshot();
    assert!(snapshot.tail.is_empty());
    let rows = concat_batches(&schema(), &read_all(&snapshot.segments[0])).unwrap();
    assert_eq!(rows, tail);

    assert_eq!(rows.column_by_name("event.original").unwrap().as_binary::<i32>().value(0), raw);
    assert_eq!(rows.column_by_name("source.ip").unwrap().as_string::<i32>().value(0), "10.0.0.17");
    assert!(rows.column_by_name("source.port").unwrap().is_null(0), "neither value is a number");
    assert_eq!(rows.column_by_name(PARSER).unwrap().as_string::<i32>().value(0), "p@1");
    assert!(rows.column_by_name(PARSER).unwrap().is_null(1));
    assert_eq!(rows.column_by_name(SOURCE_NAME).unwrap().as_string::<i32>().value(1), "test:1");
    assert_eq!(rows.column_by_name("event.category").unwrap().as_list::<i32>().value(0).len(), 2);
    let times = rows.column_by_name("@timestamp").unwrap().as_primitive::<TimestampMicrosecondType>().values();
    assert_eq!(times[..], [-1, START.micros()]);
    assert_eq!(rows.column_by_name("process.pid").unwrap().as_primitive::<Int64Type>().null_count(), 2);
}

/// Granules are 4,096 rows, can be read alone and by column, and their bounds are those of their rows.
#[test]
fn granules_are_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for first in (0..10_000).step_by(1000) {
        store.append(&batch(1, first..first + 1000, START.plus_micros(first as i64)), 0).unwrap();
    }
    store.seal().unwrap();
    let snapshot = store.snapshot();
    let segment = &snapshot.segments[0];
    let rows: Vec<_> = segment.granules().iter().map(|granule| granule.rows.clone()).collect();
    assert_eq!(rows, [0..4096, 4096..8192, 8192..10_000]);
    assert_eq!((segment.rows(), segment.batches(), segment.runs().len()), (10_000, 10, 1));
    assert_eq!(segment.granules()[1].received, (START.plus_micros(4000), START.plus_micros(8000)));
    segment.check().unwrap();

    let mut last = Granules::none(3);
    last.insert(2);
    let read: Vec<_> = segment.read(&last, Some(&[SEQ, BATCH, "no.such"])).unwrap().map(Result::unwrap).collect();
    let read = concat_batches(&read[0].schema(), &read).unwrap();
    assert_eq!(read.num_columns(), 2);
    let column = |name| read.column_by_name(name).unwrap().as_primitive::<UInt64Type>().values().to_vec();
    assert_eq!(column(SEQ), (8192..10_000).collect::<Vec<u64>>());
    assert!(column(SEQ).iter().zip(column(BATCH)).all(|(seq, batch)| seq / 1000 * 1000 == batch));

    // Event times are START + first - seq; the middle granule's go from 4000 - 4999 to 8000 - 8000.
    assert_eq!(segment.within(Some(START.plus_micros(-998)), None).len(), 3);
    assert!(segment.within(Some(START.plus_micros(1)), None).is_empty());
    assert!(segment.within(None, Some(START.plus_micros(-1000))).is_empty());
    for seq in [0, 4095, 4096, 9999] {
        assert_eq!(segment.locate(SourceId(1), seq).unwrap(), Some(seq));
    }
    assert_eq!(segment.locate(SourceId(1), 10_000).unwrap(), None);
    assert_eq!(segment.locate(SourceId(2), 0).unwrap(), None);
}

/// What was sealed is there after opening again; what was not comes from the spool again, and nothing twice.
#[test]
fn replay_skips_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&batch(1, 0..500, START), 10).unwrap();
    store.append(&batch(2, 0..20, START), 11).unwrap();
    store.seal().unwrap();
    store.append(&batch(1, 500..600, START), 12).unwrap();
    check_events(&store, &[(1, 600), (2, 20)]);
    assert_eq!((store.next_seq(SourceId(1)), store.next_seq(SourceId(9))), (600, 0));
    drop(store);

    let store = open(dir.path());
    assert_eq!((store.next_seq(SourceId(1)), store.sealed_position()), (500, 11));
    // The same records in other batches.
    store.append(&batch(1, 400..550, START), 12).unwrap();
    store.append(&batch(1, 550..600, START), 12).unwrap();
    store.append(&batch(2, 0..20, START), 12).unwrap();
    check_events(&store, &[(1, 600), (2, 20)]);
    assert_eq!(store.stats().skipped, 120);
    store.seal().unwrap();
    check_events(&store, &[(1, 600), (2, 20)]);
    assert!(store.seal().unwrap().is_none());
}

/// A segment has rows of one hour of receive time only; a batch over the turn of the hour becomes two.
#[test]
fn hours_are_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut builder = BatchBuilder::new(source(1));
    for seq in 0..10 {
        builder.begin(seq, START.plus_micros(HOUR - 5 + seq as i64), b"x");
    }
    store.append(&builder.finish(), 1).unwrap();
    // Sequence numbers 10 and 11 never came.
    store.append(&batch(1, 12..14, START.plus_micros(HOUR)), 1).unwrap();
    let sealed = store.seal().unwrap().unwrap();
    assert_eq!(sealed.segments.len(), 2);
    let snapshot = store.snapshot();
    let paths: Vec<String> = snapshot.segments.iter().map(|segment| segment.path().display().to_string()).collect();
    assert!(paths[0].contains("/tenant=default/dt=2026-11-21/hour=04/"), "{paths:?}");
    assert!(paths[1].contains("/tenant=default/dt=2026-11-21/hour=05/"), "{paths:?}");
    let tables: Vec<_> = snapshot.segments.iter().map(|segment| segment.batch_table().unwrap()).collect();
    assert_eq!(tables[0], [(SourceId(1), 0, 5)]);
    assert_eq!(tables[1], [(SourceId(1), 5, 5), (SourceId(1), 12, 2)]);
    assert_eq!(snapshot.segments[1].locate(SourceId(1), 13).unwrap(), Some(6));
    assert_eq!(snapshot.segments[1].locate(SourceId(1), 10).unwrap(), None);
}

/// The tail is due by bytes, by rows and by age; above its limit appending is refused and nothing is lost.
#[test]
fn the_tail_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let options = vedette_store::Options { seal_rows: 1000, max_tail_bytes: 20_000, ..clock.options() };
    let store = vedette_store::Store::open(dir.path(), options).unwrap();
    assert!(store.seal_if_due().unwrap().is_none());
    store.append(&batch(1, 0..10, START), 1).unwrap();
    assert!(store.seal_if_due().unwrap().is_none());
    clock.advance(60_000_000);
    assert!(store.seal_if_due().unwrap().is_some());

    store.append(&batch(1, 10..1009, START), 2).unwrap();
    assert!(store.seal_if_due().unwrap().is_none());
    let refused = store.append(&batch(1, 1009..1010, START), 3);
    assert!(matches!(refused, Err(StoreError::TailFull { limit: 20_000, .. })), "{refused:?}");
    // What the store has already is skipped, not refused.
    store.append(&batch(1, 0..1009, START), 2).unwrap();
    store.seal().unwrap();
    store.append(&batch(1, 1009..1010, START), 3).unwrap();
    check_events(&store, &[(1, 1010)]);

    let mut descending = BatchBuilder::new(source(2));
    descending.begin(1, START, b"");
    descending.begin(1, START, b"");
    assert!(matches!(store.append(&descending.finish(), 4), Err(StoreError::Batch { .. })));
    check_events(&store, &[(1, 1010)]);
}

/// A trickle of single events does not become as many record batches.
#[test]
fn single_events_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seq in 0..3000 {
        store.append(&batch(1, seq..seq + 1, START), 0).unwrap();
    }
    assert!(store.snapshot().tail.len() < 20, "{}", store.snapshot().tail.len());
    check_events(&store, &[(1, 3000)]);
    let stats = store.stats();
    assert_eq!((stats.tail_events, stats.segments), (3000, 0));
    assert!(stats.tail_memory > stats.tail_raw_bytes);
}

/// Files that are gone or cut are reported when opening, damaged bytes when checked; a damaged sidecar makes a search
/// slower, not wrong.
/// What describes the columns is read by the reader of Parquet, which panics at some of what a flipped bit makes of it.
#[test]
fn a_flipped_bit_in_a_footer_is_an_error_or_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&batch(1, 0..100, START), 0).unwrap();
    store.seal().unwrap();
    let segment = store.snapshot().segments[0].clone();
    let file = std::fs::File::options().read(true).write(true).open(segment.path()).unwrap();
    let len = file.metadata().unwrap().len();
    let mut footer = [0; 4];
    file.read_exact_at(&mut footer, len - 8).unwrap();
    let footer = u64::from(u32::from_le_bytes(footer));
    let read = || -> vedette_store::Result<Vec<arrow::array::RecordBatch>> {
        segment.read(&Granules::all(segment.granules().len()), None)?.collect()
    };
    let expected = read().unwrap();
    let (mut refused, mut fine) = (0, 0);
    for (number, at) in (len - 8 - footer..len).step_by(5).enumerate() {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << (number % 8))], at).unwrap();
        match read() {
            Ok(rows) => fine += u32::from(rows == expected),
            Err(_) => refused += 1,
        }
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(refused > 20 && fine > 20, "{refused} refused, {fine} fine");
    assert_eq!(read().unwrap(), expected);
}

#[test]
fn damage_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for first in 0..4 {
        store.append(&batch(1, first * 100..first * 100 + 100, START), 0).unwrap();
        store.seal().unwrap();
    }
    let segments = store.snapshot().segments;
    drop(store);
    std::fs::remove_file(segments[0].path()).unwrap();
    let cut = std::fs::File::options().write(true).open(segments[1].tokens_path()).unwrap();
    cut.set_len(segments[1].tokens_bytes() - 1).unwrap();
    for path in [segments[2].path(), segments[3].tokens_path()] {
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 100).unwrap();
        file.write_all_at(&[!byte[0]], 100).unwrap();
    }

    let store = open(dir.path());
    let damaged: Vec<&str> = store.damaged().iter().map(|damage| damage.segment.id.as_str()).collect();
    assert_eq!(damaged, [segments[0].id(), segments[1].id()]);
    let stats = store.stats();
    assert_eq!((stats.segments, stats.events, stats.damaged_segments, stats.damaged_events), (2, 200, 2, 200));
    // What is damaged counts as sealed: it is not taken from the spool again without anyone noticing.
    assert_eq!(store.next_seq(SourceId(1)), 400);
    for segment in store.snapshot().segments {
        let error = segment.check().unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }
    let absent: TermQuery = vedette_store::Term::Word("absent".into()).into();
    let last = &store.snapshot().segments[1];
    assert!(last.try_candidates(&absent).is_err());
    assert!(last.candidates(&absent).is_all());
}
