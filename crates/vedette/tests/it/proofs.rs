//! A data folder against everything that somebody who has it could do to it.
//!
//! One folder is made by the real monitor: events of many sources in segments, events that are still in the spool, a log
//! of several tiles. Then it is copied and changed in every way that is listed here, and verified. Whoever changes it is
//! root: he has the folder, and in some classes the log's key.

use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use vedette_ledger::{
    Algorithm,
    checkpoint::Checkpoint,
    entry::{BatchRecord, Body, Entry},
    note::{Note, Signature, SigningKey},
    tiles::{self, TileFolder, WIDTH},
    tree::{self, Frontier},
    witness::Request,
};
use vedette_verify::{Kind, Policy, Problem, Report};

use crate::{
    harness::{
        PATIENCE, RECEIVERS, Running, folder, http, json_lines, root, run, stdout, wait_for_the_sealer, wait_until,
    },
    witnessing::Cosigner,
};

/// A folder as the monitor leaves it behind when it is ended at once.
fn made_by_the_monitor(folder: &Path) -> PathBuf {
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 4}}\n");
    let running = Running::start(folder, &config);
    let udp = running.address("syslog-udp");
    let send = |round: u32| {
        for source in 0..45_u8 {
            let from = SocketAddr::from((Ipv4Addr::new(127, 0, 1, source + 1), 0));
            let socket = UdpSocket::bind(from).expect("the whole of 127/8 is this machine");
            for n in 0..3 {
                let line = format!("<38>Nov 21 04:11:52 web1 app[1]: round {round} source {source} event {n}");
                socket.send_to(line.as_bytes(), udp).expect("sent");
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    (0..7).for_each(send);
    // One batch of many events.
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    (0..3000).for_each(|n| writeln!(stream, "<38>Nov 21 04:11:52 web1 app[1]: many {n}").expect("sent"));
    drop(stream);
    let manifest = folder.join("data/store/manifest.sqlite");
    let segments = || {
        let connection = rusqlite::Connection::open(&manifest).expect("a database");
        connection.query_row("SELECT count(*) FROM segments", [], |row| row.get::<_, u32>(0)).unwrap_or(0)
    };
    let deadline = Instant::now() + PATIENCE;
    for round in 7.. {
        send(round);
        if segments() >= 3 {
            break;
        }
        assert!(Instant::now() < deadline, "only {} segments were sealed", segments());
    }
    // And something that no segment has when it ends.
    (100..102).for_each(send);
    std::thread::sleep(Duration::from_millis(1200));
    running.kill();
    let data = folder.join("data");
    wait_for_the_sealer(&data);
    data
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub fn files(dir: &Path, under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.join(under)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn with_extension(dir: &Path, under: &str, extension: &str) -> Vec<PathBuf> {
    let is_it = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    files(dir, under).into_iter().filter(is_it).collect()
}

pub fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    change(&mut bytes);
    fs::write(path, bytes).expect("it is written");
}

fn flip(path: &Path, random: &mut Random) {
    edit(path, |bytes| {
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
    });
}

/// The log, taken apart: for whoever has its key and makes another one of it.
struct Stolen {
    entries: Vec<Vec<u8>>,
    key: SigningKey,
}

impl Stolen {
    fn read(dir: &Path) -> Stolen {
        let note = Note::parse(&fs::read(dir.join("ledger/checkpoint")).expect("a checkpoint")).expect("a note");
        let checkpoint: Checkpoint = note.text.parse().expect("a checkpoint");
        let folder = TileFolder::new(&dir.join("ledger"), checkpoint.size);
        let entries = (0..checkpoint.size.div_ceil(WIDTH)).flat_map(|bundle| folder.bundle(bundle).expect("a bundle"));
        let key = fs::read_to_string(dir.join("sealer/log.key")).expect("the log's key");
        Stolen { entries: entries.collect(), key: SigningKey::parse(&key).expect("a key") }
    }

    /// The numbers of the batch records.
    fn batches(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|index| self.batch(*index).is_some()).collect()
    }

    fn batch(&self, index: usize) -> Option<BatchRecord> {
        match Entry::parse(&self.entries[index]).expect("an entry").body {
            Body::Batch(batch) => Some(batch),
            _ => None,
        }
    }

    /// Changes an entry and leaves its signature.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut BatchRecord)) {
        let mut entry = Entry::parse(&self.entries[index]).expect("an entry");
        let Body::Batch(batch) = &mut entry.body else { panic!("no batch") };
        change(batch);
        self.entries[index] = entry.bytes();
    }

    /// Writes the whole log again, with right tiles, and signs it: also the sealer's own head is what it has to be.
    fn write(self, dir: &Path) {
        let ledger = dir.join("ledger");
        fs::remove_dir_all(ledger.join("tile")).expect("the tiles go");
        let put = |path: String, bytes: Vec<u8>| {
            let path = ledger.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("it is written");
        };
        let size = self.entries.len() as u64;
        let mut frontier = Frontier::new(Algorithm::Sha256);
        let mut hashes: Vec<_> = self.entries.iter().map(|entry| tree::leaf_hash(Algorithm::Sha256, entry)).collect();
        hashes.iter().for_each(|hash| frontier.push(*hash));
        for (index, entries) in (0..).zip(self.entries.chunks(WIDTH as usize)) {
            put(tiles::bundle_path(index, entries.len() as u64), tiles::bundle(entries.iter().map(Vec::as_slice)));
        }
        for level in 0.. {
            if hashes.is_empty() {
                break;
            }
            for (index, tile) in (0..).zip(hashes.chunks(WIDTH as usize)) {
                put(tiles::tile_path(level, index, tile.len() as u64), tile.concat());
            }
            let full = hashes.chunks_exact(WIDTH as usize);
            hashes = full.map(|tile| tree::root(Algorithm::Sha256, tile)).collect();
        }
        let origin = self.key.verifier().name().to_owned();
        let text = Checkpoint { origin, size, root: frontier.root() }.to_string();
        let note = Note { signatures: vec![self.key.sign(&text, 0)], text };
        put("checkpoint".into(), note.to_string().into_bytes());
        let roots: Vec<String> = frontier.roots().iter().map(|root| vedette_ledger::hex(root)).collect();
        let head = serde_json::json!({ "size": size, "roots": roots });
        fs::write(dir.join("sealer/head"), head.to_string()).expect("it is written");
    }
}

/// Where the damage should be found: a source's event, or nothing in particular.
type Place = Option<Batch>;

/// A batch by its first event, and by its entry in the log if that was what was changed.
struct Batch {
    source: u32,
    first_seq: u64,
    entry: Option<u64>,
}

/// A way to change a folder. It is told of the folder as it was, and says where it changed something, if that can be
/// said in events.
type Mutation = fn(&Path, &mut Random) -> Place;

fn manifest(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("store/manifest.sqlite")).expect("a database")
}

