//! Search and single events.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use vedette_event::{Diagnostic, Time};

use super::{
    Viewer,
    layout::{Tab, number, sentence, shell},
    page, page_with,
};
use crate::{
    App, Ask, Language, Problem,
    api::{Answer, collect, one_event},
    problem::{Id, Params},
};

const ROWS: usize = 100;

/// What the search form sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SearchParams {
    q: Option<String>,
    range: String,
    language: String,
}

const RANGES: [(&str, &str, i64); 6] = [
    ("15m", "Last 15 minutes", 15 * 60),
    ("1h", "Last hour", 3600),
    ("24h", "Last 24 hours", 86_400),
    ("7d", "Last 7 days", 7 * 86_400),
    ("30d", "Last 30 days", 30 * 86_400),
    ("all", "All time", 0),
];

/// The search box.
pub(super) fn search_form(params: &SearchParams) -> Markup {
    let range = if params.range.is_empty() { "24h" } else { &params.range };
    html! {
        form.search method="get" action="/plain/search" role="search" {
            label.sr for="q" { "Search events" }
            input id="q" name="q" type="search" value=(params.q.as_deref().unwrap_or_default()) maxlength="4000"
                placeholder="source.ip:192.0.2.0/24 failed | summarize n=count() by user.name"
                autocapitalize="none" autocomplete="off" spellcheck="false";
            label.sr for="range" { "Time range" }
            select id="range" name="range" {
                @for (value, name, _) in RANGES { option value=(value) selected[value == range] { (name) } }
            }
            label.sr for="language" { "Language" }
            select id="language" name="language" {
                option value="hunt" selected[params.language != "sql"] { "Search" }
                option value="sql" selected[params.language == "sql"] { "SQL" }
            }
            button type="submit" { "Search" }
        }
    }
}

/// Runs a search and shows what it found.
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Viewer(principal): Viewer,
    Params(params): Params<SearchParams>,
) -> Result<Response, Problem> {
    let result = match &params.q {
        None => None,
        Some(query) => {
            let seconds = RANGES.iter().find(|(value, ..)| *value == params.range).map_or(86_400, |(.., secs)| *secs);
            let from: Option<Time> = (seconds > 0).then(|| app.now().plus_micros(-seconds * 1_000_000));
            let language = if params.language == "sql" { Language::Sql } else { Language::Hunt };
            let ask = Ask { query: query.clone(), language, from, to: None, limit: ROWS };
            Some(collect(&app, &principal, ask).await)
        }
    };
    let status = match &result {
        Some(Err(problem)) => problem.status_code(),
        _ => axum::http::StatusCode::OK,
    };
    let content = html! {
        h1 { "Search" }
        (search_form(&params))
        @match &result {
            None => section.panel { (help()) },
            Some(Ok(answer)) => (found(answer)),
            Some(Err(problem)) => (refused(params.q.as_deref().unwrap_or_default(), problem)),
        }
    };
    Ok(page_with(status, shell(&principal, Some(Tab::Search), "Search", &content)))
}

fn help() -> Markup {
    let examples = [
        ("failed password", "events with both words"),
        ("source.ip:192.0.2.0/24", "an address or network in a field"),
        ("event.dataset:linux.sshd NOT user.name:root", "fields combined"),
        ("* | summarize n=count() by source.ip | sort n desc | take 10", "counted"),
    ];
    html! {
        h2 { "What can be asked" }
        dl.fields {
            @for (query, meaning) in examples {
                dt { a.mono href={ "/plain/search?q=" (encode(query)) } { (query) } } dd { (meaning) }
            }
        }
    }
}

fn found(answer: &Answer) -> Markup {
    let summary = &answer.summary;
    html! {
        p.dim role="status" {
            (number(summary.rows)) " rows in " (number(summary.elapsed_ms)) " ms"
            @if summary.truncated { " · cut off: " (summary.note.as_deref().unwrap_or("there is more; narrow the search")) }
        }
        @if answer.rows.is_empty() {
            section.panel { p.empty { "Nothing found. Try a longer time range or fewer conditions." } }
        } @else if answer.columns.is_empty() {
            @for row in &answer.rows { (event_card(row)) }
        } @else {
            section.panel { (table(answer)) }
        }
    }
}

fn table(answer: &Answer) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for column in &answer.columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in &answer.rows {
                        tr { @for column in &answer.columns { td.mono { (row.get(column).map(text).unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}

/// A value as people write it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn event_card(event: &Map<String, Value>) -> Markup {
    let get = |name: &str| event.get(name).map(text).unwrap_or_default();
    let original = get("event.original");
    html! {
        article.event.panel {
            p.head {
                span.mono { (get("@timestamp")) } " "
                a href={ "/plain/events/" (get("event.id")) } { (get("event.id")) } " "
                span.dim { (get("event.dataset")) " " (get("host.name")) }
            }
            pre { (cut(&original, 2000)) }
            details { summary { "Fields" } (fields(event)) }
        }
    }
}

fn fields(event: &Map<String, Value>) -> Markup {
    html! {
        dl.fields {
            @for (name, value) in event {
                @if name != "event.original" { dt { (name) } dd.mono { (cut(&text(value), 4000)) } }
            }
        }
    }
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A refused query, with carets under what is wrong.
fn refused(query: &str, problem: &Problem) -> Markup {
    html! {
        div.notice.bad role="alert" {
            @if problem.diagnostics.is_empty() {
                p { (sentence(&problem.detail)) }
                @if let Some(hint) = &problem.hint { p { (sentence(hint)) } }
            }
            @for diagnostic in &problem.diagnostics {
                p { (sentence(&diagnostic.message)) }
                @if let Some(marked) = caret(query, diagnostic) { pre { (marked) } }
                @if let Some(hint) = &diagnostic.hint { p { (sentence(hint)) } }
            }
        }
    }
}

fn caret(query: &str, diagnostic: &Diagnostic) -> Option<String> {
    let line = query.lines().nth(diagnostic.line.max(1) as usize - 1)?;
    let column = (diagnostic.column as usize).checked_sub(1)?;
    (column <= line.chars().count()).then(|| format!("{line}\n{}^", " ".repeat(column)))
}

/// One event with everything in it.
pub(super) async fn event(
    State(app): State<Arc<App>>,
    Viewer(principal): Viewer,
    Id(id): Id<String>,
) -> Result<Response, Problem> {
    let event = one_event(&app, &principal, &id).await?;
    let content = html! {
        h1 { "Event " (id) }
        section.panel aria-labelledby="original" {
            h2 id="original" { "Original" }
            pre { (event.get("event.original").map(text).unwrap_or_default()) }
        }
        section.panel aria-labelledby="fields" { h2 id="fields" { "Fields" } (fields(&event)) }
    };
    Ok(page(shell(&principal, None, &format!("Event {id}"), &content)))
}

/// Percent-encodes a query parameter's value.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_and_encoding() {
        assert_eq!(encode("a b&c=\"é\""), "a%20b%26c%3D%22%C3%A9%22");
        let at = |line, column| Diagnostic::new("", line, column, "x");
        assert_eq!(caret("foo bar", &at(1, 5)).unwrap(), "foo bar\n    ^");
        assert_eq!(caret("foo", &at(1, 9)), None);
        assert_eq!(caret("foo", &at(0, 0)), None);
    }
}
