//! The log: checkpoint, entries, tiles, and who signed what.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
};

use vedette_ledger::{
    Algorithm, CHECKPOINT, Hash, LOG_KEY, SOURCES, WITNESSED,
    checkpoint::Checkpoint,
    entry::{BatchRecord, Body, Entry},
    hex,
    note::{Note, VerifierKey},
    sealer::HeadFile,
    sources::Named,
    tiles::{self, WIDTH},
    tree::{self, Frontier},
};

use crate::{Kind, Policy, Problem, Report, anchors, segments::Seeds};

/// What the log says.
#[derive(Default)]
pub(crate) struct Log {
    /// By source and first sequence number: number of the entry, and the record.
    pub(crate) batches: BTreeMap<(u32, u64), (u64, BatchRecord)>,
    /// By id: hashes of the rows and of the tokens.
    pub(crate) segments: HashMap<String, (Hash, Hash)>,
    /// For each source the first and the last sequence number that were deleted.
    pub(crate) deleted: Vec<(u32, u64, u64)>,
    /// By source and sequence number: the leaf of an event that was erased.
    pub(crate) erased: HashMap<(u32, u64), Hash>,
    /// Events whose erasure was interrupted: the log has it already, they may still be there. The next start goes on.
    pub(crate) erasing: HashSet<(u32, u64)>,
    /// By source: its name and its commitment.
    pub(crate) sources: HashMap<u32, Vec<(String, Hash)>>,
    /// Some entries could not be read: what they say is not known.
    pub(crate) has_holes: bool,
}

/// Reads and checks the log in a data folder.
pub(crate) fn read(dir: &Path, policy: &Policy, is_live: bool, report: &mut Report) -> Log {
    let ledger = dir.join("ledger");
    let mut log = Log::default();
    read_sources(&ledger, &mut log, report);
    let erasing = fs::read_to_string(dir.join("erasing")).unwrap_or_default();
    log.erasing = erasing
        .lines()
        .filter_map(|id| id.split_once('-').and_then(|(source, seq)| Some((source.parse().ok()?, seq.parse().ok()?))))
        .collect();
    let Some(key) = log_key(&ledger, policy, report) else { return log };
    report.facts.log_key = key.to_string();
    report.facts.pinned = policy.log.is_some();
    let anchors = anchors::list(&ledger, report);
    let Some(signed) = signed_tree(dir, &key, report) else { return log };
    report.facts.origin = key.name().to_owned();
    report.facts.entries = signed.size;
    report.facts.root = hex(&signed.root);
    let mut reader = LogReader {
        ledger: &ledger,
        size: signed.size,
        report,
        log,
        chains: HashMap::new(),
        epoch: None,
        holes: 0,
        first_epoch: policy.first_epoch,
        seeds: Seeds { dir, bundle: None },
        is_live,
    };
    reader.read(&signed);
    witnessed(&ledger, &signed, policy, reader.report);
    anchors::check(&ledger, &anchors, &key, &signed, policy, reader.report);
    reader.log.has_holes = reader.holes > 0;
    reader.log
}

fn log_key(ledger: &Path, policy: &Policy, report: &mut Report) -> Option<VerifierKey> {
    let file = format!("ledger/{LOG_KEY}");
    let own = match fs::read_to_string(ledger.join(LOG_KEY)) {
        Ok(text) => text.trim_end().parse::<VerifierKey>().map_err(|error| (Kind::Damaged, error.to_string())),
        Err(error) => Err((Kind::Missing, error.to_string())),
    };
    match (own, &policy.log) {
        (Ok(own), Some(pinned)) if own != *pinned => {
            report.add(Problem::new(Kind::Forged, "the key is not the one of the policy").file(file));
        }
        (Ok(own), None) => return Some(own),
        (Err((kind, what)), _) => report.add(Problem::new(kind, what).file(file)),
        (Ok(_), Some(_)) => {}
    }
    policy.log.clone()
}

