//! From files and folders to rules.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Refused, Rule, document};
use crate::yaml::{self, Node, Place, Problem};

/// Largest rule file.
const MAX_FILE_BYTES: u64 = 2 << 20;
/// Deepest folder below a given one.
const MAX_DEPTH: usize = 32;
/// Most files of one load.
const MAX_FILES: usize = 200_000;

/// What was found: every document is in one of the two lists.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Rules that were understood.
    pub rules: Vec<Rule>,
    /// Documents and files that were not.
    pub refused: Vec<Refused>,
}

/// Loads rules from files, and from folders with all below them (`*.yml`, `*.yaml`; not `*.test.yml`, not hidden
/// ones), in the order of their names. A rule whose id was taken before is refused.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Loaded {
    let mut loader = Loader::default();
    for path in paths {
        loader.path(path.as_ref(), 0);
    }
    loader.loaded
}

/// Loads the rules of one text, as if it were the file `file`.
pub fn load_str(file: &str, text: &str) -> Loaded {
    let mut loader = Loader::default();
    loader.text(&Arc::from(file), text);
    loader.loaded
}

#[derive(Default)]
struct Loader {
    loaded: Loaded,
    ids: HashMap<String, (Arc<str>, u32)>,
    seen: HashSet<PathBuf>,
}

impl Loader {
    fn refuse(&mut self, file: &Path, reason: impl Into<String>) {
        self.loaded.refused.push(Refused {
            file: file.to_string_lossy().into(),
            line: 0,
            column: 0,
            id: None,
            title: None,
            reason: reason.into(),
        });
    }

    fn path(&mut self, path: &Path, depth: usize) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, depth),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                self.refuse(path, format!("larger than {MAX_FILE_BYTES} bytes"));
            }
            Ok(_) => self.file(path),
            Err(error) => self.refuse(path, format!("cannot be read: {error}")),
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        if depth > MAX_DEPTH {
            return self.refuse(path, format!("nested deeper than {MAX_DEPTH} folders"));
        }
        let entries = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.refuse(path, format!("cannot be read: {error}")),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link to a folder could lead around in circles.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_rule = (name.ends_with(".yml") || name.ends_with(".yaml"))
                && !name.ends_with(".test.yml")
                && !name.ends_with(".test.yaml");
            if !name.starts_with('.') && (is_folder || is_rule) {
                self.path(&entry.path(), depth + 1);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let same = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !self.seen.insert(same) {
            return;
        }
        if self.seen.len() > MAX_FILES {
            return self.refuse(path, format!("more than {MAX_FILES} files"));
        }
        match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => self.text(&path.to_string_lossy().into(), &text),
            Ok(Err(_)) => self.refuse(path, "is not UTF-8"),
            Err(error) => self.refuse(path, format!("cannot be read: {error}")),
        }
    }

    fn text(&mut self, file: &Arc<str>, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = yaml::documents(text);
        if documents.is_empty() {
            let place = Place { line: 1, column: 1 };
            self.loaded.refused.push(unreadable(file, text, Problem::new(place, "holds no rule")));
        }
        let mut collection = Collection::default();
        for document in documents {
            match document {
                Err(problem) => self.loaded.refused.push(unreadable(file, text, problem)),
                Ok(node) => match collection.next(node) {
                    Ok(Some(node)) => self.document(file, &node),
                    Ok(None) => {}
                    Err(problem) => self.loaded.refused.push(unreadable(file, text, problem)),
                },
            }
        }
    }

    fn document(&mut self, file: &Arc<str>, node: &Node) {
        let rule = match document::read(file, node) {
            Ok(rule) => rule,
            Err(refused) => return self.loaded.refused.push(refused),
        };
        if let Some((file, line)) = self.ids.get(&rule.reference.id) {
            let place = node.get("id").map_or(node.place, |id| id.place);
            let reason = format!("its id is already taken by {file}:{line}");
            return self.loaded.refused.push(Refused::of(&rule, place, reason));
        }
        self.ids.insert(rule.reference.id.clone(), (file.clone(), rule.line));
        self.loaded.rules.push(rule);
    }
}

/// A refusal of a text that is no YAML: whatever looks like a title and an id in it names it.
fn unreadable(file: &Arc<str>, text: &str, problem: Problem) -> Refused {
    let named = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(value.trim().trim_matches(['\'', '"']).to_owned()).filter(|value| !value.is_empty())
    };
    Refused {
        file: file.clone(),
        line: problem.place.line,
        column: problem.place.column,
        id: named("id"),
        title: named("title"),
        reason: problem.reason,
    }
}

/// `action: global | repeat | reset`: documents that give parts to those after them.
#[derive(Default)]
struct Collection {
    global: Option<Node>,
    before: Option<Node>,
}

impl Collection {
    /// The document as a rule; none if it only prepares those that follow.
    fn next(&mut self, node: Node) -> Result<Option<Node>, Problem> {
        let action = node.get("action").map(|action| (action.place, action.text().unwrap_or_default()));
        let over_global = |global: &Option<Node>, node: Node| match global {
            Some(global) => global.merged(&node),
            None => node,
        };
        let whole = match action {
            None => over_global(&self.global, node),
            Some((place, action)) => match action.as_str() {
                "global" => {
                    self.global = Some(over_global(&self.global, node.without("action")));
                    return Ok(None);
                }
                "reset" => {
                    *self = Collection::default();
                    return Ok(None);
                }
                "repeat" => match &self.before {
                    Some(before) => before.merged(&node.without("action")),
                    None => return Err(Problem::new(place, "`action: repeat` has no rule before it")),
                },
                other => return Err(Problem::new(place, format!("unknown action `{other}`"))),
            },
        };
        self.before = Some(whole.clone());
        Ok(Some(whole))
    }
}
