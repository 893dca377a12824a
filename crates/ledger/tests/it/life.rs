//! A ledger from its first entry on: what is on disk, who signed it, and how others read it.

use std::time::Duration;

use proptest::prelude::*;
use tlog_tiles::{HashReader, Tile, TileHashReader, TileReader};
use vedette_ledger::{
    Algorithm, Hash, LedgerError, Options,
    batch::{self, BatchTree},
    checkpoint::Checkpoint,
    entry::{Body, Entry},
    tiles::{self, TileFolder},
    tree,
};

use crate::support::{SECOND, append, events, folder, open, open_remote, published};

/// Every tile that the other implementation wants for a tree of a size is there, and it believes all of them.
struct Tiles<'a>(&'a std::path::Path);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            // Their paths have the height in them, C2SP's have not.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let width = u64::from(tile.width());
            assert_eq!(path, tiles::tile_path(tile.level().into(), tile.level_index(), width));
            std::fs::read(self.0.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn another_implementation_reads_and_believes_the_tiles() {
    let dir = folder();
    let ledger = open(dir.path(), Options::default(), 0).expect("a new ledger");
    let (mut seq, mut size) = (0, 1);
    // Ends in the middle of a bundle, at the end of one, and far behind it.
    for batches in [1, 3, 251, 1, 600, 0, 255] {
        for _ in 0..batches {
            append(&ledger, 1, seq, 2).expect("it is recorded");
            seq += 2;
        }
        size += batches;
        let checkpoint = ledger.checkpoint(size as i64).expect("it is sealed");
        assert_eq!(checkpoint.is_some(), batches > 0);
        let (checkpoint, entries) = published(dir.path(), &ledger);
        assert_eq!((checkpoint.size, entries.len() as u64), (size, size));
        let root = tlog_tiles::Hash(checkpoint.root);
        let tiles = Tiles(&dir.path().join("ledger"));
        let reader = TileHashReader::new(checkpoint.size, root, &tiles);
        let indexes: Vec<u64> = (0..size).map(|leaf| tlog_tiles::stored_hash_index(0, leaf)).collect();
        let hashes = reader.read_hashes(&indexes).expect("they believe every tile");
        for (hash, entry) in hashes.iter().zip(&entries) {
            assert_eq!(hash.0, tree::leaf_hash(Algorithm::Sha256, &entry.bytes()));
        }
    }
}

#[test]
fn batches_are_chained_signed_and_proved() {
    let dir = folder();
    let ledger = open_remote(dir.path(), Options::default(), 0).expect("a new ledger");
    for (source, first, count) in [(1, 0, 3), (2, 0, 1), (1, 3, 1024), (1, 1027, 1)] {
        append(&ledger, source, first, count).expect("it is recorded");
    }
    assert_eq!((ledger.next_seq(1), ledger.sealed_seq(1)), (1028, 0));
    ledger.checkpoint(SECOND).expect("it is sealed");
    assert_eq!((ledger.sealed_seq(1), ledger.sealed_seq(2), ledger.sealed_seq(3)), (1028, 1, 0));

    let (checkpoint, entries) = published(dir.path(), &ledger);
    assert!(entries.iter().all(Entry::is_signed));
    let mut chain = std::collections::HashMap::new();
    for entry in &entries {
        if let Body::Batch(record) = &entry.body {
            assert_eq!(chain.insert(record.source, entry.chain_hash()).unwrap_or([0; 32]), record.prev);
        }
    }

    // Event 500 of source 1: from its bytes to the checkpoint.
    let place = ledger.find(1, 500).expect("the index is read").expect("it is there");
    assert_eq!((place.first_seq, place.count), (3, 1024));
    assert_eq!(ledger.find(1, 1028).expect("the index is read"), None);
    let entry = &entries[place.entry as usize];
    let Body::Batch(record) = &entry.body else { panic!("{entry:?}") };
    let seeds = std::fs::read(dir.path().join("ledger").join(tiles::seeds_path(0))).expect("seeds");
    let seed: Hash = seeds[place.entry as usize * 32..][..32].try_into().expect("32 bytes");
    let leaves: Vec<Hash> = (0..)
        .zip(events(1, 3, 1024))
        .map(|(index, (received, original))| {
            let salt = batch::salt(record.algorithm, &seed, index);
            batch::leaf(record.algorithm, &salt, 3 + index, received, &original)
        })
        .collect();
    let path = batch::path(record.algorithm, &leaves, 497);
    let root = tree::root_from_inclusion(record.algorithm, leaves[497], 497, 1024, &path);
    assert_eq!(root, Some(record.root));
    let log = TileFolder::new(&dir.path().join("ledger"), checkpoint.size);
    let path = tree::inclusion_proof(Algorithm::Sha256, &log, place.entry, checkpoint.size).expect("tiles");
    let leaf = tree::leaf_hash(Algorithm::Sha256, &entry.bytes());
    let root = tree::root_from_inclusion(Algorithm::Sha256, leaf, place.entry, checkpoint.size, &path);
    assert_eq!(root, Some(checkpoint.root));
}

#[test]
fn epochs_follow_one_another_and_their_keys_are_erased() {
    let dir = folder();
    let options = Options { epoch: Duration::from_secs(10), ..Options::default() };
    let epoch_key = || std::fs::read_to_string(dir.path().join("sealer/epoch.key")).expect("a key");
    let mut keys = Vec::new();
    let mut ledger = open(dir.path(), options.clone(), 0).expect("a new ledger");
    for step in 0..40_u64 {
        if step % 7 == 6 {
            drop(ledger);
            ledger = open(dir.path(), options.clone(), step as i64 * 3 * SECOND).expect("it opens again");
        }
        append(&ledger, 1, step, 1).expect("it is recorded");
        ledger.checkpoint(step as i64 * 3 * SECOND).expect("it is sealed");
        keys.push(epoch_key());
    }
    keys.dedup();
    assert!(keys.len() >= 10, "{} epochs", keys.len());
    let (_, entries) = published(dir.path(), &ledger);
    let mut current: Option<(u32, Hash)> = None;
    for entry in &entries {
        assert!(entry.is_signed());
        if let Body::Key(key) = &entry.body {
            let (epoch, public) = current.unwrap_or((0, key.public));
            assert_eq!((entry.epoch, entry.public), (epoch, public), "the epoch before certifies");
            assert_eq!(key.epoch, if current.is_none() { 0 } else { epoch + 1 });
            current = Some((key.epoch, key.public));
        } else {
            assert_eq!(Some((entry.epoch, entry.public)), current);
        }
    }
    let files: Vec<_> = std::fs::read_dir(dir.path().join("sealer"))
        .expect("the sealer's folder")
        .map(|file| file.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    assert!(!files.iter().any(|file| file.ends_with("old") || file.ends_with("new")), "{files:?}");
}

#[test]
fn silence_is_recorded() {
    let dir = folder();
    let ledger = open(dir.path(), Options::default(), 0).expect("a new ledger");
    assert_eq!(ledger.checkpoint(59 * SECOND).expect("nothing to do"), None);
    assert!(ledger.checkpoint(60 * SECOND).expect("a heartbeat").is_some());
    assert_eq!(ledger.checkpoint(61 * SECOND).expect("nothing to do"), None);
    let (_, entries) = published(dir.path(), &ledger);
    assert_eq!(entries.last().map(|entry| &entry.body), Some(&Body::Heartbeat(60 * SECOND)));
}

#[test]
fn what_was_sealed_is_compared() {
    let dir = folder();
    let ledger = open(dir.path(), Options::default(), 0).expect("a new ledger");
    append(&ledger, 1, 0, 5).expect("it is recorded");
    append(&ledger, 2, 0, 5).expect("it is recorded");
    ledger.checkpoint(SECOND).expect("it is sealed");
    append(&ledger, 1, 0, 5).expect("it is the same");
    let wrong = |first: u64, count| append(&ledger, 1, first, count).expect_err("it is another").to_string();
    assert!(wrong(0, 4).contains("not the one that was sealed"));
    assert!(wrong(2, 3).contains("within another"));
    let mut events = events(1, 0, 5);
    events[2].1.push(b'!');
    let events = events.iter().map(|(time, original)| (*time, original.as_slice()));
    let error = ledger.append(crate::support::source(1), 0, events).expect_err("an event was changed");
    assert!(error.to_string().contains("the spool was changed"), "{error}");
}

#[test]
fn one_process_at_a_time() {
    let dir = folder();
    let first = open(dir.path(), Options::default(), 0).expect("a new ledger");
    assert!(matches!(open(dir.path(), Options::default(), 0), Err(LedgerError::Locked(_))));
    drop(first);
    open(dir.path(), Options::default(), 0).expect("it is free again");
}

#[test]
fn a_sealer_behind_a_stream_does_the_same() {
    let dir = folder();
    let options = Options { epoch: Duration::from_secs(1), ..Options::default() };
    for round in 0..3_u64 {
        let ledger = open_remote(dir.path(), options.clone(), 0).expect("it opens");
        for batch in 0..1500 {
            append(&ledger, 1, round * 1500 + batch, 1).expect("it is recorded");
        }
        ledger.checkpoint((round as i64 + 1) * 2 * SECOND).expect("it is sealed");
        let (checkpoint, entries) = published(dir.path(), &ledger);
        assert_eq!(checkpoint.size, (round + 1) * 1501);
        assert!(entries.iter().all(Entry::is_signed));
    }
}

/// Replaying an old state of the folder, or losing a part of it, is noticed by the sealer's own head.
#[test]
fn an_older_folder_is_refused() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    let ledger = open(dir.path(), Options::default(), 0).expect("a new ledger");
    append(&ledger, 1, 0, 1).expect("it is recorded");
    ledger.checkpoint(SECOND).expect("it is sealed");
    copy(&at("ledger"), &at("old"));
    append(&ledger, 1, 1, 1).expect("it is recorded");
    ledger.checkpoint(2 * SECOND).expect("it is sealed");
    drop(ledger);
    copy(&at("ledger"), &at("new"));
    std::fs::remove_dir_all(at("ledger")).expect("it goes");
    std::fs::rename(at("old"), at("ledger")).expect("the old one comes");
    let error = open(dir.path(), Options::default(), 0).err().expect("it is refused").to_string();
    assert!(error.contains("not the one that the sealer signed"), "{error}");
    std::fs::remove_dir_all(at("ledger")).expect("it goes");
    std::fs::rename(at("new"), at("ledger")).expect("the new one comes back");
    open(dir.path(), Options::default(), 0).expect("it opens");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(drop).expect("a copy") }
    }
}

