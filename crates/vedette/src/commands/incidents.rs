//! `vedette incidents`: findings that belong together, on the command line.

use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_alert::{IncidentFilter, IncidentId, IncidentStateName, Sort};

use super::desk::{self, Desk};
use crate::{
    Outcome,
    cli::{Format, IncidentsArgs, IncidentsCommand},
    config,
    output::Printer,
};

const COLUMNS: [&str; 8] = ["id", "level", "state", "assignee", "findings", "last", "tactics", "entities"];
const PARTS: [(&str, &[&str]); 2] = [
    ("timeline", &["first", "level", "alert", "findings", "title", "entities"]),
    ("history", &["time", "who", "what"]),
];

/// Runs the command.
pub fn run(args: IncidentsArgs) -> anyhow::Result<Outcome> {
    let dir = config::data_dir(args.data.as_deref(), None);
    let command = args.command.unwrap_or(IncidentsCommand::List { state: "open".into(), level: None, limit: 100 });
    let mut desk = Desk::open(&dir)?;
    let path = |id: i64, action: &str| format!("/api/v1/incidents/{id}/{action}");
    match command {
        IncidentsCommand::List { state, level, limit } => {
            let mut states: Vec<IncidentStateName> = desk::states(&state)?;
            if states.is_empty() {
                states = [IncidentStateName::Open, IncidentStateName::Closed, IncidentStateName::Merged].into();
            }
            let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            let level_wanted = level.map(|level| format!("&level={level}")).unwrap_or_default();
            let path = format!("/api/v1/incidents?sort=worst&limit={limit}&state={}{level_wanted}", names.join(","));
            let filter = IncidentFilter { states, min_level: level, sort: Sort::Worst, limit, ..Default::default() };
            let rows = desk.list(&path, "incidents", |alerts| Ok(json!(alerts.incidents(&filter)?.incidents)))?;
            let mut printer = Printer::new(args.output, &COLUMNS)?;
            for row in &rows {
                printer.row(&flat(row, args.output))?;
            }
            printer.finish()?;
            if rows.is_empty() && args.output == Format::Table {
                eprintln!("no incidents ({state})");
            }
        }
        IncidentsCommand::Show { id } => {
            let incident =
                desk.get(&format!("/api/v1/incidents/{id}"), |alerts| Ok(json!(alerts.incident(IncidentId(id))?)))?;
            desk::show(&incident, &flat(&incident, args.output), &COLUMNS, &PARTS, args.output)?;
        }
        IncidentsCommand::Assign { id, to } => {
            desk.act(Method::POST, &path(id, "assign"), &json!({ "to": to }))?;
            eprintln!("incident {id} is {}'s", to.as_deref().unwrap_or("nobody"));
        }
        IncidentsCommand::Note { id, text } => {
            desk.act(Method::POST, &path(id, "note"), &json!({ "note": text }))?;
            eprintln!("incident {id} has the note");
        }
        IncidentsCommand::Close { id, verdict, note } => {
            desk::check_verdict(&verdict)?;
            let body = json!({"verdict": verdict, "note": (!note.is_empty()).then_some(note)});
            desk.act(Method::POST, &path(id, "close"), &body)?;
            eprintln!("incident {id} is closed as {verdict}");
        }
    }
    Ok(Outcome::Fine)
}

/// A table shows entities in a single cell; JSON shows an incident as it is.
fn flat(incident: &Value, format: Format) -> Map<String, Value> {
    let mut row = incident.as_object().cloned().unwrap_or_default();
    if format != Format::Json {
        row.insert("entities".into(), desk::entities(incident).into());
    }
    row
}
