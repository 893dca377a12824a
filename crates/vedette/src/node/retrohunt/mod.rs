//! Rules over stored history, in the background: those that somebody asks about, and those in force that are new or ask
//! something else than before.
//!
//! Events are left out by the token index and by columns where no rule can match them ([`Sift`]); the others go through the
//! engine as they would when they come in. One hunt runs at a time; one that nobody asked for leaves half of a core to others.

mod sift;
mod tally;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use vedette_event::{Finding, Time};
use vedette_intake::parse::Parsers;
use vedette_query::{Cancel, Engine, Passed, Progress, QueryError};
use vedette_server::{NewRetrohunt, Retrohunt, RetrohuntError, RetrohuntState, Retrohunts};

use self::sift::Sift;
pub use self::{sift::current, tally::Tally};
use super::{
    findings, journal::SelfJournal, maintenance::now, rules::Rules, rules_view::diagnostic, ruleset::Ruleset,
    whole_file,
};
use crate::config::RetrohuntOptions;

/// The file in the data folder with which rules history is known for, and what hunts came to.
pub const STATE: &str = "retrohunts.json";
/// So many hunts that ended are kept.
const KEPT: usize = 50;
/// So many may wait.
const MOST_WAITING: usize = 8;
/// How often a running hunt says what it has found.
const TELL_EVERY: Duration = Duration::from_millis(300);
/// The longest rest of a hunt that nobody asked for.
const LONGEST_REST: Duration = Duration::from_millis(200);
const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// The retro-hunts of a running monitor.
pub struct Hunts {
    options: RetrohuntOptions,
    engine: Engine,
    rules: Arc<Rules>,
    parsers: Arc<HashSet<String>>,
    journal: SelfJournal,
    file: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    stopping: bool,
    next: u64,
    /// What rules asked when history was last looked at for them, by id.
    known: BTreeMap<String, u64>,
    /// The set that was compared with that.
    looked_at: Option<Arc<Ruleset>>,
    /// Oldest first.
    hunts: VecDeque<Hunt>,
}

struct Hunt {
    told: Retrohunt,
    work: Option<Work>,
    progress: Progress,
    cancel: Cancel,
}

/// What is to be run.
enum Work {
    /// These rules, of which those with these ids count.
    Asked(Box<Ruleset>, HashSet<String>),
    /// Rules in force, by id, with what they ask.
    Changed(BTreeMap<String, u64>),
}

/// As it is written down.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    known: BTreeMap<String, u64>,
    hunts: Vec<Retrohunt>,
}

