//! Loading parser files: the built-in ones and those of the user's folders.

use std::path::{Path, PathBuf};

use vedette_event::Diagnostic;

use super::{
    Parsers, builtin,
    grok::Library,
    select::Selector,
    spec::{ParserFile, Select},
    steps::{Assignments, Compiler, Step},
    vocabulary::{Sym, Vocabulary},
};

/// A parser, ready to run.
#[derive(Debug)]
pub(crate) struct Parser {
    pub name: Box<str>,
    /// `name@version`.
    pub id: std::sync::Arc<str>,
    pub file: String,
    pub text: Box<str>,
    /// Module and data set; given to a record that the parser claims unless a step says otherwise.
    pub defaults: Assignments,
    pub steps: Vec<Step>,
    /// The fields of which the first that is there is a record of its own, which other parsers may take further.
    pub carries: Vec<Sym>,
    pub samples: Vec<super::spec::Sample>,
}

struct Source {
    file: String,
    text: String,
}

/// Loads the built-in parsers and, over them by name, those in `dirs` (`*.yml`, `*.yaml`; `patterns.yml` adds
/// patterns). Never fails: what is refused is named in the diagnostics.
pub(crate) fn load(dirs: &[PathBuf]) -> (Parsers, Vec<Diagnostic>) {
    load_with(dirs, None)
}

/// The same, and over them the parser of one more text, as if it were a file of that name.
pub(crate) fn load_with(dirs: &[PathBuf], more: Option<(&str, &str)>) -> (Parsers, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut library = Library::default();
    patterns("patterns.yml", builtin::PATTERNS, &mut library, &mut diagnostics);
    let mut sources: Vec<Source> = builtin::PARSERS
        .iter()
        .map(|(file, text)| Source { file: (*file).to_owned(), text: (*text).to_owned() })
        .collect();
    for dir in dirs {
        match files(dir) {
            Ok(files) => {
                for file in files {
                    read(&file, &mut library, &mut sources, &mut diagnostics);
                }
            }
            Err(error) => diagnostics.push(
                Diagnostic::new(dir.display().to_string(), 0, 0, format!("cannot read the folder: {error}"))
                    .hint("name a folder with parser files"),
            ),
        }
    }
    sources.extend(more.map(|(file, text)| Source { file: file.to_owned(), text: text.to_owned() }));
    let mut specs: Vec<(Source, ParserFile)> = Vec::new();
    for source in sources {
        match serde_norway::from_str::<ParserFile>(&source.text) {
            Ok(spec) => match check(&spec) {
                Err((near, message)) => diagnostics.push(at(&source, &near, message)),
                Ok(()) => match specs.iter().position(|(_, known)| known.parser == spec.parser) {
                    Some(same) => specs[same] = (source, spec),
                    None => specs.push((source, spec)),
                },
            },
            Err(error) => diagnostics.push(yaml(&source.file, &error)),
        }
    }
    let mut vocabulary = Vocabulary::new();
    let mut parsers = Vec::new();
    let mut selects: Vec<(String, Select)> = Vec::new();
    for (source, spec) in specs {
        let mut compiler = Compiler { vocabulary: &mut vocabulary, library: &library };
        match compiler.steps(spec.steps) {
            Ok(steps) => {
                let known = vocabulary.known;
                let text = |text: String| vec![super::spec::Literal::Text(text)];
                let module = spec.module.map(|module| (known.module, text(module)));
                let dataset = spec.dataset.map(|dataset| (known.dataset, text(dataset)));
                parsers.push(Parser {
                    id: format!("{}@{}", spec.parser, spec.version).into(),
                    name: spec.parser.as_str().into(),
                    file: source.file,
                    text: source.text.into(),
                    defaults: [module, dataset].into_iter().flatten().collect(),
                    steps,
                    carries: spec
                        .carries
                        .map(super::spec::OneOrMany::into_vec)
                        .unwrap_or_default()
                        .iter()
                        .map(|field| vocabulary.intern(field))
                        .collect(),
                    samples: spec.samples,
                });
                selects.push((spec.parser, spec.select));
            }
            Err(refusal) => {
                let mut diagnostic = at(&source, &refusal.near, refusal.message);
                diagnostic.hint = refusal.hint;
                diagnostics.push(diagnostic);
            }
        }
    }
    let selector = Selector::new(selects.iter().map(|(name, select)| (name.as_str(), select)), &mut vocabulary);
    (Parsers::new(parsers, vocabulary, selector), diagnostics)
}

fn check(spec: &ParserFile) -> Result<(), (String, String)> {
    let name = &spec.parser;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let message = format!("`{name}` is not a parser name: lower case letters, digits, `.`, `_`, `-`");
        return Err((name.clone(), message));
    }
    match spec.select.contains.iter().find(|piece| piece.len() < 3) {
        Some(piece) => Err((piece.clone(), format!("`{piece}` is too short to select by: at least three bytes"))),
        None => Ok(()),
    }
}

fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let wanted = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if wanted && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path, library: &mut Library, sources: &mut Vec<Source>, diagnostics: &mut Vec<Diagnostic>) {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) if path.file_name().is_some_and(|name| name == "patterns.yml") => {
            patterns(&file, &text, library, diagnostics);
        }
        Ok(text) => sources.push(Source { file, text }),
        Err(error) => diagnostics.push(Diagnostic::new(file, 0, 0, format!("cannot read: {error}"))),
    }
}

fn patterns(file: &str, text: &str, library: &mut Library, diagnostics: &mut Vec<Diagnostic>) {
    match serde_norway::from_str::<super::spec::Pairs<String>>(text) {
        Ok(pairs) => library.0.extend(pairs.0),
        Err(error) => diagnostics.push(yaml(file, &error)),
    }
}

fn yaml(file: &str, error: &serde_norway::Error) -> Diagnostic {
    let (line, column) = error.location().map_or((0, 0), |location| (location.line() as u32, location.column() as u32));
    let text = error.to_string();
    // The place is in the diagnostic; serde's sentence repeats it.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let (message, hint) = match text.split_once(", expected one of ") {
        Some((message, names)) => (message, format!("known: {}", names.replace('`', ""))),
        None => (text, "see docs/parsers.md".to_owned()),
    };
    Diagnostic::new(file, line, column, message).hint(hint)
}

/// Points at the first line that has the text in it.
fn at(source: &Source, near: &str, message: String) -> Diagnostic {
    let first = near.lines().next().unwrap_or_default();
    let line = (!first.is_empty())
        .then(|| {
            source.text.lines().position(|line| line.contains(first) || line.replace("\\\\", "\\").contains(first))
        })
        .flatten();
    Diagnostic::new(&source.file, line.map_or(0, |line| line as u32 + 1), 0, message)
}
