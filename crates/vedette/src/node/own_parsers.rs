//! The parsers that people write through the API.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    sync::PoisonError,
};

use vedette_event::{BatchBuilder, Derive, Source, SourceId, ecs};
use vedette_intake::parse::Parsers;
use vedette_server::{CheckedParser, FileName, ParsedLine, ParsersView, SaveError};

use super::{maintenance::now, own_files::OwnFiles};

/// The folder in the data folder with parsers that are written through the API.
pub const OWN: &str = "parsers";
/// What the text that is checked is called in diagnostics.
const CHECKED: &str = "the parser";

/// The data folder's own parsers over those of the configured folders.
pub struct OwnParsers {
    configured: Vec<PathBuf>,
    own: OwnFiles,
    writing: Mutex<()>,
}

impl OwnParsers {
    /// Those of the data folder `dir`.
    pub fn new(dir: &Path, configured: &[PathBuf]) -> Self {
        OwnParsers { configured: configured.to_owned(), own: OwnFiles::new(dir.join(OWN)), writing: Mutex::default() }
    }

    /// The folders to load, in their order: the data folder's comes last, so that it wins.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.configured.iter().cloned().chain(self.own.folder()).collect()
    }
}

impl ParsersView for OwnParsers {
    fn check(&self, text: &str, lines: &[String]) -> CheckedParser {
        let (parsers, mut diagnostics) = Parsers::load_with(&self.folders(), CHECKED, text);
        // What is wrong with other files is told elsewhere.
        diagnostics.retain(|diagnostic| diagnostic.file == CHECKED);
        if !diagnostics.is_empty() {
            return CheckedParser { diagnostics, results: Vec::new() };
        }
        let source = Source::new(SourceId(0), "file:trial", "file");
        let received = now();
        let result = |line: &String| {
            let mut batch = BatchBuilder::new(source.clone());
            parsers.derive(&source, 0, received, line.as_bytes(), &mut batch);
            let batch = batch.finish();
            let event = batch.event(0);
            let mut fields = event.to_json();
            // The line itself, and a number that it does not have.
            fields.retain(|name, _| name != ecs::ORIGINAL && name != "event.id");
            ParsedLine { parser: event.parser().map(ToString::to_string), fields }
        };
        CheckedParser { diagnostics, results: lines.iter().map(result).collect() }
    }

    fn save(&self, name: &FileName, text: &str) -> Result<(), SaveError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let diagnostics = self.check(text, &[]).diagnostics;
        if !diagnostics.is_empty() {
            return Err(SaveError::Refused(diagnostics));
        }
        self.own.write(name, text).map_err(|error| SaveError::Failed(format!("{}: {error}", name.yml())))
    }
}
