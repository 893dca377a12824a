//! What the spool does while all is well.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use vedette_event::Time;
use vedette_spool::{Clock, Losses, Options, Position, Reason, Spool, SpoolError};

use crate::support::{open, options, records, segments, source, store, texts, wait_until};

#[test]
fn sequences_and_bytes_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (a, b) = (source(&spool, "file:a"), source(&spool, "file:b"));
    assert_eq!(store(&spool, &a, &["a0", "a1"]).unwrap().first_seq, 0);
    assert_eq!(store(&spool, &b, &["", "b1"]).unwrap().first_seq, 0);
    assert_eq!(store(&spool, &a, &["a2"]).unwrap().first_seq, 2);
    spool.close();

    let spool = open(dir.path());
    assert_eq!(spool.recovery().records, 5);
    assert_eq!(spool.recovery().cut, None);
    let again = source(&spool, "file:b");
    assert_eq!((again.id, &*again.receiver), (b.id, "file"));
    assert_eq!(store(&spool, &again, &["b2"]).unwrap().first_seq, 2);
    let found: Vec<(u32, u64, String)> = records(&spool)
        .into_iter()
        .map(|record| (record.source.id.0, record.seq, String::from_utf8(record.raw.to_vec()).unwrap()))
        .collect();
    let expected = [(1, 0, "a0"), (1, 1, "a1"), (2, 0, ""), (2, 1, "b1"), (1, 2, "a2"), (2, 2, "b2")];
    assert_eq!(found, expected.map(|(source, seq, text)| (source, seq, text.to_owned())));
}

#[test]
fn receive_times_never_go_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1000));
    let with_clock = || {
        let clock = clock.clone();
        Options { clock: Clock::new(move || Time::from_micros(clock.load(SeqCst))), ..options() }
    };
    let spool = Spool::open(dir.path(), with_clock()).unwrap();
    let a = source(&spool, "file:a");
    let mut received = Vec::new();
    for now in [1000, 2000, 1500, 2500] {
        clock.store(now, SeqCst);
        received.push(store(&spool, &a, &["x"]).unwrap().received.micros());
    }
    // Only per source.
    clock.store(7, SeqCst);
    let b = source(&spool, "file:b");
    assert_eq!(store(&spool, &b, &["x"]).unwrap().received.micros(), 7);
    spool.close();
    let spool = Spool::open(dir.path(), with_clock()).unwrap();
    received.push(store(&spool, &a, &["x"]).unwrap().received.micros());
    assert_eq!(received, [1000, 2000, 2000, 2500, 2500]);
    let times = [3000, 100, 4000].map(|micros| (Time::from_micros(micros), Bytes::from("y")));
    assert_eq!(spool.append_at(&a, times.into()).unwrap().wait_blocking().unwrap().received.micros(), 3000);
    let found: Vec<i64> =
        records(&spool).iter().filter(|record| record.source.id == a.id).map(|r| r.received.micros()).collect();
    assert_eq!(found, [1000, 2000, 2000, 2500, 2500, 3000, 3000, 4000]);
}

#[test]
fn limits_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Options { max_record_bytes: 10, queue_bytes: 2000, max_sources: 1, ..options() };
    let spool = Spool::open(dir.path(), limits).unwrap();
    let a = source(&spool, "file:a");
    let refused = store(&spool, &a, &["fine", "01234567890"]).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert_eq!(refused.detail, "record 2 of 2 has 11 bytes; the limit is 10 (max_record_bytes)");
    let refused = store(&spool, &a, &["x"; 100]).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert_eq!(refused.detail, "an append of 100 records costs 6500 bytes; the limit is 2000 (queue_bytes)");
    let refused = spool.source("syslog:192.0.2.1", "syslog", None).unwrap_err();
    assert_eq!(refused.reason, Reason::TooManySources);
    let other = spool.source("syslog:other", "syslog", None).unwrap();
    assert_eq!(store(&spool, &other, &["x"]).unwrap().first_seq, 0);
    assert_eq!(spool.source(&"x".repeat(2000), "", None).unwrap_err().reason, Reason::Malformed);

    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = source(&open(elsewhere.path()), "file:z");
    assert_eq!(store(&spool, &stranger, &["x"]).unwrap_err().reason, Reason::Malformed);
    assert_eq!(texts(&spool), ["x"], "nothing of a refused append is stored");
}

