//! The stages of the way in, one by one on one thread.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use serde_json::json;
use vedette_event::{Batch, BatchBuilder, Derive, Source, SourceId, Time};
use vedette_intake::parse::Parsers;
use vedette_ledger::{Ledger, Sealer, SourceName};
use vedette_sigma::Pipelines;
use vedette_spool::Spool;
use vedette_store::Store;

use crate::{
    Outcome,
    config::Detection,
    node::{
        rules,
        ruleset::{Ruleset, mapping},
    },
};

/// Records of one append, as a receiver would bring them.
const APPEND: usize = 1000;
/// Batches are made ahead, so that each stage is measured without the one before it.
const AHEAD: usize = 16;

/// Measures and prints one JSON object per stage. Works in a folder of its own inside `scratch`.
pub fn run(corpus: &Path, scratch: &Path, rules: &[PathBuf]) -> anyhow::Result<Outcome> {
    let detection = Detection { builtin_rules: rules.is_empty(), rules: rules.to_vec(), ..Detection::default() };
    let (rules, _) = Ruleset::compile(rules::documents(&detection, Pipelines::default()).link(), &mapping(None)?);
    let program = &rules.program;
    let dir = scratch.join(format!("stages-{}", std::process::id()));
    let spool = Spool::open(&dir.join("spool"), vedette_spool::Options::default())?;
    let store = Store::open(&dir.join("store"), vedette_store::Options::default())?;
    let parsers = Parsers::builtin();
    let source = Source::new(SourceId(1), "bench:1", "bench");
    let bench = spool.source("bench:1", "bench", None)?;

    let sealer = Sealer::open(&dir.join("sealer"), "bench", 0)?;
    let ledger = Ledger::open(&dir.join("ledger"), Default::default(), Box::new(sealer), 0)?;
    let name = SourceName { number: 1, name: "bench:1", receiver: "bench" };

    let [mut acknowledge, mut parse, mut detect, mut enter, mut append, mut seal] = [Stage::default(); 6];
    let (mut findings, mut events, mut bytes) = (Vec::new(), 0, 0);
    let mut lines =
        BufReader::with_capacity(1 << 20, File::open(corpus).context("cannot read the corpus")?).split(b'\n');
    loop {
        let records = lines.by_ref().take(AHEAD * APPEND).map(|line| Ok(Bytes::from(line?)));
        let records = records.collect::<std::io::Result<Vec<_>>>()?;
        if records.is_empty() {
            break;
        }
        acknowledge.measure(|| {
            records.chunks(APPEND).try_for_each(|portion| -> anyhow::Result<()> {
                spool.append(&bench, portion.to_vec())?.wait_blocking()?;
                Ok(())
            })
        })?;
        spool.release(spool.status().end)?;
        let batches = parse.measure(|| batches(&source, events, &records, &parsers));
        detect.measure(|| batches.iter().for_each(|batch| program.run(batch, &mut findings)));
        findings.clear();
        // At what the whole way takes in, this is a checkpoint a second.
        enter.measure(|| {
            batches.iter().filter(|batch| !batch.is_empty()).try_for_each(|batch| {
                let events = batch.events().map(|event| (event.received().micros(), event.raw()));
                ledger.append(name, batch.event(0).seq(), events)
            })?;
            ledger.checkpoint(i64::try_from(events).unwrap_or_default())
        })?;
        append.measure(|| batches.iter().try_for_each(|batch| store.append(batch, 0)))?;
        seal.measure(|| store.seal_if_due())?;
        events += records.len() as u64;
        bytes += records.iter().map(|record| record.len() as u64 + 1).sum::<u64>();
    }
    seal.measure(|| store.seal())?;
    let sealed = Stage { cpu: append.cpu + seal.cpu };
    let stages = [
        ("acknowledged on disk (framed, compressed, fsynced)", acknowledge, 0),
        ("parsed to fields", parse, 0),
        ("matched against rules", detect, program.len()),
        ("entered into the ledger and signed", enter, 0),
        ("sealed and indexed", sealed, 0),
    ];
    for (stage, measured, rules) in stages {
        let cpu_seconds = measured.cpu.as_secs_f64();
        println!(
            "{}",
            json!({"stage": stage, "rules": rules, "events": events, "bytes": bytes, "cpu_seconds": cpu_seconds})
        );
    }
    drop(store);
    spool.close();
    std::fs::remove_dir_all(&dir)?;
    Ok(Outcome::Fine)
}

fn batches(source: &std::sync::Arc<Source>, first: u64, records: &[Bytes], parsers: &Parsers) -> Vec<Batch> {
    let (mut done, mut batch) = (Vec::new(), BatchBuilder::new(source.clone()));
    for (seq, record) in (first..).zip(records) {
        parsers.derive(source, seq, Time::from_secs(1_793_491_200), record, &mut batch);
        if batch.is_full() {
            done.push(std::mem::replace(&mut batch, BatchBuilder::new(source.clone())).finish());
        }
    }
    done.push(batch.finish());
    done
}

#[derive(Clone, Copy, Default)]
struct Stage {
    cpu: Duration,
}

impl Stage {
    /// Adds the CPU time of the whole process meanwhile: a stage may have threads of its own.
    fn measure<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = cpu_time();
        let result = work();
        self.cpu += cpu_time().saturating_sub(before);
        result
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
