//! Correlations over what comes by, and their memory over restarts.
//!
//! The monitor's own sources are of the present and share one instance. An import is of another time, and whole only when
//! it ends: each has an instance of its own that waits for that, so that its order does not matter at all.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use vedette_event::{Batch, Finding, SourceId, Time};
use vedette_sigma::{Correlations, Counts, Options};

use super::{ruleset::Ruleset, whole_file};
use crate::config::CorrelationOptions;

/// The file in the data folder with what correlations remember.
pub const STATE: &str = "correlations.state";
/// An import that brought nothing for so long, in microseconds, has ended.
const IMPORT_ENDS: i64 = 60_000_000;
/// Most imports that are waited for at a time; beyond, the one that brought nothing for longest has ended.
const MAX_IMPORTS: usize = 8;
/// Behind the state in its file: a BLAKE3 hash of all before.
const HASH: usize = blake3::OUT_LEN;

/// How a correlation is doing, by its id.
pub type Reports = Arc<Mutex<BTreeMap<String, Report>>>;

/// How one correlation is doing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Groups that something is kept of.
    pub groups: usize,
    /// What it did not see as it should have.
    pub counts: Counts,
}

/// Runs a set's correlations.
pub struct Correlator {
    rules: Arc<Ruleset>,
    options: Options,
    live: Correlations,
    imports: BTreeMap<SourceId, Import>,
    /// Of each source, the sequence number after the last event that was taken.
    taken: BTreeMap<SourceId, u64>,
    reports: Reports,
}

struct Import {
    correlations: Correlations,
    /// When its newest event was received.
    last: Time,
}

/// What stands before the instances' snapshots, as one line of JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    key: String,
    taken: BTreeMap<SourceId, u64>,
    live: usize,
    imports: Vec<ImportHead>,
}

#[derive(Serialize, Deserialize)]
struct ImportHead {
    source: SourceId,
    last: i64,
    bytes: usize,
}

impl Correlator {
    /// One that has seen nothing. `key` is for the names of groups, see [`Options::key`].
    pub fn new(rules: Arc<Ruleset>, options: &CorrelationOptions, key: [u8; 32]) -> Self {
        let options = Options { key, ..options.engine() };
        let live = rules.correlate(options);
        Correlator {
            rules,
            options,
            live,
            imports: BTreeMap::new(),
            taken: BTreeMap::new(),
            reports: Reports::default(),
        }
    }

    /// One that goes on where the file in the data folder says. What cannot be taken from there is said in the log, and
    /// forgotten.
    ///
    /// # Errors
    /// No random numbers for a new key, or the disk.
    pub fn load(rules: Arc<Ruleset>, options: &CorrelationOptions, dir: &Path) -> anyhow::Result<Self> {
        let state = match fs::read(dir.join(STATE)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {STATE}")),
        };
        if let Some(state) = state {
            match Correlator::of(&rules, options, &state) {
                Ok(correlator) => return Ok(correlator),
                Err(error) => tracing::error!("{STATE} is not used, correlations begin anew: {error:#}"),
            }
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).context("no random numbers")?;
        Ok(Correlator::new(rules, options, key))
    }

    fn of(rules: &Arc<Ruleset>, options: &CorrelationOptions, state: &[u8]) -> anyhow::Result<Self> {
        let (state, hash) = state.split_last_chunk::<HASH>().context("it is cut off")?;
        ensure!(blake3::hash(state).as_bytes() == hash, "it is damaged");
        let line = state.iter().position(|byte| *byte == b'\n').context("it has no head")?;
        let head: Head = serde_json::from_slice(&state[..line])?;
        let mut rest = &state[line + 1..];
        let mut part = |bytes: usize| {
            let (part, after) = rest.split_at_checked(bytes).context("it is cut off")?;
            rest = after;
            anyhow::Ok(part)
        };
        let key = blake3::Hash::from_hex(&head.key)?;
        let mut correlator = Correlator::new(rules.clone(), options, *key.as_bytes());
        correlator.live = restored(rules, correlator.options, part(head.live)?)?;
        for import in head.imports {
            let options = correlator.options.whole();
            let correlations = restored(rules, options, part(import.bytes)?)?;
            correlator.imports.insert(import.source, Import { correlations, last: Time::from_micros(import.last) });
        }
        correlator.taken = head.taken;
        Ok(correlator)
    }

    /// Everything as bytes, for the file in the data folder.
    pub fn state(&self) -> anyhow::Result<Vec<u8>> {
        let live = self.live.snapshot();
        let imports: Vec<(ImportHead, Vec<u8>)> = self
            .imports
            .iter()
            .map(|(source, import)| {
                let bytes = import.correlations.snapshot();
                (ImportHead { source: *source, last: import.last.micros(), bytes: bytes.len() }, bytes)
            })
            .collect();
        let (imports, snapshots): (Vec<_>, Vec<_>) = imports.into_iter().unzip();
        let key = blake3::Hash::from_bytes(self.options.key).to_hex().to_string();
        let head = Head { key, taken: self.taken.clone(), live: live.len(), imports };
        let mut state = serde_json::to_vec(&head)?;
        state.push(b'\n');
        state.extend_from_slice(&live);
        snapshots.iter().for_each(|snapshot| state.extend_from_slice(snapshot));
        let hash = blake3::hash(&state);
        state.extend_from_slice(hash.as_bytes());
        Ok(state)
    }

