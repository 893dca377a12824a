//! The way in, stage by stage, on one corpus.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::Context;
use bytes::Bytes;
use serde_json::json;
use vedette_event::{BatchBuilder, Derive, Reason, Source, SourceId, Time};

use crate::{
    Outcome,
    config::{Config, Detection},
    node::Node,
};

/// Measures and prints one JSON object per stage.
pub fn run(corpus: &Path, data: &Path, rules: &[PathBuf]) -> anyhow::Result<Outcome> {
    let records = read(corpus)?;
    let detection = Detection { builtin_rules: rules.is_empty(), rules: rules.to_vec(), ..Detection::default() };
    let node = Node::open(data, &Config { detection, ..Config::default() })?;
    parse(&records, &node, false)?;
    parse(&records, &node, true)?;
    whole_way(&records, &node)?;
    Ok(Outcome::Fine)
}

fn read(corpus: &Path) -> anyhow::Result<Vec<Bytes>> {
    let file = File::open(corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    BufReader::new(file).split(b'\n').map(|line| Ok(Bytes::from(line?))).collect()
}

/// Parsing alone, or parsing and matching rules, on one thread.
fn parse(records: &[Bytes], node: &Node, detect: bool) -> anyhow::Result<()> {
    let measure = Measure::start();
    let source = Source::new(SourceId(1), "bench:1", "bench");
    let program = node.rules.current();
    let mut findings = Vec::new();
    for chunk in records.chunks(1024) {
        let mut batch = BatchBuilder::new(source.clone());
        for (seq, record) in chunk.iter().enumerate() {
            node.parsers.derive(&source, seq as u64, Time::from_secs(0), record, &mut batch);
        }
        let batch = batch.finish();
        if detect {
            program.run(&batch, &mut findings);
        }
    }
    measure.end(if detect { "parse and detect" } else { "parse to fields" }, records.len())
}

/// Spool, parse, detect, tail, seal: from a receiver's hand to Parquet and sidecar, all threads together.
fn whole_way(records: &[Bytes], node: &Node) -> anyhow::Result<()> {
    let measure = Measure::start();
    let stop = AtomicBool::new(false);
    let pipeline = node.pipeline()?;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&stop));
        let result = feed(records, node, &measure);
        stop.store(true, Ordering::Relaxed);
        running.join().map_err(|_| anyhow::anyhow!("the pipeline panicked"))??;
        result
    })?;
    measure.end("the whole way: durable, parsed, detected, sealed, indexed", records.len())
}

fn feed(records: &[Bytes], node: &Node, measure: &Measure) -> anyhow::Result<()> {
    let source = node.spool.source("bench:ingest", "bench", None)?;
    for chunk in records.chunks(1000) {
        loop {
            match node.spool.append(&source, chunk.to_vec()) {
                Ok(ticket) => {
                    ticket.wait_blocking()?;
                    break;
                }
                Err(refused) if refused.reason == Reason::Busy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Err(refused) => return Err(refused.into()),
            }
        }
    }
    measure.end("acknowledged on disk (the pipeline works beside it)", records.len())
}

struct Measure {
    wall: Instant,
    cpu: f64,
}

impl Measure {
    fn start() -> Self {
        Measure { wall: Instant::now(), cpu: cpu_seconds() }
    }

    fn end(&self, stage: &str, events: usize) -> anyhow::Result<()> {
        let report = json!({
            "stage": stage,
            "events": events,
            "cpu_seconds": cpu_seconds() - self.cpu,
            "wall_seconds": self.wall.elapsed().as_secs_f64(),
            "peak_rss_mb": peak_rss_mb()?,
        });
        println!("{report}");
        Ok(())
    }
}

/// CPU time of this process, all threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_rss_mb() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024)
}