impl Hunts {
    /// Opens what was kept. Where nothing is, no rule in force is new.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn open(
        dir: &Path,
        options: &RetrohuntOptions,
        (engine, rules, parsers): (Engine, Arc<Rules>, &Parsers),
        journal: SelfJournal,
    ) -> anyhow::Result<Hunts> {
        let file = dir.join(STATE);
        let kept = whole_file::read_json(&file)?;
        let is_new = kept.is_none();
        let in_force = || Kept { known: rules.current().fingerprints().clone(), hunts: Vec::new() };
        let Kept { known, hunts } = kept.unwrap_or_else(in_force);
        let next = hunts.iter().map(|hunt| hunt.id + 1).max().unwrap_or(1);
        let hunts = hunts.into_iter().map(|told| Hunt {
            told,
            work: None,
            progress: Progress::default(),
            cancel: Cancel::default(),
        });
        let state = State { stopping: false, next, known, looked_at: None, hunts: hunts.collect() };
        let hunts = Hunts {
            options: options.clone(),
            engine,
            rules,
            parsers: current(parsers),
            journal,
            file,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        if is_new {
            hunts.write(&hunts.state())?;
        }
        Ok(hunts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a hunt if rules in force are new, or ask something else than before.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn look(&self) -> anyhow::Result<()> {
        let current = self.rules.current();
        let mut state = self.state();
        if state.looked_at.as_ref().is_some_and(|looked_at| Arc::ptr_eq(looked_at, &current)) {
            return Ok(());
        }
        let asks = current.fingerprints();
        let new: BTreeMap<String, u64> = asks
            .iter()
            .filter(|(id, ask)| state.known.get(*id) != Some(ask))
            .map(|(id, ask)| (id.clone(), *ask))
            .collect();
        state.looked_at = Some(current.clone());
        if new.is_empty() {
            return Ok(());
        }
        if !self.options.automatic {
            state.known.extend(new);
            return self.write(&state);
        }
        let from = now().plus_micros(-i64::from(self.options.days) * DAY_MICROS);
        let details = vec![("rules", new.len().to_string()), ("from", from.to_string())];
        // What waits for older forms of the same rules has nothing to say any more.
        for hunt in &mut state.hunts {
            if hunt.told.automatic && hunt.told.state == RetrohuntState::Waiting {
                hunt.end(RetrohuntState::Cancelled, None);
            }
        }
        state.add(Work::Changed(new), (from, "vedette".to_owned(), true));
        self.changed.notify_all();
        drop(state);
        self.journal.write("rules.retrohunt", None, details)
    }

    /// Runs what waits, until [`stop`](Self::stop).
    pub fn run(&self) {
        loop {
            let mut state = self.state();
            if state.stopping {
                return;
            }
            let waiting = state.hunts.iter_mut().find(|hunt| hunt.told.state == RetrohuntState::Waiting);
            let Some(hunt) = waiting else {
                drop(self.changed.wait(state));
                continue;
            };
            hunt.told.state = RetrohuntState::Running;
            let (id, from) = (hunt.told.id, hunt.told.from);
            let (work, progress, cancel) = (hunt.work.take(), hunt.progress.clone(), hunt.cancel.clone());
            drop(state);
            let Some(work) = work else { continue };
            self.hunt(id, from, work, &progress, &cancel);
        }
    }

    /// Ends what runs; [`run`](Self::run) returns then.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        state.hunts.iter().for_each(|hunt| hunt.cancel.cancel());
        self.changed.notify_all();
    }

    fn hunt(&self, id: u64, from: Time, work: Work, progress: &Progress, cancel: &Cancel) {
        let since = Instant::now();
        let (ruleset, own, asks) = match work {
            Work::Asked(ruleset, own) => (*ruleset, own, BTreeMap::new()),
            Work::Changed(asks) => {
                let own: HashSet<String> = asks.keys().cloned().collect();
                (Ruleset::compile(self.rules.only(&own), &self.rules.mapping).0, own, asks)
            }
        };
        let is_gentle = !asks.is_empty();
        let mut tally = Tally::of(ruleset.references().filter(|rule| own.contains(&rule.id)));
        let (mut events, mut told) = (0, since);
        let over = Over { engine: &self.engine, parsers: &self.parsers, from, is_gentle };
        let heard = |read: u64, found: &[Finding]| {
            events += read;
            found.iter().for_each(|finding| tally.add(finding));
            if told.elapsed() >= TELL_EVERY {
                self.tell(id, since, events, &tally);
                told = Instant::now();
            }
        };
        // One that goes wrong in a way that nobody thought of must not keep the others from running.
        let read = catch_unwind(AssertUnwindSafe(|| over.run(ruleset, progress, cancel, heard)));
        let (ended, failure) = match read {
            Ok(Ok(())) => (RetrohuntState::Done, None),
            Ok(Err(QueryError::Cancelled)) => (RetrohuntState::Cancelled, None),
            Ok(Err(error)) => (RetrohuntState::Failed, Some(error.to_string())),
            Err(_) => (RetrohuntState::Failed, Some("a fault of Vedette; the log says where".to_owned())),
        };
        self.tell(id, since, events, &tally);
        let mut state = self.state();
        if !state.stopping {
            state.known.extend(asks);
        }
        if let Some(hunt) = state.hunts.iter_mut().find(|hunt| hunt.told.id == id) {
            hunt.end(ended, failure);
            let Retrohunt { state, events_read, elapsed_ms, .. } = &hunt.told;
            tracing::info!(hunt = id, ?state, events_read, elapsed_ms, "retro-hunt ended");
        }
        state.forget_old();
        if let Err(error) = self.write(&state) {
            tracing::error!("{error:#}");
        }
    }

    fn tell(&self, id: u64, since: Instant, events: u64, tally: &Tally) {
        let rules = tally.told();
        if let Some(hunt) = self.state().hunts.iter_mut().find(|hunt| hunt.told.id == id) {
            hunt.told.rules = rules;
            hunt.told.events_read = events;
            hunt.told.elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        }
    }

    /// Writes down what must be known after a restart; not what is in events, which may be erased.
    fn write(&self, state: &State) -> anyhow::Result<()> {
        let ended = state.hunts.iter().filter(|hunt| hunt.has_ended()).map(|hunt| {
            let mut told = hunt.told.clone();
            for rule in &mut told.rules {
                rule.entities.clear();
                rule.samples.iter_mut().for_each(|sample| sample.matched.clear());
            }
            told
        });
        let kept = Kept { known: state.known.clone(), hunts: ended.collect() };
        whole_file::replace(&self.file, &serde_json::to_vec(&kept)?).with_context(|| format!("cannot write {STATE}"))
    }
}

/// What rules are run over.
pub struct Over<'a> {
    /// What has the history.
    pub engine: &'a Engine,
    /// The parsers whose columns say what would be derived today ([`current`]).
    pub parsers: &'a Arc<HashSet<String>>,
    /// Only what was received at or after this time.
    pub from: Time,
    /// Rests as long as it works.
    pub is_gentle: bool,
}

