//! `vedette hunt` and `vedette sql`: through the running server, or over the folder.

use std::{io::BufRead, path::Path};

use anyhow::Context;
use futures::StreamExt;
use hyper::Method;
use serde_json::{Map, Value, json};
use vedette_event::{Diagnostic, Time};
use vedette_query::Language;
use vedette_server::{Action, Ask, Local, Piece, Rooms, SearchError};

use crate::{
    Outcome, Usage,
    cli::{Format, QueryArgs},
    client::{Client, Refusal},
    config::{self, Config},
    node::{Node, journal::SelfJournal, maintenance::now},
    output::Printer,
};

/// Columns of whole events in a table or CSV.
const EVENT_COLUMNS: [&str; 4] = ["@timestamp", "host.name", "event.dataset", "event.original"];

/// Runs the command.
pub fn run(args: QueryArgs, language: Language) -> anyhow::Result<Outcome> {
    let (dir, config) = config::open(&args.data)?;
    let (from, to) = (time(args.from.as_deref())?, time(args.to.as_deref())?);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut view = View { format: args.output, printer: None, is_empty: true };
    if let Some(mut client) = Client::connect(&dir)? {
        let body = json!({
            "query": args.query,
            "language": if language == Language::Sql { "sql" } else { "hunt" },
            "from": from.map(|time| time.to_string()),
            "to": to.map(|time| time.to_string()),
            "limit": (args.limit != 0).then_some(args.limit),
        });
        let answer = client.send(Method::POST, "/api/v1/search?format=pieces", Some(&body));
        let answer = answer.map_err(|error| match error.downcast_ref::<Refusal>() {
            Some(refusal) if !refusal.diagnostics.is_empty() => wrong(&args.query, &refusal.diagnostics).into(),
            _ => error,
        })?;
        for line in answer.lines() {
            let line = line.context("the server hung up in the middle of the answer")?;
            let piece: Value = serde_json::from_str(&line).context("the server's answer is not JSON")?;
            view.json_piece(piece)?;
        }
    } else {
        let language = match language {
            Language::Hunt => vedette_server::Language::Hunt,
            Language::Sql => vedette_server::Language::Sql,
        };
        offline(&dir, &config, Ask { query: args.query, language, from, to, limit }, &mut |piece| match piece {
            Piece::Columns(columns) => view.columns(&columns),
            Piece::Row(row) => view.row(&row),
            Piece::Progress(_) => Ok(()),
            Piece::Done(summary) => {
                view.done(summary.note.as_deref());
                Ok(())
            }
        })?;
    }
    view.finish()
}

/// Asks the folder where no server runs; tells each piece of the answer to `each`.
pub(crate) fn offline(
    dir: &Path,
    config: &Config,
    ask: Ask,
    each: &mut dyn FnMut(Piece) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    config::must_exist(dir)?;
    let node = Node::open(dir, config)?;
    if node.spool.status().unreleased_bytes > 0 {
        node.catch_up()?;
    }
    journal(&node, &ask)?;
    let rooms = Local::new(node.spool.clone(), node.store.clone(), node.engine.clone());
    let query = ask.query.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut pieces = rooms.search(ask);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => each(piece)?,
                Err(SearchError::Refused(diagnostics)) => return Err(wrong(&query, &diagnostics).into()),
                Err(SearchError::Budget(message) | SearchError::Failed(message)) => anyhow::bail!(message),
            }
        }
        Ok(())
    })
}

/// What people search for is an event, as it is where a server answers.
fn journal(node: &Node, ask: &Ask) -> anyhow::Result<()> {
    let action = Action { details: ask.details(), ..super::custody::action("query.run", None) };
    SelfJournal::new(&node.spool)?.enter(&action).map(drop).map_err(anyhow::Error::msg)
}

pub(crate) fn wrong(query: &str, diagnostics: &[Diagnostic]) -> Usage {
    let carets: Vec<_> = diagnostics.iter().map(|diagnostic| caret(query, diagnostic)).collect();
    Usage(carets.join("\n"))
}

/// The query's line with a caret under the place, and what is wrong there.
fn caret(query: &str, diagnostic: &Diagnostic) -> String {
    let line = query.lines().nth(diagnostic.line.saturating_sub(1) as usize).unwrap_or_default();
    let indent = diagnostic.column.saturating_sub(1) as usize;
    let hint = diagnostic.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{}\n  {line}\n  {:indent$}^{hint}", diagnostic.message, "")
}

/// RFC 3339, a date, or back from now.
pub(crate) fn time(text: Option<&str>) -> anyhow::Result<Option<Time>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Usage(format!("`{text}` is not a time: use 2026-11-21T04:11:52Z, 2026-11-21, or -24h, -30m, -7d"));
    if let Some(back) = text.strip_prefix('-') {
        let digits = back.len() - back.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = back.split_at(digits);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(wrong().into()),
        };
        let count: i64 = count.parse().map_err(|_| wrong())?;
        return Ok(Some(now().plus_micros(count.saturating_mul(seconds).saturating_mul(-1_000_000))));
    }
    let parsed = text.parse().or_else(|_| format!("{text}T00:00:00Z").parse::<Time>());
    Ok(Some(parsed.map_err(|_| wrong())?))
}

/// Prints an answer as it comes.
struct View {
    format: Format,
    printer: Option<Printer>,
    is_empty: bool,
}

impl View {
    fn json_piece(&mut self, piece: Value) -> anyhow::Result<()> {
        match piece {
            Value::Object(mut piece) => {
                if let Some(Value::Object(row)) = piece.remove("row") {
                    self.row(&row)
                } else if let Some(columns) = piece.remove("columns") {
                    self.columns(&serde_json::from_value::<Vec<String>>(columns)?)
                } else if let Some(done) = piece.remove("done") {
                    self.done(done["note"].as_str());
                    Ok(())
                } else if let Some(error) = piece.remove("error") {
                    anyhow::bail!("{}", error["detail"].as_str().unwrap_or("the query failed"))
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    fn columns(&mut self, columns: &[String]) -> anyhow::Result<()> {
        let names: Vec<&str> =
            if columns.is_empty() { EVENT_COLUMNS.to_vec() } else { columns.iter().map(String::as_str).collect() };
        self.printer = Some(Printer::new(self.format, &names)?);
        Ok(())
    }

    fn row(&mut self, row: &Map<String, Value>) -> anyhow::Result<()> {
        if self.printer.is_none() {
            self.columns(&[])?;
        }
        if let Some(printer) = &mut self.printer {
            printer.row(row)?;
        }
        self.is_empty = false;
        Ok(())
    }

    fn done(&self, note: Option<&str>) {
        if let Some(note) = note {
            eprintln!("{note}");
        }
    }

    fn finish(self) -> anyhow::Result<Outcome> {
        if let Some(printer) = self.printer {
            printer.finish()?;
        }
        if self.is_empty && self.format == Format::Table {
            eprintln!("nothing found");
        }
        Ok(Outcome::Fine)
    }
}
