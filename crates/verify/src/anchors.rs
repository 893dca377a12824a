//! Anchors: that a beginning of the log existed before a time, as an authority says.

use std::{collections::HashMap, fs, path::Path};

use vedette_ledger::{
    Algorithm, FormatError, Hash,
    anchors::{ANCHORS, AnchorFile},
    checkpoint::Checkpoint,
    note::VerifierKey,
    timestamp::{Stamp, Token},
};

use crate::{
    Anchored, Kind, Policy, Problem, Report,
    log::{is_beginning, read_checkpoint},
};

/// The anchors that are there. To be asked before the checkpoint is read: then none is of a larger log, also where a
/// monitor works.
pub(crate) fn list(ledger: &Path, report: &mut Report) -> Vec<AnchorFile> {
    let mut found = Vec::new();
    for entry in fs::read_dir(ledger.join(ANCHORS)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match AnchorFile::parse(&name) {
            Some(file) => found.push(file),
            // One that is being written, or never was to its end.
            None if name.ends_with(".new") => {}
            None => {
                report.add(Problem::new(Kind::Extra, "no anchor is named so").file(format!("ledger/{ANCHORS}/{name}")));
            }
        }
    }
    found.sort();
    found
}

/// Checks every anchor: its checkpoint is a beginning of the log, and its token is about it.
pub(crate) fn check(
    ledger: &Path,
    files: &[AnchorFile],
    key: &VerifierKey,
    signed: &Checkpoint,
    policy: &Policy,
    report: &mut Report,
) {
    report.facts.anchors_pinned = !policy.authorities.is_empty();
    // By size: the hash of a checkpoint that is what it should be.
    let mut imprints: HashMap<u64, Hash> = HashMap::new();
    for file in files {
        let AnchorFile::Checkpoint(size) = file else { continue };
        if let Some(imprint) = imprint(ledger, file, *size, key, signed, report) {
            imprints.insert(*size, imprint);
        }
    }
    let mut tokens = Tokens { policy, newest: None };
    for file in files {
        let AnchorFile::Token(size, _) = file else { continue };
        let path = format!("ledger/{}", file.path());
        let Some(imprint) = imprints.get(size) else {
            if !files.contains(&AnchorFile::Checkpoint(*size)) {
                report.add(Problem::new(Kind::Missing, "the checkpoint that it is about is not there").file(path));
            }
            continue;
        };
        match fs::read(ledger.join(file.path())) {
            Ok(reply) => tokens.check(*size, &reply, imprint, &path, report),
            Err(error) => report.add(Problem::new(Kind::Damaged, error.to_string()).file(path)),
        }
    }
    report.facts.anchored = tokens.newest;
}

/// The hash of an anchor's checkpoint, if it is one of this log.
fn imprint(
    ledger: &Path,
    file: &AnchorFile,
    size: u64,
    key: &VerifierKey,
    signed: &Checkpoint,
    report: &mut Report,
) -> Option<Hash> {
    let path = format!("ledger/{}", file.path());
    let bytes = read_checkpoint(&ledger.join(file.path()), key, report, &path);
    let (checkpoint, bytes) = bytes?;
    let mut problem = |kind, what: String| {
        report.add(Problem::new(kind, what).file(&path));
        None
    };
    if checkpoint.size != size {
        return problem(Kind::Changed, format!("it is of {} entries", checkpoint.size));
    }
    if size > signed.size {
        return problem(Kind::RolledBack, format!("it is of {size} entries, the log has {}", signed.size));
    }
    if !is_beginning(ledger, &checkpoint, signed) {
        return problem(Kind::Changed, "it is of another history".into());
    }
    Some(Algorithm::Sha256.hash(&[&bytes]))
}

/// What tokens say together.
pub(crate) struct Tokens<'a> {
    pub(crate) policy: &'a Policy,
    /// Of the largest beginning the earliest time.
    pub(crate) newest: Option<Anchored>,
}

impl Tokens<'_> {
    /// Checks the token of a checkpoint of this size and imprint.
    pub(crate) fn check(&mut self, size: u64, reply: &[u8], imprint: &Hash, path: &str, report: &mut Report) {
        match stamp(reply, imprint, self.policy) {
            Ok(stamp) => {
                report.facts.anchors += 1;
                let anchored =
                    Anchored { entries: size, before: stamp.before().div_euclid(1_000_000) + 1, tsa: stamp.tsa };
                let is_better = |known: &Anchored| (known.entries, anchored.before) < (anchored.entries, known.before);
                if self.newest.as_ref().is_none_or(is_better) {
                    self.newest = Some(anchored);
                }
            }
            Err((kind, what)) => report.add(Problem::new(kind, what).file(path)),
        }
    }
}

fn stamp(reply: &[u8], imprint: &Hash, policy: &Policy) -> Result<Stamp, (Kind, String)> {
    let forged = |error: FormatError| (Kind::Forged, error.to_string());
    let token = Token::read(reply).map_err(|error| (Kind::Damaged, error.to_string()))?;
    let stamp = token.verify(imprint).map_err(forged)?;
    if !policy.authorities.is_empty() {
        token.certify(&policy.authorities).map_err(forged)?;
    }
    Ok(stamp)
}
