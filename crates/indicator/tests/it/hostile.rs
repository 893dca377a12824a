//! Feeds and events made to hurt.

use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
use vedette_indicator::{Format, Indicators, Look};

use crate::support::{indicator, read_all, set, told};

#[test]
fn deep_long_and_broken_feeds_are_refused_where_they_are() {
    let deep = format!("{{\"objects\": [{}{}]}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(told(Format::Stix, &deep), "broken: file:1: not JSON: nested more than 64 deep\n");
    let deep = "{\"Event\":".repeat(10_000);
    assert_eq!(told(Format::Misp, &deep), "broken: file:1: not JSON: nested more than 64 deep\n");

    let good = r#"{"type": "indicator", "id": "i", "pattern": "[domain-name:value = 'a.example']"}"#;
    let large = format!(r#"{{"type": "artifact", "payload_bin": "{}"}}"#, "A".repeat(2 << 20));
    let (items, done) = read_all(Format::Stix, &format!("{{\"objects\": [{large}, {good}]}}"));
    let account = done.unwrap();
    assert_eq!((items.len(), account.taken, account.refused["an object larger than 1 MiB"]), (1, 1, 1));

    let long = format!("{}\nevil.example\n{}", "a".repeat(1 << 20), "b".repeat(1 << 20));
    assert_eq!(
        told(Format::List, &long),
        "domain:evil.example 50%\nrefused file:1: a line longer than 64 KiB\nrefused file:3: a line longer than 64 KiB\n"
    );
}

#[test]
fn refusals_without_end_are_counted_and_a_few_are_shown() {
    let many: String = (0..10_000).map(|number| format!("bad value {number}\n")).collect();
    let (_, done) = read_all(Format::List, &many);
    let account = done.unwrap();
    assert_eq!((account.refusals(), account.shown.len()), (10_000, 100));

    let kinds: Vec<String> = (0..10_000).map(|number| format!("{{\"type\": \"x-{number}\"}}")).collect();
    let (_, done) = read_all(Format::Stix, &format!("{{\"objects\": [{}]}}", kinds.join(",")));
    let account = done.unwrap();
    assert!(account.passed.len() <= 101);
    assert_eq!(account.passed.values().sum::<u64>(), 10_000);
}

#[test]
fn quotes_that_never_end_cost_twenty_lines_each() {
    let mut rows = "domain,comment\n".to_owned();
    (0..2_000).for_each(|number| rows.push_str(&format!("d{number}.example,\"open\n")));
    rows.push_str("evil.example,fine\n");
    let (items, done) = read_all(Format::Csv, &rows);
    let account = done.unwrap();
    assert!(account.refusals() + account.taken > 0 && items.len() as u64 == account.taken);
}

#[test]
fn an_event_full_of_values_is_looked_at_up_to_a_bound_and_says_so() {
    let set = Indicators::compile((0..200).map(|number| indicator(&format!("h{number}.example"))));
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, Time::from_secs(1_795_000_000), b"");
    let long = "a.".repeat(10_000);
    batch.push("dns.question.name", Value::Str(&long));
    for number in 0..2_000 {
        batch.push("dns.answers.name", Value::Str(&format!("h{number}.example")));
    }
    let mut findings = Vec::new();
    let unlooked = set.matches(&batch.finish(), &mut findings);
    // One is too long, 977 are too many values (the long one counts), 136 too many found.
    assert_eq!((findings.len(), unlooked), (64, 1 + 977 + 136));
}

#[test]
fn odd_values_are_known_to_nobody() {
    let set = set(&["evil.example", "198.51.100.0/24", "http://evil.example/", "a@evil.example"]);
    let odd = [
        "",
        ".",
        "..",
        "-",
        "@",
        "a@",
        "http://",
        "http://@",
        "//",
        "://",
        "[",
        "[]",
        "[::1",
        "%",
        "\u{0}",
        "é",
        "．",
        "xn--",
        "xn--a",
        "http://[::1]:99999/",
        "MD5=",
        "=",
        ",,,",
        "a@b@c",
        "<>",
        "><",
        "1.2.3.4.5",
        "::ffff:999.1.1.1",
        "\u{202e}evil.example",
    ];
    for text in odd {
        for look in [Look::Address, Look::Domain, Look::Host, Look::Url, Look::Hash, Look::Hashes, Look::Mail] {
            let mut known = Vec::new();
            set.look_up(look, text, &mut known);
            set.look_up(look, &text.repeat(5_000), &mut known);
            assert!(known.is_empty(), "{text:?} as {look:?}: {known:?}");
        }
    }
}
