//! Files into the spool.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use vedette_event::{Diagnostic, Reason, Source};
use vedette_spool::{Refused, Spool, Ticket};

use super::{Format, ImportError, Options, open};
use crate::receive::deliver::{Backoff, MAX_PORTION};

const PORTION_BYTES: usize = 1 << 20;
/// Portions on their way to the disk.
const IN_FLIGHT: usize = 8;

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running<'a> {
    /// The file being read.
    pub file: &'a Path,
    /// Its number, from 1.
    pub number: usize,
    /// Of how many.
    pub files: usize,
    /// Bytes of it that are read.
    pub read: u64,
    /// Of how many.
    pub total: u64,
    /// Records stored so far, of all files.
    pub stored: u64,
    /// Errors so far, of all files.
    pub errors: u64,
}

/// What became of an import.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The source's name.
    pub source: String,
    /// Per file, in order.
    pub files: Vec<FileSummary>,
    /// Records that are durable now.
    pub stored: u64,
    /// Records that were skipped, because the job had stored them before.
    pub skipped: u64,
    /// Parts that were no records.
    pub errors: u64,
    /// It was cancelled before its end; run it again with [`Options::resume`] to go on.
    pub is_cancelled: bool,
}

/// What became of one file.
#[derive(Clone, Debug)]
pub struct FileSummary {
    /// The file.
    pub file: PathBuf,
    /// What it is; none when it could not be read at all.
    pub format: Option<Format>,
    /// Records found in it.
    pub records: u64,
    /// Parts that were no records.
    pub errors: u64,
    /// The first of them.
    pub first_errors: Vec<ImportError>,
    /// Why nothing was read.
    pub refused: Option<Diagnostic>,
}

/// The import cannot go on; what was stored stays stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// A job's name has 1 to 128 printable characters.
    #[error("`{0}` cannot be a job's name: use 1 to 128 printable characters without spaces")]
    Job(String),
    /// The spool does not take the records.
    #[error("the spool refuses the import: {0}; what was stored stays, and the job can be resumed")]
    Spool(Refused),
}

/// Imports files as source `import:<job>` and returns once everything is durable. Where the spool is busy it
/// waits; a full disk ends the import. A damaged file is reported in the summary and does not stop the others.
///
/// Running a job again stores its records again, unless [`Options::resume`] is set.
///
/// # Errors
/// When the job's name or the spool does not allow it.
pub fn run(
    files: &[PathBuf],
    job: &str,
    spool: &Spool,
    options: &Options,
    progress: &mut dyn FnMut(&Running<'_>),
    cancel: &CancellationToken,
) -> Result<Summary, ImportFailure> {
    if !(1..=128).contains(&job.len()) || !job.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ImportFailure::Job(job.to_owned()));
    }
    let name = format!("import:{job}");
    let source = spool.source(&name, "import", None).map_err(ImportFailure::Spool)?;
    let before = spool.ledger().iter().find(|(known, _)| known.id == source.id).map_or(0, |(_, losses)| losses.stored);
    let mut run = Run {
        spool,
        source,
        cancel,
        skip: if options.resume { before } else { 0 },
        portion: Vec::new(),
        portion_bytes: 0,
        in_flight: VecDeque::new(),
        summary: Summary { source: name, ..Summary::default() },
    };
    for (number, file) in files.iter().enumerate() {
        let of = (number + 1, files.len());
        let summary = run.file(file, of, options, progress)?;
        run.summary.files.push(summary);
        if run.summary.is_cancelled {
            break;
        }
    }
    run.hand_over()?;
    run.settle(0)?;
    Ok(run.summary)
}

struct Run<'a> {
    spool: &'a Spool,
    source: Arc<Source>,
    cancel: &'a CancellationToken,
    skip: u64,
    portion: Vec<Bytes>,
    portion_bytes: usize,
    in_flight: VecDeque<Ticket>,
    summary: Summary,
}

impl Run<'_> {
    fn file(
        &mut self,
        file: &Path,
        (number, files): (usize, usize),
        options: &Options,
        progress: &mut dyn FnMut(&Running<'_>),
    ) -> Result<FileSummary, ImportFailure> {
        let mut summary = FileSummary {
            file: file.to_owned(),
            format: None,
            records: 0,
            errors: 0,
            first_errors: Vec::new(),
            refused: None,
        };
        let mut import = match open(file, options) {
            Ok(import) => import,
            Err(refused) => {
                summary.errors = 1;
                self.summary.errors += 1;
                summary.refused = Some(refused);
                return Ok(summary);
            }
        };
        summary.format = Some(import.format());
        while let Some(item) = import.next() {
            if self.cancel.is_cancelled() {
                self.summary.is_cancelled = true;
                break;
            }
            match item {
                Ok(record) => {
                    summary.records += 1;
                    if self.skip > 0 {
                        self.skip -= 1;
                        self.summary.skipped += 1;
                        continue;
                    }
                    self.portion_bytes += record.len();
                    self.portion.push(Bytes::from(record));
                    if self.portion.len() < MAX_PORTION && self.portion_bytes < PORTION_BYTES {
                        continue;
                    }
                    self.hand_over()?;
                    self.settle(IN_FLIGHT)?;
                    let (read, total) = import.progress();
                    let (stored, errors) = (self.summary.stored, self.summary.errors);
                    progress(&Running { file, number, files, read, total, stored, errors });
                }
                Err(error) => {
                    summary.errors += 1;
                    self.summary.errors += 1;
                    self.spool.refuse(&self.source, error.reason, 1);
                    if summary.first_errors.len() < options.errors_kept {
                        summary.first_errors.push(error);
                    }
                }
            }
        }
        let (read, total) = import.progress();
        let (stored, errors) = (self.summary.stored, self.summary.errors);
        progress(&Running { file, number, files, read, total, stored, errors });
        Ok(summary)
    }

    fn hand_over(&mut self) -> Result<(), ImportFailure> {
        self.portion_bytes = 0;
        let portion = std::mem::take(&mut self.portion);
        self.append(portion)
    }

    /// Appends, waiting while the spool is busy. The order is kept: what is in flight is waited for first.
    fn append(&mut self, records: Vec<Bytes>) -> Result<(), ImportFailure> {
        if records.is_empty() {
            return Ok(());
        }
        let mut backoff = Backoff::new();
        loop {
            match self.spool.append(&self.source, records.clone()) {
                Ok(ticket) => {
                    self.in_flight.push_back(ticket);
                    return Ok(());
                }
                Err(refused) if refused.reason == Reason::Busy => {
                    if self.cancel.is_cancelled() {
                        self.summary.is_cancelled = true;
                        return Ok(());
                    }
                    thread::sleep(backoff.next());
                }
                Err(refused) if refused.reason == Reason::TooLarge && records.len() > 1 => {
                    for record in records {
                        self.append(vec![record])?;
                    }
                    return Ok(());
                }
                Err(refused) if refused.reason == Reason::TooLarge => {
                    self.spool.refuse(&self.source, Reason::TooLarge, 1);
                    self.summary.errors += 1;
                    return Ok(());
                }
                Err(refused) => return Err(ImportFailure::Spool(refused)),
            }
        }
    }

    fn settle(&mut self, left: usize) -> Result<(), ImportFailure> {
        while self.in_flight.len() > left {
            let Some(ticket) = self.in_flight.pop_front() else { break };
            match ticket.wait_blocking() {
                Ok(receipt) => self.summary.stored += receipt.count as u64,
                Err(refused) => return Err(ImportFailure::Spool(refused)),
            }
        }
        Ok(())
    }
}
