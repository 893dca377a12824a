//! An evidence bundle (`docs/formats.md`, Evidence): nothing is believed but what the policy's keys, or the bundle's own,
//! have signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde_json::Value;
use vedette_ledger::{
    Algorithm, FormatError, Hash,
    anchors::AnchorFile,
    batch,
    checkpoint::Checkpoint,
    entry::{BatchRecord, Body, Entry},
    evidence::{self, EventLine, Statement},
    hex,
    note::{Note, VerifierKey},
    proof::Proof,
    sealer::{parse_hex, parse_hex_bytes},
    sources::Named,
    tree,
};
use zip::ZipArchive;

use crate::{Kind, Policy, Problem, Report, anchors::Tokens};

/// A member with lines of entries, or a small one, is at most so long.
const MAX_MEMBER: u64 = 256 << 20;
/// And a line of the events.
const MAX_LINE: u64 = 64 << 20;
/// What the bundle says of itself is short.
const MAX_STATEMENT: u64 = 4 << 20;

/// A source's batches without a gap, by the sequence number of their first events.
type Chain = BTreeMap<u64, (BatchRecord, Vec<u8>)>;

/// The batches that are proved to be in the log, with the numbers of their entries.
type Proved = BTreeMap<(u32, u64), u64>;

/// Checks an evidence bundle. `progress` is told how many more events were checked.
pub fn verify(path: &Path, policy: &Policy, progress: &mut dyn FnMut(u64)) -> Report {
    let mut report = Report::default();
    match Bundle::open(path) {
        Ok(bundle) => {
            let mut check = Check { bundle, policy, report: &mut report };
            if let Err(problem) = check.run(progress) {
                report.add(problem);
            }
        }
        Err(what) => report.add(Problem::new(Kind::Damaged, what)),
    }
    report
}

/// The ZIP file. A member that is read is crossed off.
struct Bundle {
    zip: ZipArchive<BufReader<File>>,
    unread: BTreeSet<String>,
}

type Result<T> = std::result::Result<T, Problem>;

fn problem(kind: Kind, member: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new(kind, what.to_string()).file(member)
}

impl Bundle {
    fn open(path: &Path) -> std::result::Result<Bundle, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| format!("not a bundle: {error}"))?;
        let mut unread = BTreeSet::new();
        for name in zip.file_names() {
            unread.insert(name.map_err(|error| format!("not a bundle: {error}"))?.into_owned());
        }
        if zip.has_duplicate_names() || unread.len() != zip.len() {
            return Err("a member is there twice".into());
        }
        if !zip.comment().is_empty() || zip.offset() > 0 {
            return Err("it has something before or behind its members".into());
        }
        Ok(Bundle { zip, unread })
    }

    fn read(&mut self, member: &str) -> Result<Vec<u8>> {
        self.unread.remove(member);
        let file = self.zip.by_name(member);
        let file = file.map_err(|error| problem(Kind::Missing, member, error))?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_MEMBER + 1).read_to_end(&mut bytes);
        read.map_err(|error| problem(Kind::Damaged, member, error))?;
        if bytes.len() as u64 > MAX_MEMBER {
            return Err(problem(Kind::Damaged, member, format!("it is longer than {MAX_MEMBER} bytes")));
        }
        Ok(bytes)
    }

    fn text(&mut self, member: &str) -> Result<String> {
        String::from_utf8(self.read(member)?).map_err(|_| problem(Kind::Damaged, member, "it is not UTF-8"))
    }

    fn entries(&mut self, member: &str) -> Result<Vec<Vec<u8>>> {
        let text = self.text(member)?;
        evidence::entries(&text).map_err(|error| problem(Kind::Damaged, member, error))
    }
}

struct Check<'a> {
    bundle: Bundle,
    policy: &'a Policy,
    report: &'a mut Report,
}

