//! A disk that fails when told to, and what the spool then does.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use vedette_event::{Reason, Source};

use crate::{
    Options, Position, Spool, SpoolError,
    disk::{Disk, RealDisk, SegmentFile, Space},
};

/// Each switch makes its operation fail until it is set back.
#[derive(Default)]
struct Switches {
    /// Of the next write only this many bytes arrive, then this error comes.
    write: Mutex<Option<(usize, io::ErrorKind)>>,
    sync: AtomicBool,
    truncate: AtomicBool,
    create: AtomicBool,
    rename: AtomicBool,
    remove: AtomicBool,
    /// Bytes that seem not to be free.
    taken: AtomicU64,
}

#[derive(Clone, Default)]
struct FaultyDisk(Arc<Switches>);

struct FaultyFile {
    switches: Arc<Switches>,
    file: Box<dyn SegmentFile>,
}

fn fail_if(switch: &AtomicBool) -> io::Result<()> {
    if switch.load(SeqCst) { Err(io::Error::other("injected")) } else { Ok(()) }
}

impl SegmentFile for FaultyFile {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = *self.switches.write.lock().unwrap();
        match fault {
            None => self.file.write_all_at(bytes, offset),
            Some((len, kind)) => {
                self.file.write_all_at(&bytes[..len.min(bytes.len())], offset)?;
                Err(kind.into())
            }
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        fail_if(&self.switches.sync)?;
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        fail_if(&self.switches.sync)?;
        self.file.sync_all()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        fail_if(&self.switches.truncate)?;
        self.file.set_len(len)
    }
}

impl FaultyDisk {
    fn wrap(&self, file: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(FaultyFile { switches: self.0.clone(), file })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        fail_if(&self.0.create)?;
        RealDisk.create(path).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        RealDisk.open(path).map(|file| self.wrap(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fail_if(&self.0.rename)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fail_if(&self.0.remove)?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        let free = (1u64 << 40).saturating_sub(self.0.taken.load(SeqCst));
        Ok(Space { total: 1 << 40, free })
    }
}

struct Bench {
    disk: FaultyDisk,
    dir: tempfile::TempDir,
    spool: Spool,
    source: Arc<Source>,
}

fn options() -> Options {
    Options { min_free_bytes: 1 << 30, segment_bytes: 4 << 10, ..Options::default() }
}

fn bench() -> Bench {
    let disk = FaultyDisk::default();
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open_on(Arc::new(disk.clone()), dir.path(), options()).unwrap();
    let source = spool.source("file:a", "file", None).unwrap();
    Bench { disk, dir, spool, source }
}

impl Bench {
    fn append(&self, text: &str) -> Result<u64, Reason> {
        let ticket = self.spool.append(&self.source, vec![Bytes::copy_from_slice(text.as_bytes())]);
        let receipt = ticket.and_then(|ticket| ticket.wait_blocking());
        receipt.map(|receipt| receipt.first_seq).map_err(|refused| refused.reason)
    }

    /// Everything in the spool after it was opened again on a good disk.
    fn reopened(self) -> Vec<String> {
        drop(self.spool);
        let spool = Spool::open(self.dir.path(), Options { min_free_bytes: 0, ..options() }).unwrap();
        records(&spool)
    }
}

fn records(spool: &Spool) -> Vec<String> {
    let mut reader = spool.reader(Position::START);
    let mut records = Vec::new();
    while let Some(frame) = reader.next(Duration::ZERO).unwrap() {
        records.extend(frame.records.iter().map(|record| String::from_utf8_lossy(&record.raw).into_owned()));
    }
    records
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come within five seconds");
}

#[test]
fn a_write_that_fills_the_disk_is_rolled_back_and_the_spool_goes_on() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        for written in [0, 1, 50, 80, 1000] {
            let bench = bench();
            assert_eq!(bench.append("first"), Ok(0));
            *bench.disk.0.write.lock().unwrap() = Some((written, kind));
            assert_eq!(bench.append("refused"), Err(Reason::DiskFull));
            assert_eq!(bench.spool.status().refusing, Some(Reason::DiskFull));
            *bench.disk.0.write.lock().unwrap() = None;
            wait_until(|| bench.spool.status().refusing.is_none());
            assert_eq!(bench.append("second"), Ok(1), "after {written} bytes of the frame");
            assert_eq!(bench.reopened(), ["first", "second"]);
        }
    }
}

