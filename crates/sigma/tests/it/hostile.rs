//! Rules and events that mean harm: bounded, refused, no panic.

use proptest::prelude::*;
use vedette_event::Value;
use vedette_sigma::{Correlations, Mapping, Options, Program, load, load_str};

use crate::cases::batch;

fn rule(detection: &str) -> String {
    format!("title: t\nlogsource: {{product: p}}\ndetection:\n{detection}")
}

#[test]
fn long_lists_load_and_longer_ones_are_refused() {
    let list = |count: usize| {
        let values: Vec<String> = (0..count).map(|number| format!("value{number}")).collect();
        rule(&format!("  s: {{F: [{}]}}\n  condition: s\n", values.join(",")))
    };
    let loaded = load_str("long", &list(100_000));
    assert_eq!((loaded.rules.len(), loaded.refused.len()), (1, 0));
    let (program, _) = Program::compile(loaded.rules, &Mapping::default());
    let mut findings = Vec::new();
    program.run(&batch("{}", &[("event.dataset", Value::Str("p")), ("F", Value::Str("VALUE99999"))]), &mut findings);
    assert_eq!(findings.len(), 1);
    assert!(load_str("longer", &list(300_000)).refused[0].reason.contains("more than 250000 values"));
}

#[test]
fn conditions_cannot_multiply_selections_without_bound() {
    let values: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let text = rule(&format!("  s: {{F: [{}]}}\n  condition: {}\n", values.join(","), vec!["s"; 10_000].join(" or "),));
    assert!(load_str("many", &text).refused[0].reason.contains("more than 200000 values"));
}

#[test]
fn regular_expressions_take_bounded_memory_and_time() {
    for bomb in ["((a{100}){100}){100}", r"(\w{500}){500}", "(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9})"] {
        let refused = load_str("bomb", &rule(&format!("  s: {{F|re: '{bomb}'}}\n  condition: s\n"))).refused;
        assert!(refused[0].reason.contains("compiles to more than"), "{bomb}");
    }
    let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(load_str("deep", &rule(&format!("  s: {{F|re: '{deep}'}}\n  condition: s\n"))).refused.len(), 1);
    // Backtracking engines need 2^40 steps here.
    let loaded =
        load_str("slow", &rule("  s: {F|re: '^(a+)+$'}\n  w: {F: 'a*a*a*a*a*a*a*a*a*b'}\n  condition: s or w\n"));
    let (program, _) = Program::compile(loaded.rules, &Mapping::default());
    let value = format!("{}!", "a".repeat(20_000));
    let mut findings = Vec::new();
    program.run(&batch("{}", &[("event.dataset", Value::Str("p")), ("F", Value::Str(&value))]), &mut findings);
    assert_eq!(findings, []);
}

#[test]
fn files_that_cannot_be_read_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("a.yml", rule("  s: {F: a}\n  condition: s\n").as_bytes());
    write("a.test.yml", b"tests: []");
    write("b.yml", b"\xff\xfe");
    write("c.yml", &vec![b'#'; 3 << 20]);
    write("d.txt", b"no rule");
    write(".hidden.yml", b"no rule");
    let missing = folder.path().join("missing.yml");
    // Given twice, loaded once.
    let loaded = load(&[folder.path(), &folder.path().join("a.yml"), &missing]);
    assert_eq!(loaded.rules.len(), 1);
    let reasons: Vec<&str> = loaded.refused.iter().map(|refused| refused.reason.as_str()).collect();
    assert_eq!(reasons[..2], ["is not UTF-8", "larger than 2097152 bytes"]);
    assert!(reasons[2].starts_with("cannot be read: "), "{reasons:?}");
    assert_eq!(reasons.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_loader_panic(text in "[a-z:{}\\[\\]'\"|&*!>#%@`, \n\t-]{0,200}") {
        let (full, bare) = (load_str("x", &rule(&text)), load_str("x", &text));
        prop_assert!(full.rules.len() + full.refused.len() > 0);
        prop_assert!(bare.rules.len() + bare.refused.len() > 0);
    }

    #[test]
    fn no_correlation_or_filter_makes_the_loader_panic(
        kind in prop::sample::select(vec![
            "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_percentile", "x",
        ]),
        condition in prop_oneof![
            "(a|b|c|x|not|and|or|of|1|all|\\(|\\)| ){0,12}",
            "\\{(gt|gte|lt|lte|eq|neq|field|percentile): -?[0-9.e]{1,22}(, (gt|lte|field|percentile): [a-z0-9]{1,3})?\\}",
        ],
        rules in "\\[?[abcx, ]{0,9}\\]?",
        timespan in "[0-9]{0,20}[smhdwMy]?",
        rest in "[a-z:{}\\[\\], -]{0,40}",
    ) {
        let text = format!(
            "title: A\nname: a\nlogsource: {{product: p}}\ndetection: {{s: {{F: a}}, condition: s}}\n---\n\
             title: X\nname: x\ncorrelation:\n  type: {kind}\n  rules: {rules}\n  timespan: {timespan}\n  \
             condition: {condition}\n  aliases: {rest}\n---\n\
             title: F\nlogsource: {{product: p}}\nfilter:\n  rules: {rules}\n  s: {rest}\n  condition: {condition}\n"
        );
        for text in [text.replace("  aliases: ", "  # "), text] {
            let loaded = load_str("x", &text);
            let (program, _) = Program::compile(loaded.rules, &Mapping::default());
            let count = loaded.correlations.len();
            let (correlations, refused) =
                Correlations::compile(loaded.correlations, &program, &Mapping::default(), Options::default());
            prop_assert_eq!(correlations.len() + refused.len(), count);
        }
    }

    #[test]
    fn no_value_makes_the_engine_panic(values in prop::collection::vec(any::<String>(), 0..8), literal in any::<String>()) {
        let quoted = literal.replace('\'', "''").replace(|c: char| c.is_control() || c == '\u{feff}', "");
        let text = rule(&format!(
            "  s: {{F|contains: '{quoted}'}}\n  t: {{F|windash|startswith: '{quoted}x'}}\n  k: ['{quoted}k']\n  h: {{F|hour: 3}}\n  condition: s or t or k or h\n"
        ));
        let loaded = load_str("x", &text);
        let (program, _) = Program::compile(loaded.rules, &Mapping::default());
        let fields: Vec<_> = values.iter().map(|value| ("F", Value::Str(value.as_str()))).collect();
        let mut all = vec![("event.dataset", Value::Str("p"))];
        all.extend(fields);
        program.run(&batch("raw", &all), &mut Vec::new());
    }
}
