//! `vedette import`: files into the store.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use vedette_event::{Reason, Source};
use vedette_intake::import;

use crate::{
    Outcome,
    cli::ImportArgs,
    client::Client,
    commands::detect::files_below,
    config::{self, Config},
    node::{Node, local_import},
    output::byte_bar,
};

/// Records are handed over in portions of about this many bytes.
const PORTION: usize = 4 << 20;
/// And of at most this many records.
const PORTION_RECORDS: usize = 10_000;

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
    let dir = config::data_dir(args.data.data.as_deref(), None);
    let mut target = Target::open(&dir, &format!("import:{job}"))?;
    let total = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let bar = byte_bar(total);
    let mut report = Report::default();
    for file in &files {
        bar.set_message(file.display().to_string());
        let before = bar.position();
        take(file, &mut target, &mut report, |bytes| bar.set_position(before + bytes))?;
    }
    target.finish()?;
    bar.finish_and_clear();
    println!("{} records stored from {} files as import:{job}", report.stored, files.len());
    for (reason, count) in [("damaged", report.damaged), ("too long", report.too_large)] {
        if count > 0 {
            eprintln!("{count} records were {reason} and are not stored; they are named above");
        }
    }
    Ok(if report.damaged + report.too_large == 0 { Outcome::Fine } else { Outcome::Findings })
}

#[derive(Default)]
struct Report {
    stored: u64,
    damaged: u64,
    too_large: u64,
}

fn take(file: &Path, target: &mut Target, report: &mut Report, progress: impl Fn(u64)) -> anyhow::Result<()> {
    let (mut portion, mut bytes) = (Vec::new(), 0);
    let mut records = import::open(file, &import::Options::default())?;
    while let Some(record) = records.next() {
        match record {
            Ok(record) if record.len() > target.max_record_bytes() => {
                eprintln!("{}: a record of {} bytes is longer than the limit", file.display(), record.len());
                target.refuse(Reason::TooLarge);
                report.too_large += 1;
            }
            Ok(record) => {
                bytes += record.len() + 4;
                portion.push(Bytes::from(record));
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                target.refuse(Reason::Malformed);
                report.damaged += 1;
            }
        }
        if bytes >= PORTION || portion.len() >= PORTION_RECORDS {
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
    Folder { node: Node, source: Arc<Source>, stop: Arc<AtomicBool>, pipeline: JoinHandle<anyhow::Result<()>> },
}

impl Target {
    fn open(dir: &Path, source: &str) -> anyhow::Result<Target> {
        if let Some(client) = Client::connect(dir)? {
            let name: String = source.bytes().map(percent).collect();
            return Ok(Target::Server { client, path: format!("{}?source={name}", local_import::PATH) });
        }
        let node = Node::open(dir, &Config::default())?;
        let source = node.spool.source(source, "import", None)?;
        let (pipeline, stop) = (node.pipeline()?, Arc::new(AtomicBool::new(false)));
        let stopping = stop.clone();
        let pipeline = thread::Builder::new().name("pipeline".into()).spawn(move || pipeline.run(&stopping))?;
        Ok(Target::Folder { node, source, stop, pipeline })
    }

    fn max_record_bytes(&self) -> usize {
        vedette_spool::Options::default().max_record_bytes
    }

    fn refuse(&self, reason: Reason) {
        if let Target::Folder { node, source, .. } = self {
            node.spool.refuse(source, reason, 1);
        }
    }

    fn store(&mut self, records: Vec<Bytes>) -> anyhow::Result<u64> {
        if records.is_empty() {
            return Ok(0);
        }
        match self {
            Target::Server { client, path } => Ok(client.import(path, local_import::encode(&records))?),
            Target::Folder { node, source, pipeline, .. } => loop {
                match node.spool.append(source, records.clone()) {
                    Ok(ticket) => return Ok(ticket.wait_blocking()?.count as u64),
                    Err(refused) if refused.reason == Reason::Busy => {
                        anyhow::ensure!(!pipeline.is_finished(), "the pipeline stopped");
                        thread::sleep(Duration::from_millis(50));
                    }
                    Err(refused) => return Err(refused).context("cannot store the records"),
                }
            },
        }
    }

    /// Waits until everything is searchable.
    fn finish(self) -> anyhow::Result<()> {
        match self {
            Target::Server { .. } => Ok(()),
            Target::Folder { node, stop, pipeline, .. } => {
                stop.store(true, Ordering::Relaxed);
                pipeline.join().map_err(|_| anyhow::anyhow!("the pipeline panicked"))??;
                node.spool.close();
                Ok(())
            }
        }
    }
}

fn percent(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}
