//! Bytes that are not what was written.

use std::{fs, path::Path};

use vedette_spool::{Options, Spool, SpoolError};

use crate::support::{copy, frame_offsets, open, options, segments, source, store, texts};

/// A spool of several segments with several frames each.
fn filled(dir: &Path) {
    let spool = Spool::open(dir, Options { segment_bytes: 4096, ..options() }).unwrap();
    let a = source(&spool, "file:a");
    for index in 0..120 {
        store(&spool, &a, &[&format!("record {index}"), &"x".repeat(index * 5)]).unwrap();
    }
    assert!(segments(dir).len() >= 3);
}

fn refusal(dir: &Path) -> SpoolError {
    Spool::open(dir, options()).err().expect("a damaged spool is refused")
}

#[test]
fn a_flipped_bit_is_refused_with_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let files = segments(dir.path());
    let last = files.len() - 1;
    for (index, file) in files.iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let offsets = frame_offsets(&bytes);
        // The very last frame of the last file cannot be told from an unfinished one; see below.
        let end = if index == last { *offsets.last().unwrap() } else { bytes.len() };
        for at in (0..end).step_by(if index == last { 7 } else { 61 }) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(file, &flipped).unwrap();
            let expected = offsets.iter().rev().find(|offset| **offset <= at).map_or(0, |offset| *offset as u64);
            match refusal(dir.path()) {
                SpoolError::Damaged { file: named, offset, .. } => {
                    assert_eq!((&named, offset), (file, expected), "byte {at}");
                }
                SpoolError::NewerVersion { file: named, .. } if (8..12).contains(&at) => assert_eq!(&named, file),
                other => panic!("byte {at}: {other}"),
            }
            assert_eq!(fs::read(file).unwrap(), flipped, "a damaged file is left as it is");
        }
        fs::write(file, &bytes).unwrap();
    }
    assert_eq!(texts(&open(dir.path())).len(), 240);
}

#[test]
fn a_bad_last_frame_is_cut_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = segments(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let offset = *frame_offsets(&bytes).last().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    let spool = open(dir.path());
    assert_eq!(spool.recovery().cut, Some((file.clone(), offset as u64)));
    assert_eq!(spool.recovery().cut_bytes, (bytes.len() - offset) as u64);
    assert_eq!(texts(&spool).len(), 238);
    assert_eq!(store(&spool, &source(&spool, "file:a"), &["x"]).unwrap().first_seq, 238);
}

#[test]
fn missing_swapped_and_foreign_files_and_frames_are_refused() {
    type Break = fn(&[std::path::PathBuf]);
    let breaks: [(&str, Break, &str); 6] = [
        ("a missing file", |files| fs::remove_file(&files[1]).unwrap(), "00000000000000000002.spool is missing"),
        (
            "two files swapped",
            |files| {
                let first = fs::read(&files[0]).unwrap();
                fs::rename(&files[1], &files[0]).unwrap();
                fs::write(&files[1], first).unwrap();
            },
            "it says that it is segment 2",
        ),
        (
            "two frames swapped",
            |files| {
                let bytes = fs::read(&files[0]).unwrap();
                let at = frame_offsets(&bytes);
                let parts = [&bytes[..at[2]], &bytes[at[3]..at[4]], &bytes[at[2]..at[3]], &bytes[at[4]..]];
                fs::write(&files[0], parts.concat()).unwrap();
            },
            "stands at",
        ),
        (
            "a frame taken out at the end of a file",
            |files| {
                let bytes = fs::read(&files[0]).unwrap();
                fs::write(&files[0], &bytes[..*frame_offsets(&bytes).last().unwrap()]).unwrap();
            },
            "does not continue the segment before",
        ),
        (
            "an older file of the same number",
            |files| {
                let dir = tempfile::tempdir().unwrap();
                filled(dir.path());
                fs::copy(&segments(dir.path())[1], &files[1]).unwrap();
            },
            "does not continue the segment before",
        ),
        (
            "a file with a wrong name",
            |files| fs::write(files[0].with_file_name("2.spool"), "").unwrap(),
            "is no segment of this spool",
        ),
    ];
    for (name, break_it, expected) in breaks {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        break_it(&segments(dir.path()));
        let error = refusal(dir.path()).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] = 2;
    fs::write(&file, &bytes).unwrap();
    let expected = format!(
        "{} has spool format version 2; this release reads up to version 1: use a newer release",
        file.display()
    );
    assert_eq!(refusal(dir.path()).to_string(), expected);
}

#[test]
fn an_interrupted_creation_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let copied = tempfile::tempdir().unwrap();
    copy(dir.path(), copied.path());
    let leftover = copied.path().join(format!("{:020}.spool.new", segments(dir.path()).len() + 1));
    fs::write(&leftover, "half").unwrap();
    assert_eq!(texts(&open(copied.path())).len(), 240);
    assert!(!leftover.exists());
}

#[test]
fn a_record_that_looks_like_a_frame_does_not_hide_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = segments(dir.path()).pop().unwrap();
    let frame = fs::read(&file).unwrap().split_off(72);
    // Frames of another run, of the same addresses, inside a record that is then torn.
    let victim = tempfile::tempdir().unwrap();
    let spool = open(victim.path());
    let a = source(&spool, "file:a");
    store(&spool, &a, &["kept"]).unwrap();
    let ticket = spool.append(&a, vec![frame.into()]).unwrap();
    ticket.wait_blocking().unwrap();
    spool.close();
    let file = segments(victim.path()).pop().unwrap();
    let len = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len - 1).unwrap();
    assert_eq!(texts(&open(victim.path())), ["kept"]);
}
