//! `vedette alerts`: the inbox on the command line.

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_alert::{AlertId, Alerts, Filter, Sort, StateName, Verdict};
use vedette_event::Level;

use crate::{
    Outcome, Usage,
    cli::{AlertsArgs, AlertsCommand, Format},
    client::Client,
    config,
    output::{Printer, text},
};

const COLUMNS: [&str; 7] = ["id", "level", "state", "count", "last", "title", "entities"];

/// Runs the command.
pub fn run(args: AlertsArgs) -> anyhow::Result<Outcome> {
    let dir = config::data_dir(args.data.as_deref(), None);
    let command = args.command.unwrap_or(AlertsCommand::List { state: "open".into(), level: None, limit: 100 });
    let mut inbox = match Client::connect(&dir)? {
        Some(client) => Inbox::Server(client),
        None => {
            config::must_exist(&dir)?;
            Inbox::File(Alerts::open(&dir.join("alerts.db"))?)
        }
    };
    match command {
        AlertsCommand::List { state, level, limit } => {
            let rows = inbox.list(&state, level, limit)?;
            let mut printer = Printer::new(args.output, &COLUMNS)?;
            for row in &rows {
                printer.row(&flat(row, args.output))?;
            }
            printer.finish()?;
            if rows.is_empty() && args.output == Format::Table {
                eprintln!("no alerts ({state})");
            }
        }
        AlertsCommand::Show { id } => show(&inbox.show(id)?, args.output)?,
        AlertsCommand::Ack { id } => {
            inbox.act(id, "acknowledge", json!({}))?;
            eprintln!("alert {id} is acknowledged");
        }
        AlertsCommand::Close { id, verdict, note } => {
            if verdict.parse::<Verdict>().is_err() {
                let message = format!("`{verdict}` is not a verdict: true_positive, false_positive or benign");
                return Err(Usage(message).into());
            }
            inbox.act(id, "close", json!({"verdict": verdict, "note": (!note.is_empty()).then_some(note)}))?;
            eprintln!("alert {id} is closed as {verdict}");
        }
    }
    Ok(Outcome::Fine)
}

/// One alert; for people also its findings and its history.
fn show(alert: &Value, format: Format) -> anyhow::Result<()> {
    let mut printer = Printer::new(format, &COLUMNS)?;
    printer.row(&flat(alert, format))?;
    printer.finish()?;
    if format != Format::Table {
        return Ok(());
    }
    for (part, columns) in [("findings", ["time", "events", "matched"]), ("history", ["time", "who", "what"])] {
        println!("\n{part}");
        let mut printer = Printer::new(format, &columns)?;
        for entry in alert[part].as_array().into_iter().flatten() {
            printer.row(&told(entry))?;
        }
        printer.finish()?;
    }
    Ok(())
}

/// A finding or a step of the history, with what belongs together in one cell.
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
    row
}

/// A table shows an alert's rule and entities in single cells; JSON shows it as it is.
fn flat(alert: &Value, format: Format) -> Map<String, Value> {
    let mut row = alert.as_object().cloned().unwrap_or_default();
    if format != Format::Json {
        row.insert("level".into(), alert["rule"]["level"].clone());
        row.insert("title".into(), alert["rule"]["title"].clone());
        let entities = alert["entities"].as_array().into_iter().flatten();
        let entities = entities.map(|entity| entity["value"].as_str().unwrap_or_default()).take(3);
        row.insert("entities".into(), entities.collect::<Vec<_>>().join(", ").into());
    }
    row
}

enum Inbox {
    Server(Client),
    File(Alerts),
}

impl Inbox {
    fn list(&mut self, state: &str, level: Option<Level>, limit: usize) -> anyhow::Result<Vec<Value>> {
        let states = states(state)?;
        match self {
            Inbox::Server(client) => {
                let mut path = format!("/api/v1/alerts?sort=worst&limit={limit}");
                for state in &states {
                    path.push_str(&format!("&state={}", state.as_str()));
                }
                if let Some(level) = level {
                    path.push_str(&format!("&level={level}"));
                }
                let mut answer = client.json(Method::GET, &path, None)?;
                serde_json::from_value(answer["alerts"].take()).context("the server's answer is not a list of alerts")
            }
            Inbox::File(alerts) => {
                let filter = Filter { states, min_level: level, sort: Sort::Worst, limit, ..Filter::default() };
                let page = alerts.list(&filter)?;
                page.alerts.iter().map(|alert| Ok(serde_json::to_value(alert)?)).collect()
            }
        }
    }

    fn show(&mut self, id: i64) -> anyhow::Result<Value> {
        match self {
            Inbox::Server(client) => client.json(Method::GET, &format!("/api/v1/alerts/{id}"), None),
            Inbox::File(alerts) => Ok(serde_json::to_value(alerts.get(AlertId(id))?)?),
        }
    }

    fn act(&mut self, id: i64, action: &str, body: Value) -> anyhow::Result<()> {
        match self {
            Inbox::Server(client) => {
                client.json(Method::POST, &format!("/api/v1/alerts/{id}/{action}"), Some(&body)).map(drop)
            }
            // Verdicts are events, and only a running Vedette can journal them.
            Inbox::File(_) => {
                let message = "no Vedette runs on this folder: start `vedette up` to change alerts, so that the change is recorded";
                Err(Usage(message.into()).into())
            }
        }
    }
}

fn states(state: &str) -> anyhow::Result<Vec<StateName>> {
    Ok(match state {
        "new" => vec![StateName::New],
        "acknowledged" => vec![StateName::Acknowledged],
        "closed" => vec![StateName::Closed],
        "open" => vec![StateName::New, StateName::Acknowledged],
        "all" => Vec::new(),
        _ => {
            let message = format!("`{state}` is not a state: new, acknowledged, closed, open or all");
            return Err(Usage(message).into());
        }
    })
}
