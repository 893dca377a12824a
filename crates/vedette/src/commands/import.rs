//! `vedette import`: files into the store.

use std::{path::Path, sync::Arc, thread};

use anyhow::Context;
use bytes::Bytes;
use vedette_event::{Reason, Source};
use vedette_intake::import;

use crate::{
    Outcome, Usage,
    cli::ImportArgs,
    client::Client,
    commands::detect::files_below,
    config::{self, Config},
    node::{
        attended::Attended,
        local_import::{self, Job, PORTION, PORTION_RECORDS, Portion},
    },
    output::{byte_bar, counted},
};

/// Runs the command. Exit code 1 if damaged records had to be left out.
pub fn run(args: ImportArgs) -> anyhow::Result<Outcome> {
    let files = files_below(&args.files)?;
    let job = match &args.job {
        Some(job) => job.clone(),
        None => args
            .files
            .first()
            .and_then(|file| file.file_name())
            .map_or_else(|| "files".into(), |name| name.to_string_lossy().into_owned()),
    };
    let (dir, config) = config::open(&args.data)?;
    let mut target = Target::open(&dir, &config, &format!("import:{job}"))?;
    let known = target.job()?;
    let options = import::Options { record_bytes: known.max_record_bytes, ..import::Options::default() };
    let total = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let bar = byte_bar(total);
    let mut report = Report { to_skip: if args.resume { known.stored } else { 0 }, ..Report::default() };
    for file in &files {
        bar.set_message(file.display().to_string());
        let before = bar.position();
        take(file, &options, &mut target, &mut report, |bytes| bar.set_position(before + bytes))?;
    }
    target.finish()?;
    bar.finish_and_clear();
    if report.to_skip > 0 {
        let message = "these files have fewer records than the job has stored: they are not the files it began with";
        return Err(Usage(message.into()).into());
    }
    let (records, files) = (counted(report.stored, "record"), counted(files.len() as u64, "file"));
    println!("{records} stored from {files} as import:{job}");
    if report.skipped > 0 {
        println!("{} records were skipped: the job had stored them before", report.skipped);
    }
    if report.refused > 0 {
        eprintln!("{} records are damaged or too long and are not stored; they are named above", report.refused);
    }
    Ok(if report.refused == 0 { Outcome::Fine } else { Outcome::Findings })
}

#[derive(Default)]
struct Report {
    stored: u64,
    to_skip: u64,
    skipped: u64,
    refused: u64,
}

fn take(
    file: &Path,
    options: &import::Options,
    target: &mut Target,
    report: &mut Report,
    progress: impl Fn(u64),
) -> anyhow::Result<()> {
    let (mut portion, mut bytes) = (Portion::default(), 0);
    let mut records = import::open(file, options)?;
    while let Some(record) = records.next() {
        let record = match record {
            Ok(record) if record.len() <= options.record_bytes => record,
            other => {
                let (reason, message) = match other {
                    Ok(record) => {
                        let (length, limit) = (record.len(), options.record_bytes);
                        let message = format!("a record of {length} bytes; the limit is {limit} (max_record_bytes)");
                        (Reason::TooLarge, format!("{}: {message}", file.display()))
                    }
                    Err(error) => (error.reason, error.to_string()),
                };
                eprintln!("{message}");
                *portion.refused.entry(reason).or_default() += 1;
                report.refused += 1;
                continue;
            }
        };
        if report.to_skip > 0 {
            report.to_skip -= 1;
            report.skipped += 1;
            continue;
        }
        bytes += record.len();
        portion.records.push(Bytes::from(record));
        if bytes >= PORTION || portion.records.len() >= PORTION_RECORDS {
            report.stored += target.store(std::mem::take(&mut portion))?;
            bytes = 0;
            progress(records.progress().0);
        }
    }
    report.stored += target.store(portion)?;
    progress(records.progress().0);
    Ok(())
}

/// Where records go: to the server that runs on the folder, or into the folder.
enum Target {
    Server { client: Client, path: String },
    Folder { folder: Box<Attended>, source: Arc<Source>, limit: usize },
}

impl Target {
    fn open(dir: &Path, config: &Config, source: &str) -> anyhow::Result<Target> {
        if let Some(client) = Client::connect(dir)? {
            let name: String = source.bytes().map(crate::client::percent).collect();
            return Ok(Target::Server { client, path: format!("{}?source={name}", local_import::PATH) });
        }
        let folder = Box::new(Attended::open(dir, config)?);
        let source = folder.node.spool.source(source, "import", None)?;
        Ok(Target::Folder { folder, source, limit: config.storage.max_record_bytes })
    }

    fn job(&mut self) -> anyhow::Result<Job> {
        match self {
            Target::Server { client, path } => {
                Ok(serde_json::from_value(client.json(hyper::Method::GET, path, None)?)?)
            }
            Target::Folder { folder, source, limit } => {
                Ok(Job { stored: local_import::stored(&folder.node.spool, &source.name), max_record_bytes: *limit })
            }
        }
    }

    /// Returns how many records became durable: all of them.
    fn store(&mut self, portion: Portion) -> anyhow::Result<u64> {
        let count = portion.records.len() as u64;
        match self {
            _ if count == 0 && portion.refused.is_empty() => {}
            Target::Server { client, path } => client.import(path, local_import::encode(&portion))?,
            Target::Folder { folder, source, .. } => {
                let spool = &folder.node.spool;
                let ticket = loop {
                    match spool.append(source, portion.records.clone()) {
                        Err(full) if full.reason == Reason::Busy => {
                            anyhow::ensure!(!folder.has_stopped(), "the pipeline stopped");
                            thread::sleep(local_import::PAUSE);
                        }
                        appended => break appended.context("cannot store the records")?,
                    }
                };
                ticket.wait_blocking()?;
                local_import::count(spool, source, &portion.refused);
            }
        }
        Ok(count)
    }

    /// Waits until everything is searchable.
    fn finish(self) -> anyhow::Result<()> {
        match self {
            Target::Server { .. } => Ok(()),
            Target::Folder { folder, .. } => folder.finish(),
        }
    }
}
