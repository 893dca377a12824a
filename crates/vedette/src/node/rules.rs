//! The loaded rules, and their hot reload.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use anyhow::Context;
use vedette_event::{Diagnostic, RuleRef};
use vedette_server::Disabled;
use vedette_sigma::{Loaded, Logsource, Mapping, Program, Refused, Rule};

use super::{own_files::OwnFiles, whole_file};
use crate::config::Detection;

/// The folder in the data folder with the rules that are written through the API.
pub const OWN: &str = "rules";
/// The file in the data folder with the rules that somebody turned off.
pub const DISABLED: &str = "disabled_rules.json";

/// The program in force, what was refused, and what each rule costs.
pub struct Rules {
    detection: Detection,
    pub(super) own: OwnFiles,
    pub(super) mapping: Mapping,
    state: RwLock<State>,
    disabled_file: PathBuf,
    /// Loading and writing go one at a time, or an older state could replace a newer one. Here is what is turned off.
    pub(super) changing: Mutex<DisabledRules>,
    /// By the rule's id.
    tried: Mutex<HashMap<String, u64>>,
}

/// Rules that somebody turned off, by id; also such as are not loaded any more.
pub type DisabledRules = BTreeMap<String, Disabled>;

struct State {
    program: Arc<Program>,
    /// What is loaded, but turned off.
    disabled: Arc<Vec<(RuleRef, Disabled)>>,
    abouts: Arc<HashMap<String, About>>,
    refused: Arc<Vec<Refused>>,
    stamp: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

/// What a loaded rule says of itself beside what its findings quote, and where it is from.
#[derive(Clone, Debug)]
pub struct About {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// `stable`, `test`, `experimental` …
    pub status: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// What else could look like it.
    pub false_positives: Vec<String>,
    /// Further reading.
    pub links: Vec<String>,
    /// Which log it reads.
    pub logsource: Logsource,
    /// The file of the rule of the same id whose place it takes.
    pub replaces: Option<Arc<str>>,
}

impl Rules {
    /// Loads the configured rules, and those of the data folder `dir`. Refused rules are kept for display; they do not
    /// stop the others.
    ///
    /// # Errors
    /// The value table for placeholders is wrong, or the file of what is turned off.
    pub fn load(detection: &Detection, dir: &Path) -> anyhow::Result<Rules> {
        let mapping = mapping(detection.placeholders.as_deref())?;
        let own = OwnFiles::new(dir.join(OWN));
        let disabled_file = dir.join(DISABLED);
        let disabled: DisabledRules = whole_file::read_json(&disabled_file)?.unwrap_or_default();
        let state = RwLock::new(State::load(detection, &own, &mapping, &disabled));
        Ok(Rules {
            detection: detection.clone(),
            own,
            mapping,
            state,
            disabled_file,
            changing: Mutex::new(disabled),
            tried: Mutex::default(),
        })
    }

    /// The program in force.
    pub fn current(&self) -> Arc<Program> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).program.clone()
    }

    /// The program in force, and what its rules say of themselves, by id.
    pub fn described(&self) -> (Arc<Program>, Arc<HashMap<String, About>>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.program.clone(), state.abouts.clone())
    }

    /// Loaded rules that are turned off.
    pub fn disabled(&self) -> Arc<Vec<(RuleRef, Disabled)>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).disabled.clone()
    }

    /// Rules that did not load.
    pub fn refused(&self) -> Arc<Vec<Refused>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    /// Loads again if a rule file changed, and swaps the program in one step. True if it did.
    pub fn reload_if_changed(&self) -> bool {
        let disabled = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.detection, &self.own);
        if self.state.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp {
            return false;
        }
        self.reload(&disabled);
        true
    }

    /// Loads again, and swaps the program in one step. Whoever calls it holds `changing`.
    pub(super) fn reload(&self, disabled: &DisabledRules) {
        let state = State::load(&self.detection, &self.own, &self.mapping, disabled);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Writes down what is turned off, then puts it into force.
    pub(super) fn write_disabled(&self, now: &mut DisabledRules, then: DisabledRules) -> std::io::Result<()> {
        whole_file::replace(&self.disabled_file, &serde_json::to_vec_pretty(&then)?)?;
        *now = then;
        self.reload(now);
        Ok(())
    }

    /// Counts how often each rule of a program was tried, by its place there.
    pub fn count_tried(&self, program: &Program, tried: &[u64]) {
        let mut known = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        for ((rule, _), count) in program.rules().zip(tried).filter(|(_, count)| **count > 0) {
            match known.get_mut(&rule.id) {
                Some(known) => *known += count,
                None => drop(known.insert(rule.id.clone(), *count)),
            }
        }
    }

    /// How many events a rule's condition was asked of since the start: what it costs.
    pub fn tried(&self, rule: &str) -> u64 {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(rule).copied().unwrap_or_default()
    }
}

