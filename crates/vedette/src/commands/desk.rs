//! Alerts, incidents and cases from the command line: of the running server, or from the file if none runs.

use std::path::Path;

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value};
use vedette_alert::{Alerts, Verdict};

use crate::{
    Usage,
    cli::Format,
    client::Client,
    config,
    output::{Printer, text},
};

/// Where they are.
pub enum Desk {
    /// A server runs.
    Server(Client),
    /// None runs.
    File(Alerts),
}

impl Desk {
    /// Of a data folder, which must exist.
    pub fn open(dir: &Path) -> anyhow::Result<Desk> {
        Ok(match Client::connect(dir)? {
            Some(client) => Desk::Server(client),
            None => {
                config::must_exist(dir)?;
                Desk::File(Alerts::open(&dir.join("alerts.db"))?)
            }
        })
    }

    /// Reads what the server answers to a path, or the same from the file.
    pub fn get(&mut self, path: &str, of: impl FnOnce(&Alerts) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
        match self {
            Desk::Server(client) => client.json(Method::GET, path, None),
            Desk::File(alerts) => of(alerts),
        }
    }

    /// The rows of a list, which the server's answer has under a name.
    pub fn list(
        &mut self,
        path: &str,
        name: &str,
        of: impl FnOnce(&Alerts) -> anyhow::Result<Value>,
    ) -> anyhow::Result<Vec<Value>> {
        let rows = match self {
            Desk::Server(client) => client.json(Method::GET, path, None)?[name].take(),
            Desk::File(alerts) => of(alerts)?,
        };
        serde_json::from_value(rows).with_context(|| format!("the server's answer is not a list of {name}"))
    }

    /// Changes something; gives what it is then.
    pub fn act(&mut self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        match self {
            Desk::Server(client) => client.json(method, path, Some(body)),
            // Verdicts are events, and only a running Vedette can journal them.
            Desk::File(_) => {
                let message = "no Vedette runs on this folder: start `vedette up` to change anything, so that the change is recorded";
                Err(Usage(message.into()).into())
            }
        }
    }
}

/// Refuses what is no verdict before anybody is asked.
pub fn check_verdict(verdict: &str) -> anyhow::Result<()> {
    verdict.parse::<Verdict>().map(drop).map_err(|message| Usage(message).into())
}

/// A name, or none for `all`; refuses others.
pub fn states<T: std::str::FromStr<Err = String>>(state: &str) -> anyhow::Result<Vec<T>> {
    match state {
        "all" => Ok(Vec::new()),
        state => Ok(vec![state.parse().map_err(|message: String| Usage(format!("{message}, or all")))?]),
    }
}

/// One thing in a row; for people also the lists in it, each as a table of its own.
pub fn show(
    whole: &Value,
    row: &Map<String, Value>,
    columns: &[&str],
    parts: &[(&str, &[&str])],
    format: Format,
) -> anyhow::Result<()> {
    let mut printer = Printer::new(format, columns)?;
    printer.row(row)?;
    printer.finish()?;
    if format != Format::Table {
        return Ok(());
    }
    for (part, columns) in parts {
        let entries: Vec<&Value> = whole[part].as_array().into_iter().flatten().collect();
        if entries.is_empty() {
            continue;
        }
        println!("\n{part}");
        let mut printer = Printer::new(format, columns)?;
        for entry in entries {
            printer.row(&told(entry))?;
        }
        printer.finish()?;
    }
    Ok(())
}

/// An entry of such a list, with what belongs together in one cell.
fn told(entry: &Value) -> Map<String, Value> {
    let mut row = entry.as_object().cloned().unwrap_or_default();
    let matched = entry["matched"].as_array().into_iter().flatten();
    let matched = matched.map(|of| match (&of["field"], &of["value"]) {
        (Value::String(field), Value::String(value)) if !field.is_empty() => format!("{field}: {value}"),
        (_, value) => text(Some(value)),
    });
    row.insert("matched".into(), matched.collect::<Vec<_>>().join(", ").into());
    if let Some(detail) = entry["detail"].as_str() {
        row.insert("what".into(), format!("{}: {detail}", text(entry.get("what"))).into());
    }
    row.insert("entities".into(), entities(entry).into());
    row.insert("level".into(), entry["rule"]["level"].clone());
    row.insert("title".into(), entry["rule"]["title"].clone());
    if let Some(item) = entry["item"].as_object() {
        let item = item.iter().map(|(kind, of)| format!("{kind} {}", text(Some(of.get("name").unwrap_or(of)))));
        row.insert("item".into(), item.collect::<Vec<_>>().join(", ").into());
    }
    row
}

/// The first entities of something, in one cell.
pub fn entities(of: &Value) -> String {
    let entities = of["entities"].as_array().into_iter().flatten();
    entities.map(|entity| entity["value"].as_str().unwrap_or_default()).take(3).collect::<Vec<_>>().join(", ")
}