/// The newest tree that the log's key signed, as far as the folder shows.
fn signed_tree(dir: &Path, key: &VerifierKey, report: &mut Report) -> Option<Checkpoint> {
    let file = format!("ledger/{CHECKPOINT}");
    let published = read_checkpoint(&dir.join(&file), key, report, &file).map(|(checkpoint, _)| checkpoint);
    // The sealer's own record of what it signed last: newer for a moment after a crash, and the memory of a log that was
    // set back.
    let head = match fs::read(dir.join("sealer/head")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        bytes => Some(bytes.ok().and_then(|bytes| serde_json::from_slice::<HeadFile>(&bytes).ok()?.frontier())),
    };
    match (published, head) {
        (Some(published), Some(Some(head))) if head.size() > published.size => {
            if has_entries(dir, head.size()) {
                return Some(Checkpoint { origin: published.origin, size: head.size(), root: head.root() });
            }
            let what =
                format!("the sealer has signed {} entries, the checkpoint is of {}", head.size(), published.size);
            report.add(Problem::new(Kind::RolledBack, what).file(file));
            Some(published)
        }
        (Some(published), Some(Some(head))) => {
            if head.size() < published.size || head.root() != published.root {
                let what = "it is not what the published checkpoint says";
                report.add(Problem::new(Kind::RolledBack, what).file("sealer/head"));
            }
            Some(published)
        }
        (Some(published), Some(None)) => {
            report.add(Problem::new(Kind::Damaged, "it does not give a tree's head").file("sealer/head"));
            Some(published)
        }
        // A copy of the folder without the sealer's keys is verified as well.
        (Some(published), None) => Some(published),
        (None, Some(Some(head))) => {
            Some(Checkpoint { origin: key.name().to_owned(), size: head.size(), root: head.root() })
        }
        (None, _) => None,
    }
}

/// What the policy's witnesses cosigned must be a beginning of the log.
fn witnessed(ledger: &Path, signed: &Checkpoint, policy: &Policy, report: &mut Report) {
    if policy.witnesses.is_empty() {
        return;
    }
    let file = format!("ledger/{WITNESSED}");
    let read = || -> Result<(Checkpoint, Note), String> {
        let note = Note::parse(&fs::read(ledger.join(WITNESSED)).map_err(|error| error.to_string())?);
        let note = note.map_err(|error| error.to_string())?;
        Ok((note.text.parse().map_err(|error: vedette_ledger::FormatError| error.to_string())?, note))
    };
    let (checkpoint, note) = match read() {
        Ok(read) => read,
        Err(what) => return report.add(Problem::new(Kind::Unwitnessed, what).file(file)),
    };
    let missing;
    (report.facts.witnessed, missing) = policy.witnessed(&note);
    if let Some(what) = missing {
        return report.add(Problem::new(Kind::Unwitnessed, what).file(file));
    }
    if checkpoint.size > signed.size {
        let what = format!("witnesses have seen {} entries, the log has {}", checkpoint.size, signed.size);
        return report.add(Problem::new(Kind::RolledBack, what).file(file));
    }
    if checkpoint.origin != signed.origin || !is_beginning(ledger, &checkpoint, signed) {
        report.add(Problem::new(Kind::Changed, "witnesses have seen another history").file(file));
    }
}

/// Whether a smaller tree is the beginning of the signed one. Hashes that cannot be read are reported where they are missing.
pub(crate) fn is_beginning(ledger: &Path, smaller: &Checkpoint, signed: &Checkpoint) -> bool {
    let root = tree::root_of(Algorithm::Sha256, &tiles::TileFolder::new(ledger, signed.size), smaller.size);
    !root.is_ok_and(|root| root != smaller.root)
}

fn has_entries(dir: &Path, size: u64) -> bool {
    let (index, width) = ((size - 1) / WIDTH, (size - 1) % WIDTH + 1);
    let exists = |width| dir.join("ledger").join(tiles::bundle_path(index, width)).exists();
    exists(width) || exists(WIDTH)
}

