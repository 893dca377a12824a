//! A really full disk: a small tmpfs, where the tests may mount one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use vedette_spool::{Options, Reason, Source, Spool};

use crate::support::{options, records, source, wait_until};

/// Unmounts when dropped.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
    }
}

fn mount(dir: &Path) -> Option<Mount> {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir).output();
    mounted.is_ok_and(|output| output.status.success()).then(|| Mount(dir.to_owned()))
}

/// Appends incompressible records until one is refused; gives how many were stored.
fn fill(spool: &Spool, source: &Arc<Source>, seed: u64) -> (u64, vedette_spool::Refused) {
    let mut stored = 0;
    loop {
        let mut state = (seed << 32 | stored).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let record: Bytes = noise.take(100_000).collect::<Vec<u8>>().into();
        match spool.append(source, vec![record]).and_then(|ticket| ticket.wait_blocking()) {
            Ok(_) => stored += 1,
            Err(refused) => return (stored, refused),
        }
        assert!(stored < 1000, "the disk never fills");
    }
}

#[test]
fn a_full_disk_is_refused_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mount) = mount(dir.path()) else {
        println!("skipped: mounting a tmpfs is not permitted");
        return;
    };
    let ballast = dir.path().join("ballast");
    // First by the reserve, then by the system's own refusal.
    for (round, min_free_bytes) in [(1, 2 << 20), (2, 0)] {
        fs::write(&ballast, vec![0; 1 << 20]).unwrap();
        let spool_dir = dir.path().join(format!("spool{round}"));
        let spool = Spool::open(&spool_dir, Options { min_free_bytes, ..options() }).unwrap();
        let source = source(&spool, "file:a");
        let (stored, refused) = fill(&spool, &source, round);
        assert!(stored > 10);
        assert_eq!(refused.reason, Reason::DiskFull);
        let expected = if min_free_bytes > 0 { "min_free_bytes" } else { "No space left on device" };
        assert!(refused.detail.contains(expected) || min_free_bytes == 0, "{}", refused.detail);
        assert_eq!(records(&spool).len() as u64, stored);
        spool.refuse(&source, Reason::DiskFull, 1);

        // Opening again works on the full disk.
        spool.close();
        let spool = Spool::open(&spool_dir, Options { min_free_bytes, ..options() }).unwrap();
        assert_eq!(records(&spool).len() as u64, stored);
        assert_eq!(spool.recovery().cut, None, "a frame without room was taken back");

        fs::remove_file(&ballast).unwrap();
        wait_until(|| spool.status().refusing.is_none());
        let receipt = spool.append(&source, vec!["resumed".into()]).unwrap().wait_blocking().unwrap();
        assert_eq!(receipt.first_seq, stored);
        drop(spool);
        fs::remove_dir_all(spool_dir).unwrap();
    }
    drop(mount);
}
