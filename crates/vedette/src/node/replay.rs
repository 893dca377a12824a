//! Stored history through the engines again.
//!
//! With the rules in force it must come to what the monitor found when it happened; that is checked, finding by finding. With
//! other rules it says what they would have found.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use vedette_event::{Batch, Finding, SourceId, Time};
use vedette_query::{Cancel, Engine, Passed, Progress, QueryError, Request};

use super::{correlator::Correlator, findings, ruleset::Ruleset};
use crate::config::CorrelationOptions;

/// What was received so long before the end of history, in microseconds, the monitor has looked at too; what came after it
/// may still be on its way there.
const MARGIN: i64 = 10_000_000;

/// What to replay.
#[derive(Clone)]
pub struct Replay {
    /// What detects.
    pub rules: Arc<Ruleset>,
    /// How correlations wait.
    pub correlations: CorrelationOptions,
    /// Only what was received from this time on.
    pub from: Option<Time>,
    /// Only what was received before this time.
    pub to: Option<Time>,
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Events that were looked at.
    pub events: u64,
    /// Findings.
    pub findings: u64,
    /// What a comparison with the recorded findings came to, if it was asked for.
    pub compared: Option<Compared>,
}

/// Replayed and recorded findings, each by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// In both.
    pub same: u64,
    /// Recorded, but not found again.
    pub only_recorded: Vec<Recorded>,
    /// Found again, but not recorded.
    pub only_replayed: Vec<Recorded>,
    /// Recorded findings that were not looked for: their rules are not loaded, or some of their events are not in this part
    /// of history.
    pub others: u64,
}

impl Compared {
    /// True if live and replay say the same.
    pub fn is_same(&self) -> bool {
        self.only_recorded.is_empty() && self.only_replayed.is_empty()
    }
}

/// A finding in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its id.
    pub id: String,
    /// Its rule's id.
    pub rule: String,
    /// Its rule's title.
    pub title: String,
    /// When, as RFC 3339.
    pub time: String,
    /// The last of its events.
    pub event: String,
}

impl From<&Finding> for Recorded {
    fn from(finding: &Finding) -> Self {
        Recorded {
            id: finding.id.to_string(),
            rule: finding.rule.id.clone(),
            title: finding.rule.title.clone(),
            time: finding.time.to_string(),
            event: finding.events.last().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl Replay {
    /// Runs it on the caller's thread and hands over each finding. No alert comes of them.
    ///
    /// # Errors
    /// History cannot be read; it was cancelled; or what `found` says.
    pub fn run<E: From<QueryError>>(
        &self,
        engine: &Engine,
        progress: &Progress,
        cancel: &Cancel,
        mut found: impl FnMut(&Finding) -> Result<(), E>,
    ) -> Result<Replayed, E> {
        let pass = self.pass(engine, progress, cancel, |finding, _| found(finding))?;
        Ok(Replayed { events: pass.events, findings: pass.findings, compared: None })
    }

    /// Runs it and compares it with what is recorded.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn compare(&self, engine: &Engine, progress: &Progress, cancel: &Cancel) -> Result<Replayed, QueryError> {
        let mut replayed = HashMap::new();
        let pass = self.pass(engine, progress, cancel, |finding, certain| -> Result<(), QueryError> {
            replayed.insert(finding.id, (Recorded::from(finding), certain));
            Ok(())
        })?;
        let (mut compared, mut known) = (Compared::default(), HashSet::new());
        let loaded: HashSet<&str> = self.rules.references().map(|rule| rule.id.as_str()).collect();
        recorded(engine, cancel, |recorded| {
            if !known.insert(recorded.id) {
            } else if replayed.remove(&recorded.id).is_some() {
                compared.same += 1;
            } else if loaded.contains(recorded.rule.id.as_str()) && pass.saw_all(recorded) {
                compared.only_recorded.push(recorded.into());
            } else {
                compared.others += 1;
            }
        })?;
        let certain = replayed.into_values().filter(|(_, certain)| *certain);
        compared.only_replayed = certain.map(|(finding, _)| finding).collect();
        for list in [&mut compared.only_recorded, &mut compared.only_replayed] {
            list.sort_by(|a, b| (&a.time, &a.rule, &a.id).cmp(&(&b.time, &b.rule, &b.id)));
        }
        Ok(Replayed { events: pass.events, findings: pass.findings, compared: Some(compared) })
    }

    /// Hands over each finding, and whether the monitor must have come to it by now.
    fn pass<E: From<QueryError>>(
        &self,
        engine: &Engine,
        progress: &Progress,
        cancel: &Cancel,
        mut found: impl FnMut(&Finding, bool) -> Result<(), E>,
    ) -> Result<Pass, E> {
        let mut correlator = Correlator::new(self.rules.clone(), &self.correlations, [0; 32]);
        let (mut pass, mut out) = (Pass::default(), Vec::new());
        let mut hand_over = |pass: &mut Pass, out: &mut Vec<Finding>, certain: bool| {
            pass.findings += out.len() as u64;
            out.drain(..).try_for_each(|finding| found(&finding, certain))
        };
        engine.history((self.from, self.to), None, progress, cancel, |passed| -> Result<(), E> {
            match passed {
                Passed::Events(batch) => {
                    pass.saw(batch);
                    if &*batch.source().name != findings::SOURCE {
                        self.rules.program.run(batch, &mut out);
                        correlator.take(batch, &mut out);
                    }
                }
                Passed::Until(time) => correlator.settle(time, &mut out),
            }
            hand_over(&mut pass, &mut out, true)
        })?;
        correlator.settle(pass.newest.plus_micros(-MARGIN), &mut out);
        hand_over(&mut pass, &mut out, true)?;
        // What the monitor may have come to since, or will.
        correlator.finish(&mut out);
        hand_over(&mut pass, &mut out, false)?;
        Ok(pass)
    }
}

/// What went by.
#[derive(Default)]
struct Pass {
    events: u64,
    findings: u64,
    newest: Time,
    seen: BTreeMap<SourceId, RangeInclusive<u64>>,
}

impl Pass {
    fn saw(&mut self, batch: &Batch) {
        self.events += batch.len() as u64;
        for event in batch.events() {
            self.newest = self.newest.max(event.received());
            let seen = self.seen.entry(event.id().source).or_insert(event.seq()..=event.seq());
            *seen = *seen.start().min(&event.seq())..=*seen.end().max(&event.seq());
        }
    }

    fn saw_all(&self, finding: &Finding) -> bool {
        let saw = |source: &SourceId, seq: &u64| self.seen.get(source).is_some_and(|seen| seen.contains(seq));
        finding.events.iter().all(|event| saw(&event.source, &event.seq))
    }
}

/// Hands over every recorded finding.
fn recorded(engine: &Engine, cancel: &Cancel, mut take: impl FnMut(&Finding)) -> Result<(), QueryError> {
    let failed = |error: std::io::Error| QueryError::Failed(error.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let all = Request::hunt("event.dataset:vedette.findings");
        let all = Request { unordered: true, limit: usize::MAX, max_bytes: u64::MAX, ..all };
        let mut answer = engine.run(all, &Progress::default(), cancel).await?;
        while let Some(rows) = answer.next().await? {
            for batch in answer.batches(&rows) {
                batch.events().filter_map(|event| findings::decode(event.raw())).for_each(|finding| take(&finding));
            }
        }
        Ok(())
    })
}
