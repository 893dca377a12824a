//! The inbox.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use vedette_alert::{Alert, AlertDetail, AlertId, State as AlertState};
use vedette_event::{Entity, Time};

use super::{
    Viewer,
    layout::{Tab, moment, number, shell},
    page, search, see, sign,
};
use crate::{
    App, Problem,
    api::alerts::{self as api, ListParams},
    auth::blocking,
    problem::{Id, Params},
};

/// A level, in words and colour.
pub(super) fn level_badge(level: &str) -> Markup {
    html! { span.badge.level.(level) { (level) } }
}

fn state_badge(state: AlertState) -> Markup {
    html! {
        span.badge.state.(state.as_str()) {
            (state.as_str()) @if let Some(verdict) = state.verdict() { ": " (verdict.as_str().replace('_', " ")) }
        }
    }
}

fn entity(entity: &Entity) -> Markup {
    html! { span.entity { span.dim { (entity.kind) } " " span.mono { (entity.value) } } }
}

/// Alerts as a table with what can be done to each; after a form the reader comes back to `back`.
pub(super) fn table(alerts: &[Alert], now: Time, back: &str) -> Markup {
    html! {
        div.scroll {
            table.alerts {
                thead {
                    tr {
                        th scope="col" { "Level" } th scope="col" { "Alert" } th scope="col" { "About" }
                        th.num scope="col" { "Findings" } th scope="col" { "Latest" } th scope="col" { "State" }
                        th scope="col" { "Do" }
                    }
                }
                tbody {
                    @for alert in alerts {
                        tr {
                            td { (level_badge(alert.rule.level.as_str())) }
                            th scope="row" { a href={ "/plain/alerts/" (alert.id) } { "#" (alert.id) " " (alert.rule.title) } }
                            td { (entity(&alert.entity)) }
                            td.num { (number(alert.count)) }
                            td { (moment(alert.last, now)) }
                            td { (state_badge(alert.state)) @if let Some(who) = &alert.assignee { " " span.dim { (who) } } }
                            td { (forms(alert, back)) }
                        }
                    }
                }
            }
        }
    }
}

fn forms(alert: &Alert, back: &str) -> Markup {
    let action = |what: &str| format!("/plain/alerts/{}/{what}", alert.id);
    html! {
        div.do {
            @if alert.state == AlertState::New {
                form method="post" action=(action("acknowledge")) {
                    input type="hidden" name="back" value=(back);
                    button type="submit" { "Acknowledge" }
                }
            }
            @if let AlertState::Closed(_) = alert.state {
                form method="post" action=(action("reopen")) {
                    input type="hidden" name="back" value=(back);
                    button.quiet type="submit" { "Reopen" }
                }
            } @else {
                details {
                    summary { "Close" }
                    form.stack method="post" action=(action("close")) {
                        input type="hidden" name="back" value=(back);
                        label { "Verdict"
                            select name="verdict" required {
                                option value="true_positive" { "True positive" }
                                option value="false_positive" { "False positive" }
                                option value="benign" { "Benign" }
                            }
                        }
                        label { "Why" input name="note" maxlength="4000"; }
                        button type="submit" { "Close alert" }
                    }
                }
            }
        }
    }
}

/// The inbox with its filters.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Viewer(principal): Viewer,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let mut filter = params.filter()?;
    filter.limit = filter.limit.min(100);
    let (now, offset, limit) = (app.now(), filter.offset, filter.limit);
    let found = blocking(move || Ok(app.alerts.list(&filter)?)).await?;
    let state = params.state.as_deref().unwrap_or_default();
    let level = params.level.as_deref().unwrap_or_default();
    let link = |offset: usize| {
        let pairs = [
            ("state", params.state.as_deref()),
            ("level", params.level.as_deref()),
            ("rule", params.rule.as_deref()),
            ("entity", params.entity.as_deref()),
            ("sort", params.sort.as_deref()),
        ];
        let query: String =
            pairs.iter().filter_map(|(name, value)| Some(format!("{name}={}&", search::encode((*value)?)))).collect();
        format!("/plain/alerts?{query}offset={offset}")
    };
    let content = html! {
        h1 { "Alerts" }
        form.filters method="get" action="/plain/alerts" {
            label { "State"
                select name="state" {
                    @for (value, name) in [("open", "Open"), ("new", "New"), ("acknowledged", "Acknowledged"), ("closed", "Closed"), ("", "All")] {
                        option value=(value) selected[value == state] { (name) }
                    }
                }
            }
            label { "Level"
                select name="level" {
                    @for (value, name) in [("informational", "Any"), ("low", "Low or worse"), ("medium", "Medium or worse"), ("high", "High or worse"), ("critical", "Critical")] {
                        option value=(value) selected[value == level] { (name) }
                    }
                }
            }
            label { "Order"
                select name="sort" {
                    option value="worst" selected[params.sort.as_deref() == Some("worst")] { "Worst first" }
                    option value="newest" selected[params.sort.as_deref() != Some("worst")] { "Newest first" }
                }
            }
            button type="submit" { "Show" }
        }
        section.panel {
            @if found.alerts.is_empty() {
                p.empty { "No alert fits." }
            } @else {
                (table(&found.alerts, now, "/plain/alerts?state=open&sort=worst"))
                p.pages {
                    span.dim { (offset + 1) " to " (offset + found.alerts.len()) " of " (number(found.total)) }
                    @if offset > 0 { a href=(link(offset.saturating_sub(limit))) { "Previous" } }
                    @if ((offset + found.alerts.len()) as u64) < found.total { a href=(link(offset + limit)) { "Next" } }
                }
            }
        }
    };
    Ok(page(shell(&principal, Some(Tab::Alerts), "Alerts", &content)))
}

