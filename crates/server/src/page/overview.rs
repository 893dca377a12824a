//! Overview, sources, rules.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use maud::{Markup, html};
use vedette_alert::Filter;
use vedette_event::Level;

use super::{
    Viewer, alerts,
    layout::{Tab, bytes, number, shell},
    page, search,
};
use crate::{
    App, LedgerStatus, LoadedRule, Problem, Status,
    api::{alerts as api_alerts, health, model::SourceModel, sources as api_sources},
    auth::blocking,
};

/// The first page: is all well, what is new.
pub(super) async fn overview(State(app): State<Arc<App>>, Viewer(principal): Viewer) -> Result<Response, Problem> {
    let now = app.now();
    let health = health::detail(app.clone()).await?;
    let sources = api_sources::list(app.clone()).await?;
    let counts = api_alerts::counts(app.clone()).await?;
    let filter = api_alerts::ListParams {
        state: Some("open".to_owned()),
        sort: Some("worst".to_owned()),
        limit: Some(10),
        ..Default::default()
    };
    let filter: Filter = filter.filter()?;
    let alerts_of = app.clone();
    let open = blocking(move || Ok(alerts_of.alerts.list(&filter)?)).await?;
    let sum = |count: fn(&SourceModel) -> u64| sources.iter().map(count).sum::<u64>();
    let content = html! {
        h1 { "Overview" }
        @if app.console.is_absent() {
            div.notice {
                p {
                    "This binary has no console. To have one, run " code { "npm ci && npm run build" } " in the folder "
                    code { "console" } " of the source, then build Vedette again; or name the built folder with "
                    code { "vedette up --console-dir" } "."
                }
            }
        } @else {
            p.dim { "These pages work without scripts. " a href="/" { "The console" } " shows more." }
        }
        (search::search_form(&search::SearchParams::default()))
        section.tiles aria-label="Figures" {
            (tile("Health", health.status.as_str(), status_class(health.status), "#health"))
            (tile("Open alerts", &number(open.total), if open.total > 0 { "warn" } else { "ok" }, "/plain/alerts?state=open&sort=worst"))
            (tile("Records received", &number(sum(|source| source.received)), "", "/plain/sources"))
            @let lost = sum(|source| source.shed.values().sum());
            (tile("Records lost", &number(lost), if lost > 0 { "fail" } else { "ok" }, "/plain/sources"))
            (tile("Events stored", &number(health.store.events + health.store.tail_events), "", "/plain/search"))
            (tile("Disk free", &bytes(health.spool.disk_free_bytes), "", "/plain/sources"))
        }
        section.panel aria-labelledby="alerts" {
            h2 id="alerts" { "Worst open alerts" }
            (open_by_level(&counts))
            @if open.alerts.is_empty() {
                p.empty { "No open alerts. New ones appear here within a second of the event." }
            } @else {
                (alerts::table(&open.alerts, now, "/plain"))
                p { a href="/plain/alerts?state=open&sort=worst" { "All open alerts (" (open.total) ")" } }
            }
        }
        section.panel aria-labelledby="health" {
            h2 id="health" { "Health" }
            p { (history(&health.ledger)) }
            ul.checks {
                @for check in &health.checks {
                    li {
                        span.badge.(status_class(check.status)) { (check.status.as_str()) }
                        b { (check.name) }
                        @if let Some(detail) = &check.detail { span { (detail) } }
                    }
                }
            }
        }
        section.panel aria-labelledby="sources" {
            h2 id="sources" { "Sources" }
            (ledger(&busiest(&sources), sources.len()))
        }
    };
    Ok(page(shell(&principal, Some(Tab::Overview), "Overview", &content)))
}

/// How far the history is proved, in one line.
fn history(ledger: &LedgerStatus) -> String {
    let sealed = format!("History: {} entries, sealed {} s ago", number(ledger.entries), ledger.sealed_seconds_ago);
    let all = ledger.witnesses.len();
    match &ledger.witnessed {
        _ if all == 0 => format!("{sealed}, no witness"),
        None => format!("{sealed}, not yet witnessed by any of {all}"),
        Some(witnessed) => {
            format!("{sealed}, witnessed {} s ago by {} of {all}", witnessed.seconds_ago, witnessed.by)
        }
    }
}

fn tile(name: &str, value: &str, class: &str, link: &str) -> Markup {
    html! { a.tile.(class) href=(link) { span.value { (value) } span.name { (name) } } }
}

fn status_class(status: Status) -> &'static str {
    status.as_str()
}

fn open_by_level(counts: &BTreeMap<String, BTreeMap<String, u64>>) -> Markup {
    let open = |level: Level| -> u64 {
        ["new", "acknowledged"].iter().filter_map(|state| counts.get(*state)?.get(level.as_str())).sum()
    };
    html! {
        p.levels {
            @for level in [Level::Critical, Level::High, Level::Medium, Level::Low, Level::Informational] {
                a href={ "/plain/alerts?state=open&level=" (level) } {
                    (alerts::level_badge(level.as_str())) " " (number(open(level)))
                }
            }
        }
    }
}

fn busiest(sources: &[SourceModel]) -> Vec<&SourceModel> {
    let mut sources: Vec<_> = sources.iter().collect();
    sources.sort_by_key(|source| (std::cmp::Reverse(!source.shed.is_empty()), std::cmp::Reverse(source.received)));
    sources.truncate(10);
    sources
}

