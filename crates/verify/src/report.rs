//! What was found.

use serde::Serialize;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file cannot be read as what it is.
    Damaged,
    /// Something that was signed is not there.
    Missing,
    /// Something is not as it was signed.
    Changed,
    /// Something is signed by a wrong key, or by none.
    Forged,
    /// Something is there that was never signed, or twice.
    Extra,
    /// The folder is older than what was signed.
    RolledBack,
    /// A witness that has to have seen the log has not.
    Unwitnessed,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Damaged => "damaged",
            Kind::Missing => "missing",
            Kind::Changed => "changed",
            Kind::Forged => "forged",
            Kind::Extra => "extra",
            Kind::RolledBack => "rolled back",
            Kind::Unwitnessed => "unwitnessed",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// The file, relative to the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Number of the log's entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// Number of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// Sequence numbers of the first and the last event concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<(u64, u64)>,
    /// What is wrong, in words.
    pub what: String,
}

impl Problem {
    /// A problem without a place.
    pub fn new(kind: Kind, what: impl Into<String>) -> Problem {
        Problem { kind, file: None, entry: None, source: None, events: None, what: what.into() }
    }

    /// In a file.
    pub fn file(self, file: impl Into<String>) -> Problem {
        Problem { file: Some(file.into()), ..self }
    }

    /// At an entry of the log.
    pub fn entry(self, entry: u64) -> Problem {
        Problem { entry: Some(entry), ..self }
    }

    /// Of events of a source.
    pub fn events(self, source: u32, first: u64, last: u64) -> Problem {
        Problem { source: Some(source), events: Some((first, last)), ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind)?;
        if let (Some(source), Some((first, last))) = (self.source, self.events) {
            write!(f, ", events {source}-{first} to {source}-{last}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        if let Some(file) = &self.file {
            write!(f, ", {file}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// That a beginning of the log existed before a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anchored {
    /// How many entries.
    pub entries: u64,
    /// The time: seconds since 1970.
    pub before: i64,
    /// Who says so.
    pub tsa: String,
}

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The log's name.
    pub origin: String,
    /// Its public key, as a vkey.
    pub log_key: String,
    /// Public key of the first epoch, in hexadecimal.
    pub first_epoch: String,
    /// Whether the keys come from a policy; otherwise from the folder itself.
    pub pinned: bool,
    /// Entries of the log.
    pub entries: u64,
    /// Root of the tree over them, in hexadecimal.
    pub root: String,
    /// Newest cosignature of a witness of the policy: seconds since 1970.
    pub witnessed: Option<u64>,
    /// Tokens of time-stamping authorities that are about a beginning of the log.
    pub anchors: u64,
    /// What the newest of them says.
    pub anchored: Option<Anchored>,
    /// Whether the authorities come from a policy; otherwise anybody could have made the tokens.
    pub anchors_pinned: bool,
    /// Batches that are in the log.
    pub batches: u64,
    /// Events that are what was signed.
    pub events: u64,
    /// Of these, events that are still in the spool only.
    pub in_spool: u64,
    /// Events in the spool that no entry of the log is about: they came after the last batch of their source, and nothing is proved
    /// of them yet.
    pub waiting: u64,
    /// Segments that are what was signed.
    pub segments: u64,
    /// Events that were deleted by a signed deletion.
    pub deleted: u64,
    /// Files of the log with entries that were never signed: they were being written when the monitor was ended.
    pub unsigned: u64,
    /// Events that were erased by a signed erasure; their places in their batches are proved like the others.
    pub erased: u64,
    /// Events whose erasure was interrupted, and which are still there: the next start goes on with it.
    pub erasing: u64,
    /// Of a bundle: how many of its batches are proved one by one, and how many of these the anchor has.
    pub proved_batches: u64,
    /// See there.
    pub anchored_batches: u64,
    /// Of a bundle: what it has of each source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

/// What a bundle has of a source. The log's records are without a gap from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Number of the source.
    pub source: u32,
    /// Its name.
    pub name: String,
    /// Sequence number of its first event in the bundle.
    pub first: u64,
    /// Of its last.
    pub last: u64,
    /// How many of these events the bundle has.
    pub events: u64,
}

/// The result of a verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What was checked.
    pub facts: Facts,
    /// What is wrong; empty if the folder is what was signed.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}
