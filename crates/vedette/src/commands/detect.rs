//! `vedette detect`: offline detection, one finding per line.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use serde_json::{Map, Value};
use vedette_event::{Batch, BatchBuilder, Derive, Finding, Source, SourceId, Time};
use vedette_intake::{import, parse::Parsers};

use crate::{
    Outcome,
    cli::DetectArgs,
    commands::rules,
    node::ruleset::{Ruleset, Whole, mapping},
    output::{Printer, byte_bar},
};

/// Of a table of findings.
pub const COLUMNS: [&str; 5] = ["@timestamp", "rule.level", "rule.name", "matched", "event.id"];
const FILE: &str = "log.file.path";

/// Runs the command. Exit code 0 whether or not anything was found; refused rules are named on standard error.
pub fn run(args: DetectArgs) -> anyhow::Result<Outcome> {
    let mapping = mapping(args.placeholders.as_deref())?;
    let (rules, refused) = Ruleset::compile(rules::load(&args.rules, &args.pipelines)?, &mapping);
    for refused in &refused {
        eprintln!("refused: {refused}");
    }
    let files = files_below(&args.inputs)?;
    let printer = Printer::new(args.output, &[&COLUMNS[..4], &[FILE]].concat())?;
    let mut detection =
        Detection { files: &files, parsers: Parsers::builtin(), rules: rules.whole(), printer, damaged: 0 };
    let bytes = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let bar = byte_bar(bytes);
    for (index, file) in files.iter().enumerate() {
        bar.set_message(file.display().to_string());
        // Source numbers only tell this run's files apart.
        let source = Source::new(SourceId(index as u32 + 1), &format!("file:{}", file.display()), "file");
        detection.scan(file, &source)?;
        bar.inc(std::fs::metadata(file).map_or(0, |metadata| metadata.len()));
    }
    bar.finish_and_clear();
    let damaged = detection.finish()?;
    if damaged > 0 {
        eprintln!("{damaged} damaged records were skipped, see above");
    }
    Ok(Outcome::Fine)
}

struct Detection<'a> {
    files: &'a [PathBuf],
    parsers: Parsers,
    /// Over all files.
    rules: Whole,
    printer: Printer,
    damaged: u64,
}

impl Detection<'_> {
    fn scan(&mut self, file: &Path, source: &Arc<Source>) -> anyhow::Result<()> {
        let mut batch = BatchBuilder::new(source.clone());
        let received = modified(file);
        let mut seq = 0;
        for record in import::open(file, &import::Options::default())? {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    eprintln!("{}: {error}", file.display());
                    self.damaged += 1;
                    continue;
                }
            };
            self.parsers.derive(source, seq, received, &record, &mut batch);
            seq += 1;
            if batch.is_full() {
                self.batch(&std::mem::replace(&mut batch, BatchBuilder::new(source.clone())).finish())?;
            }
        }
        self.batch(&batch.finish())
    }

    fn batch(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let mut findings = Vec::new();
        self.rules.take(batch, &mut findings);
        self.print(&findings)
    }

    fn print(&mut self, findings: &[Finding]) -> anyhow::Result<()> {
        for finding in findings {
            let source = finding.events.last().map_or(0, |event| event.source.0 as usize);
            let Some(file) = source.checked_sub(1).and_then(|index| self.files.get(index)) else { continue };
            let mut row = row(finding);
            row.insert(FILE.to_owned(), file.display().to_string().into());
            self.printer.row(&row)?;
        }
        Ok(())
    }

    /// How many records were damaged.
    fn finish(mut self) -> anyhow::Result<u64> {
        let mut findings = Vec::new();
        self.rules.finish(&mut findings);
        self.print(&findings)?;
        for rule in self.rules.degraded() {
            eprintln!("not all was correlated by {}: there was too much of it for the memory", rule.title);
        }
        self.printer.finish()?;
        Ok(self.damaged)
    }
}

/// Dates without a year are read as of the file's own time, so that a run gives the same answer tomorrow.
pub fn modified(file: &Path) -> Time {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    let since_epoch = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Time::from_micros(since_epoch.map_or(0, |age| age.as_micros() as i64))
}

/// A finding as a row.
pub fn row(finding: &Finding) -> Map<String, Value> {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
    put("@timestamp", finding.time.to_string().into());
    put("rule.id", finding.rule.id.clone().into());
    put("rule.name", finding.rule.title.clone().into());
    put("rule.level", finding.rule.level.as_str().into());
    put("threat.technique.id", finding.rule.techniques.clone().into());
    if let Some(author) = &finding.rule.author {
        put("rule.author", author.clone().into());
    }
    let events: Vec<String> = finding.events.iter().map(ToString::to_string).collect();
    put("event.id", if let [event] = events.as_slice() { event.clone().into() } else { events.into() });
    put("vedette.finding.id", finding.id.to_string().into());
    let fields: Map<String, Value> =
        finding.matched.iter().map(|matched| (matched.field.clone(), matched.value.clone().into())).collect();
    put("matched", Value::Object(fields));
    row
}

/// The files themselves, and those below folders, in name order.
pub fn files_below(inputs: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        collect(input, &mut files).with_context(|| format!("cannot read {}", input.display()))?;
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        let mut entries =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        entries.sort();
        entries.iter().try_for_each(|entry| collect(entry, files))
    } else {
        files.push(path.to_owned());
        Ok(())
    }
}
