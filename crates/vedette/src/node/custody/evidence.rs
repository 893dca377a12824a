//! Evidence bundles (`docs/formats.md`, Evidence).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Seek, Write},
    time::{Duration, Instant},
};

use vedette_event::{EventId, SourceId};
use vedette_ledger::{
    History,
    anchors::AnchorFile,
    batch,
    checkpoint::Checkpoint,
    entry::{BatchRecord, Body, Entry},
    evidence::{self, EventLine, Statement},
    hex,
    note::Note,
    proof::Proof,
    salts::Hidden,
};
use vedette_server::{Action, CustodyError, Selection};
use vedette_store::{BatchName, Original};
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{Keeper, LOOK, MAX_EVENTS, Result, StoreFailed, failed, too_many};

/// So long for witnesses to cosign a checkpoint with everything in it, where witnesses have cosigned before.
const WITNESS_PATIENCE: Duration = Duration::from_secs(10);

/// A batch of a bundle.
struct Batch {
    entry: u64,
    record: BatchRecord,
}

impl Keeper {
    pub(super) fn export_evidence(&self, selection: &Selection, whole: bool, mut action: Action) -> Result<File> {
        let mut events = self.find(selection)?;
        self.wait_until_sealed(&events)?;
        if whole {
            events = ranges(&events)?;
        }
        let id: [u8; 16] = random()?;
        let mut statement = Statement {
            format: evidence::VERSION,
            id: hex(&id),
            log_key: self.ledger.log_key().to_string(),
            created: action.time.to_string(),
            by: action.who.clone(),
            query: selection.query.clone(),
            from: selection.from.map(|time| time.to_string()),
            to: selection.to.map(|time| time.to_string()),
            whole,
            events: events.len() as u64,
            digest: evidence::digest(events.iter().map(|id| (id.source.0, id.seq))),
            custody: String::new(),
            sources: Vec::new(),
        };
        // What verifiers compare: see `Statement`.
        action.target = Some(statement.id.clone());
        action.details.push(("query", statement.query.clone()));
        action.details.extend(statement.from.clone().map(|from| ("from", from)));
        action.details.extend(statement.to.clone().map(|to| ("to", to)));
        action.details.push(("whole", whole.to_string()));
        action.details.push(("events", statement.events.to_string()));
        action.details.push(("digest", statement.digest.clone()));
        let custody = self.record(&action)?;
        statement.custody = custody.to_string();
        events.insert(custody);
        self.wait_until_sealed([&custody])?;
        // The store has it a moment after the ledger has.
        let deadline = Instant::now() + WITNESS_PATIENCE;
        while self.batches(&BTreeSet::from([custody])).is_err() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        self.write(statement, &events)
    }