fn place(batch: &BatchRecord, entry: usize) -> Place {
    Some(Batch { source: batch.source, first_seq: batch.first_seq, entry: Some(entry as u64) })
}

/// Takes the log apart, changes it at one of its batches, and signs what comes out.
fn rewrite(dir: &Path, random: &mut Random, change: impl FnOnce(&mut Stolen, usize, &mut Random)) -> Place {
    let mut log = Stolen::read(dir);
    let index = *random.choose(&log.batches());
    let batch = log.batch(index).expect("a batch");
    change(&mut log, index, random);
    log.write(dir);
    place(&batch, index)
}

const DELETE_BATCH: &str = "delete a batch from the log, with its key";

const MUTATIONS: &[(&str, Mutation)] = &[
    ("flip a bit in the rows of a segment", |dir, random| {
        flip(random.choose::<PathBuf>(&with_extension(dir, "store/segments", "parquet")), random);
        None
    }),
    ("flip a bit in the index of a segment", |dir, random| {
        flip(random.choose::<PathBuf>(&with_extension(dir, "store/segments", "tokens")), random);
        None
    }),
    ("flip a bit in the log's entries", |dir, random| {
        flip(random.choose::<PathBuf>(&files(dir, "ledger/tile/entries")), random);
        None
    }),
    ("flip a bit in the log's hashes", |dir, random| {
        let level = random.below(2);
        flip(random.choose::<PathBuf>(&files(dir, &format!("ledger/tile/{level}"))), random);
        None
    }),
    ("flip a bit in the checkpoint", |dir, random| {
        flip(&dir.join("ledger/checkpoint"), random);
        None
    }),
    ("flip a bit in the log's public key", |dir, random| {
        edit(&dir.join("ledger/log.vkey"), |key| {
            let at = random.below(key.len() - 1);
            key[at] ^= 1 << random.below(8);
        });
        None
    }),
    ("flip a bit in the seeds", |dir, random| {
        flip(random.choose::<PathBuf>(&files(dir, "ledger/seeds")), random);
        None
    }),
    ("flip a bit in the names of the sources", |dir, random| {
        flip(&dir.join("ledger/sources.jsonl"), random);
        None
    }),
    ("flip a bit in the sealer's head", |dir, random| {
        flip(&dir.join("sealer/head"), random);
        None
    }),
    ("flip a bit in the spool", |dir, random| {
        // What is behind the last segment's events is not in a checkpoint yet: the beginning is.
        let spool = with_extension(dir, "spool", "spool");
        edit(&spool[0], |bytes| {
            let at = random.below(bytes.len() / 2);
            bytes[at] ^= 1 << random.below(8);
        });
        None
    }),
    ("delete a file", |dir, random| {
        let mut all = files(dir, "store/segments");
        all.extend(files(dir, "ledger/seeds"));
        all.extend(
            files(dir, "ledger/tile/entries").into_iter().filter(|path| !path.display().to_string().contains(".p/")),
        );
        all.extend(
            ["ledger/checkpoint", "ledger/log.vkey", "ledger/sources.jsonl", "store/manifest.sqlite"]
                .map(|name| dir.join(name)),
        );
        fs::remove_file(random.choose::<PathBuf>(&all)).expect("it goes");
        None
    }),
    ("cut the end of a file", |dir, random| {
        let mut all = files(dir, "store/segments");
        all.extend(files(dir, "ledger/tile"));
        all.extend(["ledger/checkpoint", "ledger/sources.jsonl", "sealer/head"].map(|name| dir.join(name)));
        edit(random.choose::<PathBuf>(&all), |bytes| {
            let keep = random.below(bytes.len());
            bytes.truncate(keep);
        });
        None
    }),
    ("add to the end of a file", |dir, random| {
        let mut all = files(dir, "store/segments");
        all.extend(files(dir, "ledger/tile"));
        edit(random.choose::<PathBuf>(&all), |bytes| bytes.push(0));
        None
    }),
    ("swap two files", |dir, random| {
        let kind = random.below(3);
        let all = match kind {
            0 => with_extension(dir, "store/segments", "parquet"),
            1 => with_extension(dir, "store/segments", "tokens"),
            _ => files(dir, "ledger/seeds"),
        };
        let (one, other) = (random.choose(&all), random.choose(&all));
        let other = if one == other { all.iter().find(|path| *path != one).expect("two files") } else { other };
        let (a, b) = (fs::read(one).expect("bytes"), fs::read(other).expect("bytes"));
        fs::write(one, b).expect("written");
        fs::write(other, a).expect("written");
        None
    }),
    ("put a segment there twice", |dir, random| {
        let all = with_extension(dir, "store/segments", "parquet");
        let one = random.choose(&all);
        let (tokens, stem) =
            (one.with_extension("tokens"), one.file_stem().expect("a name").to_string_lossy().into_owned());
        // Another name of the same kind, whatever the last digit is.
        let last = if stem.ends_with('0') { '1' } else { '0' };
        let new = format!("{}{last}", &stem[..stem.len() - 1]);
        let copy = one.with_file_name(format!("{new}.parquet"));
        fs::copy(one, &copy).expect("a copy");
        fs::copy(tokens, copy.with_extension("tokens")).expect("a copy");
        let manifest = manifest(dir);
        manifest.execute("CREATE TEMP TABLE new AS SELECT * FROM segments WHERE id = ?", [&stem]).expect("copied");
        manifest.execute("UPDATE new SET id = ?, path = replace(path, ?, ?)", [&new, &stem, &new]).expect("changed");
        manifest.execute("INSERT INTO segments SELECT * FROM new", []).expect("inserted");
        manifest
            .execute(
                "INSERT INTO runs SELECT ?, source, first_seq, last_seq FROM runs WHERE segment = ?",
                [&new, &stem],
            )
            .expect("inserted");
        None
    }),
    ("take a segment out of the manifest", |dir, random| {
        let manifest = manifest(dir);
        let ids: Vec<String> = manifest
            .prepare("SELECT id FROM segments")
            .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
            .expect("ids");
        let id = random.choose(&ids);
        let place = manifest
            .query_row("SELECT source, first_seq FROM runs WHERE segment = ?", [id], |row| {
                Ok(Batch { source: row.get(0)?, first_seq: row.get::<_, i64>(1)? as u64, entry: None })
            })
            .expect("a run");
        manifest.execute("DELETE FROM runs WHERE segment = ?", [id]).expect("deleted");
        manifest.execute("DELETE FROM segments WHERE id = ?", [id]).expect("deleted");
        Some(place)
    }),
    ("change what the manifest says of events", |dir, random| {
        let manifest = manifest(dir);
        let count = manifest.query_row("SELECT count(*) FROM runs", [], |row| row.get::<_, u32>(0)).expect("a count");
        let row = random.below(count as usize);
        manifest.execute("UPDATE runs SET last_seq = last_seq + 1 WHERE (segment, source) IN (SELECT segment, source FROM runs LIMIT 1 OFFSET ?)", [row as u32]).expect("changed");
        None
    }),
    ("give a source another name", |dir, random| {
        let manifest = manifest(dir);
        let count =
            manifest.query_row("SELECT count(*) FROM sources", [], |row| row.get::<_, u32>(0)).expect("a count");
        let row = random.below(count as usize);
        manifest.execute("UPDATE sources SET name = 'syslog-udp:192.0.2.1' WHERE source IN (SELECT source FROM sources LIMIT 1 OFFSET ?)", [row as u32]).expect("changed");
        None
    }),
    ("change a batch's root, with the log's key", |dir, random| {
        rewrite(dir, random, |log, index, random| {
            log.change(index, |batch| batch.root[random.below(32)] ^= 1);
        })
    }),
    ("change a batch's time, with the log's key", |dir, random| {
        rewrite(dir, random, |log, index, _| {
            log.change(index, |batch| batch.received_min -= 3_600_000_000);
        })
    }),
    (DELETE_BATCH, |dir, random| {
        rewrite(dir, random, |log, index, _| {
            log.entries.remove(index);
        })
    }),
    ("enter a batch twice, with the log's key", |dir, random| {
        rewrite(dir, random, |log, index, _| {
            let entry = log.entries[index].clone();
            log.entries.push(entry);
        })
    }),
    ("swap two batches of a source, with the log's key", |dir, random| {
        let mut log = Stolen::read(dir);
        let batches = log.batches();
        let follows = |index: usize, other: usize| {
            log.batch(index).map(|batch| batch.source) == log.batch(other).map(|batch| batch.source)
        };
        let pairs: Vec<(usize, usize)> = batches
            .iter()
            .flat_map(|one| batches.iter().map(move |other| (*one, *other)))
            .filter(|(one, other)| one < other && follows(*one, *other))
            .collect();
        let (one, other) = *random.choose(&pairs);
        let batch = log.batch(one).expect("a batch");
        log.entries.swap(one, other);
        log.write(dir);
        place(&batch, one)
    }),
    ("give a batch to another source, with the log's key", |dir, random| {
        rewrite(dir, random, |log, index, _| {
            log.change(index, |batch| batch.source += 1);
        })
    }),
    ("sign a batch with a key of one's own, with the log's key", |dir, random| {
        rewrite(dir, random, |log, index, _| {
            let own = SigningKey::generate("own", vedette_ledger::note::KeyKind::Ed25519).expect("a key");
            let mut entry = Entry::parse(&log.entries[index]).expect("an entry");
            if let Body::Batch(batch) = &mut entry.body {
                batch.digest[0] ^= 1;
            }
            entry.public = *own.verifier().public();
            entry.signature = own.sign_bytes(&entry.unsigned().message());
            log.entries[index] = entry.bytes();
        })
    }),
    ("cut the end of the log, with its key, and keep the events", |dir, random| {
        let mut log = Stolen::read(dir);
        let batches = log.batches();
        // Batches of the end are in the spool only, and look as if they had not been sealed yet.
        let keep = batches[random.below(batches.len() / 2)];
        let batch = log.batch(keep).expect("a batch");
        log.entries.truncate(keep);
        log.write(dir);
        place(&batch, keep)
    }),
];

