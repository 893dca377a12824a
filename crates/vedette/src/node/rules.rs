//! The loaded rules, and their hot reload.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use vedette_event::{Diagnostic, RuleRef, Time};
use vedette_server::Disabled;
use vedette_sigma::{Documents, Effort, Logsource, Mapping, Pipelines, Refused};

use super::{
    correlator::Reports,
    logsources::SeenLogsources,
    own_files::OwnFiles,
    ruleset::{Ruleset, mapping},
    whole_file,
};
use crate::{Usage, config::Detection};

/// The folder in the data folder with the rules that are written through the API.
pub const OWN: &str = "rules";
/// The file in the data folder with the rules that somebody turned off.
pub const DISABLED: &str = "disabled_rules.json";

/// The program in force, what was refused, and what each rule costs.
pub struct Rules {
    detection: Detection,
    pub(super) own: OwnFiles,
    /// What rules are compiled with.
    pub mapping: Arc<Mapping>,
    state: RwLock<State>,
    disabled_file: PathBuf,
    /// Loading and writing go one at a time, or an older state could replace a newer one. Here is what is turned off.
    pub(super) changing: Mutex<DisabledRules>,
    /// The files as they were when they were last looked at.
    noticed: Mutex<Stamp>,
    /// By the rule's id.
    tried: Mutex<HashMap<String, u64>>,
    /// Which log sources bring events.
    pub logsources: SeenLogsources,
    /// How correlations are doing, as the pipeline says.
    pub(super) reports: Reports,
}

/// Rules that somebody turned off, by id; also such as are not loaded any more.
pub type DisabledRules = BTreeMap<String, Disabled>;

struct State {
    rules: Arc<Ruleset>,
    /// What is loaded, but turned off.
    disabled: Arc<Vec<(RuleRef, Disabled)>>,
    abouts: Arc<HashMap<String, About>>,
    refused: Arc<Vec<Refused>>,
    pipelines: Pipelines,
    stamp: Stamp,
}

/// Rule files and pipelines, with when they were changed and how long they are.
type Stamp = Vec<(PathBuf, Option<SystemTime>, u64)>;

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
    /// Which log it reads; nothing for a correlation.
    pub logsource: Logsource,
    /// The file of the rule of the same id whose place it takes.
    pub replaces: Option<Arc<str>>,
}

impl Rules {
    /// Loads the configured rules, and those of the data folder `dir`. Refused rules are kept for display; they do not
    /// stop the others.
    ///
    /// # Errors
    /// A pipeline is wrong, the value table for placeholders, or the file of what is turned off.
    pub fn load(detection: &Detection, dir: &Path) -> anyhow::Result<Rules> {
        let mapping = mapping(detection.placeholders.as_deref())?;
        let own = OwnFiles::new(dir.join(OWN));
        let disabled_file = dir.join(DISABLED);
        let disabled: DisabledRules = whole_file::read_json(&disabled_file)?.unwrap_or_default();
        let pipelines = pipelines(&detection.pipelines)?;
        let state = RwLock::new(State::load(detection, &own, &mapping, &disabled, pipelines));
        Ok(Rules {
            detection: detection.clone(),
            own,
            mapping,
            state,
            disabled_file,
            changing: Mutex::new(disabled),
            noticed: Mutex::default(),
            tried: Mutex::default(),
            logsources: SeenLogsources::open(dir)?,
            reports: Reports::default(),
        })
    }

    /// What is configured.
    pub fn detection(&self) -> &Detection {
        &self.detection
    }

    /// All rules, as they are written now.
    pub(super) fn documents(&self) -> Documents {
        all_documents(&self.detection, &self.own, self.pipelines(), |_, _| {})
    }

    /// What rules of people go through before they are compiled.
    pub fn pipelines(&self) -> Pipelines {
        self.state.read().unwrap_or_else(PoisonError::into_inner).pipelines.clone()
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Ruleset> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).rules.clone()
    }

    /// What is in force, and what its rules say of themselves, by id.
    pub fn described(&self) -> (Arc<Ruleset>, Arc<HashMap<String, About>>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.rules.clone(), state.abouts.clone())
    }

    /// Loaded rules that are turned off.
    pub fn disabled(&self) -> Arc<Vec<(RuleRef, Disabled)>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).disabled.clone()
    }

    /// Rules that did not load.
    pub fn refused(&self) -> Arc<Vec<Refused>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    /// Loads again if a rule file changed, and swaps the program in one step. True if it did. Whoever calls it does so again and
    /// again: a file counts when it is as it was the last time, since half a file would have correlations forget what they know.
    pub fn reload_if_changed(&self) -> bool {
        let disabled = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.detection, &self.own);
        let before =
            std::mem::replace(&mut *self.noticed.lock().unwrap_or_else(PoisonError::into_inner), stamp.clone());
        if self.state.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp || before != stamp {
            return false;
        }
        self.reload(&disabled);
        true
    }

    /// Loads again, and swaps the program in one step. Whoever calls it holds `changing`.
    pub(super) fn reload(&self, disabled: &DisabledRules) {
        let state = State::load(&self.detection, &self.own, &self.mapping, disabled, self.pipelines());
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Writes down what is turned off, then puts it into force.
    pub(super) fn write_disabled(&self, now: &mut DisabledRules, then: DisabledRules) -> std::io::Result<()> {
        whole_file::replace(&self.disabled_file, &serde_json::to_vec_pretty(&then)?)?;
        *now = then;
        self.reload(now);
        Ok(())
    }

    /// Effort what rules did with a batch.
    pub fn count(&self, rules: &Arc<Ruleset>, effort: &Effort, now: Time) {
        self.logsources.note(rules, effort, now);
        let mut known = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, count) in effort.tried() {
            let Some(id) = rules.program.id(rule) else { continue };
            match known.get_mut(id) {
                Some(known) => *known += count,
                None => drop(known.insert(id.to_owned(), count)),
            }
        }
    }

    /// How many events a rule's condition was asked of since the start: what it costs.
    pub fn tried(&self, rule: &str) -> u64 {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).get(rule).copied().unwrap_or_default()
    }
}

