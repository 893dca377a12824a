//! Short ways to sets, batches and what they say.

use vedette_event::{Batch, BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_indicator::{
    Account, Broken, Builder, Feed, Format, Indicator, Indicators, Item, Observable, Options, read,
};

pub fn feed() -> Feed {
    Feed::new("feed")
}

pub fn indicator(text: &str) -> Indicator {
    of(&feed(), text)
}

pub fn of(feed: &Feed, text: &str) -> Indicator {
    let (observable, port) = Observable::guess(text).unwrap_or_else(|unfit| panic!("{text}: {unfit}"));
    Indicator { port, ..Indicator::new(feed, observable) }
}

pub fn set(texts: &[&str]) -> Indicators {
    Indicators::compile(texts.iter().map(|text| indicator(text)))
}

pub fn read_all(format: Format, text: &str) -> (Vec<Item>, Result<Account, Box<Broken>>) {
    let mut items = Vec::new();
    let done = read(format, &feed(), "file", text.as_bytes(), &mut |item| items.push(item));
    (items, done)
}

/// What a feed says, a line each: value, port, confidence, validity, name, labels, reference; then the account.
pub fn told(format: Format, text: &str) -> String {
    let (items, done) = read_all(format, text);
    let mut lines: Vec<String> = items.iter().map(item).collect();
    let account = match done {
        Ok(account) => account,
        Err(broken) => {
            lines.push(format!("broken: {broken}"));
            broken.account
        }
    };
    for (reason, count) in account.passed {
        lines.push(format!("passed {count}: {reason}"));
    }
    lines.extend(account.shown.iter().map(|diagnostic| format!("refused {diagnostic}")));
    if account.widened > 0 {
        lines.push(format!("widened {}", account.widened));
    }
    lines.join("\n") + "\n"
}

fn item(item: &Item) -> String {
    match item {
        Item::Withdrawal(withdrawal) => format!("withdrawn {}", withdrawal.reference),
        Item::Indicator(indicator) => {
            let mut words = vec![format!("{:?}", indicator.observable)];
            words.extend(indicator.port.map(|port| format!("port {port}")));
            words.push(format!("{}%", indicator.confidence));
            words.extend(indicator.level.map(|level| level.to_string()));
            let day = |time: Time| time.to_string()[..16].to_owned();
            words.extend(indicator.valid_from.map(|time| format!("from {}", day(time))));
            words.extend(indicator.valid_until.map(|time| format!("until {}", day(time))));
            words.extend(
                [&indicator.name].into_iter().filter(|name| !name.is_empty()).map(|name| format!("\"{name}\"")),
            );
            if !indicator.labels.is_empty() {
                words.push(format!("[{}]", indicator.labels.join(" ")));
            }
            words.extend(
                [&indicator.reference].into_iter().filter(|text| !text.is_empty()).map(|text| format!("<{text}>")),
            );
            words.join(" ")
        }
    }
}

pub fn now() -> Time {
    Time::from_secs(1_795_000_000)
}

/// A batch of one event at [`now`].
pub fn event(fields: &[(&str, &str)]) -> Batch {
    event_at(now(), fields)
}

pub fn event_at(time: Time, fields: &[(&str, &str)]) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(7, time, b"{...}");
    batch.time(time);
    for (name, value) in fields {
        match value.parse::<i64>() {
            Ok(number) => batch.push(name, Value::Int(number)),
            Err(_) => batch.push(name, Value::Str(value)),
        }
    }
    batch.finish()
}

pub fn findings(set: &Indicators, batch: &Batch) -> Vec<Finding> {
    let mut findings = Vec::new();
    assert_eq!(set.matches(batch, &mut findings), 0);
    findings
}

pub fn builder() -> Builder {
    Builder::new(Options::default())
}
