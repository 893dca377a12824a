//! `vedette replay`: stored history through the rules again.

use std::{
    io::BufRead,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use hyper::Method;
use indicatif::ProgressBar;
use serde_json::json;
use vedette_event::{Finding, Time};
use vedette_query::{Cancel, Progress};
use vedette_sigma::Documents;

use super::{
    detect::{COLUMNS, files_below, row},
    hunt::time,
};
use crate::{
    Outcome, Usage,
    cli::{Format, ReplayArgs},
    client::Client,
    config,
    node::{
        Node,
        journal::SelfJournal,
        local_replay::{self, Ask, Line},
        replay::{Compared, Recorded, Replay, Replayed},
        ruleset::Ruleset,
    },
    output::{Printer, step_bar},
};

const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Runs the command. Exit code 1 if the rules in force do not come to what is recorded.
pub fn run(args: ReplayArgs) -> anyhow::Result<Outcome> {
    let (dir, config) = config::open(&args.data)?;
    let (from, to) = (time(args.from.as_deref())?, time(args.to.as_deref())?);
    let rules = (!args.rules.is_empty()).then(|| texts(&args.rules)).transpose()?;
    let mut view = View { printer: None, format: args.output };
    let replayed = match Client::connect(&dir)? {
        Some(mut client) => {
            let body = serde_json::to_value(Ask { from, to, rules })?;
            through_server(client.send(Method::POST, local_replay::PATH, Some(&body))?, &mut view)?
        }
        None => {
            config::must_exist(&dir)?;
            offline(&Node::open(&dir, &config)?, (from, to), rules, &mut view)?
        }
    };
    view.finish(replayed)
}

/// Name and text of each rule file.
pub(super) fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    if let Some(missing) = paths.iter().find(|path| !path.exists()) {
        return Err(Usage(format!("no rules at {}: no such file or folder", missing.display())).into());
    }
    let mut texts = Vec::new();
    for file in files_below(paths)? {
        let name = file.display().to_string();
        let is_rule = (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.ends_with(".test.yml");
        // What is named itself is meant, whatever it is called.
        if is_rule || paths.contains(&file) {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            texts.push((name, text));
        }
    }
    Ok(texts)
}

fn through_server(answer: impl BufRead, view: &mut View) -> anyhow::Result<Replayed> {
    let bar = step_bar();
    for line in answer.lines() {
        let line = line.context("the server hung up in the middle of the answer")?;
        match serde_json::from_str(&line).context("the server's answer is not JSON")? {
            Line::Progress(done, of) => show(&bar, done, of),
            Line::Refused(refused) => eprintln!("refused: {refused}"),
            Line::Finding(finding) => view.finding(&finding)?,
            Line::Done(replayed) => {
                bar.finish_and_clear();
                return Ok(replayed);
            }
            Line::Failed(error) => anyhow::bail!(error),
        }
    }
    anyhow::bail!("the server hung up in the middle of the answer")
}

fn offline(
    node: &Node,
    (from, to): (Option<Time>, Option<Time>),
    texts: Option<Vec<(String, String)>>,
    view: &mut View,
) -> anyhow::Result<Replayed> {
    enter(node, "replay.run")?;
    let detection = node.rules.detection();
    let (rules, compares) = match texts {
        None => (node.rules.current(), true),
        Some(texts) => {
            let mut documents = Documents::through(node.rules.pipelines());
            texts.iter().for_each(|(name, text)| documents.text(name, text));
            let (rules, refused) = Ruleset::compile(documents.link(), &node.rules.mapping);
            refused.iter().for_each(|refused| eprintln!("refused: {refused}"));
            (Arc::new(rules), false)
        }
    };
    let replay = Replay { rules, correlations: detection.correlations.clone(), from, to };
    let (progress, cancel) = (Progress::default(), Cancel::default());
    with_bar(&progress, || match compares {
        true => replay.compare(&node.engine, &progress, &cancel).map_err(Into::into),
        false => replay.run(&node.engine, &progress, &cancel, |finding| view.finding(finding)),
    })
}

/// Makes all of a folder's history searchable, and says what will be done with it.
pub(super) fn enter(node: &Node, what: &'static str) -> anyhow::Result<()> {
    if node.spool.status().unreleased_bytes > 0 {
        node.catch_up()?;
    }
    let journal = SelfJournal::new(&node.spool)?;
    journal.enter(&super::custody::action(what, None)).map(drop).map_err(anyhow::Error::msg)
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shows how far something is while it is done.
pub(super) fn with_bar<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bar = step_bar();
            while !done.load(Ordering::Relaxed) {
                let read = progress.read();
                show(&bar, read.scanned, read.wanted);
                std::thread::sleep(SHOW_EVERY);
            }
            bar.finish_and_clear();
        });
        // Also where the work goes wrong: nobody waits for a bar.
        let _done = Done(&done);
        work()
    })
}

fn show(bar: &ProgressBar, done: u64, of: u64) {
    bar.set_length(of);
    bar.set_position(done);
}

/// Prints findings, or how they differ.
struct View {
    printer: Option<Printer>,
    format: Format,
}

impl View {
    fn printer(&mut self, columns: &[&str]) -> anyhow::Result<&mut Printer> {
        let printer = match self.printer.take() {
            Some(printer) => printer,
            None => Printer::new(self.format, columns)?,
        };
        Ok(self.printer.insert(printer))
    }

    fn finding(&mut self, finding: &Finding) -> anyhow::Result<()> {
        self.printer(&COLUMNS)?.row(&row(finding)).map_err(Into::into)
    }

    fn difference(&mut self, what: &str, finding: &Recorded) -> anyhow::Result<()> {
        let Recorded { id, rule, title, time, event } = finding;
        let row = json!({
            "difference": what, "@timestamp": time, "rule.id": rule, "rule.name": title, "event.id": event,
            "vedette.finding.id": id,
        });
        let printer = self.printer(&["difference", "@timestamp", "rule.name", "event.id", "vedette.finding.id"])?;
        row.as_object().map_or(Ok(()), |row| printer.row(row)).map_err(Into::into)
    }

    fn finish(mut self, replayed: Replayed) -> anyhow::Result<Outcome> {
        let Replayed { events, findings, compared } = replayed;
        let Some(compared) = compared else {
            self.printer.map_or(Ok(()), Printer::finish)?;
            eprintln!("{events} events, {findings} findings; no alert was made of them");
            return Ok(Outcome::Fine);
        };
        let is_same = compared.is_same();
        let Compared { same, only_recorded, only_replayed, others } = compared;
        only_recorded.iter().try_for_each(|finding| self.difference("only recorded", finding))?;
        only_replayed.iter().try_for_each(|finding| self.difference("only replayed", finding))?;
        self.printer.map_or(Ok(()), Printer::finish)?;
        eprintln!(
            "{events} events, {findings} findings: {same} as recorded, {} only recorded, {} only replayed; \
             {others} recorded findings were not looked for",
            only_recorded.len(),
            only_replayed.len(),
        );
        Ok(if is_same { Outcome::Fine } else { Outcome::Findings })
    }
}