/// What the log alone shows, without the events: the second verifier looks at nothing else.
const SHOWN_BY_THE_LOG: &[&str] = &[
    "flip a bit in the checkpoint",
    "change a batch's root, with the log's key",
    "change a batch's time, with the log's key",
    "enter a batch twice, with the log's key",
    "swap two batches of a source, with the log's key",
    "give a batch to another source, with the log's key",
    "sign a batch with a key of one's own, with the log's key",
];

/// The problems that the second verifier finds, which shares no code with the first.
pub fn second_opinion(dir: &Path) -> String {
    let python = root().join("target/test-venv/bin/python");
    let script = root().join("tests/verify_ledger.py");
    let output = Command::new(python).arg(script).arg(dir).output().expect("`scripts/needs test` made the environment");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn verify(dir: &Path) -> Report {
    vedette_verify::verify(dir, &Policy::default(), false, &mut |_| {})
}

/// Whether a problem names the batch, by events or by its entry: one that was given away is known by its entry alone.
fn names(problem: &Problem, place: &Batch) -> bool {
    let is_among = |(first, last)| first <= place.first_seq && place.first_seq <= last;
    problem.source == Some(place.source) && problem.events.is_some_and(is_among)
        || place.entry.is_some() && problem.entry == place.entry
}

#[test]
fn every_change_of_a_data_folder_is_found() {
    let folder = folder();
    let original = made_by_the_monitor(folder.path());
    let report = verify(&original);
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    let facts = &report.facts;
    assert!(facts.entries > WIDTH && facts.segments >= 3 && facts.in_spool > 100, "{facts:?}");
    assert!(facts.events > 4000, "{facts:?}");
    // The binary says the same.
    let data = original.to_string_lossy().into_owned();
    let said = stdout(&run(&["verify", &data, "-o", "json"]), 0);
    assert_eq!(json_lines(&said)[0]["checked"]["events"], facts.events);

    assert_eq!(second_opinion(&original), "");

    let rounds = if std::env::var_os("VEDETTE_LONG").is_some() { 200 } else { 3 };
    let mut random = Random(7);
    let changed = folder.path().join("changed");
    // One kind of change alone, to look into it.
    let only = std::env::var("VEDETTE_MUTATION").unwrap_or_default();
    for (name, mutation) in MUTATIONS.iter().filter(|(name, _)| name.contains(&only)) {
        let (mut placed, mut with_place) = (0, 0);
        for round in 0..rounds {
            copy(&original, &changed);
            let place = mutation(&changed, &mut random);
            let report = verify(&changed);
            // A source's last batch, whose events are still in the spool: nothing is lost, they count as new.
            let is_waiting =
                *name == DELETE_BATCH && report.problems.is_empty() && report.facts.waiting > facts.waiting;
            assert!(is_waiting || !report.problems.is_empty(), "not found: {name}, round {round}");
            if SHOWN_BY_THE_LOG.contains(name) && round < 20 && !is_waiting {
                assert!(
                    !second_opinion(&changed).is_empty(),
                    "not found by the second verifier: {name}, round {round}"
                );
            }
            if let Some(place) = place.filter(|_| !is_waiting) {
                with_place += 1;
                placed += u32::from(report.problems.iter().any(|problem| names(problem, &place)));
            }
            fs::remove_dir_all(&changed).expect("the copy goes");
        }
        assert!(placed * 100 >= with_place * 95, "{name}: only {placed} of {with_place} were placed");
        eprintln!("{name}: found {rounds} of {rounds}, placed {placed} of {with_place}");
    }
}

/// Also where the spool still has everything that the segments have.
#[test]
fn a_folder_without_its_manifest_is_found() {
    let folder = folder();
    let data = made_by_the_monitor(folder.path());
    for name in ["manifest.sqlite", "manifest.sqlite-wal", "manifest.sqlite-shm"] {
        let path = data.join("store").join(name);
        if path.exists() {
            fs::remove_file(path).expect("it goes");
        }
    }
    let report = verify(&data);
    let is_it = |problem: &Problem| problem.kind == Kind::Missing && problem.what.contains("the log has segments");
    assert!(report.problems.iter().any(is_it), "{report:?}");
}

/// Bytes of a database that mean nothing may change; whatever is read from it may not.
#[test]
fn a_flipped_bit_in_the_manifest_is_found_or_means_nothing() {
    let folder = folder();
    let original = made_by_the_monitor(folder.path());
    let changed = folder.path().join("changed");
    let manifest = |dir: &Path| -> rusqlite::Result<String> {
        let connection = rusqlite::Connection::open(dir.join("store/manifest.sqlite"))?;
        let mut all = String::new();
        for query in [
            "SELECT id, path FROM segments ORDER BY id",
            "SELECT segment, source || '-' || first_seq || '-' || last_seq FROM runs ORDER BY 1, 2",
            "SELECT source, name FROM sources ORDER BY 1",
        ] {
            let mut statement = connection.prepare(query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                all.push_str(&format!("{:?} {:?}\n", row.get_ref(0)?, row.get_ref(1)?));
            }
        }
        Ok(all)
    };
    let expected = manifest(&original).expect("it is read");
    let mut random = Random(11);
    let mut found = 0;
    for round in 0..if std::env::var_os("VEDETTE_LONG").is_some() { 400 } else { 20 } {
        copy(&original, &changed);
        flip(&changed.join("store/manifest.sqlite"), &mut random);
        let report = verify(&changed);
        if report.problems.is_empty() {
            let read = manifest(&changed);
            assert!(read.as_ref() == Ok(&expected), "round {round}: {:?}", read.map(|text| text.len()));
        } else {
            found += 1;
        }
        fs::remove_dir_all(&changed).expect("the copy goes");
    }
    assert!(found > 0);
}

/// The one thing that a folder cannot tell: that its end was never there. Who has seen a later checkpoint can.
#[test]
fn a_log_without_its_end_is_found_by_who_has_seen_it() {
    let folder = folder();
    let config = format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n");
    let running = Running::start(folder.path(), &config);
    let sealed = || fs::read_to_string(folder.path().join("data/ledger/checkpoint")).expect("a checkpoint");
    let before = sealed();
    wait_until("a later checkpoint", || sealed() != before);
    assert!(running.stop().success());
    let data = folder.path().join("data");
    let old = folder.path().join("old");
    copy(&data, &old);
    let running = Running::start(folder.path(), &config);
    let before = sealed();
    wait_until("a later checkpoint", || sealed() != before);
    assert!(running.stop().success());
    assert!(verify(&data).problems.is_empty());
    // The whole folder as it was: nothing in it is wrong.
    assert!(verify(&old).problems.is_empty());
    // With the sealer's own memory it is not the newest any more.
    fs::copy(data.join("sealer/head"), old.join("sealer/head")).expect("a copy");
    let problems = verify(&old).problems;
    assert!(problems.iter().any(|problem| problem.kind == Kind::RolledBack), "{problems:?}");
}

/// A monitor that takes records all the time is verified beside its work.
#[test]
fn a_running_monitor_is_verified() {
    let folder = folder();
    let running = Running::start(folder.path(), &format!("{RECEIVERS}storage: {{seal_after_seconds: 1}}\n"));
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    let data = running.data().to_string_lossy().into_owned();
    let mut events = 0;
    for round in 0..12 {
        for n in 0..200 {
            writeln!(stream, "<38>Nov 21 04:11:52 web1 app[1]: round {round} event {n}").expect("sent");
        }
        let said = stdout(&run(&["verify", &data, "-o", "json"]), 0);
        let checked = json_lines(&said)[0]["checked"]["events"].as_u64().expect("a number");
        assert!(checked >= events, "{checked} events after {events}");
        events = checked;
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(events > 1000, "{events}");
    assert!(running.stop().success());
}

/// Another process cosigns what a monitor signs, over HTTP; it tells a folder that was set back from the newest one.
#[test]
fn a_witness_remembers_what_a_folder_forgets() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    assert!(running.stop().success());
    let ledger = folder.path().join("data/ledger");
    let log = ledger.join("log.vkey").to_string_lossy().into_owned();
    let witness = Cosigner::start(&folder.path().join("witness"), &log, "w1", None);
    let (key, address) = (&witness.key, witness.address);
    let ask = |old: u64| {
        let note = Note::parse(&fs::read(ledger.join("checkpoint")).expect("a checkpoint")).expect("a note");
        let checkpoint: Checkpoint = note.text.parse().expect("a checkpoint");
        let tiles = TileFolder::new(&ledger, checkpoint.size);
        let proof = tree::consistency_proof(Algorithm::Sha256, &tiles, old, checkpoint.size).expect("tiles");
        let body = Request { old, proof, note: note.clone(), checkpoint }.to_string();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, answer) = http(address, (head + &body).as_bytes()).expect("an answer");
        (status, answer, note)
    };
    let old = fs::read(ledger.join("checkpoint")).expect("a checkpoint");
    let (status, answer, mut note) = ask(0);
    assert_eq!(status, 200, "{answer}");
    note.signatures.extend(answer.lines().map(|line| line.parse::<Signature>().expect("a signature")));
    assert!(key.verify(&note).is_ok());
    let size = note.text.parse::<Checkpoint>().expect("a checkpoint").size;
    let running = Running::start(folder.path(), RECEIVERS);
    assert!(running.stop().success());
    assert_eq!(ask(size).0, 200, "the log grew");
    // The folder is set back.
    fs::write(ledger.join("checkpoint"), old).expect("it is written");
    let (status, answer, _) = ask(size);
    assert_eq!(status, 409, "{answer}");
    assert!(answer.trim().parse::<u64>().expect("a size") > size);
}