impl Over<'_> {
    /// Runs rules on the caller's thread; hands over how many events were looked at, and what was found in them.
    ///
    /// # Errors
    /// History cannot be read, or it was cancelled.
    pub fn run(
        &self,
        ruleset: Ruleset,
        progress: &Progress,
        cancel: &Cancel,
        mut heard: impl FnMut(u64, &[Finding]),
    ) -> Result<(), QueryError> {
        let mut sift = Sift::new(&ruleset.program, self.parsers.clone());
        let mut whole = ruleset.whole();
        let (mut found, mut worked) = (Vec::new(), Instant::now());
        self.engine.history((Some(self.from), None), Some(&mut sift), progress, cancel, |passed| {
            if let Passed::Events(batch) = passed {
                // As in the pipeline: a rule that matched its own finding would never end.
                if &*batch.source().receiver != findings::RECEIVER {
                    whole.take(batch, &mut found);
                }
                heard(batch.len() as u64, &found);
                found.clear();
            }
            if self.is_gentle {
                std::thread::sleep(worked.elapsed().min(LONGEST_REST));
                worked = Instant::now();
            }
            Ok::<(), QueryError>(())
        })?;
        whole.finish(&mut found);
        heard(0, &found);
        Ok(())
    }
}

impl State {
    fn add(&mut self, work: Work, (from, by, automatic): (Time, String, bool)) -> Retrohunt {
        let told = Retrohunt {
            id: self.next,
            state: RetrohuntState::Waiting,
            automatic,
            by,
            begun: now(),
            from,
            done: 0,
            total: 0,
            events_read: 0,
            elapsed_ms: 0,
            failure: None,
            rules: Vec::new(),
        };
        self.next += 1;
        let (progress, cancel) = (Progress::default(), Cancel::default());
        self.hunts.push_back(Hunt { told: told.clone(), work: Some(work), progress, cancel });
        told
    }

    fn forget_old(&mut self) {
        let ended = self.hunts.iter().filter(|hunt| hunt.has_ended()).count();
        for _ in KEPT..ended {
            if let Some(oldest) = self.hunts.iter().position(Hunt::has_ended) {
                self.hunts.remove(oldest);
            }
        }
    }
}

impl Hunt {
    fn has_ended(&self) -> bool {
        !matches!(self.told.state, RetrohuntState::Waiting | RetrohuntState::Running)
    }

    fn end(&mut self, state: RetrohuntState, failure: Option<String>) {
        self.told = Retrohunt { state, failure, ..self.now() };
        self.work = None;
    }

    fn now(&self) -> Retrohunt {
        let mut told = self.told.clone();
        if !self.has_ended() {
            let read = self.progress.read();
            (told.done, told.total) = (read.scanned, read.wanted);
        }
        told
    }
}

impl Retrohunts for Hunts {
    fn begin(&self, hunt: NewRetrohunt) -> Result<Retrohunt, RetrohuntError> {
        let (loaded, own) = self.rules.on_trial(&hunt.text);
        let (ruleset, refused) = Ruleset::compile(loaded, &self.rules.mapping);
        if !refused.is_empty() {
            return Err(RetrohuntError::Refused(refused.iter().map(diagnostic).collect()));
        }
        let mut state = self.state();
        let waiting = state.hunts.iter().filter(|hunt| hunt.told.state == RetrohuntState::Waiting).count();
        if waiting >= MOST_WAITING || state.stopping {
            return Err(RetrohuntError::Busy);
        }
        let told = state.add(Work::Asked(Box::new(ruleset), own), (hunt.from, hunt.by, false));
        self.changed.notify_all();
        Ok(told)
    }

    fn list(&self) -> Vec<Retrohunt> {
        self.state().hunts.iter().rev().map(Hunt::now).collect()
    }

    fn cancel(&self, id: u64) -> bool {
        let mut state = self.state();
        let Some(hunt) = state.hunts.iter_mut().find(|hunt| hunt.told.id == id && !hunt.has_ended()) else {
            return false;
        };
        hunt.cancel.cancel();
        if hunt.told.state == RetrohuntState::Waiting {
            hunt.end(RetrohuntState::Cancelled, None);
        }
        true
    }
}