/// The loss ledger: received = stored + refused + shed.
fn ledger(sources: &[&SourceModel], total: usize) -> Markup {
    html! {
        @if sources.is_empty() {
            p.empty { "No source has sent anything yet. Point a syslog sender or a Beat at this machine, or import a file." }
        } @else {
            div.scroll {
                table {
                    caption.dim { "Received = stored + refused (the sender still has them) + lost" }
                    thead {
                        tr {
                            th scope="col" { "Source" }
                            th.num scope="col" { "Received" }
                            th.num scope="col" { "Stored" }
                            th.num scope="col" { "Refused" }
                            th.num scope="col" { "Lost" }
                        }
                    }
                    tbody {
                        @for source in sources {
                            tr {
                                th scope="row" { a href={ "/plain/search?q=" (search::encode(&source_query(&source.name))) } { (source.name) } }
                                td.num { (number(source.received)) }
                                td.num { (number(source.stored)) }
                                td.num { (reasons(&source.refused, "warn")) }
                                td.num { (reasons(&source.shed, "fail")) }
                            }
                        }
                    }
                }
            }
            @if total > sources.len() { p { a href="/plain/sources" { "All " (total) " sources" } } }
        }
    }
}

fn source_query(name: &str) -> String {
    format!("vedette.source_name:\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn reasons(counts: &BTreeMap<String, u64>, class: &str) -> Markup {
    let all: u64 = counts.values().sum();
    html! {
        @if all == 0 { "0" } @else {
            span.badge.(class) { (number(all)) }
            @for (reason, count) in counts { br; span.dim { (reason) " " (number(*count)) } }
        }
    }
}

/// Every source.
pub(super) async fn sources(State(app): State<Arc<App>>, Viewer(principal): Viewer) -> Result<Response, Problem> {
    let health = health::detail(app.clone()).await?;
    let sources = api_sources::list(app).await?;
    let all: Vec<_> = sources.iter().collect();
    let content = html! {
        h1 { "Sources" }
        section.panel { (ledger(&all, all.len())) }
        section.panel aria-labelledby="store" {
            h2 id="store" { "Spool and store" }
            dl {
                dt { "Waiting to be sealed" } dd { (bytes(health.spool.unreleased_bytes)) " in " (health.spool.segments) " files" }
                dt { "Waiting for the disk" } dd { (bytes(health.spool.queued_bytes)) }
                dt { "Disk free" } dd { (bytes(health.spool.disk_free_bytes)) }
                dt { "Sealed" } dd { (number(health.store.events)) " events in " (number(health.store.segments)) " segments, " (bytes(health.store.bytes)) }
                dt { "Not yet sealed" } dd { (number(health.store.tail_events)) " events" }
            }
        }
    };
    Ok(page(shell(&principal, Some(Tab::Sources), "Sources", &content)))
}

/// Loaded and refused rules.
pub(super) async fn rules(State(app): State<Arc<App>>, Viewer(principal): Viewer) -> Result<Response, Problem> {
    let fired = blocking({
        let app = app.clone();
        move || Ok(app.alerts.fired_by_rule()?)
    })
    .await?;
    let hits = |rule: &LoadedRule| fired.get(&rule.rule.id).map_or(0, |fired| fired.count);
    let (mut loaded, refused) = (app.rules.loaded(), app.rules.refused());
    loaded.sort_by(|a, b| (hits(b), b.rule.level, &a.rule.title).cmp(&(hits(a), a.rule.level, &b.rule.title)));
    let content = html! {
        h1 { "Rules" }
        @if !refused.is_empty() {
            section.panel aria-labelledby="refused" {
                h2 id="refused" { (number(refused.len() as u64)) " refused" }
                div.scroll {
                    table {
                        thead { tr { th scope="col" { "Rule" } th scope="col" { "Place" } th scope="col" { "Reason" } } }
                        tbody {
                            @for rule in &refused {
                                tr {
                                    th scope="row" { (rule.title.as_deref().or(rule.id.as_deref()).unwrap_or("?")) }
                                    td { (rule.file) @if rule.line > 0 { ":" (rule.line) } }
                                    td { (rule.reason) }
                                }
                            }
                        }
                    }
                }
            }
        }
        section.panel aria-labelledby="loaded" {
            h2 id="loaded" { (number(loaded.len() as u64)) " loaded" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Level" } th scope="col" { "Rule" } th scope="col" { "ATT&CK" }
                            th.num scope="col" { "Hits" }
                        }
                    }
                    tbody {
                        @for rule in loaded.iter().take(1000) {
                            tr {
                                td { (alerts::level_badge(rule.rule.level.as_str())) }
                                th scope="row" {
                                    (rule.rule.title)
                                    @if let Some(author) = &rule.rule.author { br; span.dim { "by " (author) } }
                                }
                                td { (rule.rule.techniques.join(", ")) }
                                td.num { (number(hits(rule))) }
                            }
                        }
                    }
                }
            }
            @if loaded.len() > 1000 { p.dim { "The first 1,000; the API lists all: /api/v1/rules" } }
        }
    };
    Ok(page(shell(&principal, Some(Tab::Rules), "Rules", &content)))
}
