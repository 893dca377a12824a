//! `vedette indicators check` and `vedette indicators find`.

use std::path::PathBuf;

use serde_json::{Value, json};
use vedette_indicator::{Builder, Options, Settled};

use crate::{
    Outcome, Usage,
    cli::{Format, IndicatorsArgs, IndicatorsCommand},
    commands::detect::files_below,
    node::indicators::{known, read_file},
    output::Printer,
};

/// Runs the command.
pub fn run(args: IndicatorsArgs) -> anyhow::Result<Outcome> {
    match args.command {
        IndicatorsCommand::Check { files, output } => check(&files, output),
        IndicatorsCommand::Find { value, files, output } => find(&value, &files, output),
    }
}

fn check(paths: &[PathBuf], output: Format) -> anyhow::Result<Outcome> {
    let mut builder = Builder::new(Options::default());
    let mut printer = Printer::new(output, &["file", "taken", "withdrawn", "passed", "refused", "reason"])?;
    let mut is_fine = true;
    for file in files_below(paths)? {
        let name = file.display().to_string();
        let row = match read_file(&file, &mut builder) {
            Ok(account) => {
                for refused in &account.shown {
                    eprintln!("refused: {refused}");
                }
                is_fine &= account.refusals() == 0;
                json!({
                    "file": name, "taken": account.taken, "withdrawn": account.withdrawn,
                    "passed": account.passed.values().sum::<u64>(), "refused": account.refusals(),
                    "refused_by_reason": account.refused, "passed_by_kind": account.passed,
                })
            }
            Err(error) => {
                is_fine = false;
                json!({"file": name, "reason": error})
            }
        };
        if let Value::Object(row) = row {
            printer.row(&row)?;
        }
    }
    printer.finish()?;
    let (set, settled) = builder.finish();
    let Settled { indicators, repeated, superseded, withdrawn, crowded, over_limit } = settled;
    eprintln!(
        "{indicators} indicators of {} values in {} MB; {repeated} repeated, {superseded} superseded, {withdrawn} withdrawn, \
         {crowded} too many of one value, {over_limit} over the limit",
        set.len(),
        set.bytes() / 1_000_000,
    );
    Ok(if is_fine { Outcome::Fine } else { Outcome::Findings })
}

fn find(value: &str, paths: &[PathBuf], output: Format) -> anyhow::Result<Outcome> {
    let mut builder = Builder::new(Options::default());
    for file in files_below(paths)? {
        if let Err(error) = read_file(&file, &mut builder) {
            eprintln!("{error}");
        }
    }
    let set = builder.finish().0;
    let mut printer =
        Printer::new(output, &["value", "kind", "feed", "name", "confidence", "from", "until", "labels"])?;
    let mut count = 0;
    for (observable, indicator) in known(&set, value).map_err(Usage)? {
        count += 1;
        let time = |time: Option<vedette_event::Time>| time.map(|time| time.to_string());
        let row = json!({
            "value": observable.to_string(), "kind": observable.kind().to_string(), "feed": &*indicator.feed,
            "name": indicator.name, "confidence": indicator.confidence, "from": time(indicator.valid_from),
            "until": time(indicator.valid_until), "labels": indicator.labels,
        });
        if let Value::Object(row) = row {
            printer.row(&row)?;
        }
    }
    printer.finish()?;
    Ok(if count > 0 { Outcome::Fine } else { Outcome::Findings })
}
