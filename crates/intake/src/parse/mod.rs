//! Parsers: from a record's bytes to an event's fields.
//!
//! A record first loses its envelope (syslog, journald, nothing), then tables choose a few candidate parsers
//! (by program, JSON names, source, content), and the first one whose steps fit claims it. Parsers are YAML
//! (`content/parsers/`, documented in `docs/parsers.md`); their steps are compiled once. While it is
//! parsed, an event is a draft: one text buffer, and fields that point into it.
//!
//! ```
//! use vedette_event::{BatchBuilder, Derive, Source, SourceId, Time, Value};
//! use vedette_intake::parse::Parsers;
//!
//! let parsers = Parsers::builtin();
//! let source = Source::new(SourceId(1), "file:/var/log/auth.log", "file");
//! let mut batch = BatchBuilder::new(source.clone());
//! let line = b"Nov 21 04:11:52 web1 sshd[811]: Failed password for root from 192.0.2.7 port 4711 ssh2";
//! parsers.derive(&source, 0, Time::from_secs(1_795_233_112), line, &mut batch);
//! let batch = batch.finish();
//! assert_eq!(batch.event(0).get("source.ip"), Some(Value::Str("192.0.2.7")));
//! assert_eq!(batch.event(0).get("event.outcome"), Some(Value::Str("failure")));
//! ```

mod address;
mod auditd;
mod builtin;
mod date;
mod derive;
mod draft;
mod emit;
mod envelope;
mod grok;
mod json;
mod load;
mod samples;
mod select;
mod spec;
mod steps;
mod vocabulary;
mod windows;
mod xml;

use std::path::PathBuf;

use jiff::tz::TimeZone;
pub use samples::SampleResult;
use vedette_event::Diagnostic;

/// The loaded parsers. Deriving an event is a pure function of them and the record.
#[derive(Debug)]
pub struct Parsers {
    parsers: Vec<load::Parser>,
    vocabulary: vocabulary::Vocabulary,
    selector: select::Selector,
    moves: windows::Moves,
    zone: TimeZone,
}

impl Parsers {
    /// The built-in parsers, and over them those in `dirs`: a file with the name of a built-in parser replaces
    /// it. What is wrong with a file is in the diagnostics; the other files are loaded.
    pub fn load(dirs: &[PathBuf]) -> (Parsers, Vec<Diagnostic>) {
        load::load(dirs)
    }

    /// As [`load`](Self::load), and over them the parser of one more text, as if it were the file `file`.
    pub fn load_with(dirs: &[PathBuf], file: &str, text: &str) -> (Parsers, Vec<Diagnostic>) {
        load::load_with(dirs, Some((file, text)))
    }

    /// The built-in parsers alone.
    pub fn builtin() -> Parsers {
        load::load(&[]).0
    }

    /// The zone of dates that name none (RFC 3164, most application logs); UTC unless said otherwise.
    pub fn with_zone(mut self, zone: TimeZone) -> Parsers {
        self.zone = zone;
        self
    }

    /// Name and version of every parser, as `name@version`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parsers.iter().map(|parser| &*parser.id)
    }

    fn new(parsers: Vec<load::Parser>, mut vocabulary: vocabulary::Vocabulary, selector: select::Selector) -> Parsers {
        let moves = windows::Moves::new(&mut vocabulary);
        Parsers { parsers, vocabulary, selector, moves, zone: TimeZone::UTC }
    }
}
