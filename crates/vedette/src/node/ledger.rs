//! The ledger of a data folder, and what is entered into it.

use std::{fs::File, path::Path};

use anyhow::Context;
use vedette_ledger::{
    Ledger, Options,
    entry::{Body, DeletionRecord, MAX_RUNS, SegmentRecord},
    remote::Reconnecting,
};
use vedette_store::{NewSegment, Run};

use super::{
    maintenance::now,
    sealer::{News, Starter},
};
use crate::config::Config;

/// The ledger's folder in the data folder.
pub const LEDGER: &str = "ledger";
/// The sealer's.
pub const SEALER: &str = "sealer";

/// Opens the ledger in a data folder, and starts the process that seals it. The news are of that process.
///
/// # Errors
/// The sealer does not start; the ledger is damaged, in use, or not what the sealer signed.
pub fn open(dir: &Path, config: &Config) -> anyhow::Result<(Ledger, News)> {
    let origin = match &config.ledger.origin {
        Some(origin) => origin.clone(),
        None => default_origin()?,
    };
    let news = News::default();
    let mut starter = Starter::new(dir.join(SEALER), origin, news.clone());
    let sealer = Reconnecting::new(move || starter.start());
    let options = Options { algorithm: config.ledger.algorithm, ..Options::default() };
    let ledger =
        Ledger::open(&dir.join(LEDGER), options, Box::new(sealer), now().micros()).context("cannot open the ledger")?;
    Ok((ledger, news))
}

/// Enters segments into the ledger, and has that and all of their events signed.
///
/// # Errors
/// A file cannot be read, or the ledger not be sealed.
pub fn seal_segments(ledger: &Ledger, new: &[NewSegment]) -> anyhow::Result<()> {
    for segment in new {
        let hash = |path: &Path| {
            let mut hasher = blake3::Hasher::new();
            let hashed = File::open(path)
                .and_then(|file| hasher.update_reader(file).map(|hasher| *hasher.finalize().as_bytes()));
            hashed.with_context(|| format!("cannot read {}", path.display()))
        };
        ledger.record(Body::Segment(SegmentRecord {
            id: segment.id.clone(),
            time: now().micros(),
            rows_hash: hash(&segment.rows)?,
            tokens_hash: hash(&segment.tokens)?,
        }))?;
    }
    ledger.checkpoint(now().micros())?;
    Ok(())
}

/// Enters a deletion into the ledger, and has it signed.
///
/// # Errors
/// The ledger cannot be sealed.
pub fn seal_deletion(ledger: &Ledger, runs: &[Run]) -> anyhow::Result<()> {
    for runs in runs.chunks(MAX_RUNS) {
        let runs = runs.iter().map(|run| (run.source.0, run.first_seq, run.last_seq)).collect();
        ledger.record(Body::Deletion(DeletionRecord { time: now().micros(), runs }))?;
    }
    ledger.checkpoint(now().micros())?;
    Ok(())
}

/// A name that no other log has: this host's, and a few random digits.
fn default_origin() -> anyhow::Result<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
    let host = if !host.is_empty() && host.chars().all(is_plain) { host } else { "localhost".into() };
    let mut random = [0; 4];
    getrandom::fill(&mut random).context("no random numbers")?;
    Ok(format!("{host}/vedette/{}", vedette_ledger::hex(&random)))
}