impl Check<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let statement: Statement = {
            let bytes = self.bundle.read(evidence::STATEMENT)?;
            if bytes.len() as u64 > MAX_STATEMENT {
                return Err(problem(Kind::Damaged, evidence::STATEMENT, "it is too long"));
            }
            serde_json::from_slice(&bytes).map_err(|error| problem(Kind::Damaged, evidence::STATEMENT, error))?
        };
        if statement.format != evidence::VERSION {
            let what = format!("version {}; this program knows {}", statement.format, evidence::VERSION);
            return Err(problem(Kind::Damaged, evidence::STATEMENT, what));
        }
        if statement.events > evidence::MAX_EVENTS {
            return Err(problem(Kind::Damaged, evidence::STATEMENT, "no bundle has so many events"));
        }
        let (note, checkpoint) = self.checkpoint(&statement)?;
        let keys = self.keys()?;
        // By source and commitment.
        let mut names: BTreeMap<u32, BTreeMap<Hash, (&Named, bool)>> = BTreeMap::new();
        for named in &statement.sources {
            names.entry(named.source).or_default().insert(named.commitment(), (named, false));
        }
        let mut chains = BTreeMap::new();
        for (source, names) in &mut names {
            let chain = self.chain(*source, names, &keys)?;
            self.report.facts.batches += chain.len() as u64;
            chains.insert(*source, chain);
        }
        let used = names.values().flat_map(BTreeMap::values).filter(|(_, is_used)| *is_used).count();
        if used != statement.sources.len() {
            let what = "it names a source that no batch is of";
            self.report.add(problem(Kind::Extra, evidence::STATEMENT, what));
        }
        let names = names.into_iter().map(|(source, names)| {
            (source, names.into_iter().map(|(commitment, (named, _))| (commitment, named)).collect())
        });
        let known = Known { chains, names: names.collect(), keys };
        let proved = self.proofs(&known.chains, &note)?;
        self.report.facts.entries = checkpoint.size;
        self.anchors(&checkpoint, &proved)?;
        self.events(&statement, &known, &proved, &note, progress)?;
        for member in std::mem::take(&mut self.bundle.unread) {
            self.report.add(problem(Kind::Extra, &member, "nothing in the bundle needs it, and nothing proves it"));
        }
        Ok(())
    }

    fn checkpoint(&mut self, statement: &Statement) -> Result<(Note, Checkpoint)> {
        let damaged = |error: FormatError| problem(Kind::Damaged, evidence::CHECKPOINT, error);
        let own: VerifierKey =
            statement.log_key.parse().map_err(|error| problem(Kind::Damaged, evidence::STATEMENT, error))?;
        let key = self.policy.log.clone().unwrap_or_else(|| own.clone());
        if key != own {
            let what = "the log's key is not the one of the policy";
            self.report.add(problem(Kind::Forged, evidence::STATEMENT, what));
        }
        let note = Note::parse(&self.bundle.read(evidence::CHECKPOINT)?).map_err(damaged)?;
        key.verify(&note).map_err(|error| problem(Kind::Forged, evidence::CHECKPOINT, error))?;
        let checkpoint: Checkpoint = note.text.parse().map_err(damaged)?;
        if checkpoint.origin != key.name() {
            let what = format!("it is of the log {}", checkpoint.origin);
            return Err(problem(Kind::Forged, evidence::CHECKPOINT, what));
        }
        let (witnessed, missing) = self.policy.witnessed(&note);
        if let Some(what) = missing {
            self.report.add(problem(Kind::Unwitnessed, evidence::CHECKPOINT, what));
        }
        let facts = &mut self.report.facts;
        facts.origin = checkpoint.origin.clone();
        facts.log_key = key.to_string();
        facts.pinned = self.policy.log.is_some();
        facts.root = hex(&checkpoint.root);
        facts.witnessed = witnessed;
        Ok((note, checkpoint))
    }

    /// The epochs' public keys, each certified by the one before.
    fn keys(&mut self) -> Result<Vec<[u8; 32]>> {
        let mut keys: Vec<[u8; 32]> = Vec::new();
        for bytes in self.bundle.entries(evidence::KEYS)? {
            let bad = |kind, what: &str| Err(problem(kind, evidence::KEYS, what));
            let entry = Entry::parse(&bytes).map_err(|error| problem(Kind::Damaged, evidence::KEYS, error))?;
            let Body::Key(key) = &entry.body else { return bad(Kind::Damaged, "an entry that certifies no key") };
            let signer = match keys.last() {
                Some(before) => (keys.len() as u32 - 1, *before),
                None => (0, key.public),
            };
            if key.epoch as usize != keys.len() || (entry.epoch, entry.public) != signer || !entry.is_signed() {
                return bad(Kind::Forged, "an epoch's key is not certified by the one before");
            }
            keys.push(key.public);
        }
        let Some(first) = keys.first() else { return Err(problem(Kind::Missing, evidence::KEYS, "no key")) };
        if self.policy.first_epoch.is_some_and(|pinned| pinned != *first) {
            let what = "the key of the first epoch is not the one of the policy";
            self.report.add(problem(Kind::Forged, evidence::KEYS, what));
        }
        self.report.facts.first_epoch = hex(first);
        Ok(keys)
    }

    fn chain(&mut self, source: u32, names: &mut BTreeMap<Hash, (&Named, bool)>, keys: &[[u8; 32]]) -> Result<Chain> {
        let member = evidence::batches_member(source);
        let mut chain = Chain::new();
        let mut before: Option<(u64, Hash)> = None;
        for bytes in self.bundle.entries(&member)? {
            let entry = Entry::parse(&bytes).map_err(|error| problem(Kind::Damaged, &member, error))?;
            let Body::Batch(record) = &entry.body else {
                return Err(problem(Kind::Damaged, &member, "an entry that is no batch"));
            };
            let (first, next) = (record.first_seq, record.first_seq + u64::from(record.count));
            let bad = |kind, what: &str| problem(kind, &member, what).events(source, first, next - 1);
            if record.source != source {
                return Err(bad(Kind::Forged, "a batch of another source"));
            }
            if keys.get(entry.epoch as usize) != Some(&entry.public) || !entry.is_signed() {
                return Err(bad(Kind::Forged, "it is not signed by the key of its epoch"));
            }
            if before.is_some_and(|before| before != (first, record.prev)) {
                return Err(bad(Kind::Missing, "it does not follow the batch before it"));
            }
            match names.get_mut(&record.commitment) {
                Some((_, is_used)) => *is_used = true,
                None => self.report.add(bad(Kind::Changed, "the source's name is not the one that was signed")),
            }
            before = Some((next, entry.chain_hash()));
            chain.insert(first, (record.clone(), bytes));
        }
        Ok(chain)
    }

    /// Which batches are proved to be in the log, with the numbers of their entries.
    fn proofs(&mut self, chains: &BTreeMap<u32, Chain>, note: &Note) -> Result<Proved> {
        let mut proved = Proved::new();
        for (source, chain) in chains {
            for (first, (_, entry)) in chain {
                let member = evidence::proof_member(*source, *first);
                if !self.bundle.unread.contains(&member) {
                    continue;
                }
                match self.proof(&member, entry, note) {
                    Ok(index) => drop(proved.insert((*source, *first), index)),
                    Err(problem) => self.report.add(problem),
                }
            }
            // It has the hashes of those before it.
            if let Some((last, (record, _))) = chain.last_key_value()
                && !proved.contains_key(&(*source, *last))
            {
                let what = "nothing proves that the log has this batch";
                let problem = problem(Kind::Missing, &evidence::proof_member(*source, *last), what);
                self.report.add(problem.events(*source, *last, last + u64::from(record.count) - 1));
            }
        }
        Ok(proved)
    }

    /// The number that an entry is proved to have.
    fn proof(&mut self, member: &str, entry: &[u8], note: &Note) -> Result<u64> {
        let text = self.bundle.text(member)?;
        let proof: Proof = text.parse().map_err(|error| problem(Kind::Damaged, member, error))?;
        if proof.note != *note || proof.extra.is_some() {
            return Err(problem(Kind::Changed, member, "it is not about the bundle's checkpoint"));
        }
        proof.check(entry).map_err(|error| problem(Kind::Forged, member, error))?;
        Ok(proof.index)
    }

    /// Whether the log says that an event was erased.
    fn erasure(&mut self, event: (u32, u64), leaf: &Hash, known: &Known<'_>, note: &Note) -> Result<()> {
        let member = evidence::erasure_member(event.0, event.1);
        let entries = self.bundle.entries(&member)?;
        let [bytes] = &entries[..] else { return Err(problem(Kind::Damaged, &member, "not one entry")) };
        let entry = Entry::parse(bytes).map_err(|error| problem(Kind::Damaged, &member, error))?;
        let is_it = matches!(&entry.body, Body::Erasure(erasure)
            if (erasure.source, erasure.seq, erasure.leaf) == (event.0, event.1, *leaf));
        if !is_it || known.keys.get(entry.epoch as usize) != Some(&entry.public) || !entry.is_signed() {
            return Err(problem(Kind::Forged, &member, "it does not say that this event was erased"));
        }
        self.proof(&format!("{member}.tlog-proof"), bytes, note).map(drop)
    }

    /// When beginnings of the log existed, as authorities say.
    fn anchors(&mut self, checkpoint: &Checkpoint, proved: &Proved) -> Result<()> {
        self.report.facts.anchors_pinned = !self.policy.authorities.is_empty();
        let files: BTreeSet<AnchorFile> =
            self.bundle.unread.iter().filter_map(|name| AnchorFile::parse(name.strip_prefix("anchors/")?)).collect();
        let mut tokens = Tokens { policy: self.policy, newest: None };
        let mut imprint = None;
        // By size, and of each size the checkpoint first.
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|file| (file.size(), matches!(file, AnchorFile::Token(..))));
        for file in files {
            let (member, size) = (file.path(), file.size());
            let bytes = self.bundle.read(&member)?;
            match file {
                AnchorFile::Checkpoint(_) => {
                    self.anchored(checkpoint, size, &bytes).map_err(|(kind, what)| problem(kind, &member, what))?;
                    imprint = Some((size, Algorithm::Sha256.hash(&[&bytes])));
                }
                AnchorFile::Token(..) => match &imprint {
                    Some((of, imprint)) if *of == size => tokens.check(size, &bytes, imprint, &member, self.report),
                    _ => {
                        self.report.add(problem(Kind::Missing, &member, "the checkpoint that it is about is not there"))
                    }
                },
            }
        }
        let entries = tokens.newest.as_ref().map_or(0, |anchored| anchored.entries);
        self.report.facts.anchored_batches = proved.values().filter(|entry| **entry < entries).count() as u64;
        self.report.facts.proved_batches = proved.len() as u64;
        self.report.facts.anchored = tokens.newest;
        Ok(())
    }

    /// Whether an anchor's checkpoint is a beginning of the bundle's.
    fn anchored(&mut self, newest: &Checkpoint, size: u64, note: &[u8]) -> std::result::Result<(), (Kind, String)> {
        let damaged = |error: FormatError| (Kind::Damaged, error.to_string());
        let note = Note::parse(note).map_err(damaged)?;
        let key: VerifierKey = self.report.facts.log_key.parse().map_err(damaged)?;
        key.verify(&note).map_err(|error| (Kind::Forged, error.to_string()))?;
        let old: Checkpoint = note.text.parse().map_err(damaged)?;
        let proof =
            self.bundle.text(&evidence::consistency_member(size)).map_err(|problem| (problem.kind, problem.what))?;
        let proof = evidence::hashes(&proof).map_err(damaged)?;
        let is_beginning = old.origin == newest.origin
            && old.size == size
            && tree::is_consistent(Algorithm::Sha256, (size, &old.root), (newest.size, &newest.root), &proof);
        if is_beginning { Ok(()) } else { Err((Kind::Changed, "it is of another history".into())) }
    }

    fn events(
        &mut self,
        statement: &Statement,
        known: &Known<'_>,
        proved: &Proved,
        note: &Note,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let damaged = |what: String| problem(Kind::Damaged, evidence::EVENTS, what);
        self.bundle.unread.remove(evidence::EVENTS);
        let file = self.bundle.zip.by_name(evidence::EVENTS);
        let mut file = BufReader::new(file.map_err(|error| problem(Kind::Missing, evidence::EVENTS, error))?);
        let mut erased: Vec<((u32, u64), Hash)> = Vec::new();
        let mut right: BTreeMap<(u32, u64), Hash> = BTreeMap::new();
        let mut seen: BTreeSet<(u32, u64)> = BTreeSet::new();
        let mut custody = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| damaged(error.to_string()))? == 0 {
                break;
            }
            if line.last() != Some(&b'\n') {
                return Err(damaged("a line is too long, or cut".into()));
            }
            let number = seen.len() + 1;
            let event: EventLine =
                serde_json::from_slice(&line).map_err(|error| damaged(format!("line {number}: {error}")))?;
            let bytes = event.bytes().map_err(|error| damaged(format!("line {number}: {error}")))?;
            let id = (event.source, event.seq);
            let bad = |kind, what: &str| problem(kind, evidence::EVENTS, what).events(id.0, id.1, id.1);
            if !seen.insert(id) {
                return Err(bad(Kind::Extra, "the event is there twice"));
            }
            if seen.len() as u64 > statement.events.saturating_add(1) {
                return Err(bad(Kind::Extra, "there are more events than were exported"));
            }
            match check_event(&event, bytes.as_deref(), &known.chains, proved) {
                Ok((commitment, leaf)) => {
                    self.report.facts.events += 1;
                    if bytes.is_none() {
                        erased.push((id, leaf));
                    }
                    right.insert(id, commitment);
                }
                Err((kind, what)) => self.report.add(bad(kind, what)),
            }
            if format!("{}-{}", id.0, id.1) == statement.custody {
                let name = right.get(&id).and_then(|commitment| known.name(id.0, commitment));
                let is_own = name.is_some_and(|named| (&*named.name, &*named.receiver) == evidence::OWN_SOURCE);
                // Anybody can send a record that looks like one.
                custody = bytes.filter(|_| is_own);
            }
            progress(1);
        }
        drop(file);
        for (id, leaf) in erased {
            match self.erasure(id, &leaf, known, note) {
                Ok(()) => self.report.facts.erased += 1,
                Err(problem) => self.report.add(problem.events(id.0, id.1, id.1)),
            }
        }
        match custody {
            None => {
                let what = format!("no event {} of Vedette's own recorded the export", statement.custody);
                self.report.add(problem(Kind::Missing, evidence::EVENTS, what));
            }
            Some(bytes) => {
                for what in contradictions(statement, &bytes) {
                    let what = format!("the event that recorded the export says another {what}");
                    self.report.add(problem(Kind::Changed, evidence::STATEMENT, what));
                }
            }
        }
        if seen.len() as u64 != statement.events.saturating_add(1) {
            let what = format!("{} events, and the one of the export, were exported", statement.events);
            self.report.add(problem(Kind::Missing, evidence::EVENTS, format!("{} are there; {what}", seen.len())));
        }
        right.retain(|(source, seq), _| format!("{source}-{seq}") != statement.custody);
        if evidence::digest(right.keys().copied()) != statement.digest {
            let what = "other events were exported";
            self.report.add(problem(Kind::Changed, evidence::EVENTS, what));
        }
        self.completeness(statement, &right, known);
        Ok(())
    }

    /// What the events that are there say of those that are not.
    fn completeness(&mut self, statement: &Statement, right: &BTreeMap<(u32, u64), Hash>, known: &Known<'_>) {
        let mut ranges: BTreeMap<u32, (u64, u64, u64, &Hash)> = BTreeMap::new();
        for ((source, seq), commitment) in right {
            let range = ranges.entry(*source).or_insert((*seq, *seq, 0, commitment));
            (range.1, range.2, range.3) = (*seq, range.2 + 1, commitment);
        }
        for (source, (first, last, count, commitment)) in ranges {
            if statement.whole && count - 1 != last - first {
                let what = format!("{count} of these events are there, and it was exported as a whole");
                self.report.add(problem(Kind::Missing, evidence::EVENTS, what).events(source, first, last));
            }
            let name = known.name(source, commitment).map(|named| named.name.clone()).unwrap_or_default();
            self.report.facts.ranges.push(crate::Range { source, name, first, last, events: count });
        }
    }
}

