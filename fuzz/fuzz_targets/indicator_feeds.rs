//! Feeds of indicators, STIX patterns, TAXII answers, and the set that is made of them.
//!
//! The first byte says what the rest is: a plain list, CSV, STIX, MISP, a pattern (put into an indicator), or answers of a TAXII server (one a
//! line). A feed ends in an account or in a fault with one; what was handed out is what was counted, cutting the input otherwise changes
//! nothing, every indicator is in the set or in a count, and what is in the set is found in an event that says it.

#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
use vedette_indicator::{
    Builder, Feed, Format, Item, Kind, Look, Observable, Options, Sighting, read, searches,
    taxii::{Answer, Poll, Server, Step},
};

fn items(format: Format, data: &[u8], buffer: usize) -> (Vec<Item>, String) {
    let mut items = Vec::new();
    let input = BufReader::with_capacity(buffer, data);
    let done = read(format, &Feed::new("fuzz"), "fuzz", input, &mut |item| items.push(item));
    let told = format!("{done:?}");
    let account = done.unwrap_or_else(|broken| broken.account);
    assert_eq!(account.taken + account.withdrawn, items.len() as u64);
    assert!(account.shown.len() <= vedette_indicator::MAX_SHOWN && account.shown.len() as u64 <= account.refusals());
    (items, told)
}

fn feed(format: Format, data: &[u8]) {
    let (all, told) = items(format, data, 8 << 10);
    assert_eq!(items(format, data, 7), (all.clone(), told));
    let mut builder = Builder::new(Options::default());
    all.iter().for_each(|item| builder.add(item));
    let (set, settled) = builder.finish();
    let pushed = all.iter().filter(|item| matches!(item, Item::Indicator(_))).count() as u64;
    let in_counts = settled.repeated + settled.superseded + settled.withdrawn + settled.crowded;
    assert_eq!(settled.indicators + in_counts, pushed);
    assert_eq!(set.len() as u64, settled.indicators);
    assert_eq!(set.new_in(&set).count(), 0);
    for known in set.observables().take(64) {
        found(&set, &known.observable());
    }
    searches(set.observables().take(64).map(|known| known.observable())).for_each(|search| assert!(!search.is_empty()));
}

/// What is in the set is found by its own text, and in an event of a time at which it holds.
fn found(set: &vedette_indicator::Indicators, observable: &Observable) {
    let text = observable.to_string();
    assert_eq!(Observable::read(observable.kind(), &text).as_ref(), Ok(observable));
    let first = text.split('/').next().unwrap_or("").to_owned();
    let (look, field, value) = match observable.kind() {
        Kind::Address => (Look::Address, "source.ip", text),
        Kind::Network => (Look::Address, "source.ip", first),
        Kind::Domain => (Look::Domain, "dns.question.name", format!("WWW.{text}")),
        Kind::Url if text.starts_with("//") => (Look::Url, "url.full", format!("http:{text}")),
        Kind::Url => (Look::Url, "url.full", text),
        Kind::Mail => (Look::Mail, "email.from.address", text),
        _ => (Look::Hash, "file.hash.md5", text.to_uppercase()),
    };
    // A longer name may be none any more, and a URL with the port of its new scheme loses it.
    if value.len() > 253 || value.contains(":80/") {
        return;
    }
    let mut known = Vec::new();
    set.look_up(look, &value, &mut known);
    assert!(known.iter().any(|known| known.observable() == *observable), "{observable:?} by {value:?}");
    let Some(holds) = set.get(observable).and_then(|known| known.indicators().next()) else { panic!("{observable:?}") };
    let time = holds.valid_from.or(holds.valid_until.map(|until| until.plus_micros(-1))).unwrap_or(Time::from_secs(1));
    if holds.valid_until.is_some_and(|until| time >= until) || known.len() > 64 {
        return;
    }
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, time, b"");
    batch.push(field, Value::Str(&value));
    let mut findings = Vec::new();
    set.matches(&batch.finish(), &mut findings);
    let text = observable.to_string();
    let names = |finding: &_| Sighting::of(finding).is_some_and(|sighting| text.starts_with(sighting.value.trim_end_matches('…')));
    assert!(findings.iter().any(names), "{observable:?} in {field} {value:?}");
}

fn pattern(data: &[u8]) {
    let Ok(pattern) = str::from_utf8(data) else { return };
    let object = serde_json::json!({"objects": [{"type": "indicator", "id": "i", "pattern": pattern, "modified": "2026-11-21T00:00:00Z"}]});
    let object = object.to_string();
    let (all, _) = items(Format::Stix, object.as_bytes(), 8 << 10);
    assert!(all.iter().all(|item| matches!(item, Item::Indicator(indicator) if indicator.reference == "i")));
    feed(Format::Stix, object.as_bytes());
}

fn taxii(data: &[u8]) {
    let server = Server { url: "https://taxii.example/taxii2/".into(), collection: "c".into(), page: 10 };
    let mut poll = Poll::new(server, None).expect("the address is one");
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let (date, body) = match line.iter().position(|byte| *byte == b'|') {
            Some(at) if line.first() != Some(&b'{') => (str::from_utf8(&line[..at]).ok(), &line[at + 1..]),
            _ => (None, line),
        };
        let status = date.and_then(|date| date.parse().ok()).unwrap_or(200);
        let answer = Answer { status, content_type: "application/taxii+json", date_added_last: date, retry_after: date, body };
        let failed = match poll.answer(answer) {
            Ok(envelope) => {
                assert!(envelope.is_none_or(|envelope| envelope.body == body));
                false
            }
            Err(_) => true,
        };
        match poll.step() {
            Step::Get(request) | Step::Wait { request, .. } => {
                assert!(request.url.starts_with("https://taxii.example/"), "{}", request.url);
                assert!(request.url.bytes().all(|byte| byte > b' ' && byte < 0x7f), "{}", request.url);
            }
            Step::Done { cursor } => assert!(cursor.is_none_or(|cursor| cursor.parse::<Time>().is_ok())),
        }
        if failed {
            return;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind {
        b'l' => feed(Format::List, data),
        b'c' => feed(Format::Csv, data),
        b's' => feed(Format::Stix, data),
        b'm' => feed(Format::Misp, data),
        b'p' => pattern(data),
        b't' => taxii(data),
        _ => feed(Format::detect(data), data),
    }
});
