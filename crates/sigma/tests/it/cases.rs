//! Every modifier and every form of a selection, once as it matches and once as it does not.

use vedette_event::{Batch, BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_sigma::{Effort, Mapping, Program, load_str};

use Value::{Bool, Float, Int, Null, Str};

/// An event of log source `test` with these fields and this original.
pub fn batch(original: &str, fields: &[(&str, Value<'_>)]) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, Time::from_secs(1_795_234_312), original.as_bytes());
    for (name, value) in fields {
        batch.push(name, *value);
    }
    batch.finish()
}

/// The findings of one detection on one event.
fn run(detection: &str, batch: &Batch) -> Vec<Finding> {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    let rule = format!("title: t\nid: i\nlogsource: {{product: test}}\ndetection:\n{indented}");
    let loaded = load_str("case.yml", &rule);
    assert_eq!(loaded.refused, [], "{detection}");
    let mapping =
        "logsources: [{product: test, when: {event.dataset|exists: false}}]\nplaceholders: {who: [root, 'adm*']}";
    let (program, refused) = Program::compile(loaded.rules, &Mapping::parse("m", mapping).unwrap());
    assert_eq!(refused, [], "{detection}");
    let mut findings = Vec::new();
    program.run(batch, &mut findings);
    findings
}

fn refusal(detection: &str) -> String {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    let loaded = load_str("r.yml", &format!("title: t\nlogsource: {{product: test}}\ndetection:\n{indented}"));
    let (_, refused) = Program::compile(loaded.rules, &Mapping::default());
    let all: Vec<String> = loaded.refused.iter().chain(&refused).map(ToString::to_string).collect();
    all.join("\n")
}

/// `item` is `F|modifiers: values`, put to a field `F` of these values.
fn check(item: &str, values: &[Value<'_>], want: bool) {
    let fields: Vec<_> = values.iter().map(|value| ("F", *value)).collect();
    let found = run(&format!("s:\n  {item}\ncondition: s"), &batch("{}", &fields));
    assert_eq!(!found.is_empty(), want, "{item} on {values:?}");
}

#[test]
fn what_a_rule_costs_is_counted() {
    let rule = |id: &str, text: &str| {
        format!(
            "title: t\nid: {id}\nlogsource: {{product: test}}\ndetection: {{s: {{F|contains: {text}}}, n: {{G: 1}}, condition: s and n}}\n"
        )
    };
    let loaded = load_str("case.yml", &format!("{}---\n{}", rule("a", "needle"), rule("b", "straw")));
    let mapping = Mapping::parse("m", "logsources: [{product: test, when: {event.dataset|exists: false}}]").unwrap();
    let (program, refused) = Program::compile(loaded.rules, &mapping);
    assert_eq!((loaded.refused, refused), (vec![], vec![]));
    let mut counts = Effort::default();
    // Only the rule whose text is there is tried, whether it then matches or not.
    for (fields, found) in [([("F", Str("a needle")), ("G", Int(1))], 1), ([("F", Str("needle")), ("G", Int(2))], 0)] {
        let mut findings = Vec::new();
        program.run_counted(&batch("{}", &fields), &mut findings, &mut counts);
        assert_eq!(findings.len(), found);
    }
    let ids: Vec<&str> = program.rules().map(|(rule, _)| rule.id.as_str()).collect();
    assert_eq!((ids, counts.tried().collect::<Vec<_>>()), (vec!["a", "b"], vec![(0, 2)]));
    let read: Vec<_> = counts.read().map(|(set, events)| (program.logsources(set), events)).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(
        (read[0].1, read[0].0.iter().map(ToString::to_string).collect::<Vec<_>>()),
        (2, vec!["product=test".to_owned()])
    );
}

#[test]
fn values_as_they_are() {
    for (item, values, want) in [
        ("F: cmd", &[Str("CMD")][..], true),
        ("F: cmd", &[Str("cmd.exe")], false),
        ("F: 'ÄÖ'", &[Str("äö")], true),
        ("F: [a, b]", &[Str("b")], true),
        ("F: [a, b]", &[Str("c")], false),
        ("F: a", &[Str("x"), Str("a")], true),
        // Numbers and their text are the same; so are truth values.
        ("F: 4688", &[Int(4688)], true),
        ("F: 4688", &[Str("4688")], true),
        ("F: '4688'", &[Int(4688)], true),
        ("F: 4688", &[Str("46880")], false),
        ("F: 1.5", &[Float(1.5)], true),
        ("F: true", &[Bool(true)], true),
        ("F: true", &[Str("True")], true),
        ("F: 'false'", &[Bool(true)], false),
        // Null is missing or null; empty is there.
        ("F: null", &[], true),
        ("F: null", &[Null], true),
        ("F: null", &[Str("")], false),
        ("F: ''", &[Str("")], true),
        ("F: ''", &[], false),
        ("F: ''", &[Null], false),
        ("F: [null, a]", &[Str("a")], true),
        // Wildcards and escapes.
        ("F: 'a*d'", &[Str("abcd")], true),
        ("F: 'a?d'", &[Str("abcd")], false),
        ("F: 'a??d'", &[Str("abcd")], true),
        ("F: '*'", &[Str("")], true),
        ("F: '*'", &[], false),
        ("F: '*'", &[Null], false),
        (r"F: 'a\*'", &[Str("a*")], true),
        (r"F: 'a\*'", &[Str("ab")], false),
        (r"F: 'C:\Windows\\*.exe'", &[Str(r"C:\Windows\x.exe")], true),
        (r"F: '*\cmd.exe'", &[Str(r"C:\cmd.exe")], true),
        (r"F: '\\\\server\*'", &[Str(r"\\server*")], true),
    ] {
        check(item, values, want);
    }
}

#[test]
fn string_modifiers() {
    for (item, value, want) in [
        ("F|contains: whoami", "/c WHOAMI /all", true),
        ("F|contains: whoami", "who ami", false),
        ("F|contains: 'a*c'", "xabcx", true),
        ("F|contains: ''", "anything", true),
        ("F|startswith: ab", "ABC", true),
        ("F|startswith: bc", "abc", false),
        ("F|endswith: '.exe'", "A.EXE", true),
        ("F|endswith: '.exe'", "a.exe.txt", false),
        (r"F|endswith: '\cmd.exe'", r"C:\cmd.exe", true),
        ("F|contains|all: [a, b]", "b a", true),
        ("F|contains|all: [a, b]", "a", false),
        ("F|all|contains: [a, b]", "a", false),
        ("F|cased: Cmd", "Cmd", true),
        ("F|cased: Cmd", "cmd", false),
        ("F|contains|cased: Cmd", "xCmdx", true),
        ("F|cased|contains: Cmd", "xcmdx", false),
        ("F|neq: a", "b", true),
        ("F|neq: a", "A", false),
        ("F|neq: [a, b]", "c", true),
        ("F|neq: [a, b]", "b", false),
        ("F|contains|neq: a", "xbx", true),
        ("F|contains|neq: a", "xax", false),
        ("F|windash|contains: ' -enc '", "x /enc y", true),
        ("F|windash|contains: ' -enc '", "x –enc y", true),
        ("F|contains|windash: ' /enc '", "x ―enc y", true),
        ("F|windash|contains: ' -enc '", "x +enc y", false),
        ("F|endswith|windash: ' -a'", "x /A", true),
        ("F|contains|all|windash: [' -a', ' -b']", "x /a –b", true),
        ("F|contains|all|windash: [' -a', ' -b']", "x /a", false),
        ("F|re: '^a.c$'", "abc", true),
        ("F|re: '^a.c$'", "ABC", false),
        ("F|re: 'b'", "abc", true),
        ("F|re|i: '^a.c$'", "ABC", true),
        ("F|re: '^b'", "a\nb", false),
        ("F|re|m: '^b'", "a\nb", true),
        ("F|re: 'a.b'", "a\nb", false),
        ("F|re|s: 'a.b'", "a\nb", true),
        ("F|re|i|s: 'A.b'", "a\nB", true),
        (r"F|re: '\\d\d'", r"\d7", true),
        ("F|base64: foobar", "Zm9vYmFy", true),
        ("F|base64|contains: foobar", "-e Zm9vYmFy", true),
        ("F|base64|contains: foobar", "-e foobar", false),
        ("F|base64offset|contains: http://", "aHR0cDovL2E=", true),
        ("F|base64offset|contains: http://", "eGh0dHA6Ly9h", true),
        ("F|base64offset|contains: http://", "eHhodHRwOi8vYQ==", true),
        ("F|base64offset|contains: http://", "http://", false),
        ("F|wide|base64offset|contains: ping", "cABpAG4AZwA=", true),
        ("F|utf16le|base64offset|contains: ping", "eHAAaQBuAGcA", true),
        ("F|utf16be|base64offset|contains: ping", "AHAAaQBuAGc=", true),
        ("F|utf16|base64offset|contains: ping", "//5wAGkAbgBnAA==", true),
        ("F|utf16le|base64offset|contains: ping", "cGluZw==", false),
        ("F|wide|contains: ab", "xa\0b\0x", true),
        ("F|wide|contains: ab", "xabx", false),
        ("F|windash|base64|contains: '-a'", "L2E=", true),
        ("F|expand: '%who%'", "ROOT", true),
        ("F|expand: '%who%'", "admin", true),
        ("F|expand: '%who%'", "alice", false),
        ("F|contains|expand: 'u=%who%;'", "x u=root; y", true),
        ("F|expand|contains: '50%'", "is 50%", true),
    ] {
        check(item, &[Str(value)], want);
    }
    check("F|neq: a", &[], true);
    check("F|neq: null", &[Str("a")], true);
    check("F|neq: null", &[], false);
}

#[test]
fn number_address_and_date_modifiers() {
    for (item, value, want) in [
        ("F|lt: 10", Int(9), true),
        ("F|lt: 10", Int(10), false),
        ("F|lte: 10", Int(10), true),
        ("F|gt: 10", Str("11"), true),
        ("F|gt: 10", Str("9"), false),
        ("F|gte: 1.5", Float(1.5), true),
        ("F|gte: 1.5", Int(1), false),
        ("F|gt: 9007199254740992", Int(9007199254740993), true),
        ("F|gt: 10", Str("many"), false),
        ("F|neq: 10", Int(10), false),
        ("F|neq: 10", Int(11), true),
        ("F|cidr: 10.0.0.0/8", Str("10.1.2.3"), true),
        ("F|cidr: 10.0.0.0/8", Str("11.1.2.3"), false),
        ("F|cidr: ['10.0.0.0/8', '2001:db8::/32']", Str("2001:DB8::1"), true),
        ("F|cidr: 'fe80::/10'", Str("fec0::1"), false),
        ("F|minute: 11", Str("2026-11-21T04:11:52Z"), true),
        ("F|hour: 4", Str("2026-11-21 04:11:52.123"), true),
        ("F|hour|gte: 5", Str("2026-11-21T04:11:52Z"), false),
        ("F|hour|lt: 5", Str("2026-11-21T04:11:52Z"), true),
        ("F|day: [20, 21]", Str("2026-11-21"), true),
        ("F|week: 47", Str("2026-11-21"), true),
        ("F|month|neq: 11", Str("2026-11-21"), false),
        ("F|year|gt: 2025", Str("2026-11-21"), true),
        ("F|year: 2026", Str("no date"), false),
        ("F|exists: true", Str(""), true),
        ("F|exists: true", Null, true),
        ("F|exists: false", Null, false),
    ] {
        check(item, &[value], want);
    }
    check("F|exists: true", &[], false);
    check("F|exists: false", &[], true);
    check("F|lt: 10", &[], false);
    // The event's own time, which no parser repeats as a field.
    for (item, want) in [("'@timestamp|hour': 4", true), ("'@timestamp|year': 2025", false)] {
        let found = run(&format!("s: {{{item}}}\ncondition: s"), &batch("{}", &[]));
        assert_eq!(!found.is_empty(), want, "{item}");
    }
}

#[test]
fn field_references() {
    for (item, other, want) in [
        ("F|fieldref: G", "ABC", true),
        ("F|fieldref: G", "ab", false),
        ("F|fieldref|cased: G", "ABC", false),
        ("F|fieldref|neq: G", "abc", false),
        ("F|fieldref|neq: G", "abd", true),
        ("F|fieldref|startswith: G", "AB", true),
        ("F|fieldref|startswith: G", "bc", false),
        ("F|fieldref|endswith: G", "bc", true),
        ("F|contains|fieldref: G", "b", true),
        ("F|fieldref: H", "abc", false),
        ("F|fieldref: [H, G]", "abc", true),
    ] {
        let found = run(&format!("s: {{{item}}}\ncondition: s"), &batch("{}", &[("F", Str("abc")), ("G", Str(other))]));
        assert_eq!(!found.is_empty(), want, "{item} with {other}");
    }
}

#[test]
fn selections_and_keywords() {
    let json = batch(r#"{"msg":"quoted"}"#, &[("F", Str("one two")), ("G", Int(3)), ("event.kind", Str("alert"))]);
    let line = batch("kernel: Segfault at 7", &[("F", Str("one two"))]);
    for (detection, on_json, on_line) in [
        ("s: {F: one two, G: 3}\ncondition: s", true, false),
        ("s: [{F: one two, G: 4}, {G: 3}]\ncondition: s", true, false),
        ("s: [{F: one two}, Segfault]\ncondition: s", true, true),
        ("s: [{G: 9}, Segfault]\ncondition: s", false, true),
        ("s: [two, nowhere]\ncondition: s", true, true),
        ("s: TWO\ncondition: s", true, true),
        ("s: [segfault]\ncondition: s", false, true),
        ("s: [3]\ncondition: s", true, false),
        // The name of a field and how an event is sorted are not what it says.
        ("s: [msg, alert]\ncondition: s", false, false),
        ("s: {'|all': [one, two]}\ncondition: s", true, true),
        ("s: {'|all': [one, segfault]}\ncondition: s", false, true),
        ("s: {'|all': [one, nowhere]}\ncondition: s", false, false),
        ("s: {'|re': 'at \\d$'}\ncondition: s", false, true),
        ("s: {'|contains': 'egfa'}\ncondition: s", false, true),
        ("s: {'|startswith': 'kernel'}\ncondition: s", false, true),
        ("s: ['kernel*at']\ncondition: s", false, true),
        ("a: {G: 3}\nb: {F: x}\ncondition: [b, a]", true, false),
        ("a_1: {G: 3}\na_2: {F: x}\ncondition: 1 of a_*", true, false),
        ("a_1: {G: 3}\na_2: {F: x}\ncondition: all of a_*", false, false),
        ("a: {G: 3}\nb: {F: one two}\nc: {F: x}\ncondition: 2 of them", true, false),
        ("a: {F: one two}\n_b: {F: x}\ncondition: all of them", true, true),
        ("a: {F: one two}\nb: {G: 3}\ncondition: a and not b", false, true),
        ("b: {G: 3}\ncondition: not b", false, true),
    ] {
        let found = |batch| !run(detection, batch).is_empty();
        assert_eq!((found(&json), found(&line)), (on_json, on_line), "{detection}");
    }
}

#[test]
fn refusals_name_place_and_reason() {
    for (detection, want) in [
        ("s: {F|containz: a}\ncondition: s", "r.yml:4:7: unknown modifier `containz` in `F|containz` (t)"),
        ("s: {F: a}\ncondition: s and t", "r.yml:5:14: condition: no selection is named `t`; there are: s (t)"),
        ("s:\n  F|re: 'a('\ncondition: s", "r.yml:5:11: regular expression `a(`: unclosed group (t)"),
        (
            "s: {F|re: 'a{9999999}'}\ncondition: s",
            "r.yml:4:13: regular expression `a{9999999}`: compiles to more than 4194304 bytes (t)",
        ),
        (
            "s: {F|cidr: 10.0.0.0/99}\ncondition: s",
            "r.yml:4:15: `10.0.0.0/99` is not a network, for example 10.0.0.0/8 (t)",
        ),
        ("s: {F|exists: maybe}\ncondition: s", "r.yml:4:17: `exists` takes true or false (t)"),
        ("s: {F|lt: many}\ncondition: s", "r.yml:4:13: `many` is not a number (t)"),
        ("s: {F|i: a}\ncondition: s", "r.yml:4:7: modifiers `i`, `m` and `s` come after `re` (t)"),
        ("s: {F|re|cidr: a}\ncondition: s", "r.yml:4:7: two modifiers that exclude each other (t)"),
        (
            "s: {F|re|windash: a}\ncondition: s",
            "r.yml:4:7: modifier `windash` cannot be combined with the others here (t)",
        ),
        (
            "s: {F|contains|contains: a}\ncondition: s",
            "r.yml:4:7: modifier `contains` is given twice in `F|contains|contains` (t)",
        ),
        ("s: {F|contains: null}\ncondition: s", "r.yml:4:19: null cannot be changed by a modifier (t)"),
        ("s: {F|re: null}\ncondition: s", "r.yml:4:13: null can only be compared with a field as it is (t)"),
        (
            "s: {F|base64: 'a*'}\ncondition: s",
            "r.yml:4:17: a value with wildcards, or with more than three dashes under `windash`, cannot be encoded (t)",
        ),
        (
            "s: {F|base64offset|contains: a}\ncondition: s",
            "r.yml:4:32: too short for `base64offset`: nothing of it is the same at every offset (t)",
        ),
        (
            "s: {F|utf16: a}\ncondition: s",
            "r.yml:4:16: this UTF-16 is not text; it needs `base64` or `base64offset` after it (t)",
        ),
        (
            "s: {F|expand: '%x%'}\ncondition: s",
            "r.yml:4:17: placeholder `%x%` has no values; name them under `placeholders` in the log source mapping (t)",
        ),
        ("s: {F: {G: a}}\ncondition: s", "r.yml:4:10: `F` has a map where a value is expected (t)"),
        ("s: {F: []}\ncondition: s", "r.yml:4:10: `F` has no values (t)"),
        ("s: {}\ncondition: s", "r.yml:4:6: an empty selection (t)"),
        ("s: []\ncondition: s", "r.yml:4:6: an empty selection (t)"),
        ("s: ['']\ncondition: s", "r.yml:4:7: an empty keyword would match every event (t)"),
        (
            "s: {'|cidr': 10.0.0.0/8}\ncondition: s",
            "r.yml:4:7: only text and regular expressions can be searched without a field (t)",
        ),
        (
            "s: {F: a}\ncondition: s | count() > 5",
            "r.yml:5:14: condition: aggregations (`| count() …`) are not supported; write a correlation rule (t)",
        ),
        (
            "s: {F: a}\ntimeframe: 5m\ncondition: s",
            "r.yml:5:14: `timeframe` is not supported; write a correlation rule (t)",
        ),
        ("s: {F: a}", "r.yml:4:3: `condition` is missing (t)"),
    ] {
        assert_eq!(refusal(detection), want, "{detection}");
    }
}

#[test]
fn documents_are_refused_by_name() {
    let good = "title: t\nid: x\nlogsource: {product: p}\ndetection: {s: {F: a}, condition: s}\n";
    for (text, want) in [
        ("", "d.yml:1:1: holds no rule"),
        ("[1]", "d.yml:1:1: a rule is a map, not a list"),
        ("title: [", "d.yml:2:1: not valid YAML: while parsing a node, did not find expected node content ([)"),
        (
            "title: t\nid: i\ndetection: {}\nfilter: {}",
            "d.yml:4:9: a document is one thing; this one has `detection` and `filter` (t, i)",
        ),
        ("id: i\nlogsource: {product: p}", "d.yml:1:1: `title` is missing (i)"),
        ("title: t\nid: i", "d.yml:1:1: `detection` is missing (t, i)"),
        (
            "title: t\nlogsource: {}\ndetection: {s: {F: a}, condition: s}",
            "d.yml:2:12: `logsource` names no product, category or service (t)",
        ),
        (
            "title: t\nlogsource: {product: p, host: h}\ndetection: {s: {F: a}, condition: s}",
            "d.yml:2:25: unknown key `host` in `logsource` (t)",
        ),
        (
            "title: t\nlevel: urgent\ndetection: {}",
            "d.yml:2:8: `urgent` is not a level: informational, low, medium, high or critical (t)",
        ),
        ("title: t\ntaxonomy: own\n", "d.yml:2:11: a taxonomy other than `sigma` has no field mapping (t)"),
        ("title: t\nsigma-version: 3\n", "d.yml:2:16: only Sigma versions 1 and 2 are supported (t)"),
        (&format!("{good}---\n{good}"), "d.yml:7:5: its id is already taken by d.yml:1 (t, x)"),
    ] {
        let loaded = load_str("d.yml", text);
        let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused, [want], "{text}");
    }
}

#[test]
fn collections_share_parts() {
    let text = "
action: global
logsource: {product: p}
level: high
detection: {condition: s}
---
title: one
detection: {s: {F: a}}
---
action: repeat
title: two
level: low
---
action: reset
---
title: three
";
    let loaded = load_str("c.yml", text);
    let levels: Vec<(&str, &str)> =
        loaded.rules.iter().map(|rule| (rule.reference.title.as_str(), rule.reference.level.as_str())).collect();
    assert_eq!(levels, [("one", "high"), ("two", "low")]);
    assert_eq!(loaded.refused[0].to_string(), "c.yml:16:1: `detection` is missing (three)");
}

#[test]
fn findings_say_what_and_whom() {
    let fields = [
        ("host.name", Str("ws1")),
        ("user.name", Str("alice")),
        ("user.name", Str("-")),
        ("source.ip", Str("192.0.2.7")),
        ("F", Str("x")),
        ("F", Str("One Two")),
        ("G", Int(3)),
    ];
    let found = run(
        "a: {F|contains: two}\nb: {G: [3, 4]}\nc: {G: 5}\nk: [alice]\ncondition: a and (b or c) and k and not c",
        &batch("{}", &fields),
    );
    let matched: Vec<(&str, &str)> =
        found[0].matched.iter().map(|matched| (matched.field.as_str(), matched.value.as_str())).collect();
    assert_eq!(matched, [("F", "One Two"), ("G", "3"), ("", "alice")]);
    let entities: Vec<(&str, &str)> =
        found[0].entities.iter().map(|entity| (entity.kind.as_str(), entity.value.as_str())).collect();
    assert_eq!(entities, [("host", "ws1"), ("user", "alice"), ("ip", "192.0.2.7")]);
    assert_eq!(found[0].time, Time::from_secs(1_795_234_312));
    assert_eq!(found[0].events[0].to_string(), "1-0");
    let again = run("a: {F|contains: two}\ncondition: a", &batch("{}", &fields));
    assert_eq!(again[0].id, found[0].id, "the id is made of the rule's id and the event's");
}