/// What is known when the events are read.
struct Known<'a> {
    chains: BTreeMap<u32, Chain>,
    names: BTreeMap<u32, BTreeMap<Hash, &'a Named>>,
    keys: Vec<[u8; 32]>,
}

impl Known<'_> {
    fn name(&self, source: u32, commitment: &Hash) -> Option<&Named> {
        self.names.get(&source)?.get(commitment).copied()
    }
}

/// Whether an event is what was signed; the commitment to its source's name, and its leaf.
fn check_event(
    event: &EventLine,
    bytes: Option<&[u8]>,
    chains: &BTreeMap<u32, Chain>,
    proved: &Proved,
) -> std::result::Result<(Hash, Hash), (Kind, &'static str)> {
    let missing = || (Kind::Missing, "no batch of the bundle has the event");
    let chain = chains.get(&event.source).ok_or_else(missing)?;
    let (first, (record, _)) = chain.range(..=event.seq).next_back().ok_or_else(missing)?;
    let index = event.seq - first;
    if index >= u64::from(record.count) {
        return Err(missing());
    }
    if !proved.contains_key(&(event.source, *first)) {
        return Err((Kind::Missing, "nothing proves that the log has the event's batch"));
    }
    let not_hex = || (Kind::Damaged, "a hash or salt is not in hexadecimal");
    let leaf = match (bytes, &event.salt, &event.leaf) {
        (Some(bytes), Some(salt), None) => {
            let salt = parse_hex_bytes(salt).and_then(|salt| salt.try_into().ok()).ok_or_else(not_hex)?;
            batch::leaf(record.algorithm, &salt, event.seq, event.received, bytes)
        }
        (None, None, Some(leaf)) => parse_hex(leaf).ok_or_else(not_hex)?,
        _ => return Err((Kind::Damaged, "it has neither bytes and a salt, nor the leaf of an erased event")),
    };
    let path: Vec<Hash> = event.path.iter().map(|hash| parse_hex(hash)).collect::<Option<_>>().ok_or_else(not_hex)?;
    match tree::root_from_inclusion(record.algorithm, leaf, index, record.count.into(), &path) {
        Some(root) if root == record.root => Ok((record.commitment, leaf)),
        _ => Err((Kind::Changed, "it is not what was signed")),
    }
}

/// In what a statement is not what was journalled before the bundle was made.
fn contradictions(statement: &Statement, event: &[u8]) -> Vec<&'static str> {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let text = |name: &str| event[name].as_str().map(str::to_owned);
    let said = [
        ("action", text("event.action"), Some(evidence::ACTION.to_owned())),
        ("bundle", text("vedette.target"), Some(statement.id.clone())),
        ("time", text("@timestamp"), Some(statement.created.clone())),
        ("author", text("user.name"), Some(statement.by.clone())),
        ("query", text("vedette.query"), Some(statement.query.clone())),
        ("beginning", text("vedette.from"), statement.from.clone()),
        ("end", text("vedette.to"), statement.to.clone()),
        ("extent", text("vedette.whole"), Some(statement.whole.to_string())),
        ("choice of events", text("vedette.digest"), Some(statement.digest.clone())),
        ("number of events", text("vedette.events"), Some(statement.events.to_string())),
    ];
    said.into_iter().filter(|(_, journalled, stated)| journalled != stated).map(|(what, ..)| what).collect()
}