/// One alert: why, on whom, what was done.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Viewer(principal): Viewer,
    Id(id): Id<i64>,
) -> Result<Response, Problem> {
    let now = app.now();
    let detail = blocking(move || Ok(app.alerts.get(AlertId(id))?)).await?;
    let title = format!("#{id} {}", detail.alert.rule.title);
    Ok(page(shell(&principal, Some(Tab::Alerts), &title, &alert_page(&detail, now))))
}

fn alert_page(detail: &AlertDetail, now: Time) -> Markup {
    let alert = &detail.alert;
    html! {
        h1 { span.dim { "#" (alert.id) } " " (alert.rule.title) }
        p.levels { (level_badge(alert.rule.level.as_str())) (state_badge(alert.state)) (entity(&alert.entity)) }
        section.panel {
            (forms(alert, ""))
            dl {
                dt { "Findings" } dd { (number(alert.count)) }
                dt { "First" } dd { (moment(alert.first, now)) }
                dt { "Latest" } dd { (moment(alert.last, now)) }
                dt { "Rule" } dd { span.mono { (alert.rule.id) } @if let Some(author) = &alert.rule.author { " by " (author) } }
                @if !alert.rule.techniques.is_empty() { dt { "ATT&CK" } dd { (alert.rule.techniques.join(", ")) } }
                @if let Some(who) = &alert.assignee { dt { "Assignee" } dd { (who) } }
                @if let Some(note) = &alert.note { dt { "Note" } dd { (note) } }
                dt { "Entities" }
                dd {
                    @for of in &alert.entities { (entity(of)) " " }
                    @if alert.entities_truncated { span.dim { "and more" } }
                }
            }
        }
        section.panel aria-labelledby="why" {
            h2 id="why" { "Why" }
            @for hit in &detail.hits {
                article.hit {
                    p {
                        (moment(hit.time, now)) " "
                        @for event in hit.events.iter().take(20) { a.mono href={ "/plain/events/" (event) } { (event) } " " }
                        @if hit.events.len() > 20 { span.dim { "and " (hit.events.len() - 20) " more" } }
                    }
                    dl.fields {
                        @for matched in &hit.matched {
                            dt { @if matched.field.is_empty() { span.dim { "keyword" } } @else { (matched.field) } }
                            dd.mono { (matched.value) }
                        }
                    }
                }
            }
            @if (detail.hits.len() as u64) < alert.count { p.dim { "The latest " (detail.hits.len()) " of " (number(alert.count)) " findings." } }
        }
        section.panel aria-labelledby="history" {
            h2 id="history" { "History" }
            ol.history {
                @for change in &detail.history {
                    li { (moment(change.time, now)) " " b { (change.who) } " " (change.what)
                        @if let Some(detail) = &change.detail { ": " (detail) } }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct StepForm {
    #[serde(default)]
    back: String,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    note: String,
}

/// Only to pages that have such forms, so that nobody can be sent elsewhere.
fn back(form: &StepForm, id: i64) -> Response {
    match form.back.as_str() {
        "/plain" | "/plain/alerts?state=open&sort=worst" => see(&form.back),
        _ => see(&format!("/plain/alerts/{id}")),
    }
}

/// Takes an alert.
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Id(id): Id<i64>,
    request: Request,
) -> Result<Response, Problem> {
    let (principal, (_, _, form)) = (viewer.writer()?, sign::form::<StepForm>(request).await?);
    api::acknowledge(&app, &principal, AlertId(id)).await?;
    Ok(back(&form, id))
}

/// Judges an alert.
pub(super) async fn close(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Id(id): Id<i64>,
    request: Request,
) -> Result<Response, Problem> {
    let (principal, (_, _, form)) = (viewer.writer()?, sign::form::<StepForm>(request).await?);
    let note = (!form.note.trim().is_empty()).then(|| form.note.trim().to_owned());
    api::close(&app, &principal, AlertId(id), &form.verdict, note).await?;
    Ok(back(&form, id))
}

/// Opens a closed alert again.
pub(super) async fn reopen(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Id(id): Id<i64>,
    request: Request,
) -> Result<Response, Problem> {
    let (principal, (_, _, form)) = (viewer.writer()?, sign::form::<StepForm>(request).await?);
    api::reopen(&app, &principal, AlertId(id)).await?;
    Ok(back(&form, id))
}
