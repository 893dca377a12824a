//! From files and folders to documents.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use vedette_event::RuleRef;

use super::{
    Correlation, Filter, Loaded, Refused, Rule,
    document::{self, Document},
};
use crate::{
    pipeline::Pipelines,
    yaml::{self, Node, Place, Problem},
};

/// Largest rule file.
const MAX_FILE_BYTES: u64 = 2 << 20;
/// Deepest folder below a given one.
const MAX_DEPTH: usize = 32;
/// Most files of one load.
const MAX_FILES: usize = 200_000;

/// What files hold, before filters and correlations are linked with the rules they name.
///
/// ```
/// use vedette_sigma::Documents;
///
/// let mut documents = Documents::default();
/// documents.text("filter.yml", "title: f\nlogsource: {product: p}\nfilter: {rules: [r], s: {G: 1}, condition: not s}");
/// documents.text("rule.yml", "title: t\nid: r\nlogsource: {product: p}\ndetection: {s: {F: a}, condition: s}");
/// let loaded = documents.link();
/// assert!(loaded.refused.is_empty());
/// assert_eq!(&*loaded.rules[0].filters[0], "f");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Rules that were understood.
    pub rules: Vec<Rule>,
    /// Correlations that were understood.
    pub correlations: Vec<Correlation>,
    /// Filters that were understood.
    pub filters: Vec<Filter>,
    /// Documents and files that were not.
    pub refused: Vec<Refused>,
    ids: HashMap<String, (Arc<str>, u32)>,
    /// Files that were read, by device and inode.
    seen: HashSet<(u64, u64)>,
    is_native: bool,
    pub(super) pipelines: Option<Pipelines>,
}

/// Loads rules from files, and from folders with all below them (`*.yml`, `*.yaml`; not `*.test.yml`, not hidden
/// ones), in the order of their names. A rule whose id was taken before is refused.
pub fn load<P: AsRef<Path>>(paths: &[P]) -> Loaded {
    let mut documents = Documents::default();
    for path in paths {
        documents.path(path.as_ref());
    }
    documents.link()
}

/// Loads the rules of one text, as if it were the file `file`.
pub fn load_str(file: &str, text: &str) -> Loaded {
    let mut documents = Documents::default();
    documents.text(file, text);
    documents.link()
}

impl Documents {
    /// Documents that go through pipelines when they are linked.
    pub fn through(pipelines: Pipelines) -> Self {
        Documents { pipelines: Some(pipelines).filter(|pipelines| !pipelines.is_empty()), ..Documents::default() }
    }

    /// Documents that name fields as events do: beside others that go through pipelines, they stay as they are.
    pub fn native() -> Self {
        Documents { is_native: true, ..Documents::default() }
    }

    /// Reads a file, or a folder with all below it, as [`load`] does.
    pub fn path(&mut self, path: &Path) {
        self.file_or_folder(path, 0);
    }

    /// Adds those of `others` beside its own, through whose pipelines they go unless they are native. Whoever has an id that is taken is left
    /// out, and told to `taken` with his file.
    pub fn extend(&mut self, others: Documents, mut taken: impl FnMut(String, Arc<str>)) {
        let Documents { rules, correlations, filters, refused, ids, seen, .. } = others;
        let known = &self.ids;
        let mut is_new = |reference: &RuleRef, file: &Arc<str>| {
            let is_new = !known.contains_key(&reference.id);
            if !is_new {
                taken(reference.id.clone(), file.clone());
            }
            is_new
        };
        self.rules.extend(rules.into_iter().filter(|rule| is_new(&rule.reference, &rule.file)));
        let correlations = correlations.into_iter().filter(|one| is_new(&one.reference, &one.file));
        self.correlations.extend(correlations);
        self.filters.extend(filters);
        self.refused.extend(refused);
        for (id, place) in ids {
            self.ids.entry(id).or_insert(place);
        }
        self.seen.extend(seen);
    }

    /// Leaves out rules and correlations.
    pub fn retain(&mut self, mut keep: impl FnMut(&RuleRef) -> bool) {
        self.rules.retain(|rule| keep(&rule.reference));
        self.correlations.retain(|correlation| keep(&correlation.reference));
    }

    /// Reads a text as if it were the file `file`.
    pub fn text(&mut self, file: &str, text: &str) {
        self.read(&Arc::from(file), text);
    }

    fn refuse(&mut self, file: &Path, reason: impl Into<String>) {
        self.refused.push(Refused {
            file: file.to_string_lossy().into(),
            line: 0,
            column: 0,
            id: None,
            title: None,
            reason: reason.into(),
        });
    }

    fn file_or_folder(&mut self, path: &Path, depth: usize) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, depth),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                self.refuse(path, format!("larger than {MAX_FILE_BYTES} bytes"));
            }
            Ok(metadata) => self.file(path, (metadata.dev(), metadata.ino())),
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
                self.file_or_folder(&entry.path(), depth + 1);
            }
        }
    }

    /// Reads a file, once by whatever names it has.
    fn file(&mut self, path: &Path, identity: (u64, u64)) {
        if !self.seen.insert(identity) {
            return;
        }
        if self.seen.len() > MAX_FILES {
            return self.refuse(path, format!("more than {MAX_FILES} files"));
        }
        match fs::read(path).map(String::from_utf8) {
            Ok(Ok(text)) => self.read(&path.to_string_lossy().into(), &text),
            Ok(Err(_)) => self.refuse(path, "is not UTF-8"),
            Err(error) => self.refuse(path, format!("cannot be read: {error}")),
        }
    }

    fn read(&mut self, file: &Arc<str>, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = yaml::documents(text);
        if documents.is_empty() {
            let place = Place { line: 1, column: 1 };
            self.refused.push(unreadable(file, text, Problem::new(place, "holds no rule")));
        }
        let mut collection = Collection::default();
        for document in documents {
            match document {
                Err(problem) => self.refused.push(unreadable(file, text, problem)),
                Ok(node) => match collection.next(node) {
                    Ok(Some(node)) => self.document(file, &node),
                    Ok(None) => {}
                    Err(problem) => self.refused.push(unreadable(file, text, problem)),
                },
            }
        }
    }

    fn document(&mut self, file: &Arc<str>, node: &Node) {
        let mut document = match document::read(file, node) {
            Ok(document) => document,
            Err(refused) => return self.refused.push(refused),
        };
        match &mut document {
            Document::Rule(rule) => rule.is_native = self.is_native,
            Document::Correlation(correlation) => correlation.is_native = self.is_native,
            Document::Filter(_) => {}
        }
        let (line, reference) = match &document {
            Document::Rule(rule) => (rule.line, &rule.reference),
            Document::Correlation(correlation) => (correlation.line, &correlation.reference),
            Document::Filter(filter) => return self.filters.push(filter.clone()),
        };
        if let Some((before, line)) = self.ids.get(&reference.id) {
            let place = node.get("id").map_or(node.place, |id| id.place);
            let reason = format!("its id is already taken by {before}:{line}");
            return self.refused.push(Refused::named(file, reference, place, reason));
        }
        self.ids.insert(reference.id.clone(), (file.clone(), line));
        match document {
            Document::Rule(rule) => self.rules.push(rule),
            Document::Correlation(correlation) => self.correlations.push(correlation),
            Document::Filter(_) => {}
        }
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
    before: Option<Arc<Node>>,
}

impl Collection {
    /// The document as a rule; none if it only prepares those that follow.
    fn next(&mut self, node: Node) -> Result<Option<Arc<Node>>, Problem> {
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
        let whole = Arc::new(whole);
        self.before = Some(whole.clone());
        Ok(Some(whole))
    }
}
