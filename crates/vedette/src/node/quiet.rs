//! Sources that have gone quiet: each one's rhythm is learnt, and a silence that it never had becomes a finding.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use bytes::Bytes;
use vedette_alert::Alerts;
use vedette_behaviour::{Patience, Rhythms, Silence};
use vedette_event::{Entity, EventId, Finding, FindingId, Level, Matched, RuleRef, Source, SourceId, Time};
use vedette_spool::Spool;

use super::{findings, journal::SelfJournal, whole_file};

/// In the data folder.
pub const FILE: &str = "rhythms.json";
const RULE: &str = "vedette.quiet-source";
/// How often what was learnt is written down; what is lost with a crash is learnt again.
const SAVE_EVERY: i64 = 60 * 1_000_000;

/// Learns how often sources send, and tells when one has stopped.
pub struct Quiet {
    patience: Option<Patience>,
    file: PathBuf,
    spool: Spool,
    alerts: Alerts,
    journal: SelfJournal,
    findings: Arc<Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rhythms: Rhythms,
    /// Records of each source when it was last looked at.
    stored: HashMap<SourceId, u64>,
    silent: BTreeMap<u32, Silence>,
    saved: i64,
}

impl Quiet {
    /// Goes on with what was learnt before. Without patience nothing is learnt or told.
    ///
    /// # Errors
    /// The findings' source cannot be registered.
    pub fn open(
        dir: &std::path::Path,
        patience: Option<Patience>,
        spool: &Spool,
        alerts: &Alerts,
        journal: &SelfJournal,
        now: Time,
    ) -> anyhow::Result<Quiet> {
        let file = dir.join(FILE);
        let rhythms = match fs::read(&file).map(|bytes| serde_json::from_slice::<Rhythms>(&bytes)) {
            Ok(Ok(rhythms)) => rhythms,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Rhythms::default(),
            Ok(Err(error)) => {
                tracing::warn!("{} is damaged, and the rhythm of sources is learnt anew: {error}", file.display());
                Rhythms::default()
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let mut state = State { rhythms, saved: now.micros(), ..State::default() };
        // Nobody listened while we were away.
        state.rhythms.watch_from(now);
        state.stored = stored(spool).map(|(source, count)| (source.id, count)).collect();
        let findings = spool
            .source(findings::SOURCE, findings::RECEIVER, None)
            .context("cannot register the findings' own source")?;
        Ok(Quiet {
            patience,
            file,
            spool: spool.clone(),
            alerts: alerts.clone(),
            journal: journal.clone(),
            findings,
            state: Mutex::new(state),
        })
    }

    /// Looks at every source.
    ///
    /// # Errors
    /// A finding cannot be written; it is tried again.
    pub fn look(&self, now: Time) -> anyhow::Result<()> {
        let Some(patience) = &self.patience else { return Ok(()) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let mut names: HashMap<SourceId, Arc<str>> = HashMap::new();
        for (source, count) in stored(&self.spool) {
            names.insert(source.id, source.name.clone());
            let before = state.stored.insert(source.id, count).unwrap_or(0);
            if count > before {
                state.rhythms.observe(source.id, now, now, count - 1);
                if let Some(silence) = state.silent.remove(&source.id.0) {
                    let details = vec![("quiet_since", silence.since.to_string())];
                    self.journal.write("source.resumed", Some(source.name.to_string()), details)?;
                }
            }
        }
        state.rhythms.keep(|source| names.contains_key(&source));
        for silence in state.rhythms.silences(now, patience) {
            let Some(name) = names.get(&silence.source) else { continue };
            if state.silent.get(&silence.source.0).is_some_and(|known| known.last_seq == silence.last_seq) {
                continue;
            }
            let finding = finding(&silence, name);
            if !self.alerts.has(finding.id)? {
                let record = Bytes::from(findings::encode(&finding));
                self.spool.append_own(&self.findings, vec![record])?.wait_blocking()?;
            }
            tracing::warn!(source = &**name, since = %silence.since, "the source has gone quiet");
            state.silent.insert(silence.source.0, silence);
        }
        if now.micros() - state.saved >= SAVE_EVERY {
            self.save(&state.rhythms)?;
            state.saved = now.micros();
        }
        Ok(())
    }

    /// Writes down what was learnt.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn close(&self) -> anyhow::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.patience.is_some() { self.save(&state.rhythms) } else { Ok(()) }
    }

    fn save(&self, rhythms: &Rhythms) -> anyhow::Result<()> {
        let written = serde_json::to_vec(rhythms).map_err(io::Error::from);
        written
            .and_then(|bytes| whole_file::replace(&self.file, &bytes))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    /// How many sources are quiet.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).silent.len()
    }

    /// Since when a source is quiet, if it is, and by when its next record is expected.
    pub fn of(&self, source: SourceId) -> (Option<Time>, Option<Time>) {
        let Some(patience) = &self.patience else { return (None, None) };
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = state.silent.get(&source.0).map(|silence| silence.since);
        (quiet, state.rhythms.expectation(source, patience).map(|silence| silence.expected))
    }
}

/// Sources that have a rhythm, with how many records they have sent. Own events and imports come as they come.
fn stored(spool: &Spool) -> impl Iterator<Item = (Arc<Source>, u64)> {
    let has_rhythm = |source: &Source| !matches!(&*source.receiver, "vedette" | "import");
    spool
        .ledger()
        .into_iter()
        .filter(move |(source, losses)| has_rhythm(source) && losses.stored > 0)
        .map(|(source, losses)| (source, losses.stored))
}

/// The same silence gives the same finding: it is named by the record after which it began.
fn finding(silence: &Silence, name: &str) -> Finding {
    let event = EventId { source: silence.source, seq: silence.last_seq };
    let matched = |field: &str, value: String| Matched { field: field.into(), value };
    Finding {
        id: FindingId::of(RULE, &[event]),
        rule: RuleRef {
            id: RULE.into(),
            title: "A source has gone quiet".into(),
            level: Level::Medium,
            author: None,
            techniques: vec!["T1562".into()],
            tactics: vec!["defense-evasion".into()],
        }
        .into(),
        time: silence.unusual,
        events: vec![event],
        entities: vec![Entity { kind: "source".into(), value: name.into() }],
        matched: vec![
            matched("vedette.source.name", name.into()),
            matched("vedette.quiet.since", silence.since.to_string()),
            matched("vedette.quiet.expected", silence.expected.to_string()),
        ],
    }
}
