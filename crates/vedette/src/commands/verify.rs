//! `vedette verify`: is a data folder what was signed?

use std::fs;

use anyhow::Context;
use vedette_verify::{Policy, Report};

use crate::{
    Outcome, Usage,
    cli::{Format, VerifyArgs},
    config, output,
};

/// Runs the command. Exit code 1 if anything is not as it was signed.
pub fn run(args: VerifyArgs) -> anyhow::Result<Outcome> {
    let dir = args.path.unwrap_or_else(|| config::data_dir(None, None));
    if !dir.join("ledger").is_dir() {
        return Err(Usage(format!("{} is no data folder: it has no `ledger`", dir.display())).into());
    }
    let policy = match &args.policy {
        None => Policy::default(),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Policy::parse(&text).map_err(|error| Usage(format!("{}: {error}", path.display())))?
        }
    };
    let bar = output::counter("events checked");
    let report = vedette_verify::verify(&dir, &policy, is_in_use(&dir), &mut |events| bar.inc(events));
    bar.finish_and_clear();
    print(&report, args.output)?;
    Ok(if report.problems.is_empty() { Outcome::Fine } else { Outcome::Findings })
}

/// Whether a process has the ledger open.
fn is_in_use(dir: &std::path::Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(lock) = fs::File::open(dir.join("ledger/lock")) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        for problem in &report.problems {
            output::line(&serde_json::to_string(problem)?)?;
        }
        return output::line(&serde_json::to_string(&serde_json::json!({ "checked": report.facts }))?);
    }
    for problem in &report.problems {
        output::line(&problem.to_string())?;
    }
    let facts = &report.facts;
    output::line(&format!("log {}: {}, root {}", facts.origin, output::counted(facts.entries, "entry"), facts.root))?;
    output::line(&format!(
        "{} in {} and {} as signed; {} still in the spool, {} deleted by signed deletions",
        output::counted(facts.events, "event"),
        output::counted(facts.batches, "batch"),
        output::counted(facts.segments, "segment"),
        facts.in_spool,
        facts.deleted,
    ))?;
    if let Some(anchored) = &facts.anchored {
        output::line(&format!(
            "{}: the first {} existed before {}, says {}",
            output::counted(facts.anchors, "anchor"),
            output::counted(anchored.entries, "entry"),
            jiff::Timestamp::from_second(anchored.before).map_or_else(|_| "?".into(), |time| time.to_string()),
            anchored.tsa,
        ))?;
        if !facts.anchors_pinned {
            output::line(
                "anchors: whose they are was not checked. Anybody can make some: put `tsa` lines into a policy",
            )?;
        }
    }
    if !facts.pinned {
        output::line(
            "keys: the folder's own. Who can change all of it can change them too: keep a policy elsewhere (docs/trust.md)",
        )?;
    }
    output::line(&match report.problems.len() as u64 {
        0 => "everything is as it was signed".to_owned(),
        count => format!("{} found", output::counted(count, "problem")),
    })
}
