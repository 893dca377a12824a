//! Import: records out of files that exist already.
//!
//! [`open`] finds out by content what a file is and gives its records one by one, with what is damaged or too
//! long as errors in between. An [`ImportError`] names file, place and reason, and says as which
//! [`Reason`] the part is to be refused; [`Import::progress`] says how much of the file is read. Where the records
//! go is the caller's affair. Every element of a CloudTrail file or JSON array is a record; an EVTX record is
//! the JSON that the `evtx` crate renders; a row of a Zeek table becomes the JSON that Zeek itself would write.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("eve.json");
//! std::fs::write(&path, "{\"event_type\":\"alert\"}\nnot JSON\n{\"event_type\":\"dns\"}\n")?;
//! let mut import = vedette_intake::import::open(&path, &Default::default())?;
//! assert_eq!(import.format().as_str(), "ndjson");
//! let (records, errors): (Vec<_>, Vec<_>) = import.by_ref().partition(Result::is_ok);
//! assert_eq!((records.len(), errors.len()), (2, 1));
//! assert!(errors[0].as_ref().unwrap_err().to_string().ends_with("eve.json: line 2: not valid JSON: expected ident at line 1 column 2"));
//! let (read, total) = import.progress();
//! assert_eq!(read, total);
//! # Ok(()) }
//! ```

mod evtx;
mod input;
mod text;
mod zeek;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use vedette_event::{Diagnostic, Reason};

/// Bounds of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The longest record, in bytes.
    pub record_bytes: usize,
    /// A compressed EVTX file is read into memory; this is the most it may decompress to.
    pub compressed_evtx_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { record_bytes: 1 << 20, compressed_evtx_bytes: 256 << 20 }
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Windows event log.
    Evtx,
    /// One JSON object a line: EVE, Zeek's JSON, Winlogbeat, and most others.
    Ndjson,
    /// One JSON array.
    JsonArray,
    /// JSON objects over several lines each.
    Json,
    /// `{"Records": […]}`, as AWS CloudTrail writes.
    CloudTrail,
    /// A Zeek log as tab-separated table.
    ZeekTsv,
    /// Plain lines.
    Lines,
}

impl Format {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Evtx => "evtx",
            Format::Ndjson => "ndjson",
            Format::JsonArray => "json-array",
            Format::Json => "json",
            Format::CloudTrail => "cloudtrail",
            Format::ZeekTsv => "zeek-tsv",
            Format::Lines => "lines",
        }
    }
}

/// A part of a file that is no record. The rest goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The file, as the user named it.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// How it is counted.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// An element of an array or sequence, from 1.
    Element(u64),
    /// A chunk of an EVTX file, from 0.
    Chunk(u64),
    /// The file as a whole.
    File,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Element(element) => write!(f, "element {element}"),
            Place::Chunk(chunk) => write!(f, "chunk {chunk}"),
            Place::File => write!(f, "file"),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.place, self.message)
    }
}

impl std::error::Error for ImportError {}

/// What an iterator of records gives.
pub type Item = Result<Vec<u8>, ImportError>;

/// The records of one file.
pub struct Import {
    format: Format,
    read: Arc<AtomicU64>,
    total: u64,
    items: Box<dyn Iterator<Item = Item> + Send>,
}

impl Import {
    /// What the file is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of the file that are read, of how many.
    pub fn progress(&self) -> (u64, u64) {
        (self.read.load(Relaxed).min(self.total), self.total)
    }
}

impl Iterator for Import {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.items.next()
    }
}

/// Opens a file (plain, gzip or zstd) and finds out what it is.
///
/// # Errors
/// When the file cannot be read or is of a kind that is not supported, with a hint.
pub fn open(path: &Path, options: &Options) -> Result<Import, Diagnostic> {
    input::open(path, options)
}
