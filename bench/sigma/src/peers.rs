//! The two engines behind the same few calls.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::Context;
use rsigma_eval::{Engine, JsonEvent, LogSourceExtractor};
use rsigma_parser::SigmaCollection;
use serde_json::Value;
use vedette_event::{Batch, BatchBuilder, Derive, Source, SourceId, Time};
use vedette_intake::parse::Parsers;
use vedette_sigma::{Mapping, Program, load};

use crate::{
    cpu_time,
    lanes::{Lane, hinted},
};

/// Vedette's engine.
pub struct Vedette {
    program: Program,
    pub load: Duration,
}

impl Vedette {
    pub fn load(rules: &[PathBuf]) -> Vedette {
        let before = cpu_time();
        let (program, _) = Program::compile(load(rules).rules, &Mapping::builtin());
        Vedette { program, load: cpu_time() - before }
    }

    pub fn len(&self) -> usize {
        self.program.len()
    }

    pub fn events(&self, lane: &Lane) -> Vec<Batch> {
        batches(lane)
    }

    pub fn run(&self, batches: &[Batch]) -> usize {
        let (mut findings, mut count) = (Vec::new(), 0);
        for batch in batches {
            self.program.run(batch, &mut findings);
            count += findings.len();
            findings.clear();
        }
        count
    }

    /// The time that 99 of 100 events take at most, each in a batch of its own (which costs extra).
    pub fn p99(&self, batches: &[Batch]) -> Duration {
        let mut times: Vec<Duration> = Vec::new();
        let mut findings = Vec::new();
        for event in batches.iter().flat_map(Batch::events) {
            let mut alone = BatchBuilder::new(event.batch().source().clone());
            alone.begin(event.seq(), event.received(), event.raw());
            event.fields().for_each(|field| alone.push(field.name, field.value));
            let alone = alone.finish();
            let before = cpu_time();
            self.program.run(&alone, &mut findings);
            times.push(cpu_time() - before);
            findings.clear();
        }
        times.sort_unstable();
        times.get(times.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A lane as batches of parsed events.
fn batches(lane: &Lane) -> Vec<Batch> {
    let (parsers, source) = (Parsers::builtin(), Source::new(SourceId(1), "bench:1", "bench"));
    let (mut done, mut batch) = (Vec::new(), BatchBuilder::new(source.clone()));
    for (seq, event) in lane.events.iter().enumerate() {
        let line = Value::Object(event.clone()).to_string();
        parsers.derive(&source, seq as u64, Time::from_secs(1_793_491_200), line.as_bytes(), &mut batch);
        if batch.is_full() {
            done.push(std::mem::replace(&mut batch, BatchBuilder::new(source.clone())).finish());
        }
    }
    done.push(batch.finish());
    done
}

/// The peer, as its documentation says that it is fastest: rules of other log sources are passed over.
pub struct Rsigma {
    engine: Engine,
    pub load: Duration,
}

impl Rsigma {
    pub fn load(rules: &[PathBuf]) -> anyhow::Result<Rsigma> {
        let before = cpu_time();
        let mut engine = Engine::new();
        for folder in rules {
            let collection: SigmaCollection =
                rsigma_parser::parse_sigma_directory(folder).context("rsigma cannot read the rules")?;
            engine.add_rules(&collection.rules);
        }
        engine.set_logsource_extractor(Some(LogSourceExtractor::new()));
        let load = cpu_time() - before;
        Ok(Rsigma { engine, load })
    }

    pub fn len(&self) -> usize {
        self.engine.rule_count()
    }

    pub fn events(&self, lane: &Lane) -> Vec<Value> {
        lane.events.iter().map(|event| Value::Object(hinted(event.clone()))).collect()
    }

    pub fn run(&self, events: &[Value]) -> usize {
        events.iter().map(|event| self.engine.evaluate(&JsonEvent::borrow(event)).len()).sum()
    }
}

/// A rule that only one of the two finds in an event.
pub struct Difference {
    pub lane: &'static str,
    /// Its place in the lane.
    pub event: usize,
    /// Who finds it.
    pub finder: &'static str,
    pub rule: String,
}

/// Where the two do not find the same rules in the same event, each with every rule that Vedette says reads the
/// event's log source: rsigma itself knows no channels.
pub fn differences(vedette: &Vedette, rsigma: &mut Rsigma, lane: &Lane) -> Vec<Difference> {
    rsigma.engine.set_logsource_extractor(None);
    let ids: Vec<&str> = vedette.program.rules().map(|(rule, _)| rule.id.as_str()).collect();
    let mut differences = Vec::new();
    let mut seq = 0;
    for batch in batches(lane) {
        let mut findings = Vec::new();
        vedette.program.run(&batch, &mut findings);
        for event in batch.events() {
            let ours: BTreeSet<&str> = findings
                .iter()
                .filter(|finding| finding.events[0] == event.id())
                .map(|finding| finding.rule.id.as_str())
                .collect();
            let readers: BTreeSet<&str> = vedette.program.readers(event).into_iter().map(|rule| ids[rule]).collect();
            let value = Value::Object(hinted(lane.events[seq].clone()));
            let found = rsigma.engine.evaluate(&JsonEvent::borrow(&value));
            let theirs: BTreeSet<&str> = found
                .iter()
                .filter_map(|result| result.header.rule_id.as_deref())
                .filter(|rule| readers.contains(rule))
                .collect();
            let only = |a: &BTreeSet<&str>, b: &BTreeSet<&str>, finder: &'static str| {
                let difference = |rule: &&str| Difference { lane: lane.name, event: seq, finder, rule: (*rule).into() };
                a.difference(b).map(difference).collect::<Vec<_>>()
            };
            differences.extend(only(&ours, &theirs, "vedette"));
            differences.extend(only(&theirs, &ours, "rsigma"));
            seq += 1;
        }
    }
    differences
}
