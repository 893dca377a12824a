//! `vedette cases`: investigations, on the command line.

use std::{fs::File, path::Path};

use anyhow::Context;
use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_alert::{CaseFilter, CaseId, CaseStateName};

use super::desk::{self, Desk};
use crate::{
    Outcome, Usage,
    cli::{CasesArgs, CasesCommand, EvidenceArg, Format, Members},
    config,
    output::Printer,
};

const COLUMNS: [&str; 8] = ["id", "state", "verdict", "assignee", "open_tasks", "incidents", "changed", "title"];
const PARTS: [(&str, &[&str]); 4] = [
    ("notes", &["time", "author", "text"]),
    ("tasks", &["id", "done_by", "done_at", "text"]),
    ("evidence", &["added", "added_by", "item", "comment"]),
    ("history", &["time", "who", "what"]),
];

/// Runs the command.
pub fn run(args: CasesArgs) -> anyhow::Result<Outcome> {
    let dir = config::data_dir(args.data.as_deref(), None);
    let command = args.command.unwrap_or(CasesCommand::List { state: "open".into(), limit: 100 });
    let mut desk = Desk::open(&dir)?;
    let path = |id: i64, action: &str| format!("/api/v1/cases/{id}/{action}");
    match command {
        CasesCommand::List { state, limit } => {
            let states: Vec<CaseStateName> = desk::states(&state)?;
            let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            let path = format!("/api/v1/cases?limit={limit}&state={}", names.join(","));
            let filter = CaseFilter { states, limit, ..CaseFilter::default() };
            let rows = desk.list(&path, "cases", |alerts| Ok(json!(alerts.cases(&filter)?.cases)))?;
            let mut printer = Printer::new(args.output, &COLUMNS)?;
            for row in &rows {
                printer.row(&row.as_object().cloned().unwrap_or_default())?;
            }
            printer.finish()?;
            if rows.is_empty() && args.output == Format::Table {
                eprintln!("no cases ({state})");
            }
        }
        CasesCommand::Show { id } => {
            let case = desk.get(&format!("/api/v1/cases/{id}"), |alerts| Ok(json!(alerts.case(CaseId(id))?)))?;
            desk::show(&case, &row(&case), &COLUMNS, &PARTS, args.output)?;
        }
        CasesCommand::Open { title, members } => {
            let case = desk.act(Method::POST, "/api/v1/cases", &json!({ "title": title }))?;
            let id = case["id"].as_i64().context("the server's answer has no number")?;
            let case = add(&mut desk, id, &members)?.unwrap_or(case);
            let mut printer = Printer::new(args.output, &COLUMNS)?;
            printer.row(&row(&case))?;
            printer.finish()?;
        }
        CasesCommand::Add { id, members } => {
            add(&mut desk, id, &members)?.ok_or_else(none_named)?;
            eprintln!("case {id} has them");
        }
        CasesCommand::Remove { id, members } => {
            for (kind, member) in each(&members)? {
                desk.act(Method::DELETE, &path(id, &format!("{kind}s/{member}")), &Value::Null)?;
            }
            eprintln!("case {id} is without them");
        }
        CasesCommand::Assign { id, to } => {
            desk.act(Method::POST, &path(id, "assign"), &json!({ "to": to }))?;
            eprintln!("case {id} is {}'s", to.as_deref().unwrap_or("nobody"));
        }
        CasesCommand::Note { id, text } => {
            desk.act(Method::POST, &path(id, "note"), &json!({ "note": text }))?;
            eprintln!("case {id} has the note");
        }
        CasesCommand::Task { id, text } => {
            let case = desk.act(Method::POST, &path(id, "tasks"), &json!({ "text": text }))?;
            let number = case["tasks"].as_array().and_then(|tasks| tasks.last()).map(|task| task["id"].to_string());
            eprintln!("case {id} has task {}", number.unwrap_or_default());
        }
        CasesCommand::Done { id, task, undo } => {
            desk.act(Method::PUT, &path(id, &format!("tasks/{task}")), &json!({ "done": !undo }))?;
            eprintln!("task {task} of case {id} is {}", if undo { "not done" } else { "done" });
        }
        CasesCommand::Evidence { id, item, comment } => {
            desk.act(Method::POST, &path(id, "evidence"), &json!({ "item": evidence(&item)?, "comment": comment }))?;
            eprintln!("case {id} has the evidence");
        }
        CasesCommand::Close { id, verdict, summary } => {
            desk::check_verdict(&verdict)?;
            desk.act(Method::POST, &path(id, "close"), &json!({ "verdict": verdict, "summary": summary }))?;
            eprintln!("case {id} is closed as {verdict}");
        }
        CasesCommand::Reopen { id } => {
            desk.act(Method::POST, &path(id, "reopen"), &json!({}))?;
            eprintln!("case {id} is open again");
        }
    }
    Ok(Outcome::Fine)
}

fn row(case: &Value) -> Map<String, Value> {
    case.as_object().cloned().unwrap_or_default()
}

/// Puts incidents and alerts into a case; gives it as it is then, if any were named.
fn add(desk: &mut Desk, id: i64, members: &Members) -> anyhow::Result<Option<Value>> {
    let mut case = None;
    for (kind, member) in pairs(members) {
        let body = Map::from_iter([(kind.to_owned(), member.into())]);
        case = Some(desk.act(Method::POST, &format!("/api/v1/cases/{id}/{kind}s"), &Value::Object(body))?);
    }
    Ok(case)
}

fn each(members: &Members) -> anyhow::Result<Vec<(&'static str, i64)>> {
    let all: Vec<_> = pairs(members).collect();
    if all.is_empty() { Err(none_named()) } else { Ok(all) }
}

fn pairs(members: &Members) -> impl Iterator<Item = (&'static str, i64)> + '_ {
    let incidents = members.incidents.iter().map(|id| ("incident", *id));
    incidents.chain(members.alerts.iter().map(|id| ("alert", *id)))
}

fn none_named() -> anyhow::Error {
    Usage("name what with --incident ID or --alert ID".into()).into()
}

fn evidence(item: &EvidenceArg) -> anyhow::Result<Value> {
    match (&item.event, &item.bundle) {
        (Some(event), _) => Ok(json!({ "event": event.to_string() })),
        (_, Some(path)) => {
            let name = path.file_name().with_context(|| format!("{}: this is no file", path.display()))?;
            Ok(json!({ "bundle": { "name": name.to_string_lossy(), "blake3": hash(path)? } }))
        }
        (None, None) => Err(Usage("name the evidence with --event ID or --bundle FILE".into()).into()),
    }
}

fn hash(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).with_context(|| path.display().to_string())?;
    Ok(hasher.finalize().to_hex().to_string())
}
