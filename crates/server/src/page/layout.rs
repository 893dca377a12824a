//! What all pages share.

use axum::response::Response;
use maud::{DOCTYPE, Markup, html};
use vedette_event::Time;

use super::page_with;
use crate::{Problem, auth::Principal};

/// The pages in the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Alerts,
    Search,
    Sources,
    Rules,
}

const TABS: [(Tab, &str, &str); 5] = [
    (Tab::Overview, "/plain", "Overview"),
    (Tab::Alerts, "/plain/alerts?state=open&sort=worst", "Alerts"),
    (Tab::Search, "/plain/search", "Search"),
    (Tab::Sources, "/plain/sources", "Sources"),
    (Tab::Rules, "/plain/rules", "Rules"),
];

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Vedette" }
                link rel="icon" href="/plain/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/plain/style.css";
            }
            body { (body) }
        }
    }
}

/// A page for somebody who is logged in.
pub(super) fn shell(principal: &Principal, tab: Option<Tab>, title: &str, content: &Markup) -> Markup {
    document(
        title,
        &html! {
            a.skip href="#content" { "Skip to content" }
            header.bar {
                a.brand href="/plain" { img src="/plain/icon.svg" alt="" width="24" height="24"; "Vedette" }
                nav aria-label="Main" {
                    @for (of, path, name) in TABS {
                        a href=(path) aria-current=[(tab == Some(of)).then_some("page")] { (name) }
                    }
                }
                form.who method="post" action="/plain/logout" {
                    span { (principal.name) }
                    button.quiet type="submit" { "Log out" }
                }
            }
            main id="content" { (content) }
        },
    )
}

/// A page for somebody who is not.
pub(super) fn card(title: &str, content: &Markup) -> Markup {
    document(
        title,
        &html! {
            main.sign id="content" {
                section.panel {
                    p.brand { img src="/plain/icon.svg" alt="" width="32" height="32"; "Vedette" }
                    h1 { (title) }
                    (content)
                }
            }
        },
    )
}

/// A problem as a page.
pub(crate) fn problem(problem: &Problem) -> Response {
    let content = html! {
        div.notice.bad role="alert" {
            p { (sentence(&problem.detail)) }
            @if let Some(hint) = &problem.hint { p { (sentence(hint)) } }
        }
        p { a href="/plain" { "Back to the overview" } }
    };
    page_with(problem.status_code(), card(problem.title, &content))
}

/// The message of a form that was refused.
pub(super) fn refusal(problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            div.notice.bad role="alert" {
                p { (sentence(&problem.detail)) }
                @if let Some(hint) = &problem.hint { p { (sentence(hint)) } }
            }
        }
    }
}

/// With a capital letter and a full stop, unless it asks.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let stop = if text.ends_with('?') { None } else { Some('.') };
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(stop).collect())
}

/// A time, absolute and relative.
pub(super) fn moment(time: Time, now: Time) -> Markup {
    let text = time.to_string();
    // 2026-11-21T04:11:52.250000Z -> 2026-11-21 04:11:52
    let short = match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(clock)) => format!("{date} {clock}"),
        _ => text.clone(),
    };
    html! { time datetime=(text) title={ (text) } { (short) " UTC" } " " span.dim.ago { "(" (ago(time, now)) ")" } }
}

fn ago(time: Time, now: Time) -> String {
    let seconds = now.secs().saturating_sub(time.secs());
    let (count, unit) = match seconds.unsigned_abs() {
        seconds @ 0..60 => (seconds, "s"),
        seconds @ 60..3600 => (seconds / 60, "min"),
        seconds @ 3600..172_800 => (seconds / 3600, "h"),
        seconds => (seconds / 86_400, "d"),
    };
    if seconds < 0 { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// A number with thin spaces between thousands.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of bytes.
pub(super) fn bytes(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_can_read_it() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([0, 1023, 1024, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]);
        assert_eq!(
            ["no such page", "did you mean `where`?", ""].map(sentence),
            ["No such page.", "Did you mean `where`?", ""]
        );
        let at = Time::from_secs;
        let cases = [(100, 100, "0 s ago"), (0, 90, "1 min ago"), (0, 90_000, "25 h ago"), (0, 900_000, "10 d ago")];
        for (time, now, text) in cases {
            assert_eq!(ago(at(time), at(now)), text);
        }
        assert_eq!(ago(at(50), at(10)), "in 40 s");
        assert_eq!(ago(Time::MIN, Time::MAX), ago(Time::MIN, Time::MAX), "extremes do not overflow");
    }
}
