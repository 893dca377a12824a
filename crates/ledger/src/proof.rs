//! Proofs that an entry is in the log ([C2SP tlog-proof](https://c2sp.org/tlog-proof)).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Algorithm, FormatError, Hash,
    checkpoint::{self, Checkpoint},
    note::Note,
    tree,
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The longest path in a tree of 2^64 leaves has this many hashes.
const MAX_PATH: usize = 64;

/// An entry's place in the log, and the path from there to the root of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Opaque bytes that come with it.
    pub extra: Option<Vec<u8>>,
    /// Number of the entry.
    pub index: u64,
    /// Its audit path, the sibling first.
    pub path: Vec<Hash>,
    /// The checkpoint, with its signatures.
    pub note: Note,
}

impl Proof {
    /// Whether an entry has this place in the checkpoint's tree. Signatures are not checked here.
    ///
    /// # Errors
    /// The checkpoint is none, or the path does not lead to its root.
    pub fn check(&self, entry: &[u8]) -> Result<Checkpoint, FormatError> {
        let checkpoint: Checkpoint = self.note.text.parse()?;
        let leaf = tree::leaf_hash(Algorithm::Sha256, entry);
        let root = tree::root_from_inclusion(Algorithm::Sha256, leaf, self.index, checkpoint.size, &self.path);
        if root != Some(checkpoint.root) {
            return Err(FormatError::new(format!("the path does not lead from entry {} to the root", self.index)));
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for Proof {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bad = |what: &str| FormatError::new(format!("not a proof of a log's entry: {what}"));
        let (head, note) = text.split_once("\n\n").ok_or_else(|| bad("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad("it begins with another line"));
        }
        let mut line = lines.next();
        let extra = match line.and_then(|line| line.strip_prefix("extra ")) {
            Some(extra) => {
                line = lines.next();
                Some(STANDARD.decode(extra).map_err(|_| bad("what comes with it is not base64"))?)
            }
            None => None,
        };
        let index = line.and_then(|line| checkpoint::decimal(line.strip_prefix("index ")?));
        let index = index.ok_or_else(|| bad("it has no index"))?;
        let path: Vec<Hash> = lines
            .take(MAX_PATH + 1)
            .map(|line| checkpoint::hash(line).ok_or_else(|| bad("a hash is 32 bytes in base64")))
            .collect::<Result<_, _>>()?;
        if path.len() > MAX_PATH {
            return Err(bad("its path is too long"));
        }
        Ok(Proof { extra, index, path, note: Note::parse(note.as_bytes())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_survives_its_text_and_leads_to_the_root() {
        let entries = [&b"one"[..], b"two", b"three"];
        let leaves: Vec<Hash> = entries.iter().map(|entry| tree::leaf_hash(Algorithm::Sha256, entry)).collect();
        let root = tree::root(Algorithm::Sha256, &leaves);
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: 3, root };
        for extra in [None, Some(b"more".to_vec())] {
            let note = Note { text: checkpoint.to_string(), signatures: vec![signature()] };
            let proof = Proof { extra, index: 2, path: crate::batch::path(Algorithm::Sha256, &leaves, 2), note };
            let read: Proof = proof.to_string().parse().expect("it is well formed");
            assert_eq!(read, proof);
            assert_eq!(read.check(b"three").expect("it is well formed"), checkpoint);
            assert!(read.check(b"four").is_err());
        }
    }

    fn signature() -> crate::note::Signature {
        format!("— example.org/log {}", STANDARD.encode([7; 68])).parse().expect("it is well formed")
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v1\nindex 01\n\nx\n1\nAA==\n\n"] {
            assert!(text.parse::<Proof>().is_err(), "{text:?}");
        }
    }
}
