//! Figures as lines of text.

use std::{cmp::Ordering, path::Path};

use console::{Alignment, Key, measure_text_width, pad_str, truncate_str};

use super::sample::{Rates, Rule, Sample, Source};
use crate::output::{counted, printable};

/// In the overview, and in one frame without a terminal, a table has at most so many rows.
const OVERVIEW_ROWS: usize = 10;

/// A line and how it is to be seen.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// Its text, without control characters.
    pub text: String,
    /// How it is to be seen.
    pub tone: Tone,
}

/// How a line is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A table's head.
    Head,
    /// What is looked for first.
    Strong,
    /// Somebody should look.
    Warn,
    /// Something does not work.
    Fail,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// Something of everything.
    #[default]
    Overview,
    /// Every source.
    Sources,
    /// Every rule.
    Rules,
    /// Open alerts.
    Alerts,
    /// Every part.
    Health,
}

const PAGES: [(Page, &str); 5] = [
    (Page::Overview, "overview"),
    (Page::Sources, "sources"),
    (Page::Rules, "rules"),
    (Page::Alerts, "alerts"),
    (Page::Health, "health"),
];

/// What is shown, from where on, and in which order.
#[derive(Debug, Default)]
pub struct View {
    page: Page,
    /// Rows above the first one.
    skip: usize,
    /// The column by which sources and rules are sorted; 0 is the rate.
    sort: usize,
    ascending: bool,
}

impl View {
    /// Changes with a key.
    pub fn press(&mut self, key: &Key) {
        let place = PAGES.iter().position(|(page, _)| *page == self.page).unwrap_or_default();
        let turn = |by: usize| View { page: PAGES[(place + by) % PAGES.len()].0, ..View::default() };
        match key {
            Key::Tab => *self = turn(1),
            Key::BackTab => *self = turn(PAGES.len() - 1),
            Key::Char(digit @ '1'..='5') => {
                let number = *digit as usize - '1' as usize;
                *self = View { page: PAGES[number].0, ..View::default() };
            }
            Key::ArrowRight => self.sort = (self.sort + 1) % 4,
            Key::ArrowLeft => self.sort = (self.sort + 3) % 4,
            Key::Char('r') => self.ascending = !self.ascending,
            Key::ArrowDown => self.skip += 1,
            Key::ArrowUp => self.skip = self.skip.saturating_sub(1),
            Key::PageDown => self.skip += OVERVIEW_ROWS,
            Key::PageUp => self.skip = self.skip.saturating_sub(OVERVIEW_ROWS),
            Key::Home => self.skip = 0,
            _ => {}
        }
    }

    fn order<T, K: PartialOrd>(&self, rows: &mut [T], key: impl Fn(&T) -> K) {
        rows.sort_by(|a, b| {
            let order = key(b).partial_cmp(&key(a)).unwrap_or(Ordering::Equal);
            if self.ascending { order.reverse() } else { order }
        });
    }
}

/// What a frame is made of.
pub struct Frame<'a> {
    /// The data folder.
    pub dir: &'a Path,
    /// The latest figures.
    pub sample: &'a Sample,
    /// Since those before.
    pub rates: &'a Rates,
    /// Why there are no newer ones.
    pub gone: Option<&'a str>,
}