    fn write(&self, mut statement: Statement, events: &BTreeSet<EventId>) -> Result<File> {
        let mut by_source: BTreeMap<SourceId, (u64, u64)> = BTreeMap::new();
        for event in events {
            let (_, last) = by_source.entry(event.source).or_insert((event.seq, event.seq));
            *last = event.seq;
        }
        let whole_log = self.history()?;
        let mut needed = 0;
        for (source, (first, last)) in &by_source {
            let places = whole_log.batches(source.0, *first, *last).map_err(failed)?;
            needed = places.iter().map(|place| place.entry + 1).max().unwrap_or(0).max(needed);
        }
        let mut erasures: BTreeMap<EventId, u64> = BTreeMap::new();
        for event in events {
            if let Some(entry) = whole_log.erasure(event.source.0, event.seq).map_err(failed)? {
                erasures.insert(*event, entry);
                needed = needed.max(entry + 1);
            }
        }
        let note = self.checkpoint_of(needed)?;
        let checkpoint: Checkpoint = note.text.parse().map_err(failed)?;
        let mut history = self.ledger.history(checkpoint.size).map_err(failed)?;

        let mut zip = Members::new(tempfile::tempfile_in(&self.dir).map_err(failed)?);
        let mut batches: BTreeMap<BatchName, Batch> = BTreeMap::new();
        let mut last_epoch = 0;
        for (source, (first, last)) in &by_source {
            let mut lines = String::new();
            for place in history.batches(source.0, *first, *last).map_err(failed)? {
                let bytes = history.entry(place.entry).map_err(failed)?;
                lines += &evidence::entry_line(bytes);
                let entry = Entry::parse(bytes).map_err(failed)?;
                last_epoch = last_epoch.max(entry.epoch);
                let Body::Batch(record) = entry.body else { return Err(failed("the index does not fit the log")) };
                batches.insert((*source, place.first_seq), Batch { entry: place.entry, record });
            }
            zip.add(&evidence::batches_member(source.0), lines.as_bytes())?;
        }
        // An event that is erased now may have been there a moment ago: what the batches say counts.
        for (event, entry) in &erasures {
            let member = evidence::erasure_member(event.source.0, event.seq);
            let bytes = history.entry(*entry).map_err(failed)?.to_vec();
            last_epoch = last_epoch.max(Entry::parse(&bytes).map_err(failed)?.epoch);
            zip.add(&member, evidence::entry_line(&bytes).as_bytes())?;
            let path = history.inclusion_proof(*entry).map_err(failed)?;
            let proof = Proof { extra: None, index: *entry, path, note: note.clone() };
            zip.add(&format!("{member}.tlog-proof"), proof.to_string().as_bytes())?;
        }
        // Only the names that the batches go by.
        let known: BTreeSet<_> = batches.iter().map(|(name, batch)| (name.0.0, batch.record.commitment)).collect();
        statement.sources = history.sources().map_err(failed)?;
        statement.sources.retain(|named| known.contains(&(named.source, named.commitment())));
        zip.add(evidence::STATEMENT, &serde_json::to_vec_pretty(&statement).map_err(failed)?)?;
        zip.add(evidence::CHECKPOINT, note.to_string().as_bytes())?;
        let mut keys = String::new();
        for key in history.keys(last_epoch).map_err(failed)? {
            keys += &evidence::entry_line(history.entry(key).map_err(failed)?);
        }
        zip.add(evidence::KEYS, keys.as_bytes())?;

        // The last of each source proves those before it, which it has the hashes of; a batch with events is proved by
        // itself as well.
        let batch_of = |event: &EventId| {
            batches.range(..=(event.source, event.seq)).next_back().map(|(name, _)| *name).unwrap_or((event.source, 0))
        };
        let wanted: BTreeSet<BatchName> = events.iter().map(batch_of).collect();
        for name in &wanted {
            let Some(batch) = batches.get(name) else { return Err(failed("an event has no batch")) };
            let path = history.inclusion_proof(batch.entry).map_err(failed)?;
            let proof = Proof { extra: None, index: batch.entry, path, note: note.clone() };
            zip.add(&evidence::proof_member(name.0.0, name.1), proof.to_string().as_bytes())?;
        }
        let entries: Vec<u64> = wanted.iter().filter_map(|name| batches.get(name)).map(|batch| batch.entry).collect();
        add_anchors(&mut zip, &history, &entries)?;
        zip.begin(evidence::EVENTS)?;
        let mut given = 0;
        self.store.snapshot().batches(&wanted, |name, originals| {
            let Some(batch) = batches.get(&name) else { return Ok(()) };
            given += write_events(&mut zip, &history, batch, &originals, events).map_err(StoreFailed)?;
            Ok::<_, StoreFailed>(())
        })?;
        if given != events.len() as u64 {
            return Err(failed(format!("the store gives {given} of {} events", events.len())));
        }
        zip.finish()
    }

