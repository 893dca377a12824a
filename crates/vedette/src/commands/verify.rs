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
    let is_bundle = dir.is_file();
    if !is_bundle && !dir.join("ledger").is_dir() {
        return Err(
            Usage(format!("{} is no data folder (it has no `ledger`) and no evidence bundle", dir.display())).into()
        );
    }
    let policy = match &args.policy {
        None => Policy::default(),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Policy::parse(&text).map_err(|error| Usage(format!("{}: {error}", path.display())))?
        }
    };
    let bar = output::counter("events checked");
    let mut progress = |events| bar.inc(events);
    let report = match is_bundle {
        true => vedette_verify::verify_bundle(&dir, &policy, &mut progress),
        false => vedette_verify::verify(&dir, &policy, is_in_use(&dir), &mut progress),
    };
    bar.finish_and_clear();
    print(&report, is_bundle, args.output)?;
    Ok(if report.problems.is_empty() { Outcome::Fine } else { Outcome::Findings })
}

/// What comes from a folder or a bundle must not move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Whether a process has the ledger open.
fn is_in_use(dir: &std::path::Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(lock) = fs::File::open(dir.join("ledger/lock")) else { return false };
    flock(&lock, FlockOperation::NonBlockingLockShared).is_err()
}

fn print(report: &Report, is_bundle: bool, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        for problem in &report.problems {
            output::line(&serde_json::to_string(problem)?)?;
        }
        return output::line(&serde_json::to_string(&serde_json::json!({ "checked": report.facts }))?);
    }
    for problem in &report.problems {
        output::line(&plain(&problem.to_string()))?;
    }
    let facts = &report.facts;
    output::line(&format!("log {}: {}, root {}", facts.origin, output::counted(facts.entries, "entry"), facts.root))?;
    let (events, batches) = (output::counted(facts.events, "event"), output::counted(facts.batches, "batch"));
    if is_bundle {
        output::line(&format!("{events} in {batches} as signed; {} of them erased by signed erasures", facts.erased))?;
    } else {
        output::line(&format!(
            "{events} in {batches} and {} as signed; {} still in the spool, {} erased and {} deleted as the log says",
            output::counted(facts.segments, "segment"),
            facts.in_spool,
            facts.erased,
            facts.deleted,
        ))?;
    }
    if facts.waiting > 0 {
        let events = output::counted(facts.waiting, "event");
        output::line(&format!("{events} in the spool came after what the log has: nothing is proved of them yet"))?;
    }
    if facts.erasing > 0 {
        let events = output::counted(facts.erasing, "event");
        output::line(&format!("the erasure of {events} was interrupted; the next start goes on with it"))?;
    }
    if facts.unsigned > 0 {
        let files = output::counted(facts.unsigned, "file");
        output::line(&format!(
            "{files} of the log were being written when the monitor was ended: nothing of them was signed"
        ))?;
    }
    for range in &facts.ranges {
        let (source, name, first, last) = (range.source, &range.name, range.first, range.last);
        let of = last - first + 1;
        let count = match range.events {
            events if events == of => format!("all {of} events"),
            events => format!("{events} of {of} events"),
        };
        let name = plain(name);
        output::line(&format!("{name}: {count} from {source}-{first} to {source}-{last}"))?;
    }
    if let Some(anchored) = &facts.anchored {
        output::line(&format!(
            "{}: the first {} existed before {}, says {}",
            output::counted(facts.anchors, "anchor"),
            output::counted(anchored.entries, "entry"),
            jiff::Timestamp::from_second(anchored.before).map_or_else(|_| "?".into(), |time| time.to_string()),
            anchored.tsa,
        ))?;
        if is_bundle {
            let (there, of) = (facts.anchored_batches, output::counted(facts.proved_batches, "batch"));
            output::line(&format!("these have {there} of the {of} with evidence"))?;
        }
        if !facts.anchors_pinned {
            output::line(
                "anchors: whose they are was not checked. Anybody can make some: put `tsa` lines into a policy",
            )?;
        }
    }
    if !facts.pinned {
        let whose = if is_bundle { "bundle" } else { "folder" };
        output::line(&format!(
            "keys: the {whose}'s own. Who can change all of it can change them too: keep a policy elsewhere (docs/trust.md)",
        ))?;
    }
    output::line(&match report.problems.len() as u64 {
        0 => "everything is as it was signed".to_owned(),
        count => format!("{} found", output::counted(count, "problem")),
    })
}