#[test]
fn unreleased_bytes_make_it_busy_until_they_are_released() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Options { max_spool_bytes: 4000, ..options() }).unwrap();
    let a = source(&spool, "file:a");
    let mut stored = 0;
    let refused = loop {
        match store(&spool, &a, &["some record"]) {
            Ok(_) => stored += 1,
            Err(refused) => break refused,
        }
    };
    assert!(stored > 10);
    assert_eq!(refused.reason, Reason::Busy);
    assert!(refused.detail.contains("max_spool_bytes"), "{}", refused.detail);
    // Who empties the spool must be able to add to it.
    let own = spool.source("vedette:findings", "vedette", None).unwrap();
    let ticket = spool.append_own(&own, vec!["a finding".into()]).unwrap();
    assert_eq!(ticket.wait_blocking().unwrap().first_seq, 0);
    let mut reader = spool.reader(spool.start());
    let frame = reader.next(Duration::ZERO).unwrap().unwrap();
    spool.release(frame.position_after).unwrap();
    assert_eq!(store(&spool, &a, &["x"]).unwrap().first_seq, stored);
    assert!(matches!(spool.release(Position::from_u64(u64::MAX)), Err(SpoolError::Ahead { .. })));
}

#[test]
fn a_full_queue_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Options { queue_bytes: 1 << 20, ..options() }).unwrap();
    let a = source(&spool, "file:a");
    let record = Bytes::from(vec![b'x'; 300 << 10]);
    let (mut tickets, mut busy) = (Vec::new(), 0);
    for _ in 0..200 {
        match spool.append(&a, vec![record.clone()]) {
            Ok(ticket) => tickets.push(ticket),
            Err(refused) => {
                assert_eq!(refused.reason, Reason::Busy);
                busy += 1;
            }
        }
    }
    assert!(busy > 0 && !tickets.is_empty());
    let count = tickets.len() as u64;
    let seqs: Vec<u64> = tickets.into_iter().map(|ticket| ticket.wait_blocking().unwrap().first_seq).collect();
    assert_eq!(seqs, (0..count).collect::<Vec<_>>());
    assert_eq!(spool.status().queued_bytes, 0);
}

#[test]
fn losses_survive_restarts_and_released_segments() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let (a, b) = (source(&spool, "syslog:a"), source(&spool, "syslog:b"));
    store(&spool, &a, &["x", "y"]).unwrap();
    spool.refuse(&a, Reason::TooLarge, 1);
    spool.refuse(&a, Reason::TooLarge, 2);
    spool.shed(&b, Reason::KernelDrop, 40);
    let expected = |stored, refused: &[(Reason, u64)], shed: &[(Reason, u64)]| Losses {
        stored,
        refused: BTreeMap::from_iter(refused.iter().copied()),
        shed: BTreeMap::from_iter(shed.iter().copied()),
    };
    let ledger = |spool: &Spool| -> Vec<Losses> { spool.ledger().into_iter().map(|(_, losses)| losses).collect() };
    let before = [expected(2, &[(Reason::TooLarge, 3)], &[]), expected(0, &[], &[(Reason::KernelDrop, 40)])];
    assert_eq!(ledger(&spool), before);
    assert_eq!(ledger(&spool)[0].received(), 5);

    // Saved while idle, without a record: a copy made later has it, as after kill -9.
    let frames = spool.status().frames;
    wait_until(|| spool.status().frames > frames);
    let copied = tempfile::tempdir().unwrap();
    crate::support::copy(dir.path(), copied.path());
    assert_eq!(ledger(&open(copied.path())), before);

    // Another parser for a source must not make the next segment forget it.
    spool.source("syslog:a", "syslog", Some("sshd")).unwrap();
    spool.rotate();
    wait_until(|| spool.status().segments == 2);
    spool.release(spool.status().end).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
    spool.close();
    let spool = open(dir.path());
    assert_eq!(ledger(&spool), before);
    assert_eq!(spool.ledger()[0].0.parser.as_deref(), Some("sshd"));
    assert_eq!(store(&spool, &source(&spool, "syslog:a"), &["z"]).unwrap().first_seq, 2);
}

#[test]
fn segments_are_ended_by_size_and_deleted_when_released() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Options { segment_bytes: 4096, ..options() }).unwrap();
    let a = source(&spool, "file:a");
    for index in 0..200 {
        store(&spool, &a, &[&format!("record {index}")]).unwrap();
    }
    assert!(spool.status().segments > 3);
    let mut reader = spool.reader(Position::START);
    let mut second = spool.reader(Position::START);
    for index in 0..200 {
        let frame = reader.next(Duration::ZERO).unwrap().unwrap();
        assert_eq!((frame.records.len(), frame.records[0].seq), (1, index));
        if index == 100 {
            spool.release(frame.position_after).unwrap();
            assert_eq!(spool.start(), frame.position_after);
            assert!(!dir.path().join("00000000000000000001.spool").exists());
        }
    }
    assert!(matches!(second.next(Duration::ZERO), Err(SpoolError::Released { .. })));
    assert_eq!(spool.reader(Position::START).next(Duration::ZERO).unwrap().unwrap().records[0].seq, 101);
    spool.close();
    let spool = open(dir.path());
    assert!(texts(&spool).ends_with(&["record 199".to_owned()]));
    assert_eq!(store(&spool, &source(&spool, "file:a"), &["x"]).unwrap().first_seq, 200);
}