/// A checkpoint that the log's key signed, and the bytes of its note.
pub(crate) fn read_checkpoint(
    path: &Path,
    key: &VerifierKey,
    report: &mut Report,
    file: &str,
) -> Option<(Checkpoint, Vec<u8>)> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.add(Problem::new(Kind::Missing, error.to_string()).file(file));
            return None;
        }
    };
    let note = match Note::parse(&bytes) {
        Ok(note) => note,
        Err(error) => {
            report.add(Problem::new(Kind::Damaged, error.to_string()).file(file));
            return None;
        }
    };
    if let Err(error) = key.verify(&note) {
        report.add(Problem::new(Kind::Forged, error.to_string()).file(file));
        return None;
    }
    match note.text.parse::<Checkpoint>() {
        Ok(checkpoint) if checkpoint.origin == key.name() => Some((checkpoint, bytes)),
        Ok(checkpoint) => {
            report.add(Problem::new(Kind::Forged, format!("it is of the log {}", checkpoint.origin)).file(file));
            None
        }
        Err(error) => {
            report.add(Problem::new(Kind::Damaged, error.to_string()).file(file));
            None
        }
    }
}

fn read_sources(ledger: &Path, log: &mut Log, report: &mut Report) {
    let file = format!("ledger/{SOURCES}");
    let text = match fs::read_to_string(ledger.join(SOURCES)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return report.add(Problem::new(Kind::Damaged, error.to_string()).file(file)),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        report.add(Problem::new(Kind::Damaged, "its last line is cut").file(&file));
    }
    for (number, line) in (1..).zip(text.lines()) {
        match serde_json::from_str::<Named>(line) {
            Ok(named) => {
                let commitment = named.commitment();
                log.sources.entry(named.source).or_default().push((named.name, commitment));
            }
            Err(error) => report.add(Problem::new(Kind::Damaged, format!("line {number}: {error}")).file(&file)),
        }
    }
}

/// Where a source's chain of batches ends, and how many entries could not be read before.
struct Chain {
    next_seq: u64,
    hash: Hash,
    holes: u64,
}

struct LogReader<'a> {
    ledger: &'a Path,
    size: u64,
    report: &'a mut Report,
    log: Log,
    chains: HashMap<u32, Chain>,
    epoch: Option<(u32, [u8; 32])>,
    /// Entries that could not be read so far.
    holes: u64,
    first_epoch: Option<[u8; 32]>,
    seeds: Seeds<'a>,
    is_live: bool,
}