#[test]
fn the_index_is_made_again() {
    let dir = folder();
    let ledger = open(dir.path(), Options::default(), 0).expect("a new ledger");
    for batch in 0..300 {
        append(&ledger, 1 + batch % 3, u64::from(batch / 3), 1).expect("it is recorded");
    }
    ledger.checkpoint(SECOND).expect("it is sealed");
    let place = ledger.find(2, 77).expect("the index is read");
    assert!(place.is_some());
    drop(ledger);
    std::fs::write(dir.path().join("ledger/index.sqlite"), "no database").expect("it is overwritten");
    let ledger = open(dir.path(), Options::default(), 0).expect("it opens");
    assert_eq!(ledger.find(2, 77).expect("the index is read"), place);
    append(&ledger, 1, 100, 1).expect("the chain goes on");
    assert_eq!(ledger.next_seq(1), 101);
}

#[test]
fn a_sealer_signs_no_other_history() {
    use vedette_ledger::{Seal, Sealer, entry::Unsigned};
    let dir = folder();
    let mut sealer = Sealer::open(dir.path(), "example.org/node", 0).expect("a new sealer");
    let head = sealer.head().expect("a head");
    let public = vedette_ledger::sealer::parse_hex(&head.public).expect("a key");
    let heartbeat = |time, epoch| Unsigned::new(&Body::Heartbeat(time), epoch, &public);
    let root = |entries: &[Vec<u8>]| {
        let leaves: Vec<Hash> = entries.iter().map(|entry| tree::leaf_hash(Algorithm::Sha256, entry)).collect();
        tree::root(Algorithm::Sha256, &leaves)
    };
    assert!(sealer.sign(vec![heartbeat(1, 7)]).is_err(), "another epoch");
    let one = sealer.sign(vec![heartbeat(1, 0)]).expect("signed");
    assert!(sealer.checkpoint(1, [0; 32]).is_err(), "another root");
    assert!(sealer.checkpoint(2, root(&one)).is_err(), "another size");
    let note = sealer.checkpoint(1, root(&one)).expect("signed");
    assert_eq!(note.text.parse::<Checkpoint>().expect("a checkpoint").size, 1);
    // After a restart it goes on from there and nowhere else.
    drop(sealer);
    let mut sealer = Sealer::open(dir.path(), "example.org/node", 0).expect("it opens");
    assert!(sealer.checkpoint(0, tree::root(Algorithm::Sha256, &[])).is_err(), "an older tree");
    let other = sealer.sign(vec![heartbeat(2, 0)]).expect("signed");
    assert!(sealer.checkpoint(1, root(&other)).is_err(), "a tree without the first entry");
    assert!(sealer.checkpoint(2, root(&[one, other].concat())).is_ok());
}

