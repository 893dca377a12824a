//! Batches, clocks and oracles that the tests share.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{UInt32Type, UInt64Type},
};
use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};
use vedette_store::{Granules, Options, SEQ, SOURCE, Segment, Snapshot, Store};

/// 2026-11-21T04:00:00Z.
pub const START: Time = Time::from_secs(1_795_233_600);
pub const HOUR: i64 = 3_600_000_000;

/// A clock that the test sets.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn new() -> Self {
        Clock(Arc::new(AtomicI64::new(START.micros())))
    }

    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    pub fn options(&self) -> Options {
        let clock = self.clone();
        Options { clock: Arc::new(move || Time::from_micros(clock.0.load(Ordering::SeqCst))), ..Options::default() }
    }
}

pub fn open(dir: &Path) -> Store {
    Store::open(dir, Clock::new().options()).unwrap()
}

pub fn source(id: u32) -> Arc<Source> {
    Source::new(SourceId(id), &format!("test:{id}"), "test")
}

/// The record that every test gives to event `seq` of source `id`.
pub fn record(id: u32, seq: u64) -> Vec<u8> {
    let mut raw = format!("event {seq} of source {id} from 10.{}.{}.{}", id, seq / 256 % 256, seq % 256).into_bytes();
    // Not UTF-8 now and then, empty now and then.
    match seq % 7 {
        3 => raw.extend([0xff, 0x00, 0xfe]),
        5 => raw.clear(),
        _ => {}
    }
    raw
}

/// A batch of consecutive events, all received at `received`.
pub fn batch(id: u32, seqs: std::ops::Range<u64>, received: Time) -> Batch {
    let mut batch = BatchBuilder::new(source(id));
    for seq in seqs {
        batch.begin(seq, received, &record(id, seq));
        batch.push("host.name", Value::Str("srv-01.example.com"));
        batch.push("event.code", Value::Int((seq % 5) as i64));
        batch.push("source.ip", Value::Str(&format!("10.{}.{}.{}", id, seq / 256 % 256, seq % 256)));
        batch.time(received.plus_micros(-(seq as i64)));
    }
    batch.finish()
}

pub fn read_all(segment: &Segment) -> Vec<RecordBatch> {
    let all = Granules::all(segment.granules().len());
    segment.read(&all, None).unwrap().map(Result::unwrap).collect()
}

/// Every event of a snapshot by id. Fails if one is there twice.
pub fn events(snapshot: &Snapshot) -> BTreeMap<(u32, u64), Vec<u8>> {
    let mut events = BTreeMap::new();
    let sealed = snapshot.segments.iter().flat_map(|segment| read_all(segment));
    for rows in sealed.chain(snapshot.tail.iter().cloned()) {
        let sources = rows.column_by_name(SOURCE).unwrap().as_primitive::<UInt32Type>().values().to_vec();
        let seqs = rows.column_by_name(SEQ).unwrap().as_primitive::<UInt64Type>().values().to_vec();
        let originals = rows.column_by_name("event.original").unwrap().as_binary::<i32>().clone();
        for (at, id) in sources.into_iter().zip(seqs).enumerate() {
            let twice = events.insert(id, originals.value(at).to_vec());
            assert!(twice.is_none(), "event {}-{} is there twice", id.0, id.1);
        }
    }
    events
}

/// Fails unless the store has exactly the events `0..counts[n].1` of source `counts[n].0`, with their bytes.
pub fn check_events(store: &Store, counts: &[(u32, u64)]) {
    let expected: BTreeMap<_, _> =
        counts.iter().flat_map(|&(id, count)| (0..count).map(move |seq| ((id, seq), record(id, seq)))).collect();
    let found = events(&store.snapshot());
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "other events than expected");
    let stats = store.stats();
    assert_eq!(stats.events, expected.len() as u64);
    for &(id, count) in counts {
        let source = &stats.sources[&SourceId(id)];
        assert_eq!((source.events, source.next_seq), (count, count));
    }
}

/// All files below a folder, relative to it.
pub fn files(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Files of segments, finished or not.
pub fn segment_files(dir: &Path) -> Vec<String> {
    files(dir).into_iter().filter(|path| path.ends_with(".parquet") || path.ends_with(".tokens")).collect()
}
