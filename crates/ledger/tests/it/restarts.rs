//! A sealer that dies at any request, and is started again while the ledger is open.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use vedette_ledger::{
    Hash, Ledger, LedgerError, Options, Seal, Sealer,
    entry::{Body, Entry},
    remote::{self, Reconnecting},
};

use crate::support::{ORIGIN, SECOND, append, folder, published};

/// How many requests the sealer lives for.
#[derive(Clone)]
struct Life {
    left: Arc<AtomicUsize>,
    /// It does what it was asked for last, and does not live to say so.
    dies_late: bool,
}

impl Life {
    fn new(requests: usize, dies_late: bool) -> Life {
        Life { left: Arc::new(AtomicUsize::new(requests)), dies_late }
    }

    fn goes_on(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

struct Mortal(UnixStream, Life);

impl Read for Mortal {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buf)?;
        let is_asked = buf[..read].ends_with(b"\n");
        if is_asked && !self.1.dies_late && !self.1.goes_on() { Ok(0) } else { Ok(read) }
    }
}

impl Write for Mortal {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.1.dies_late && !self.1.goes_on() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.write_all(buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A ledger whose sealers live for as long as `life` says when they are started.
fn open(dir: &Path, life: impl FnMut() -> Life + Send + 'static) -> Result<Ledger, LedgerError> {
    let (keys, mut life) = (dir.join("sealer"), life);
    let connect = move || -> Result<UnixStream, LedgerError> {
        let mut sealer = Sealer::open(&keys, ORIGIN, 0)?;
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let life = life();
        std::thread::spawn(move || {
            let from = Mortal(theirs.try_clone().expect("a copy"), life.clone());
            // An error is its death.
            remote::serve(&mut sealer, from, Mortal(theirs, life)).ok();
        });
        Ok(ours)
    };
    let options = Options { epoch: Duration::from_secs(3), ..Options::default() };
    Ledger::open(&dir.join("ledger"), options, Box::new(Reconnecting::new(connect)), 0)
}

/// Every batch is there once, in its chain, signed by the epoch's key that was certified before.
fn assert_whole(entries: &[Entry], batches: u64) {
    let mut chain: HashMap<u32, (u64, Hash)> = HashMap::new();
    let mut epoch: Option<(u32, Hash)> = None;
    for entry in entries {
        assert!(entry.is_signed());
        match &entry.body {
            Body::Key(key) => {
                assert_eq!(key.epoch, epoch.map_or(0, |(epoch, _)| epoch + 1), "each epoch begins once");
                epoch = Some((key.epoch, key.public));
            }
            Body::Batch(batch) => {
                let before = chain.insert(batch.source, (batch.first_seq + 1, entry.chain_hash()));
                assert_eq!(before.unwrap_or_default(), (batch.first_seq, batch.prev));
            }
            _ => {}
        }
        assert!(matches!(entry.body, Body::Key(_)) || Some((entry.epoch, entry.public)) == epoch);
    }
    assert_eq!(chain.values().map(|(next, _)| next).sum::<u64>(), batches);
    assert!(epoch.is_some_and(|(number, _)| number > 10), "{epoch:?}");
}

#[test]
fn a_sealer_that_dies_at_any_request_is_started_again() {
    for dies_late in [false, true] {
        let dir = folder();
        let started = Arc::new(AtomicUsize::new(0));
        let counted = started.clone();
        // The first ones live long enough to open the ledger.
        let life = move || Life::new(4 + counted.fetch_add(1, Ordering::Relaxed) % 9, dies_late);
        let ledger = open(dir.path(), life).expect("it opens");
        let (mut now, mut failed, mut size) = (0, 0, 0);
        for round in 0..150_u64 {
            append(&ledger, 1, round, 1).expect("it is recorded");
            let mut tries = 0;
            loop {
                now += SECOND;
                append(&ledger, 2, ledger.next_seq(2), 1).expect("it is recorded while the sealer is gone");
                match ledger.checkpoint(now) {
                    Ok(_) => break,
                    Err(LedgerError::SealerGone(_)) => failed += 1,
                    Err(error) => panic!("round {round}: {error}"),
                }
                tries += 1;
                assert!(tries < 10, "round {round}");
            }
            let newest = ledger.newest().size;
            assert!(newest > size);
            size = newest;
            assert_eq!(ledger.sealed_seq(1), round + 1);
        }
        // Once more, with everything signed.
        while ledger.sealed_seq(2) < ledger.next_seq(2) {
            ledger.checkpoint(now).ok();
        }
        assert!(failed > 30 && started.load(Ordering::Relaxed) > 30, "{failed} failures");
        let (checkpoint, entries) = published(dir.path(), &ledger);
        assert_eq!(checkpoint.size, entries.len() as u64);
        assert_whole(&entries, 150 + ledger.next_seq(2));
        drop(ledger);
        // What is on disk says the same to the next monitor.
        let ledger = open(dir.path(), || Life::new(usize::MAX, false)).expect("it opens");
        assert_eq!(ledger.sealed_seq(1), 150);
    }
}

/// Whoever puts another sealer in place of the one that died gets nothing signed.
#[test]
fn another_sealer_is_refused() {
    let dir = folder();
    let keys = dir.path().join("sealer");
    let ledger = open(dir.path(), || Life::new(10, false)).expect("it opens");
    append(&ledger, 1, 0, 1).expect("it is recorded");
    ledger.checkpoint(SECOND).expect("it is sealed");
    let before = dir.path().join("before");
    std::fs::create_dir(&before).expect("a folder");
    let copy = |from: &Path, to: &Path| {
        for name in ["log.key", "epoch.key", "head"] {
            std::fs::copy(from.join(name), to.join(name)).expect("a copy");
        }
    };
    copy(&keys, &before);
    let wait_for = |complaint: &str| {
        let mut said = Vec::new();
        while !said.iter().any(|said: &String| said.contains(complaint)) {
            assert!(said.len() < 50, "{said:?}");
            said.push(ledger.checkpoint(SECOND).expect_err("nothing is signed").to_string());
        }
    };
    // An older state of its folder.
    while ledger.sealed_seq(1) < 2 {
        if ledger.next_seq(1) < 2 {
            append(&ledger, 1, 1, 1).expect("it is recorded");
        }
        ledger.checkpoint(SECOND).ok();
    }
    kill(&ledger);
    let size = ledger.newest().size;
    copy(&before, &keys);
    append(&ledger, 1, 2, 1).expect("it is recorded");
    wait_for("not this log's");
    // A new one with keys of its own.
    std::fs::remove_dir_all(&keys).expect("it goes");
    wait_for("another key");
    assert_eq!((ledger.newest().size, ledger.sealed_seq(1)), (size, 2));
}

/// Asks until the sealer has died.
fn kill(ledger: &Ledger) {
    for seconds in 1.. {
        if ledger.checkpoint(seconds * 100 * SECOND).is_err() {
            return;
        }
    }
}

#[test]
fn only_the_head_connects() {
    let dir = folder();
    let keys = dir.path().join("sealer");
    let mut connections = 0;
    let mut sealer = Reconnecting::new(|| {
        connections += 1;
        let mut sealer = Sealer::open(&keys, ORIGIN, 0)?;
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        std::thread::spawn(move || {
            let from = Mortal(theirs.try_clone().expect("a copy"), Life::new(1, false));
            remote::serve(&mut sealer, from, theirs).ok();
        });
        Ok::<_, LedgerError>(ours)
    });
    assert!(matches!(sealer.rotate(0), Err(LedgerError::SealerGone(_))), "nobody is connected");
    sealer.head().expect("connected");
    assert!(matches!(sealer.rotate(0), Err(LedgerError::SealerGone(_))), "it died");
    assert!(matches!(sealer.rotate(0), Err(LedgerError::SealerGone(_))), "nobody asked for its head");
    sealer.head().expect("connected again");
    drop(sealer);
    assert_eq!(connections, 2);
}
