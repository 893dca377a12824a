//! Which log sources bring events: rules of others can never fire.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use vedette_event::Time;
use vedette_sigma::{Effort, Logsource};

use super::{ruleset::Ruleset, whole_file};

/// The file in the data folder with when events of each log source were last received.
pub const SEEN: &str = "logsources_seen.json";
/// A log source is noted again after so long, in microseconds.
const NOTE_EVERY: i64 = 10_000_000;

/// When events of log sources were last received.
pub struct SeenLogsources {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: BTreeMap<String, Time>,
    is_written: bool,
    /// Of one rule set, when each set of log sources was noted.
    noted: HashMap<usize, Time>,
    of: Option<Arc<Ruleset>>,
}

impl SeenLogsources {
    /// Reads what was seen before.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn open(dir: &Path) -> anyhow::Result<SeenLogsources> {
        let file = dir.join(SEEN);
        let last = whole_file::read_json(&file)?.unwrap_or_default();
        Ok(SeenLogsources { file, state: Mutex::new(State { last, is_written: true, ..State::default() }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a batch was of, by what a program counted in it.
    pub fn note(&self, rules: &Arc<Ruleset>, effort: &Effort, now: Time) {
        let mut state = self.state();
        if !state.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, rules)) {
            state.of = Some(rules.clone());
            state.noted.clear();
        }
        for (set, _) in effort.read() {
            if state.noted.get(&set).is_some_and(|noted| now < noted.plus_micros(NOTE_EVERY)) {
                continue;
            }
            state.noted.insert(set, now);
            state.is_written = false;
            for logsource in rules.program.logsources(set) {
                state.last.insert(logsource.to_string(), now);
            }
        }
    }

    /// When an event of a log source was last received, to about ten seconds; none: never.
    pub fn last(&self, logsource: &Logsource) -> Option<Time> {
        self.state().last.get(&logsource.to_string()).copied()
    }

    /// Writes down what is new.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self) -> std::io::Result<()> {
        let mut state = self.state();
        if !state.is_written {
            whole_file::replace(&self.file, &serde_json::to_vec(&state.last)?)?;
            state.is_written = true;
        }
        Ok(())
    }
}
