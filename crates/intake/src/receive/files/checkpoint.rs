//! What is remembered over a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::{FileId, Fingerprint};

/// The checkpoint file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Patterns whose first scan is done.
    pub(super) patterns: Vec<String>,
    /// By path.
    pub(super) files: BTreeMap<String, Entry>,
    /// Files that were read to their end after rotation: not to be taken for new ones under their new names.
    pub(super) finished: Vec<Generation>,
}

/// One path, one source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Records of the source that the spool held when the offsets below were reached.
    pub(super) stored: u64,
    /// The generation that records after `stored` come from.
    pub(super) reading: Option<FileId>,
    /// Oldest first.
    pub(super) generations: Vec<Generation>,
}

/// One file that was seen under the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generation {
    pub(super) id: FileId,
    pub(super) fingerprint: Fingerprint,
    /// Everything before it is stored or refused.
    pub(super) offset: u64,
    /// The offset is inside an over-long line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) skipping: bool,
    /// Here a record ends though no LF follows, because nothing more came for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut_at: Option<u64>,
}

/// More finished files than this are forgotten, oldest first.
pub(super) const MAX_FINISHED: usize = 4096;
