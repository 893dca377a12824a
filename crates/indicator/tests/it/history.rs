//! What a new set has to look for.

use vedette_event::Time;
use vedette_indicator::{Indicator, Indicators, Observable, searches};

use crate::support::{indicator, set};

/// The query language's own reader, without the engine behind it.
#[allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
#[path = "../../../query/src/syntax/mod.rs"]
mod syntax;

#[test]
fn only_what_is_new_is_looked_for() {
    let old = set(&["a.example", "b.example", "198.51.100.7:443"]);
    let timed = |text: &str, until: i64| Indicator { valid_until: Some(Time::from_secs(until)), ..indicator(text) };
    let new = Indicators::compile([
        indicator("a.example"),
        // A shorter time is nothing new, another port and no port are.
        timed("b.example", 5),
        indicator("198.51.100.7"),
        indicator("c.example"),
    ]);
    let found = |new: &Indicators, old: &Indicators| -> Vec<String> {
        new.new_in(old).map(|known| known.observable().to_string()).collect()
    };
    assert_eq!(found(&new, &old), ["198.51.100.7", "c.example"]);
    assert_eq!(found(&new, &new), [""; 0]);
    let longer = Indicators::compile([timed("b.example", 9)]);
    let shorter = Indicators::compile([timed("b.example", 5)]);
    assert_eq!(found(&longer, &shorter), ["b.example"]);
    assert_eq!(found(&shorter, &longer), [""; 0]);
    assert_eq!(found(&new, &set(&[])).len(), 4);
}

#[test]
fn searches_are_read_by_the_query_language() {
    let texts = [
        "198.51.100.7",
        "2001:db8::1",
        "2001:db8::/32",
        "198.51.100.0/24",
        "bücher.example",
        "_x.evil.example",
        "http://u:p@evil.example:8080/a/payload.zip?x=\"1\\\"",
        "http://[2001:db8::1]/",
        "//evil.example/x",
        "o'neil\\@evil.example",
        "a@bücher.example",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ];
    let all = texts.map(|text| Observable::guess(text).unwrap_or_else(|unfit| panic!("{text}: {unfit}")).0);
    for search in all.iter().cloned().flat_map(|one| searches([one])).chain(searches(all.clone())) {
        let read = syntax::parse(&search);
        assert!(read.is_ok(), "{search}: {}", read.unwrap_err()[0].render(&search));
    }
}