proptest! {
    #[test]
    fn arbitrary_entries_are_read_as_they_are_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(entry) = Entry::parse(&bytes) {
            prop_assert_eq!(entry.bytes(), bytes);
        }
    }

    #[test]
    fn the_digest_tells_batches_apart(
        events in prop::collection::vec((any::<i64>(), prop::collection::vec(any::<u8>(), 0..20)), 1..20),
        at in any::<prop::sample::Index>(),
        change in 0..4_u8,
        fips in any::<bool>(),
    ) {
        let algorithm = if fips { Algorithm::Sha256 } else { Algorithm::Blake3 };
        let hash = |events: &[(i64, Vec<u8>)]| {
            let mut tree = BatchTree::new(algorithm, [7; 32], 40);
            events.iter().for_each(|(time, original)| tree.add(*time, original));
            tree.finish()
        };
        let mut changed = events.clone();
        let at = at.index(events.len());
        match change {
            0 => changed[at].1.push(0),
            1 => changed[at].0 ^= 1,
            2 => drop(changed.remove(at)),
            _ => changed.insert(at, (0, Vec::new())),
        }
        let (before, after) = (hash(&events), hash(&changed));
        prop_assert_ne!(before.0, after.0);
        prop_assert_ne!(before.1, after.1);
    }
}
