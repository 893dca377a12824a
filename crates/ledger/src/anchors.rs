//! Anchors: checkpoints that an authority put its time on, with its tokens beside them (`docs/formats.md`, Anchors).

use std::{fs, io, path::Path};

use crate::{
    Algorithm, LedgerError, checkpoint,
    error::IoContext,
    files::{create_parent, replace},
    hash::hex,
    note::Note,
    timestamp::Token,
};

/// The folder of anchors, in the ledger's folder.
pub const ANCHORS: &str = "anchors";

/// A file of the folder, as its name says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnchorFile {
    /// The checkpoint of this size, as it was stamped: `<size>.checkpoint`.
    Checkpoint(u64),
    /// The token for it of the authority of this name: `<size>-<name>.tsr`.
    Token(u64, String),
}

impl AnchorFile {
    /// Reads a file's name; none if no anchor is named so.
    pub fn parse(name: &str) -> Option<AnchorFile> {
        if let Some(size) = name.strip_suffix(".checkpoint") {
            return checkpoint::decimal(size).map(AnchorFile::Checkpoint);
        }
        let (size, authority) = name.strip_suffix(".tsr")?.split_once('-')?;
        Some(AnchorFile::Token(checkpoint::decimal(size)?, authority.to_owned()))
    }

    /// How large the log was.
    pub fn size(&self) -> u64 {
        match self {
            AnchorFile::Checkpoint(size) | AnchorFile::Token(size, _) => *size,
        }
    }

    /// The path in the ledger's folder.
    pub fn path(&self) -> String {
        match self {
            AnchorFile::Checkpoint(size) => format!("{ANCHORS}/{size}.checkpoint"),
            AnchorFile::Token(size, authority) => format!("{ANCHORS}/{size}-{authority}.tsr"),
        }
    }
}

/// What an authority's files are named by: the beginning of a hash of its address, so that no address makes a bad file name.
pub fn authority_name(url: &str) -> String {
    hex(&Algorithm::Sha256.hash(&[url.as_bytes()])[..4])
}

/// Size and time (microseconds since 1970) of the newest anchor of an authority. The time is only what the token says.
pub(crate) fn newest(dir: &Path, authority: &str) -> Result<Option<(u64, i64)>, LedgerError> {
    let of_it = |file: &AnchorFile| matches!(file, AnchorFile::Token(_, name) if name == authority);
    let Some(newest) = files(dir)?.into_iter().filter(of_it).max() else { return Ok(None) };
    let path = dir.join(newest.path());
    let reply = fs::read(&path).at(&path)?;
    // A damaged one is `verify`'s to report; here it only means that another one is due.
    Ok(Token::read(&reply).ok().map(|token| (newest.size(), token.time())))
}

/// The files of all anchors.
pub(crate) fn files(dir: &Path) -> Result<Vec<AnchorFile>, LedgerError> {
    let folder = dir.join(ANCHORS);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at(&folder)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(entry.at(&folder)?.file_name().to_str().and_then(AnchorFile::parse));
    }
    Ok(found)
}

/// Keeps a token and the checkpoint that it is about, which is there first.
pub(crate) fn keep(dir: &Path, note: &Note, size: u64, authority: &str, reply: &[u8]) -> Result<(), LedgerError> {
    let checkpoint = dir.join(AnchorFile::Checkpoint(size).path());
    create_parent(dir, &checkpoint)?;
    replace(&checkpoint, note.to_string().as_bytes())?;
    replace(&dir.join(AnchorFile::Token(size, authority.to_owned()).path()), reply)
}
