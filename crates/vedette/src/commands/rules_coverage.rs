//! `vedette rules coverage`: what the rules in force cover of ATT&CK, and which can never fire.

use std::path::Path;

use anyhow::Context;
use hyper::Method;
use serde_json::Value;

use crate::{
    Outcome, Usage,
    cli::{DataArgs, Format},
    client::Client,
    config,
    output::{self, Printer},
};

/// Runs the command. Exit code 1 if there are rules that no source feeds.
pub fn run(data: &DataArgs, navigator: Option<&Path>, format: Format) -> anyhow::Result<Outcome> {
    let (dir, _) = config::open(data)?;
    let Some(mut client) = Client::connect(&dir)? else {
        return Err(Usage("no server runs on this data folder; only that knows which rules are in force".into()).into());
    };
    if let Some(path) = navigator {
        let layer = client.json(Method::GET, "/api/v1/coverage/navigator", None)?;
        let text = serde_json::to_string_pretty(&layer)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("{} techniques written to {}", layer["techniques"].as_array().map_or(0, Vec::len), path.display());
    }
    let covered = client.json(Method::GET, "/api/v1/coverage", None)?;
    if format == Format::Json {
        output::line(&serde_json::to_string(&covered)?)?;
    } else {
        let mut printer = Printer::new(format, &["product", "category", "service", "rules", "last_seen"])?;
        for source in covered["logsources"].as_array().into_iter().flatten() {
            let mut row = source["logsource"].as_object().cloned().unwrap_or_default();
            row.insert("rules".into(), source["rules"].clone());
            let seen = source["last_seen"].as_str().unwrap_or("never");
            row.insert("last_seen".into(), seen.into());
            printer.row(&row)?;
        }
        printer.finish()?;
    }
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let (rules, fed) = (count(&covered["rules"]), count(&covered["fed"]));
    let techniques = covered["techniques"].as_array().map_or(&[][..], Vec::as_slice);
    let can_fire = techniques.iter().filter(|technique| count(&technique["fed"]) > 0).count();
    eprintln!(
        "{fed} of {rules} rules are fed; {can_fire} of {} techniques have a rule that can fire",
        techniques.len()
    );
    Ok(if fed < rules { Outcome::Findings } else { Outcome::Fine })
}
