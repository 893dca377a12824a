//! What an evidence bundle is made of (`docs/formats.md`, Evidence): a ZIP file with original events and everything that
//! proves them, to be checked far from the monitor.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{Algorithm, FormatError, Hash, Hasher, checkpoint, hex, sources::Named};

/// The version of all bundles that are written.
pub const VERSION: u32 = 1;
/// What the bundle says of itself: a [`Statement`] as JSON.
pub const STATEMENT: &str = "evidence.json";
/// The checkpoint that everything is proved against: a signed note.
pub const CHECKPOINT: &str = "checkpoint";
/// The entries that certify the keys of the epochs, from the first on: each a line of base64.
pub const KEYS: &str = "keys";
/// The events: each an [`EventLine`] as a line of JSON.
pub const EVENTS: &str = "events.jsonl";
/// The action that is journalled before a bundle is made.
pub const ACTION: &str = "evidence.export";

/// A bundle has at most so many events.
pub const MAX_EVENTS: u64 = 100_000;
/// Whose action an export is: name and receiver of the source.
pub const OWN_SOURCE: (&str, &str) = ("vedette:self", "vedette");

/// What a statement says of which events a bundle has.
pub fn digest(events: impl Iterator<Item = (u32, u64)>) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    events.for_each(|(source, seq)| hasher.update(format!("{source}-{seq}\n").as_bytes()));
    hex(&hasher.finish())
}

/// Name of the member with the entry that says that an event was erased: a line of base64.
pub fn erasure_member(source: u32, seq: u64) -> String {
    format!("erasures/{source}-{seq}")
}

/// Name of the member with the batch records of a source, one after the other without a gap: each a line of base64.
pub fn batches_member(source: u32) -> String {
    format!("batches/{source}")
}

/// Name of the member that proves the record of a batch to be in the log: a C2SP `tlog-proof`.
pub fn proof_member(source: u32, first_seq: u64) -> String {
    format!("proofs/{source}-{first_seq}.tlog-proof")
}

/// Name of the member that proves the checkpoint of an anchor to be a beginning of the bundle's: hashes in base64, a line each.
/// The anchor's own files are members by their paths in the ledger's folder.
pub fn consistency_member(size: u64) -> String {
    format!("anchors/{size}.consistency")
}

/// Hashes as lines of base64.
pub fn hash_lines(hashes: &[Hash]) -> String {
    hashes.iter().map(|hash| STANDARD.encode(hash) + "\n").collect()
}

/// The hashes of lines of base64.
///
/// # Errors
/// A line is not a hash in base64.
pub fn hashes(lines: &str) -> Result<Vec<Hash>, FormatError> {
    let decode = |line| checkpoint::hash(line).ok_or_else(|| FormatError::new("a line is not a hash in base64"));
    lines.lines().map(decode).collect()
}

/// What a bundle says of itself. The event `custody`, which is in the bundle too, says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Version of the format.
    pub format: u32,
    /// Name of the bundle: 32 random hexadecimal digits.
    pub id: String,
    /// The log's public key, as a vkey.
    pub log_key: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// Who made it.
    pub by: String,
    /// What was searched for.
    pub query: String,
    /// From which time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Before which time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// True if it has, of every source, every event from the first that was found to the last; otherwise only what was found.
    pub whole: bool,
    /// How many events it has, without the one that recorded the export.
    pub events: u64,
    /// Which: SHA-256 of their ids (`<source>-<seq>` and a newline each), by source and number, in hexadecimal.
    pub digest: String,
    /// Id of the event that recorded the export.
    pub custody: String,
    /// The sources' names and what commits to them.
    pub sources: Vec<Named>,
}

/// An event of a bundle, and its path to the root of its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    /// Number of its source.
    pub source: u32,
    /// Its sequence number there.
    pub seq: u64,
    /// When it was received: microseconds since 1970.
    pub received: i64,
    /// Its salt, in hexadecimal; none if it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The leaf of an event that was erased, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// The path, the sibling first, in hexadecimal.
    pub path: Vec<String>,
    /// The original bytes, if they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// The original bytes in base64, if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_base64: Option<String>,
}

impl EventLine {
    /// Sets the original bytes.
    pub fn with_original(mut self, bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => self.original = Some(text.to_owned()),
            Err(_) => self.original_base64 = Some(STANDARD.encode(bytes)),
        }
        self
    }

    /// The original bytes; none if the event was erased.
    ///
    /// # Errors
    /// They are there twice, or not base64.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, FormatError> {
        match (&self.original, &self.original_base64) {
            (Some(_), Some(_)) => Err(FormatError::new("it has its original bytes twice")),
            (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
            (None, Some(encoded)) => match STANDARD.decode(encoded) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(_) => Err(FormatError::new("its original bytes are not base64")),
            },
            (None, None) => Ok(None),
        }
    }
}

/// Characters of the shortest entry in base64.
const SHORTEST: usize = 140;

/// An entry as a line of base64.
pub fn entry_line(entry: &[u8]) -> String {
    STANDARD.encode(entry) + "\n"
}

/// The entries of lines of base64.
///
/// # Errors
/// A line is not base64.
pub fn entries(lines: &str) -> Result<Vec<Vec<u8>>, FormatError> {
    // No entry is so short: a file of nothing but short lines would take much room.
    let is_long = |line: &str| line.len() >= SHORTEST;
    let decode = |line: &str| match STANDARD.decode(line) {
        Ok(entry) if is_long(line) => Ok(entry),
        _ => Err(FormatError::new("a line is not an entry in base64")),
    };
    lines.lines().map(decode).collect()
}