impl LogReader<'_> {
    fn read(&mut self, signed: &Checkpoint) {
        let mut level: Vec<Hash> = Vec::new();
        let mut frontier = Frontier::new(Algorithm::Sha256);
        let level_1 = self.stored_level_1();
        for bundle in 0..self.size.div_ceil(WIDTH) {
            let width = tiles::width_at(0, bundle, self.size);
            let entries = self.bundle(bundle, width);
            let tile = self.tile(0, bundle, width);
            let from_entries: Option<Vec<Hash>> = entries
                .as_ref()
                .map(|entries| entries.iter().map(|entry| tree::leaf_hash(Algorithm::Sha256, entry)).collect());
            let is_right = |leaves: &[Hash]| {
                let root = tree::root(Algorithm::Sha256, leaves);
                if width == WIDTH && level_1.get(bundle as usize).is_some() {
                    level_1.get(bundle as usize) == Some(&root)
                } else {
                    let mut frontier = frontier.clone();
                    leaves.iter().for_each(|leaf| frontier.push(*leaf));
                    frontier.root() == signed.root
                }
            };
            let leaves = match (from_entries, tile) {
                (Some(entries), Some(tile)) if entries == tile => entries,
                (Some(entries), Some(tile)) if !is_right(&entries) && is_right(&tile) => tile,
                (Some(entries), Some(_)) => {
                    let path = tiles::tile_path(0, bundle, width);
                    self.problem(Kind::Changed, &path, "it is not of the entries that were signed");
                    entries
                }
                (Some(leaves), None) | (None, Some(leaves)) => leaves,
                // Both were reported.
                (None, None) => vec![[0; 32]; width as usize],
            };
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            if width == WIDTH {
                level.push(tree::root(Algorithm::Sha256, &leaves));
            }
            self.entries(bundle, entries, &leaves);
        }
        if frontier.root() != signed.root {
            let what = format!("the {} entries are not those that were signed", self.size);
            self.report.add(Problem::new(Kind::Changed, what).file(format!("ledger/{CHECKPOINT}")));
        }
        self.upper_tiles(level);
        self.extra_files();
    }

    fn problem(&mut self, kind: Kind, path: &str, what: impl Into<String>) {
        self.report.add(Problem::new(kind, what).file(format!("ledger/{path}")));
    }

    fn file(&mut self, path: impl Fn(u64) -> String, width: u64) -> Option<(String, Vec<u8>)> {
        let partial = path(width);
        match fs::read(self.ledger.join(&partial)) {
            Ok(bytes) => Some((partial, bytes)),
            // A full one serves for one that was not full.
            Err(_) if width < WIDTH && self.ledger.join(path(WIDTH)).exists() => {
                fs::read(self.ledger.join(path(WIDTH))).ok().map(|bytes| (path(WIDTH), bytes))
            }
            Err(error) => {
                self.problem(Kind::Missing, &partial, error.to_string());
                None
            }
        }
    }

    fn bundle(&mut self, index: u64, width: u64) -> Option<Vec<Vec<u8>>> {
        let (path, bytes) = self.file(|width| tiles::bundle_path(index, width), width)?;
        let entries = tiles::entries(&bytes).map(|entries| entries.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
        match entries {
            Some(entries) if entries.len() as u64 == width => Some(entries),
            Some(mut entries) if path == tiles::bundle_path(index, WIDTH) && entries.len() as u64 > width => {
                entries.truncate(width as usize);
                Some(entries)
            }
            _ => {
                self.problem(Kind::Damaged, &path, format!("not a bundle of {width} entries"));
                None
            }
        }
    }

    fn tile(&mut self, level: u32, index: u64, width: u64) -> Option<Vec<Hash>> {
        let (path, bytes) = self.file(|width| tiles::tile_path(level, index, width), width)?;
        let is_full = path == tiles::tile_path(level, index, WIDTH);
        let len = bytes.len() as u64;
        if len == width * 32 || is_full && len == WIDTH * 32 {
            Some(tiles::hashes(&bytes).take(width as usize).collect())
        } else {
            self.problem(Kind::Damaged, &path, format!("not a tile of {width} hashes"));
            None
        }
    }

    /// What the tiles of level 1 say, as far as they can be read; they are checked later.
    fn stored_level_1(&self) -> Vec<Hash> {
        let mut all = Vec::new();
        for index in 0..tiles::hashes_at(1, self.size).div_ceil(WIDTH) {
            let width = tiles::width_at(1, index, self.size);
            let read = |width| fs::read(self.ledger.join(tiles::tile_path(1, index, width)));
            let Ok(tile) = read(width).or_else(|_| read(WIDTH)) else { break };
            all.extend(tiles::hashes(&tile).take(width as usize));
        }
        all
    }

    fn upper_tiles(&mut self, mut hashes: Vec<Hash>) {
        for level in 1..=tiles::MAX_LEVEL {
            if hashes.is_empty() {
                return;
            }
            for (index, expected) in (0..).zip(hashes.chunks(WIDTH as usize)) {
                let width = expected.len() as u64;
                if self.tile(level, index, width).is_some_and(|tile| tile != expected) {
                    self.problem(Kind::Changed, &tiles::tile_path(level, index, width), "it is not of the signed tree");
                }
            }
            let full = hashes.chunks_exact(WIDTH as usize);
            hashes = full.map(|hashes| tree::root(Algorithm::Sha256, hashes)).collect();
        }
    }

    /// Other files are partial ones of trees that were smaller, or of a larger one that was being written and never signed.
    fn extra_files(&mut self) {
        let mut found = Vec::new();
        walk(&self.ledger.join("tile"), "tile", &mut found);
        for path in found {
            let Some((level, index, width)) = tile_of(&path) else {
                self.problem(Kind::Extra, &path, "no such file belongs to a log");
                continue;
            };
            let now = tiles::width_at(level.unwrap_or(0), index, self.size);
            if width == now {
                continue;
            }
            let bytes = fs::read(self.ledger.join(&path));
            if self.is_live && bytes.is_err() {
                // Partial files go when their full one is there.
                continue;
            }
            let newest = fs::read(self.ledger.join(path_of(level, index, now)));
            let common = width.min(now);
            let begins_alike = || {
                let (bytes, newest) = (bytes.ok()?, if now == 0 { Vec::new() } else { newest.ok()? });
                Some(
                    beginning(level, &bytes, width)? == bytes
                        && beginning(level, &bytes, common)? == beginning(level, &newest, common)?,
                )
            };
            if begins_alike() != Some(true) {
                self.problem(Kind::Changed, &path, "it is not the beginning of what was signed");
            } else if width > now {
                self.report.facts.unsigned += 1;
            }
        }
    }

    fn entries(&mut self, bundle: u64, entries: Option<Vec<Vec<u8>>>, leaves: &[Hash]) {
        let first = bundle * WIDTH;
        let Some(entries) = entries else {
            self.holes += leaves.len() as u64;
            return;
        };
        for (index, (bytes, leaf)) in (first..).zip(entries.iter().zip(leaves)) {
            let path = format!("ledger/{}", tiles::bundle_path(bundle, leaves.len() as u64));
            if tree::leaf_hash(Algorithm::Sha256, bytes) != *leaf {
                self.holes += 1;
                self.report.add(Problem::new(Kind::Changed, "it is not what was signed").entry(index).file(path));
                continue;
            }
            match Entry::parse(bytes) {
                Ok(entry) => self.entry(index, entry),
                Err(error) => {
                    self.holes += 1;
                    self.report.add(Problem::new(Kind::Damaged, error.to_string()).entry(index).file(path));
                }
            }
        }
    }

    fn entry(&mut self, index: u64, entry: Entry) {
        let forged = |what: &str| {
            let problem = Problem::new(Kind::Forged, what).entry(index);
            match &entry.body {
                Body::Batch(batch) => problem.events(batch.source, batch.first_seq, last_seq(batch)),
                _ => problem,
            }
        };
        if !entry.is_signed() {
            self.report.add(forged("its signature does not verify"));
        }
        match (&entry.body, self.epoch) {
            (Body::Key(key), None) => {
                self.report.facts.first_epoch = hex(&key.public);
                if self.first_epoch.is_some_and(|pinned| pinned != key.public) {
                    self.report.add(forged("the key of the first epoch is not the one of the policy"));
                }
                if (key.epoch, entry.epoch, entry.public) != (0, 0, key.public) && self.holes == 0 {
                    self.report.add(forged("the first epoch does not certify itself"));
                }
                self.epoch = Some((key.epoch, key.public));
            }
            (_, None) if self.holes == 0 => self.report.add(forged("it comes before the first epoch")),
            (_, None) => {}
            (body, Some((epoch, public))) => {
                let is_known = (entry.epoch, entry.public) == (epoch, public);
                // A certificate in an entry that cannot be read: the chain of keys goes on behind it.
                if !is_known && self.holes == 0 {
                    self.report.add(forged("it is not signed by the key of its epoch"));
                }
                if let Body::Key(key) = body {
                    if entry.epoch.checked_add(1) != Some(key.epoch) {
                        self.report.add(forged("the epoch does not follow the one before"));
                    }
                    self.epoch = Some((key.epoch, key.public));
                } else if !is_known && self.holes > 0 {
                    self.epoch = Some((entry.epoch, entry.public));
                }
            }
        }
        match &entry.body {
            Body::Batch(record) => self.batch(index, &entry, record.clone()),
            Body::Segment(segment) => {
                self.log.segments.insert(segment.id.clone(), (segment.rows_hash, segment.tokens_hash));
            }
            Body::Deletion(deletion) => {
                for (_, first, last) in &deletion.runs {
                    // A thief of the keys writes what he likes.
                    self.report.facts.deleted =
                        self.report.facts.deleted.saturating_add(last - first).saturating_add(1);
                }
                self.log.deleted.extend(&deletion.runs);
            }
            Body::Erasure(erasure) => {
                self.log.erased.insert((erasure.source, erasure.seq), erasure.leaf);
            }
            Body::Key(_) | Body::Heartbeat(_) => {}
        }
        let has_seed = matches!(entry.body, Body::Batch(_));
        if !has_seed && self.seeds.get(index).is_some_and(|seed| seed != [0; 32]) {
            let what = "an entry that is no batch has a seed";
            self.problem(Kind::Changed, &tiles::seeds_path(index / WIDTH), what);
        }
    }

    fn batch(&mut self, index: u64, entry: &Entry, record: BatchRecord) {
        let last = last_seq(&record);
        let problem =
            |kind, what: &str| Problem::new(kind, what).entry(index).events(record.source, record.first_seq, last);
        let chain = self.chains.get(&record.source);
        let (next_seq, hash, holes) = chain.map_or((record.first_seq, [0; 32], 0), |c| (c.next_seq, c.hash, c.holes));
        if holes == self.holes {
            if record.prev != hash {
                self.report.add(problem(Kind::Forged, "it does not follow the batch before it"));
            }
            if record.first_seq < next_seq {
                self.report.add(problem(Kind::Forged, "its events were in a batch before"));
            } else if record.first_seq > next_seq {
                let missing = Problem::new(Kind::Missing, "no entry of the log has these events");
                self.report.add(missing.entry(index).events(record.source, next_seq, record.first_seq - 1));
            }
        }
        let names = self.log.sources.get(&record.source);
        if !names.is_some_and(|names| names.iter().any(|(_, commitment)| *commitment == record.commitment)) {
            let what = "the source's name is not the one that was signed";
            self.report.add(problem(Kind::Changed, what).file(format!("ledger/{SOURCES}")));
        }
        let chain = Chain { next_seq: last + 1, hash: entry.chain_hash(), holes: self.holes };
        self.chains.insert(record.source, chain);
        self.report.facts.batches += 1;
        self.log.batches.insert((record.source, record.first_seq), (index, record));
    }
}