/// A monitor has its checkpoints cosigned by itself, and `verify` believes a policy with the witness.
#[test]
fn a_monitor_asks_its_witnesses() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    assert!(running.stop().success());
    let data = folder.path().join("data");
    let log = fs::read_to_string(data.join("ledger/log.vkey")).expect("a key");
    let witness = Cosigner::start(&folder.path().join("witness"), log.trim(), "w1", None);
    let (key, address) = (&witness.key, witness.address);
    let policy = folder.path().join("keys.txt");
    fs::write(&policy, format!("log {log}\nwitness {key}\n")).expect("it is written");
    let verify = |code| {
        let (data, policy) = (data.to_string_lossy(), policy.to_string_lossy());
        stdout(&run(&["verify", &data, "--policy", &policy, "-o", "json"]), code)
    };
    assert_eq!(json_lines(&verify(1))[0]["kind"], "unwitnessed");
    let config = format!("{RECEIVERS}ledger: {{witnesses: [{{url: \"http://{address}\", key: \"{key}\"}}]}}\n");
    let running = Running::start(folder.path(), &config);
    let witnessed = data.join("ledger/witnessed");
    wait_until("a checkpoint is cosigned", || witnessed.exists());
    let first = fs::read(&witnessed).expect("a note");
    let mut stream = TcpStream::connect(running.address("syslog-tcp")).expect("it listens");
    writeln!(stream, "<38>Nov 21 04:11:52 web1 app[1]: one more").expect("sent");
    wait_until("the next one is, too", || fs::read(&witnessed).expect("a note") != first);
    assert!(running.stop().success());
    assert!(json_lines(&verify(0))[0]["checked"]["witnessed"].as_u64().is_some_and(|time| time > 1_700_000_000));
}

#[test]
fn the_sealer_is_confined() {
    let folder = folder();
    let running = Running::start(folder.path(), RECEIVERS);
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).expect("its children");
    let sealer = children.split_whitespace().next().expect("a sealer");
    let status = fs::read_to_string(format!("/proc/{sealer}/status")).expect("its status");
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).expect("a line");
    assert_eq!(line("Name:"), "vedette-sealer");
    assert_eq!(line("NoNewPrivs:"), "1");
    assert_eq!(line("Seccomp:"), "2", "its system calls are filtered");
    let open = fs::read_dir(format!("/proc/{sealer}/fd")).expect("its files");
    let own = [folder.path().join("data/sealer"), folder.path().join("log"), "/dev/null".into()];
    for file in open.flatten().filter_map(|file| fs::read_link(file.path()).ok()).filter(|path| path.is_absolute()) {
        assert!(own.iter().any(|own| file.starts_with(own)), "it has {} open", file.display());
    }
    assert!(running.stop().success());
}