    /// Makes what is remembered durable.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, dir: &Path) -> anyhow::Result<()> {
        whole_file::replace(&dir.join(STATE), &self.state()?).with_context(|| format!("cannot write {STATE}"))
    }

    /// Goes on with other rules. Correlations that stayed the same lose nothing.
    pub fn go_on_with(&mut self, rules: &Arc<Ruleset>) {
        if Arc::ptr_eq(rules, &self.rules) {
            return;
        }
        let go_on = |correlations: &mut Correlations, options| match restored(rules, options, &correlations.snapshot())
        {
            Ok(next) => *correlations = next,
            Err(error) => {
                tracing::error!("correlations begin anew: {error:#}");
                *correlations = rules.correlate(options);
            }
        };
        go_on(&mut self.live, self.options);
        self.imports.values_mut().for_each(|import| go_on(&mut import.correlations, self.options.whole()));
        self.rules = rules.clone();
    }

    /// True if there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.rules.correlations().is_empty()
    }

    /// The sequence number of the first event of a source that it has not taken.
    pub fn next_seq(&self, source: SourceId) -> u64 {
        if self.is_empty() { u64::MAX } else { self.taken.get(&source).copied().unwrap_or(0) }
    }

    /// Takes a batch, or what of it was not taken before, with what its rules found; leaves in `found` what is not for correlations alone. Appends what an
    /// import came to that had to end.
    pub fn take(&mut self, batch: &Batch, found: &mut Vec<Finding>) {
        let Some(last) = batch.events().last().filter(|_| !self.is_empty()) else { return };
        let source = batch.source();
        let from = self.taken.insert(source.id, last.seq() + 1).unwrap_or(0);
        let mut ended = Vec::new();
        if &*source.receiver == "import" {
            if !self.imports.contains_key(&source.id) && self.imports.len() >= MAX_IMPORTS {
                let longest = self.imports.iter().min_by_key(|(_, import)| import.last).map(|(source, _)| *source);
                self.end(longest, &mut ended);
            }
            let fresh = || Import { correlations: self.rules.correlate(self.options.whole()), last: last.received() };
            let import = self.imports.entry(source.id).or_insert_with(fresh);
            import.last = import.last.max(last.received());
            import.correlations.receive(batch, found, from);
        } else {
            self.live.receive(batch, found, from);
        }
        found.retain(|finding| !self.rules.is_silent(&finding.rule.id));
        found.append(&mut ended);
    }

    /// Everything received before `until` was taken: what does it come to?
    pub fn settle(&mut self, until: Time, found: &mut Vec<Finding>) {
        self.live.settle(until, found);
        let ends = |import: &Import| until.micros().saturating_sub(import.last.micros()) > IMPORT_ENDS;
        let ended: Vec<SourceId> =
            self.imports.iter().filter(|(_, import)| ends(import)).map(|(source, _)| *source).collect();
        self.end(ended, found);
    }

    /// All imports have ended.
    pub fn end_imports(&mut self, found: &mut Vec<Finding>) {
        let all: Vec<SourceId> = self.imports.keys().copied().collect();
        self.end(all, found);
    }

    fn end(&mut self, sources: impl IntoIterator<Item = SourceId>, found: &mut Vec<Finding>) {
        for mut import in sources.into_iter().filter_map(|source| self.imports.remove(&source)) {
            import.correlations.finish(found);
            for report in import.correlations.reports().filter(|report| report.counts.is_degraded()) {
                tracing::warn!(correlation = report.rule.id, counts = ?report.counts, "an import was too large to be correlated whole");
            }
        }
    }

    /// Nothing more will come at all.
    pub fn finish(mut self, found: &mut Vec<Finding>) {
        self.live.finish(found);
        self.end_imports(found);
    }

    /// Where it says how each correlation is doing, when it [`tell`](Self::tell)s.
    pub fn report_to(&mut self, reports: Reports) {
        self.reports = reports;
    }

    /// Says how each correlation is doing.
    pub fn tell(&self) {
        let told = self
            .live
            .reports()
            .map(|report| (report.rule.id.clone(), Report { groups: report.groups, counts: report.counts }));
        *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = told.collect();
    }
}

fn restored(rules: &Ruleset, options: Options, snapshot: &[u8]) -> anyhow::Result<Correlations> {
    let mut correlations = rules.correlate(options);
    let restored = correlations.restore(snapshot)?;
    for forgotten in &restored.forgotten {
        tracing::warn!(correlation = forgotten, "is gone or changed: what it remembered is forgotten");
    }
    Ok(correlations)
}
