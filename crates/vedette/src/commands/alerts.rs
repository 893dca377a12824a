//! `vedette alerts`: the inbox on the command line.

use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_alert::{AlertId, Filter, Sort, StateName};

use super::desk::{self, Desk};
use crate::{
    Outcome, Usage,
    cli::{AlertsArgs, AlertsCommand, Format},
    config,
    output::Printer,
};

const COLUMNS: [&str; 7] = ["id", "level", "state", "count", "last", "title", "entities"];
const PARTS: [(&str, &[&str]); 2] =
    [("findings", &["time", "events", "matched"]), ("history", &["time", "who", "what"])];

/// Runs the command.
pub fn run(args: AlertsArgs) -> anyhow::Result<Outcome> {
    let dir = config::data_dir(args.data.as_deref(), None);
    let command = args.command.unwrap_or(AlertsCommand::List { state: "open".into(), level: None, limit: 100 });
    let mut desk = Desk::open(&dir)?;
    match command {
        AlertsCommand::List { state, level, limit } => {
            let states = states(&state)?;
            let mut path = format!("/api/v1/alerts?sort=worst&limit={limit}");
            for state in &states {
                path.push_str(&format!("&state={}", state.as_str()));
            }
            if let Some(level) = level {
                path.push_str(&format!("&level={level}"));
            }
            let filter = Filter { states, min_level: level, sort: Sort::Worst, limit, ..Filter::default() };
            let rows = desk.list(&path, "alerts", |alerts| Ok(json!(alerts.list(&filter)?.alerts)))?;
            let mut printer = Printer::new(args.output, &COLUMNS)?;
            for row in &rows {
                printer.row(&flat(row, args.output))?;
            }
            printer.finish()?;
            if rows.is_empty() && args.output == Format::Table {
                eprintln!("no alerts ({state})");
            }
        }
        AlertsCommand::Show { id } => {
            let alert = desk.get(&format!("/api/v1/alerts/{id}"), |alerts| Ok(json!(alerts.get(AlertId(id))?)))?;
            desk::show(&alert, &flat(&alert, args.output), &COLUMNS, &PARTS, args.output)?;
        }
        AlertsCommand::Ack { id } => {
            desk.act(Method::POST, &format!("/api/v1/alerts/{id}/acknowledge"), &json!({}))?;
            eprintln!("alert {id} is acknowledged");
        }
        AlertsCommand::Close { id, verdict, note } => {
            desk::check_verdict(&verdict)?;
            let body = json!({"verdict": verdict, "note": (!note.is_empty()).then_some(note)});
            desk.act(Method::POST, &format!("/api/v1/alerts/{id}/close"), &body)?;
            eprintln!("alert {id} is closed as {verdict}");
        }
    }
    Ok(Outcome::Fine)
}

/// A table shows an alert's rule and entities in single cells; JSON shows it as it is.
fn flat(alert: &Value, format: Format) -> Map<String, Value> {
    let mut row = alert.as_object().cloned().unwrap_or_default();
    if format != Format::Json {
        row.insert("level".into(), alert["rule"]["level"].clone());
        row.insert("title".into(), alert["rule"]["title"].clone());
        row.insert("entities".into(), desk::entities(alert).into());
    }
    row
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