/// Level (none for entries), number and width of a tile, of its path.
fn tile_of(path: &str) -> Option<(Option<u32>, u64, u64)> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, width.parse::<u64>().ok().filter(|width| (1..WIDTH).contains(width))?),
        None => (rest, WIDTH),
    };
    let level =
        if level == "entries" { None } else { Some(level.parse().ok().filter(|level| *level <= tiles::MAX_LEVEL)?) };
    let index: u64 = number.replace(['x', '/'], "").parse().ok()?;
    (path_of(level, index, width) == path).then_some((level, index, width))
}

fn path_of(level: Option<u32>, index: u64, width: u64) -> String {
    level.map_or_else(|| tiles::bundle_path(index, width), |level| tiles::tile_path(level, index, width))
}

/// The first `width` entries or hashes of a file; none if it has not so many.
fn beginning(level: Option<u32>, bytes: &[u8], width: u64) -> Option<Vec<u8>> {
    let width = width as usize;
    if level.is_some() {
        return bytes.get(..width * 32).map(<[u8]>::to_vec);
    }
    let entries = tiles::entries(bytes)?;
    (entries.len() >= width).then(|| tiles::bundle(entries.into_iter().take(width)))
}

/// The sequence number of a batch's last event.
pub(crate) fn last_seq(batch: &BatchRecord) -> u64 {
    batch.first_seq + u64::from(batch.count) - 1
}

fn walk(dir: &Path, name: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() { walk(&entry.path(), &name, found) } else { found.push(name) }
    }
}
