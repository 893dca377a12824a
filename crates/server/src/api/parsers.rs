//! Parsers that are written here.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    model::DiagnosticModel,
    rules::{file_name, refuse, short_enough},
};
use crate::{
    App, Problem,
    auth::{Principal, act, blocking},
    problem::{Body, Id},
};

/// At most so many records are tried at once.
const MAX_LINES: usize = 1000;

/// A parser, and records to try it on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParserTrial {
    /// The parser (YAML); at most 256 KiB.
    text: String,
    /// Records, at most 1000.
    #[serde(default)]
    lines: Vec<String>,
}

/// A record as it was parsed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ParsedLineModel {
    /// The record.
    line: String,
    /// The parser that understood it, `name@version`: this one, or another that comes before it.
    parser: Option<String>,
    /// Its fields.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

/// What came of a parser.
#[derive(Serialize, ToSchema)]
pub(crate) struct ParserCheck {
    /// It would be loaded.
    loads: bool,
    /// What is wrong with it, and where.
    diagnostics: Vec<DiagnosticModel>,
    /// What became of each record; nothing if the parser is wrong.
    results: Vec<ParsedLineModel>,
}

/// Tries a parser, beside all others, on some records.
#[utoipa::path(post, path = "/api/v1/parsers/check", operation_id = "checkParser", tag = "sources",
    request_body = ParserTrial,
    responses((status = 200, description = "Whether it would load, and what becomes of the records", body = ParserCheck),
        (status = 401, body = Problem), (status = 413, body = Problem),
        (status = 422, description = "Too many records", body = Problem)))]
pub(crate) async fn check_parser(
    State(app): State<Arc<App>>,
    Body(body): Body<ParserTrial>,
) -> Result<Json<ParserCheck>, Problem> {
    short_enough(&body.text)?;
    if body.lines.len() > MAX_LINES {
        let detail = format!("at most {MAX_LINES} records are tried at once");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    blocking(move || {
        let checked = app.parsers.check(&body.text, &body.lines);
        let results = body.lines.into_iter().zip(checked.results);
        let results =
            results.map(|(line, parsed)| ParsedLineModel { line, parser: parsed.parser, fields: parsed.fields });
        Ok(Json(ParserCheck {
            loads: checked.diagnostics.is_empty(),
            diagnostics: checked.diagnostics.into_iter().map(Into::into).collect(),
            results: results.collect(),
        }))
    })
    .await
}

/// A parser to save.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParserText {
    /// The parser (YAML); at most 256 KiB.
    text: String,
}

/// A parser that was saved.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedParser {
    /// Its file's name, with ending.
    file: String,
    /// It is in force after a restart.
    restart: bool,
    /// What to do, for people.
    note: String,
}

/// Writes a parser into the data folder. It is in force after the next start: events that are parsed now and those that
/// are read again from their originals must not differ while a search runs.
#[utoipa::path(put, path = "/api/v1/parsers/files/{name}", operation_id = "saveParser", tag = "sources",
    params(("name" = String, Path, description = "The file's name, with or without `.yml`", example = "our-app")),
    request_body = ParserText,
    responses((status = 200, description = "Written", body = SavedParser), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 413, body = Problem),
        (status = 422, description = "The parser is refused (`diagnostics` say why), or the name is", body = Problem)))]
pub(crate) async fn save_parser(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(name): Id<String>,
    Body(body): Body<ParserText>,
) -> Result<Json<SavedParser>, Problem> {
    short_enough(&body.text)?;
    let name = file_name(&name)?;
    if name.as_str() == "patterns" {
        let detail = "`patterns.yml` is the library of patterns, not a parser";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).hint("choose another name"));
    }
    let (view, text) = (app.clone(), body.text.clone());
    refuse(blocking(move || Ok(view.parsers.check(&text, &[]).diagnostics)).await?)?;
    let mut action = principal.action(app.now(), "parsers.save", Some(name.yml()));
    action.details.push(("blake3", blake3::hash(body.text.as_bytes()).to_hex().to_string()));
    act(&app, action, move |app| {
        app.parsers.save(&name, &body.text)?;
        let note = "restart Vedette: the parser is in force then, also for events that are stored".to_owned();
        Ok(Json(SavedParser { file: name.yml(), restart: true, note }))
    })
    .await
}
