//! Vedette's Sigma engine beside `rsigma-eval`, the best there is: same rules, same events, same process, one thread.
//!
//! usage: `vedette-bench-sigma RULES EVENTS [--events N] [--rounds N] [--hits] [--only vedette|rsigma] [--lane mix|process]`
//!
//! RULES is a folder of Sigma rules, EVENTS one of NDJSON files as Winlogbeat ships them (the OTRF data sets). Two
//! lanes of N events: `mix`, evenly taken from all of them, and `process`, the distinct process creations, again and
//! again. Both engines get events that are parsed already: JSON values with the log source written into them for
//! rsigma (which does not know Windows' channels), batches of fields for Vedette. CPU time of the thread, best round and
//! first: Vedette remembers what it found out, and an engine that starts has nothing to remember.
//!
//! `--hits` compares what the two find, event by event: rsigma with every rule of which Vedette says that it reads
//! the event's log source. Exit 1 if they differ where docs/sigma-differences.md does not say so.

mod lanes;
mod peers;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;

use crate::{
    lanes::Lane,
    peers::{Difference, Rsigma, Vedette},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The rule folders of SigmaHQ that everybody loads.
const FOLDERS: [&str; 3] = ["rules", "rules-emerging-threats", "rules-threat-hunting"];

fn main() -> anyhow::Result<()> {
    let options = Options::read()?;
    let rules: Vec<PathBuf> = FOLDERS.iter().map(|folder| options.rules.join(folder)).collect();
    let before = memory();
    let measured = Vedette::load(&rules);
    let loaded = memory().saturating_sub(before);
    drop(measured);
    let mut lanes = lanes::read(&options.events, options.count)?;
    lanes.retain(|lane| options.lane.as_deref().is_none_or(|wanted| wanted == lane.name));
    if options.only.as_deref() != Some("rsigma") {
        let vedette = Vedette::load(&rules);
        println!("vedette: {} rules in {:.2} s, {} MB", vedette.len(), vedette.load.as_secs_f64(), loaded >> 20);
        for lane in &lanes {
            let events = vedette.events(lane);
            let (times, found) = timed(options.rounds, || vedette.run(&events));
            report("vedette", lane, &times, found);
            println!("  p99 of an event {:.1} µs", vedette.p99(&events).as_secs_f64() * 1e6);
        }
    }
    if options.only.as_deref() != Some("vedette") {
        let rsigma = Rsigma::load(&rules)?;
        println!("rsigma: {} rules in {:.2} s", rsigma.len(), rsigma.load.as_secs_f64());
        for lane in &lanes {
            let events = rsigma.events(lane);
            let (times, found) = timed(options.rounds, || rsigma.run(&events));
            report("rsigma", lane, &times, found);
        }
    }
    if options.hits {
        let (vedette, mut rsigma) = (Vedette::load(&rules), Rsigma::load(&rules)?);
        let differences: Vec<Difference> =
            lanes.iter().flat_map(|lane| peers::differences(&vedette, &mut rsigma, lane)).collect();
        let unexplained = explain(&differences);
        anyhow::ensure!(unexplained == 0, "{unexplained} differences are not explained");
    }
    Ok(())
}

/// The differences that `docs/sigma-differences.md` explains: a rule, who finds it, and the heading there.
const EXPLAINED: &str = include_str!("../explained.txt");

/// Prints how many differences are explained, and each that is not; gives the number of these.
fn explain(differences: &[Difference]) -> usize {
    let lines = EXPLAINED.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut explained: BTreeMap<(&str, &str), (&str, usize)> = lines
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            Some(((words.next()?, words.next()?), (words.next()?, 0)))
        })
        .collect();
    let mut unexplained = 0;
    for Difference { lane, event, finder, rule } in differences {
        match explained.get_mut(&(rule.as_str(), *finder)) {
            Some((_, count)) => *count += 1,
            None => {
                unexplained += 1;
                println!("{lane} event {event}: only {finder} finds {rule}");
            }
        }
    }
    println!("{} differences, {unexplained} not explained", differences.len());
    for ((rule, finder), (why, count)) in &explained {
        println!("  {count} times only {finder} finds {rule}: {why}");
    }
    unexplained
}

fn report(engine: &str, lane: &Lane, times: &[Duration], found: usize) {
    let micros = |time: &Duration| time.as_secs_f64() * 1e6 / lane.events.len() as f64;
    let (best, first) = (times.iter().min().map_or(0.0, micros), times.first().map_or(0.0, micros));
    let rate = 1e6 / best;
    println!(
        "{engine} {}: {rate:.0} events/s, {best:.2} µs an event ({first:.2} in the first round), {found} findings",
        lane.name
    );
}

/// CPU time of each round.
fn timed(rounds: usize, mut run: impl FnMut() -> usize) -> (Vec<Duration>, usize) {
    let mut found = 0;
    let times = (0..rounds.max(1)).map(|_| {
        let before = cpu_time();
        found = run();
        cpu_time() - before
    });
    (times.collect(), found)
}

/// CPU time of this thread.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident bytes of this process.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10
}

struct Options {
    rules: PathBuf,
    events: PathBuf,
    count: usize,
    rounds: usize,
    hits: bool,
    only: Option<String>,
    lane: Option<String>,
}

impl Options {
    fn read() -> anyhow::Result<Options> {
        let (mut paths, mut count, mut rounds, mut hits, mut only) = (Vec::new(), 100_000, 3, false, None);
        let mut lane = None;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--events" => count = value()?.parse()?,
                "--rounds" => rounds = value()?.parse()?,
                "--only" => only = Some(value()?),
                "--lane" => lane = Some(value()?),
                "--hits" => hits = true,
                _ => paths.push(PathBuf::from(argument)),
            }
        }
        let [rules, events] =
            <[PathBuf; 2]>::try_from(paths).map_err(|_| anyhow::anyhow!("RULES and EVENTS, please"))?;
        Ok(Options { rules, events, count, rounds, hits, only, lane })
    }
}