impl Frame<'_> {
    /// At most `height` lines, each at most `width` wide.
    pub fn lines(&self, view: &View, width: usize, height: Option<usize>) -> Vec<Line> {
        let mut lines = self.head();
        if height.is_some() {
            lines.push(keys(view.page));
        }
        let room = height.map_or(usize::MAX, |height| height.saturating_sub(lines.len()));
        match view.page {
            Page::Overview => {
                // Three heads, two blank lines, and the rest in equal shares.
                let rows = (room.saturating_sub(5) / 3).min(OVERVIEW_ROWS);
                let plain = View::default();
                lines.extend(self.sources(&plain, rows));
                lines.push(blank());
                lines.extend(self.rules(&plain, rows));
                lines.push(blank());
                lines.extend(self.alerts(&plain, rows));
            }
            Page::Sources => lines.extend(self.sources(view, room.saturating_sub(2))),
            Page::Rules => lines.extend(self.rules(view, room.saturating_sub(2))),
            Page::Alerts => lines.extend(self.alerts(view, room.saturating_sub(2))),
            Page::Health => lines.extend(self.health(view, room.saturating_sub(2))),
        }
        if let Some(height) = height {
            lines.truncate(height);
        }
        for line in &mut lines {
            let text = printable(&line.text);
            line.text = truncate_str(text.trim_end(), width, "…").into_owned();
        }
        lines
    }

    fn head(&self) -> Vec<Line> {
        let (stats, health, rates) = (&self.sample.stats, &self.sample.health, self.rates);
        let mut lines = vec![match self.gone {
            None => strong(format!("vedette {}  {}", health.version, self.dir.display())),
            Some(why) => {
                fail(format!("vedette: no answer from {} ({why}); waiting, these are old figures", self.dir.display()))
            }
        }];
        lines.push(plain(format!(
            "in       {:>9}/s   stored {:>9}/s   refused {:>7}/s   lost {:>7}/s",
            figure(rates.received),
            figure(rates.stored),
            figure(rates.refused),
            figure(rates.shed)
        )));
        let account = format!(
            "in all   {:>11}   stored {:>11}   refused {:>9}   lost {:>9}",
            stats.received, stats.stored, stats.refused, stats.shed
        );
        lines.push(if stats.shed > 0 { warn(account) } else { plain(account) });
        let store = &stats.store;
        lines.push(plain(format!(
            "store    {} events in {}, {} of {} raw; {} in the tail",
            store.events,
            counted(store.segments, "segment"),
            bytes(store.bytes),
            bytes(store.original_bytes),
            store.tail_events
        )));
        lines.push(plain(format!(
            "spool    {} to seal, {} queued; disk {} free; sealed {} s ago",
            bytes(stats.spool.unreleased_bytes),
            bytes(stats.spool.queued_bytes),
            bytes(stats.spool.disk_free_bytes),
            health.ledger.sealed_seconds_ago
        )));
        lines.push(self.alert_counts());
        let bad: Vec<String> = health.checks.iter().filter(|check| check.status != "ok").map(told).collect();
        let text = if bad.is_empty() { "health   ok".to_owned() } else { format!("health   {}", bad.join("; ")) };
        lines.push(Line { text, tone: tone(&health.status) });
        lines.push(blank());
        lines
    }

    fn alert_counts(&self) -> Line {
        const LEVELS: [&str; 5] = ["critical", "high", "medium", "low", "informational"];
        let of = |state: &str| self.sample.stats.alerts.get(state);
        let sum = |state: &str| of(state).map_or(0, |levels| levels.values().sum::<u64>());
        let new = of("new");
        let by_level: Vec<String> = LEVELS
            .iter()
            .filter_map(|level| new?.get(*level).filter(|count| **count > 0).map(|count| format!("{count} {level}")))
            .collect();
        let by_level = if by_level.is_empty() { String::new() } else { format!(" ({})", by_level.join(", ")) };
        let text = format!(
            "alerts   {} new{by_level}, {} acknowledged, {} closed",
            sum("new"),
            sum("acknowledged"),
            sum("closed")
        );
        let is_bad = new.is_some_and(|levels| ["critical", "high"].iter().any(|level| levels.get(*level) > Some(&0)));
        Line { text, tone: if is_bad { Tone::Warn } else { Tone::Plain } }
    }

    fn sources(&self, view: &View, rows: usize) -> Vec<Line> {
        let rate = |source: &Source| self.rates.sources.get(&source.id).copied().unwrap_or_default();
        let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
        let mut sources: Vec<&Source> = self.sample.sources.iter().collect();
        // Where that says nothing: what is larger, then the name.
        sources.sort_by(|a, b| b.received.cmp(&a.received).then_with(|| a.name.cmp(&b.name)));
        match view.sort {
            0 => view.order(&mut sources, |source| rate(source)),
            1 => view.order(&mut sources, |source| source.received),
            2 => view.order(&mut sources, |source| sum(&source.refused)),
            _ => view.order(&mut sources, |source| sum(&source.shed)),
        }
        let cells = sources.iter().map(|source| {
            let lost = sum(&source.shed);
            let cells = vec![
                figure(rate(source)),
                source.received.to_string(),
                reasons(&source.refused),
                reasons(&source.shed),
                source.name.clone(),
            ];
            (cells, if lost > 0 { Tone::Warn } else { Tone::Plain })
        });
        table(view, rows, &["rate/s", "received", "refused", "lost", "source"], cells)
    }

    fn rules(&self, view: &View, rows: usize) -> Vec<Line> {
        let rate =
            |rule: &Rule| self.rates.tried.as_ref().and_then(|tried| tried.get(&rule.id)).copied().unwrap_or_default();
        let mut rules: Vec<&Rule> = self.sample.rules.iter().filter(|rule| rule.tried > 0 || rule.hits > 0).collect();
        rules.sort_by(|a, b| b.tried.cmp(&a.tried).then_with(|| a.title.cmp(&b.title)));
        match view.sort {
            0 => view.order(&mut rules, |rule| rate(rule)),
            1 => view.order(&mut rules, |rule| rule.tried),
            2 => view.order(&mut rules, |rule| rule.hits),
            _ => view.order(&mut rules, |rule| std::cmp::Reverse(rule.title.clone())),
        }
        let cells = rules.iter().map(|rule| {
            let cells = vec![
                figure(rate(rule)),
                rule.tried.to_string(),
                rule.hits.to_string(),
                rule.level.clone(),
                rule.title.clone(),
            ];
            (cells, Tone::Plain)
        });
        let quiet = self.sample.rules.len() - rules.len();
        let mut lines = table(view, rows, &["tried/s", "tried", "hits", "level", "rule"], cells);
        if let Some(head) = lines.first_mut() {
            head.text.push_str(&format!(
                "   ({quiet} of {} not tried yet, {} refused)",
                self.sample.rules.len(),
                self.sample.stats.rules_refused
            ));
        }
        lines
    }

    fn alerts(&self, view: &View, rows: usize) -> Vec<Line> {
        let cells = self.sample.alerts.iter().map(|alert| {
            let cells = vec![
                alert.id.to_string(),
                alert.rule.level.clone(),
                alert.state.clone(),
                alert.count.to_string(),
                alert.last.get(..19).unwrap_or(&alert.last).to_owned(),
                format!("{}: {}", alert.entity.value, alert.rule.title),
            ];
            let bad = matches!(alert.rule.level.as_str(), "critical" | "high");
            (cells, if bad { Tone::Warn } else { Tone::Plain })
        });
        table(view, rows, &["id", "level", "state", "count", "last", "alert"], cells)
    }

    fn health(&self, view: &View, rows: usize) -> Vec<Line> {
        let cells = self.sample.health.checks.iter().map(|check| {
            let cells = vec![check.status.clone(), check.name.clone(), check.detail.clone().unwrap_or_default()];
            (cells, tone(&check.status))
        });
        table(view, rows, &["status", "part", "detail"], cells)
    }
}