impl State {
    fn load(detection: &Detection, own: &OwnFiles, mapping: &Mapping, disabled: &DisabledRules) -> State {
        // The stamp is taken first: a file that changes while it is read is read again.
        let stamp = stamp(detection, own);
        let (mut loaded, mut replaced) =
            with_own(load(detection), found_alone(vedette_sigma::load(own.folder().as_slice())));
        let mut about = |rule: &Rule| About {
            file: rule.file.clone(),
            status: rule.status.clone(),
            description: rule.description.clone(),
            false_positives: rule.false_positives.clone(),
            links: rule.links.clone(),
            logsource: rule.logsource.clone(),
            replaces: replaced.remove(&rule.reference.id),
        };
        // The first rule of an id is the one that is compiled.
        let mut abouts = HashMap::new();
        for rule in &loaded.rules {
            if !abouts.contains_key(&rule.reference.id) {
                abouts.insert(rule.reference.id.clone(), about(rule));
            }
        }
        let mut off: BTreeMap<String, (RuleRef, Disabled)> = BTreeMap::new();
        loaded.rules.retain(|rule| {
            let id = &rule.reference.id;
            let Some(disabled) = disabled.get(id) else { return true };
            off.entry(id.clone()).or_insert_with(|| (rule.reference.clone(), disabled.clone()));
            false
        });
        let (program, refused) = compile(loaded, mapping);
        State {
            program: Arc::new(program),
            disabled: Arc::new(off.into_values().collect()),
            abouts: Arc::new(abouts),
            refused: Arc::new(refused),
            stamp,
        }
    }
}

/// Puts the data folder's own rules before the others. They take the places of those with their ids, whose files are in
/// the answer.
fn with_own(others: Loaded, own: Loaded) -> (Loaded, HashMap<String, Arc<str>>) {
    let ids: HashSet<String> = own.rules.iter().map(|rule| rule.reference.id.clone()).collect();
    let mut all = own;
    let mut replaced = HashMap::new();
    for rule in others.rules {
        if ids.contains(&rule.reference.id) {
            replaced.entry(rule.reference.id).or_insert(rule.file);
        } else {
            all.rules.push(rule);
        }
    }
    all.refused.extend(others.refused);
    (all, replaced)
}

/// Loads the configured rules.
pub fn load(detection: &Detection) -> Loaded {
    let mut loaded = if detection.builtin_rules { super::content::rules() } else { Loaded::default() };
    let own = found_alone(vedette_sigma::load(&detection.rules));
    loaded.rules.extend(own.rules);
    loaded.refused.extend(own.refused);
    loaded
}

/// Without the correlations, which are understood but not run yet: each is refused, so that nobody waits for it. The rules
/// that it is made of make findings of their own.
pub fn found_alone(mut loaded: Loaded) -> Loaded {
    let refused = std::mem::take(&mut loaded.correlations).into_iter().map(|correlation| Refused {
        file: correlation.file,
        line: correlation.line,
        column: 1,
        id: Some(correlation.reference.id),
        title: Some(correlation.reference.title),
        reason: "correlations are not run yet; the rules it is made of make findings of their own".into(),
    });
    loaded.refused.extend(refused);
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

fn stamp(detection: &Detection, own: &OwnFiles) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let mut files = Vec::new();
    for path in detection.rules.iter().chain(&own.folder()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_is_refused_by_name_and_its_rule_is_kept() {
        let text = "title: One\nname: one\nlogsource: {product: p}\ndetection: {s: {a: 1}, condition: s}\n---\n\
            title: Many\ncorrelation: {type: event_count, rules: [one], group-by: [a], timespan: 1m, condition: {gte: 3}}\n";
        let loaded = found_alone(vedette_sigma::load_str("many.yml", text));
        assert_eq!(loaded.rules.len(), 1);
        assert_eq!(loaded.correlations.len(), 0);
        assert_eq!(loaded.refused[0].title.as_deref(), Some("Many"));
        assert!(loaded.refused[0].to_string().starts_with("many.yml:6:1: correlations are not run yet"));
    }
}