#[test]
fn after_an_error_that_leaves_the_file_unknown_nothing_is_written_until_it_is_reopened() {
    type Break = fn(&Switches);
    let breaks: [(&str, Break); 3] = [
        ("sync", |switches| switches.sync.store(true, SeqCst)),
        ("write", |switches| *switches.write.lock().unwrap() = Some((10, io::ErrorKind::Other))),
        ("truncate", |switches| {
            *switches.write.lock().unwrap() = Some((10, io::ErrorKind::StorageFull));
            switches.truncate.store(true, SeqCst);
        }),
    ];
    for (name, break_it) in breaks {
        let bench = bench();
        assert_eq!(bench.append("first"), Ok(0));
        break_it(&bench.disk.0);
        assert_eq!(bench.append("refused"), Err(Reason::WriteFailed), "{name}");
        // The disk is well again, which a second sync would only pretend.
        bench.disk.0.sync.store(false, SeqCst);
        bench.disk.0.truncate.store(false, SeqCst);
        *bench.disk.0.write.lock().unwrap() = None;
        assert_eq!(bench.append("refused too"), Err(Reason::WriteFailed), "{name}");
        assert_eq!(bench.spool.status().refusing, Some(Reason::WriteFailed));
        assert_eq!(records(&bench.spool), ["first"], "{name}: readers go on");
        let mut found = bench.reopened();
        // A frame whose sync failed may be there or not; its sender was told that it is not stored.
        found.retain(|record| record != "refused");
        assert_eq!(found, ["first"], "{name}");
    }
}

#[test]
fn a_segment_that_cannot_be_begun_leaves_the_old_one_in_use() {
    let bench = bench();
    bench.disk.0.create.store(true, SeqCst);
    let long = "x".repeat(200);
    for number in 0..200u64 {
        assert_eq!(bench.append(&format!("{number}{long}")), Ok(number));
    }
    assert_eq!(bench.spool.status().segments, 1);
    assert_eq!(bench.reopened().len(), 200);
}

#[test]
fn a_failed_naming_of_a_segment_stops_the_spool() {
    let bench = bench();
    assert_eq!(bench.append("first"), Ok(0));
    bench.disk.0.rename.store(true, SeqCst);
    bench.spool.rotate();
    wait_until(|| bench.spool.status().refusing == Some(Reason::WriteFailed));
    assert_eq!(bench.append("refused"), Err(Reason::WriteFailed));
    assert_eq!(bench.reopened(), ["first"]);
}

#[test]
fn a_file_that_cannot_be_deleted_is_reported_and_deleted_later() {
    let bench = bench();
    assert_eq!(bench.append("first"), Ok(0));
    bench.spool.rotate();
    wait_until(|| bench.spool.status().segments == 2);
    bench.disk.0.remove.store(true, SeqCst);
    let end = bench.spool.status().end;
    assert!(matches!(bench.spool.release(end), Err(SpoolError::Io { action: "delete", .. })));
    bench.disk.0.remove.store(false, SeqCst);
    bench.spool.release(end).unwrap();
    assert_eq!(bench.spool.status().segments, 1);
    assert!(bench.reopened().is_empty());
}

#[test]
fn the_reserve_is_kept_free_and_service_resumes_with_space() {
    let bench = bench();
    assert_eq!(bench.append("first"), Ok(0));
    bench.disk.0.taken.store((1 << 40) - (1 << 29), SeqCst);
    wait_until(|| bench.spool.status().refusing == Some(Reason::DiskFull));
    let refused = bench.spool.append(&bench.source, vec!["x".into()]).err().unwrap();
    assert_eq!(refused.reason, Reason::DiskFull);
    assert!(refused.detail.contains("536870912 bytes free; 1073741824"), "{}", refused.detail);
    bench.disk.0.taken.store(0, SeqCst);
    wait_until(|| bench.spool.status().refusing.is_none());
    assert_eq!(bench.append("second"), Ok(1));
}

#[test]
fn a_spool_that_closes_on_a_full_disk_ends() {
    let bench = bench();
    assert_eq!(bench.append("first"), Ok(0));
    bench.spool.shed(&bench.source, Reason::KernelDrop, 3);
    *bench.disk.0.write.lock().unwrap() = Some((0, io::ErrorKind::StorageFull));
    assert_eq!(bench.reopened(), ["first"]);
}
