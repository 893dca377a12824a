//! Crashes at every place: the files cut at arbitrary lengths.

use std::fs;

use bytes::Bytes;
use proptest::prelude::*;
use vedette_spool::{Options, Spool};

use crate::support::{copy, frame_offsets, open, options, records, segments, source, store};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// After a crash at any byte of any segment, the records are a prefix of what was appended, and
    /// all that was acknowledged by then.
    #[test]
    fn a_crash_leaves_a_prefix_with_all_that_was_acknowledged(
        appends in prop::collection::vec((0usize..3, prop::collection::vec(0usize..400, 0..5), any::<bool>()), 1..25),
        moment in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), Options { segment_bytes: 4096, ..options() }).unwrap();
        let mut appended = Vec::new();
        // Log address at which each append was acknowledged, with the number of records by then.
        let mut acknowledged = Vec::new();
        let mut queued = Vec::new();
        let (mut number, mut waits) = (0u8, 0);
        for (index, lens, wait) in &appends {
            let source = source(&spool, &format!("file:{index}"));
            let batch: Vec<Bytes> = lens.iter().map(|len| {
                number = number.wrapping_add(37);
                Bytes::from(vec![number; *len])
            }).collect();
            appended.extend(batch.iter().map(|raw| (source.name.to_string(), raw.clone())));
            queued.push(spool.append(&source, batch).unwrap());
            if *wait {
                for ticket in queued.drain(..) {
                    ticket.wait_blocking().unwrap();
                }
                waits += 1;
                acknowledged.push((spool.status().end.to_u64(), appended.len()));
            }
        }
        prop_assert!(acknowledged.len() == waits);
        spool.close();
        // A crash at an earlier moment: the later files are not there yet.
        let files = segments(dir.path());
        let file = files[moment.index(files.len())].clone();
        for later in files.iter().filter(|later| **later > file) {
            fs::remove_file(later).unwrap();
        }
        let bytes = fs::read(&file).unwrap();
        let base = u64::from_le_bytes(bytes[20..28].try_into().unwrap());
        let offsets = frame_offsets(&bytes);
        let first_end = offsets.get(1).copied().unwrap_or(bytes.len());

        for cut in cuts {
            let cut = first_end + cut.index(bytes.len() - first_end + 1);
            let crashed = tempfile::tempdir().unwrap();
            copy(dir.path(), crashed.path());
            let torn = crashed.path().join(file.file_name().unwrap());
            fs::write(&torn, &bytes[..cut]).unwrap();
            let spool = open(crashed.path());
            let found = records(&spool);
            // Frames group by source, so order is compared per source; each source's must be a prefix.
            for index in 0..3 {
                let name = format!("file:{index}");
                let of = |name: &str| appended.iter().filter(|(source, _)| source == name).map(|(_, raw)| raw.clone()).collect::<Vec<_>>();
                let found: Vec<Bytes> = found.iter().filter(|r| *r.source.name == *name).enumerate().map(|(seq, r)| {
                    assert_eq!(r.seq, seq as u64);
                    r.raw.clone()
                }).collect();
                prop_assert!(of(&name).starts_with(&found), "{name} cut at {cut}");
                let acked = acknowledged.iter().rev().find(|(end, _)| *end <= base + cut as u64).map_or(0, |(_, count)| *count);
                let acked = appended[..acked].iter().filter(|(source, _)| *source == name).count();
                prop_assert!(found.len() >= acked, "{name}: {} of {acked} at {cut}", found.len());
            }
            // And it goes on without a gap.
            let source = source(&spool, "file:0");
            let before = found.iter().filter(|r| &*r.source.name == "file:0").count();
            prop_assert_eq!(store(&spool, &source, &["next"]).unwrap().first_seq, before as u64);
        }
    }
}

#[test]
fn a_tail_of_any_junk_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    store(&spool, &source(&spool, "file:a"), &["one", "two"]).unwrap();
    spool.close();
    let file = segments(dir.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    for junk in [vec![0; 1], vec![0; 5000], bytes[72..].to_vec(), vec![0xff; 3 << 20]] {
        let crashed = tempfile::tempdir().unwrap();
        let torn = crashed.path().join(file.file_name().unwrap());
        fs::write(&torn, [&bytes[..], &junk].concat()).unwrap();
        let spool = open(crashed.path());
        assert_eq!(records(&spool).len(), 2);
        assert_eq!(spool.recovery().cut_bytes, junk.len() as u64);
        assert_eq!(fs::metadata(&torn).unwrap().len(), bytes.len() as u64);
    }
}
