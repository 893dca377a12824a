//! `vedette detect`: offline detection, one finding per line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value};
use vedette_event::{Batch, BatchBuilder, Derive, Finding, Source, SourceId, Time};
use vedette_intake::{import, parse::Parsers};
use vedette_sigma::Program;

use crate::{
    Outcome,
    cli::DetectArgs,
    commands::rules,
    node::rules::{compile, mapping},
    output::{Printer, byte_bar},
};

const COLUMNS: [&str; 5] = ["@timestamp", "rule.level", "rule.name", "matched", "log.file.path"];

/// Runs the command. Exit code 0 whether or not anything was found; refused rules are named on standard error.
pub fn run(args: DetectArgs) -> anyhow::Result<Outcome> {
    let mapping = mapping(args.placeholders.as_deref())?;
    let (program, refused) = compile(rules::load(&args.rules, &args.pipelines)?, &mapping);
    for refused in &refused {
        eprintln!("refused: {refused}");
    }
    let parsers = Parsers::builtin();
    let mut printer = Printer::new(args.output, &COLUMNS)?;
    let files = files_below(&args.inputs)?;
    let bytes = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len())).sum();
    let bar = byte_bar(bytes);
    let mut damaged = 0;
    for (index, file) in files.iter().enumerate() {
        bar.set_message(file.display().to_string());
        // Source numbers only tell this run's files apart.
        let source = Source::new(SourceId(index as u32 + 1), &format!("file:{}", file.display()), "file");
        damaged += scan(file, source, &parsers, &program, &mut printer)?;
        bar.inc(std::fs::metadata(file).map_or(0, |metadata| metadata.len()));
    }
    bar.finish_and_clear();
    printer.finish()?;
    if damaged > 0 {
        eprintln!("{damaged} damaged records were skipped, see above");
    }
    Ok(Outcome::Fine)
}

fn scan(
    file: &Path,
    source: std::sync::Arc<Source>,
    parsers: &Parsers,
    program: &Program,
    printer: &mut Printer,
) -> anyhow::Result<u64> {
    let mut damaged = 0;
    let mut batch = BatchBuilder::new(source.clone());
    let received = modified(file);
    let mut seq = 0;
    let mut emit = |batch: &Batch| -> anyhow::Result<()> {
        let mut findings = Vec::new();
        program.run(batch, &mut findings);
        findings.iter().try_for_each(|finding| printer.row(&row(finding, file))).map_err(Into::into)
    };
    for record in import::open(file, &import::Options::default())? {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                damaged += 1;
                continue;
            }
        };
        parsers.derive(&source, seq, received, &record, &mut batch);
        seq += 1;
        if batch.is_full() {
            emit(&std::mem::replace(&mut batch, BatchBuilder::new(source.clone())).finish())?;
        }
    }
    emit(&batch.finish())?;
    Ok(damaged)
}

/// Dates without a year are read as of the file's own time, so that a run gives the same answer tomorrow.
fn modified(file: &Path) -> Time {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    let since_epoch = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Time::from_micros(since_epoch.map_or(0, |age| age.as_micros() as i64))
}

fn row(finding: &Finding, file: &Path) -> Map<String, Value> {
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
    put("log.file.path", file.display().to_string().into());
    let event = finding.events.first().map(ToString::to_string).unwrap_or_default();
    put("event.id", event.into());
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