/// A head and rows; the last column is text, those before are as wide as they need to be.
fn table(view: &View, rows: usize, names: &[&str], cells: impl Iterator<Item = (Vec<String>, Tone)>) -> Vec<Line> {
    let all: Vec<_> = cells.collect();
    // The last page stays full of rows.
    let skip = view.skip.min(all.len().saturating_sub(rows));
    let shown: Vec<_> = all.into_iter().skip(skip).take(rows).collect();
    let last = names.len() - 1;
    let wide = |column: usize| {
        let cells = shown.iter().map(|(cells, _)| measure_text_width(&printable(&cells[column])));
        cells.chain([measure_text_width(names[column])]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..last).map(wide).collect();
    let row = |cells: &[String]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let is_number = cell.chars().next().is_none_or(|first| first.is_ascii_digit());
            let side = if is_number { Alignment::Right } else { Alignment::Left };
            text.push_str(&pad_str(&printable(cell), *width, side, None));
            text.push_str("  ");
        }
        text + &cells[last]
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut lines = vec![Line { text: row(&names), tone: Tone::Head }];
    lines.extend(shown.iter().map(|(cells, tone)| Line { text: row(cells), tone: *tone }));
    if lines.len() == 1 && rows > 0 {
        lines.push(plain("nothing yet".into()));
    }
    lines
}