    /// A checkpoint of at least so many entries: one that witnesses cosigned, if they do in time.
    fn checkpoint_of(&self, size: u64) -> Result<Note> {
        let covers = |note: &Note| note.text.parse::<Checkpoint>().is_ok_and(|checkpoint| checkpoint.size >= size);
        let deadline = Instant::now() + WITNESS_PATIENCE;
        while let Some(note) = self.ledger.witnessed() {
            if covers(&note) {
                return Ok(note);
            }
            if Instant::now() > deadline {
                tracing::warn!("witnesses do not cosign; the evidence is proved by a checkpoint without them");
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(self.ledger.newest().note)
    }
}

/// Of each source, every event from the first to the last.
fn ranges(events: &BTreeSet<EventId>) -> Result<BTreeSet<EventId>> {
    let mut all = BTreeSet::new();
    let mut last: Option<EventId> = None;
    for event in events {
        let from = last.filter(|last| last.source == event.source).map_or(event.seq, |last| last.seq);
        if event.seq - from > MAX_EVENTS as u64 {
            return Err(too_many());
        }
        all.extend((from..=event.seq).map(|seq| EventId { source: event.source, seq }));
        if all.len() > MAX_EVENTS {
            return Err(too_many());
        }
        last = Some(*event);
    }
    Ok(all)
}

/// Of each entry the first anchor that has it, if one has.
fn add_anchors(zip: &mut Members, history: &History, entries: &[u64]) -> Result<()> {
    let files = history.anchors().map_err(failed)?;
    let stamped = |file: &&AnchorFile| matches!(file, AnchorFile::Token(..));
    let sizes: BTreeSet<u64> = files.iter().filter(stamped).map(AnchorFile::size).collect();
    let first: BTreeSet<u64> = entries.iter().filter_map(|entry| sizes.range(entry + 1..).next().copied()).collect();
    for file in files.iter().filter(|file| first.contains(&file.size())) {
        zip.add(&file.path(), &history.anchor(file).map_err(failed)?)?;
        if let AnchorFile::Checkpoint(size) = file {
            let proof = history.consistency_proof(*size).map_err(failed)?;
            zip.add(&evidence::consistency_member(*size), evidence::hash_lines(&proof).as_bytes())?;
        }
    }
    Ok(())
}

fn write_events(
    zip: &mut Members,
    history: &History,
    batch: &Batch,
    originals: &[Original],
    wanted: &BTreeSet<EventId>,
) -> Result<u64> {
    let record = &batch.record;
    let salts = history.salts(batch.entry).map_err(failed)?;
    let leaves = salts.leaves(record, originals.iter().map(|event| (event.received.micros(), &event.bytes[..])));
    let not_signed = || failed(format!("the batch {}-{} is not what was signed", record.source, record.first_seq));
    let leaves = leaves.ok_or_else(not_signed)?;
    let mut given = 0;
    for (index, event) in (0..).zip(originals) {
        if !wanted.contains(&EventId { source: SourceId(record.source), seq: event.seq }) {
            continue;
        }
        let line = EventLine {
            source: record.source,
            seq: event.seq,
            received: event.received.micros(),
            salt: None,
            leaf: None,
            path: batch::path(record.algorithm, &leaves, index).iter().map(|hash| hex(hash)).collect(),
            original: None,
            original_base64: None,
        };
        let line = match salts.hidden(record.algorithm, index) {
            Some(Hidden::Salt(salt)) => EventLine { salt: Some(hex(&salt)), ..line }.with_original(&event.bytes),
            Some(Hidden::Leaf(leaf)) => EventLine { leaf: Some(hex(&leaf)), ..line },
            None => return Err(not_signed()),
        };
        let mut json = serde_json::to_vec(&line).map_err(failed)?;
        json.push(b'\n');
        zip.out.write_all(&json).map_err(failed)?;
        given += 1;
    }
    Ok(given)
}

/// The ZIP file in the making.
struct Members {
    out: ZipWriter<BufWriter<File>>,
}

impl Members {
    fn new(file: File) -> Members {
        Members { out: ZipWriter::new(BufWriter::new(file)) }
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        let options = SimpleFileOptions::default().large_file(true);
        self.out.start_file(name, options).map_err(failed)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.begin(name)?;
        self.out.write_all(bytes).map_err(failed)
    }

    fn finish(self) -> Result<File> {
        let mut file = self.out.finish().map_err(failed)?.into_inner().map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok(file)
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| CustodyError::Failed(format!("no random numbers: {error}")))?;
    Ok(bytes)
}