impl About {
    /// By id.
    fn of_all(documents: &Documents, mut replaced: HashMap<String, Arc<str>>) -> HashMap<String, About> {
        let rules = documents.rules.iter().map(|rule| {
            let about = About {
                file: rule.file.clone(),
                status: rule.status.clone(),
                description: rule.description.clone(),
                false_positives: rule.false_positives.clone(),
                links: rule.links.clone(),
                logsource: rule.logsource.clone(),
                replaces: None,
            };
            (&rule.reference, about)
        });
        let correlations = documents.correlations.iter().map(|correlation| {
            let about = About {
                file: correlation.file.clone(),
                status: correlation.status.clone(),
                description: correlation.description.clone(),
                false_positives: correlation.false_positives.clone(),
                links: correlation.links.clone(),
                logsource: Logsource::default(),
                replaces: None,
            };
            (&correlation.reference, about)
        });
        let all = rules.chain(correlations);
        all.map(|(reference, about)| {
            let replaces = replaced.remove(&reference.id);
            (reference.id.clone(), About { replaces, ..about })
        })
        .collect()
    }
}

impl State {
    /// Where a pipeline is wrong, those `before` stay in force.
    fn load(
        detection: &Detection,
        own: &OwnFiles,
        mapping: &Arc<Mapping>,
        disabled: &DisabledRules,
        before: Pipelines,
    ) -> State {
        // The stamp is taken first: a file that changes while it is read is read again.
        let stamp = stamp(detection, own);
        let (pipelines, wrong) = match Pipelines::load(&detection.pipelines) {
            Ok(pipelines) => (pipelines, Vec::new()),
            Err(wrong) => (before, wrong),
        };
        let mut replaced: HashMap<String, Arc<str>> = HashMap::new();
        let mut documents = all_documents(detection, own, pipelines.clone(), |id, file| {
            replaced.entry(id).or_insert(file);
        });
        let mut off: BTreeMap<String, (RuleRef, Disabled)> = BTreeMap::new();
        let abouts = About::of_all(&documents, replaced);
        documents.retain(|reference| match disabled.get(&reference.id) {
            Some(disabled) => {
                off.insert(reference.id.clone(), (reference.clone(), disabled.clone()));
                false
            }
            None => true,
        });
        let (rules, mut refused) = Ruleset::compile(documents.link(), mapping);
        refused.extend(wrong.into_iter().map(refused_pipeline));
        State {
            rules: Arc::new(rules),
            disabled: Arc::new(off.into_values().collect()),
            abouts: Arc::new(abouts),
            refused: Arc::new(refused),
            pipelines,
            stamp,
        }
    }
}

/// The data folder's own rules before those that the configuration names. Own ones take the places of those with their ids,
/// which `replaced` is told of with their files.
fn all_documents(
    detection: &Detection,
    own: &OwnFiles,
    pipelines: Pipelines,
    replaced: impl FnMut(String, Arc<str>),
) -> Documents {
    let mut all = Documents::through(pipelines);
    own.folder().iter().for_each(|folder| all.path(folder));
    all.extend(documents(detection, Pipelines::default()), replaced);
    all
}

/// What the configuration names, to go through `pipelines`.
pub fn documents(detection: &Detection, pipelines: Pipelines) -> Documents {
    let mut documents = Documents::through(pipelines);
    if detection.builtin_rules {
        documents.extend(super::content::rules(), |_, _| {});
    }
    detection.rules.iter().for_each(|path| documents.path(path));
    documents
}

/// Pipelines from files.
///
/// # Errors
/// What is wrong with them, line by line.
pub fn pipelines(files: &[PathBuf]) -> anyhow::Result<Pipelines> {
    Pipelines::load(files).map_err(|wrong| {
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        Usage(wrong.join("\n")).into()
    })
}

fn refused_pipeline(wrong: Diagnostic) -> Refused {
    Refused {
        file: wrong.file.into(),
        line: wrong.line,
        column: wrong.column,
        id: None,
        title: None,
        reason: format!("{}; pipelines stay as they were", wrong.message),
    }
}

fn stamp(detection: &Detection, own: &OwnFiles) -> Stamp {
    let mut files = Vec::new();
    for path in detection.rules.iter().chain(&detection.pipelines).chain(&own.folder()) {
        visit(path, 0, &mut files);
    }
    files.sort();
    files
}

fn visit(path: &Path, depth: usize, files: &mut Stamp) {
    const DEEPEST: usize = 16;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if metadata.is_dir() && depth < DEEPEST {
        let Ok(entries) = std::fs::read_dir(path) else { return };
        entries.flatten().for_each(|entry| visit(&entry.path(), depth + 1, files));
    } else if metadata.is_file() {
        files.push((path.to_owned(), metadata.modified().ok(), metadata.len()));
    }
}