fn keys(page: Page) -> Line {
    let names = PAGES.iter().enumerate().map(|(number, (this, name))| match *this == page {
        true => format!("[{} {name}]", number + 1),
        false => format!(" {} {name} ", number + 1),
    });
    plain(format!("{}  ←→ sort  r turn  q end", names.collect::<Vec<_>>().join("")))
}

fn told(check: &super::sample::Check) -> String {
    match &check.detail {
        Some(detail) => format!("{} {}: {detail}", check.status, check.name),
        None => format!("{} {}", check.status, check.name),
    }
}

/// Counts by reason: the sum, and the reasons if there are any.
fn reasons(counts: &std::collections::BTreeMap<String, u64>) -> String {
    let sum: u64 = counts.values().sum();
    let named: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).map(|(reason, _)| reason.as_str()).collect();
    if named.is_empty() { sum.to_string() } else { format!("{sum} {}", named.join(",")) }
}

fn tone(status: &str) -> Tone {
    match status {
        "ok" => Tone::Plain,
        "warn" => Tone::Warn,
        _ => Tone::Fail,
    }
}

fn figure(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.1}M", rate / 1e6),
        rate if rate >= 1e5 => format!("{:.0}k", rate / 1e3),
        rate if rate >= 100.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

const fn line(text: String, tone: Tone) -> Line {
    Line { text, tone }
}

fn plain(text: String) -> Line {
    line(text, Tone::Plain)
}

fn strong(text: String) -> Line {
    line(text, Tone::Strong)
}

fn warn(text: String) -> Line {
    line(text, Tone::Warn)
}

fn fail(text: String) -> Line {
    line(text, Tone::Fail)
}