#[test]
fn a_spool_that_holds_nothing_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Options { segment_bytes: 64 << 10, ..options() }).unwrap();
    let a = source(&spool, "file:a");
    let mut reader = spool.reader(Position::START);
    for round in 0..20 {
        let noise: Vec<String> =
            (0..300u64).map(|index| format!("{:x}", (round * 300 + index).wrapping_mul(0x9e3779b97f4a7c15))).collect();
        let noise: Vec<&str> = noise.iter().map(String::as_str).collect();
        for _ in 0..8 {
            store(&spool, &a, &noise).unwrap();
            let frame = reader.next(Duration::from_secs(5)).unwrap().unwrap();
            assert_eq!(frame.records.len(), 300);
            spool.release(frame.position_after).unwrap();
        }
        spool.shed(&a, Reason::KernelDrop, 1);
    }
    wait_until(|| spool.status().disk_bytes < 40 << 10);
    assert_eq!(reader.next(Duration::ZERO).unwrap().map(|frame| frame.records.len()), None, "only counters are left");
    assert_eq!(store(&spool, &a, &["last"]).unwrap().first_seq, 48_000);
    assert_eq!(reader.next(Duration::from_secs(5)).unwrap().unwrap().records[0].raw, "last");
}

#[test]
fn readers_follow_many_writers() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), Options { segment_bytes: 32 << 10, ..options() }).unwrap();
    const WRITERS: u64 = 4;
    const APPENDS: u64 = 150;
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut reader = spool.reader(Position::START);
            thread::spawn(move || {
                let mut next: BTreeMap<u32, u64> = BTreeMap::new();
                while next.values().sum::<u64>() < WRITERS * APPENDS * 3 {
                    let frame = reader.next(Duration::from_secs(20)).unwrap().expect("more is coming");
                    for record in frame.records {
                        let next = next.entry(record.source.id.0).or_default();
                        assert_eq!(record.seq, *next);
                        assert_eq!(record.raw, format!("{} {}", record.source.name, record.seq));
                        *next += 1;
                    }
                }
            })
        })
        .collect();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let spool = spool.clone();
            scope.spawn(move || {
                let source = source(&spool, &format!("file:{writer}"));
                for append in 0..APPENDS {
                    let text = |offset| format!("{} {}", source.name, append * 3 + offset);
                    let receipt = store(&spool, &source, &[&text(0), &text(1), &text(2)]).unwrap();
                    assert_eq!((receipt.first_seq, receipt.count), (append * 3, 3));
                }
            });
        }
    });
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn a_reader_waits_and_learns_of_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let mut reader = spool.reader(Position::START);
    let began = Instant::now();
    assert!(reader.next(Duration::from_millis(30)).unwrap().is_none());
    assert!(began.elapsed() >= Duration::from_millis(30) && !reader.is_ended());
    let a = source(&spool, "file:a");
    let ticket = spool.append(&a, vec!["last words".into()]).unwrap();
    let other = spool.clone();
    spool.close();
    assert_eq!(ticket.wait_blocking().unwrap().count, 1, "what is queued is committed");
    assert_eq!(reader.next(Duration::from_secs(60)).unwrap().unwrap().records[0].raw, "last words");
    assert!(reader.next(Duration::from_secs(60)).unwrap().is_none() && reader.is_ended());
    assert_eq!(store(&other, &a, &["late"]).unwrap_err().reason, Reason::Busy);
    let mut lost = other.reader(Position::from_u64(1 << 40));
    assert!(matches!(lost.next(Duration::ZERO), Err(SpoolError::Ahead { .. })));
}

#[test]
fn tickets_resolve_in_async_code_and_an_empty_append_waits_for_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let a = source(&spool, "file:a");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let receipts = runtime.block_on(async {
        let one = spool.append(&a, vec!["x".into()]).unwrap();
        let barrier = spool.append(&a, vec![]).unwrap();
        let barrier = barrier.wait().await.unwrap();
        let one = one.wait().await.unwrap();
        // Also from a thread of the runtime.
        let two = spool.append(&a, vec!["y".into()]).unwrap().wait_blocking().unwrap();
        [(one.first_seq, one.count), (barrier.first_seq, barrier.count), (two.first_seq, two.count)]
    });
    assert_eq!(receipts, [(0, 1), (1, 0), (1, 1)]);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let error = Spool::open(dir.path(), options()).err().unwrap().to_string();
    let expected = format!(
        "the spool {} is in use by another process (pid {}); stop that one, or use another data folder",
        dir.path().display(),
        std::process::id()
    );
    assert_eq!(error, expected);
    drop(spool);
    open(dir.path());
}
