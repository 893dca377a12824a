//! The loaded rules, and their hot reload.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use anyhow::Context;
use vedette_event::{Diagnostic, Time};
use vedette_sigma::{Loaded, Mapping, Program, Refused};

use crate::config::Detection;

/// The program in force, what was refused, and how often each rule hit.
pub struct Rules {
    detection: Detection,
    mapping: Mapping,
    state: RwLock<State>,
    hits: Mutex<HashMap<String, Hits>>,
}

struct State {
    program: Arc<Program>,
    files: Arc<HashMap<String, Arc<str>>>,
    refused: Arc<Vec<Refused>>,
    stamp: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

/// How often a rule hit since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hits {
    /// Findings.
    pub count: u64,
    /// Event time of the latest one.
    pub last: Option<Time>,
}

impl Rules {
    /// Loads the configured rules. Refused rules are kept for display; they do not stop the others.
    ///
    /// # Errors
    /// The value table for placeholders is wrong.
    pub fn load(detection: &Detection) -> anyhow::Result<Rules> {
        let mapping = mapping(detection.placeholders.as_deref())?;
        let state = State::load(detection, &mapping);
        Ok(Rules { detection: detection.clone(), mapping, state: RwLock::new(state), hits: Mutex::default() })
    }

    /// The program in force.
    pub fn current(&self) -> Arc<Program> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).program.clone()
    }

    /// The file of each rule, by the rule's id.
    pub fn files(&self) -> Arc<HashMap<String, Arc<str>>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).files.clone()
    }

    /// Rules that did not load.
    pub fn refused(&self) -> Arc<Vec<Refused>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    /// Loads again if a rule file changed, and swaps the program in one step. True if it did.
    pub fn reload_if_changed(&self) -> bool {
        let stamp = stamp(&self.detection);
        if self.state.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp {
            return false;
        }
        let state = State::load(&self.detection, &self.mapping);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        true
    }

    /// Counts a rule's finding.
    pub fn hit(&self, rule: &str, time: Time) {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = hits.entry(rule.to_owned()).or_default();
        entry.count += 1;
        entry.last = entry.last.max(Some(time));
    }

    /// A rule's hits since the start.
    pub fn hits(&self, rule: &str) -> Hits {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner).get(rule).copied().unwrap_or_default()
    }
}

impl State {
    fn load(detection: &Detection, mapping: &Mapping) -> State {
        // The stamp is taken first: a file that changes while it is read is read again.
        let stamp = stamp(detection);
        let loaded = load(detection);
        let files = loaded.rules.iter().map(|rule| (rule.reference.id.clone(), rule.file.clone())).collect();
        let (program, refused) = compile(loaded, mapping);
        State { program: Arc::new(program), files: Arc::new(files), refused: Arc::new(refused), stamp }
    }
}

/// Loads the configured rules.
pub fn load(detection: &Detection) -> Loaded {
    let mut loaded = if detection.builtin_rules { super::content::rules() } else { Loaded::default() };
    let own = vedette_sigma::load(&detection.rules);
    loaded.rules.extend(own.rules);
    loaded.refused.extend(own.refused);
    loaded
}

/// Compiles rules; what is refused then joins what was refused before.
pub fn compile(loaded: Loaded, mapping: &Mapping) -> (Program, Vec<Refused>) {
    let (program, late) = Program::compile(loaded.rules, mapping);
    let mut refused = loaded.refused;
    refused.extend(late);
    (program, refused)
}

/// The built-in mapping with the user's value table for `expand`: YAML, `name: [value, …]`.
///
/// # Errors
/// The table cannot be read, or is not of that form.
pub fn mapping(placeholders: Option<&Path>) -> anyhow::Result<Mapping> {
    let mut mapping = Mapping::builtin();
    let Some(path) = placeholders else { return Ok(mapping) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: BTreeMap<String, Vec<String>> = serde_norway::from_str(&text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line() as u32, at.column() as u32));
        Diagnostic::new(path.display().to_string(), line, column, error.to_string())
            .hint("a value table is YAML of the form `name: [value, …]`")
    })?;
    for (name, values) in table {
        mapping.placeholder(&name, values);
    }
    Ok(mapping)
}

fn stamp(detection: &Detection) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let mut files = Vec::new();
    for path in &detection.rules {
        visit(path, 0, &mut files);
    }
    files.sort();
    files
}

fn visit(path: &Path, depth: usize, files: &mut Vec<(PathBuf, Option<SystemTime>, u64)>) {
    const DEEPEST: usize = 16;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_dir() && depth < DEEPEST {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        entries.flatten().for_each(|entry| visit(&entry.path(), depth + 1, files));
    } else if metadata.is_file() {
        files.push((path.to_owned(), metadata.modified().ok(), metadata.len()));
    }
}