fn blank() -> Line {
    plain(String::new())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn sample(at: Instant, received: u64, tried: u64) -> Sample {
        let from = |value: serde_json::Value| serde_json::from_value(value).expect("of the form");
        let stats = from(json!({
            "alerts": {"new": {"high": 2, "low": 1}, "closed": {"low": 4}},
            "received": received + 5, "stored": received, "refused": 3, "shed": 2, "rules_refused": 1,
            "spool": {"unreleased_bytes": 2048, "queued_bytes": 0, "disk_free_bytes": 5_000_000_000_u64},
            "store": {"segments": 3, "events": 4000, "tail_events": 17, "bytes": 1_000_000, "original_bytes": 9_000_000},
        }));
        let source = |id, name: &str, received, shed| {
            serde_json::from_value(json!({"id": id, "name": name, "received": received, "refused": {}, "shed": shed}))
                .expect("of the form")
        };
        let rule = |id: &str, tried, hits| {
            serde_json::from_value(
                json!({"id": id, "title": format!("Rule {id}"), "level": "high", "hits": hits, "tried": tried}),
            )
            .expect("of the form")
        };
        let health = serde_json::from_value(json!({
            "status": "warn", "version": "0.1.0", "ledger": {"entries": 9, "sealed_seconds_ago": 1},
            "checks": [{"name": "spool", "status": "ok"}, {"name": "rules", "status": "warn", "detail": "1 rules are refused"}],
        }));
        let alert = json!({
            "id": 7, "rule": {"title": "Storm\u{1b}[2J", "level": "high"}, "entity": {"value": "192.0.2.7"}, "count": 3,
            "last": "2026-11-21T06:59:23.807865Z", "state": "new",
        });
        Sample {
            at,
            stats,
            sources: vec![
                source(1, "syslog-tcp:127.0.0.1", received, json!({"queue_full": 2})),
                source(2, "vedette:self", 5, json!({})),
            ],
            rules_at: at,
            rules: vec![rule("a", tried, 1), rule("b", 40, 0), rule("c", 0, 0)],
            alerts: vec![serde_json::from_value(alert).expect("of the form")],
            health: health.expect("of the form"),
        }
    }

    fn shown(view: &View, width: usize, height: Option<usize>) -> Vec<Line> {
        let start = Instant::now();
        let (before, after) = (sample(start, 1000, 10), sample(start + Duration::from_secs(2), 3500, 30));
        let rates = Rates::between(&before, &after);
        Frame { dir: Path::new("/var/lib/vedette"), sample: &after, rates: &rates, gone: None }
            .lines(view, width, height)
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    #[test]
    fn an_overview_fits_a_small_terminal() {
        let lines = shown(&View::default(), 80, Some(24));
        assert!(lines.len() <= 24, "{}", lines.len());
        assert!(lines.iter().all(|line| measure_text_width(&line.text) <= 80));
        expect![[r#"
            vedette 0.1.0  /var/lib/vedette
            in            1250/s   stored      1250/s   refused     0.0/s   lost     0.0/s
            in all          3505   stored        3500   refused         3   lost         2
            store    4000 events in 3 segments, 976.6 KiB of 8.6 MiB raw; 17 in the tail
            spool    2.0 KiB to seal, 0 B queued; disk 4.7 GiB free; sealed 1 s ago
            alerts   3 new (2 high, 1 low), 0 acknowledged, 4 closed
            health   warn rules: 1 rules are refused

            [1 overview] 2 sources  3 rules  4 alerts  5 health   ←→ sort  r turn  q end
            rate/s  received  refused  lost          source
              1250      3500        0  2 queue_full  syslog-tcp:127.0.0.1
               0.0         5        0             0  vedette:self

            tried/s  tried  hits  level  rule   (1 of 3 not tried yet, 1 refused)
               10.0     30     1  high   Rule a
                0.0     40     0  high   Rule b

            id  level  state  count  last                 alert
             7  high   new        3  2026-11-21T06:59:23  192.0.2.7: Storm�[2J
        "#]]
        .assert_eq(&text(&lines));
        // Nothing is left where the terminal is smaller still, and nothing panics.
        for height in 0..24 {
            assert!(shown(&View::default(), 20, Some(height)).len() <= height);
        }
    }

    #[test]
    fn keys_turn_pages_and_sort() {
        let mut view = View::default();
        let first = |view: &View| {
            let lines = shown(view, 80, Some(24));
            lines
                .iter()
                .skip_while(|line| line.tone != Tone::Head)
                .nth(1)
                .map(|line| line.text.clone())
                .expect("of the form")
        };
        view.press(&Key::Tab);
        view.press(&Key::Tab);
        assert_eq!(view.page, Page::Rules);
        assert!(first(&view).ends_with("Rule a"), "by rate");
        view.press(&Key::ArrowRight);
        assert!(first(&view).ends_with("Rule b"), "by what was tried");
        view.press(&Key::Char('r'));
        assert!(first(&view).ends_with("Rule a"), "the other way round");
        view.press(&Key::Char('5'));
        assert!(first(&view).contains("spool"));
        // Scrolling past the end stays on the last rows.
        (0..50).for_each(|_| view.press(&Key::ArrowDown));
        assert!(first(&view).contains("spool"));
        view.press(&Key::BackTab);
        assert_eq!(view.page, Page::Alerts);
    }

    #[test]
    fn figures_for_people() {
        assert_eq!([0.04, 99.94, 1250.4, 123_456.0, 2.5e6].map(figure), ["0.0", "99.9", "1250", "123k", "2.5M"]);
        assert_eq!([0, 1023, 1024, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]);
    }
}
