//! The parsers at their public face: samples, refusals, users' own files, purity, and JSON against serde_json.

use std::sync::Arc;

use proptest::prelude::*;
use vedette_event::{Batch, BatchBuilder, Derive, Source, SourceId, Time, Value};
use vedette_intake::parse::Parsers;

/// Loaded once: compiling the patterns takes longer than a test.
pub fn parsers() -> &'static Parsers {
    static PARSERS: std::sync::LazyLock<Parsers> = std::sync::LazyLock::new(Parsers::builtin);
    &PARSERS
}

pub fn source(name: &str) -> Arc<Source> {
    Source::new(SourceId(1), name, name.split(':').next().unwrap_or(name))
}

pub fn derive(parsers: &Parsers, source: &Arc<Source>, raw: &[u8]) -> Batch {
    let received: Time = "2026-11-21T04:11:52Z".parse().expect("a time");
    let mut batch = BatchBuilder::new(source.clone());
    parsers.derive(source, 0, received, raw, &mut batch);
    assert_eq!(batch.len(), 1, "one record, one event");
    batch.finish()
}

fn fields(batch: &Batch) -> Vec<(String, String)> {
    let event = batch.event(0);
    event.fields().map(|field| (field.name.to_owned(), format!("{:?}", field.value))).collect()
}

#[test]
fn every_sample_in_the_parser_files_passes() {
    let (parsers, diagnostics) = Parsers::load(&[]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let results = parsers.test();
    let failed: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for name in parsers.names() {
        let own = name.split('@').next().expect("a name");
        let count = results.iter().filter(|result| result.parser == own).count();
        assert!(count >= 5, "{name} has only {count} samples");
    }
}

#[test]
fn mistakes_in_parser_files_are_refused_with_file_line_and_hint() {
    for (yaml, expected) in [
        ("parser: a\nversion: 1\nabout: x\nstepz: []\n", ":4:1: unknown field `stepz` (known: parser, version"),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - grok: {match: ['%{NOPE:b}']}\n", ":5: no pattern `NOPE`"),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - grok: {match: ['(']}\n", ":5: not a pattern"),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - set: {a: 1}\n    remove: b\n", "more than one action"),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - when: {field: a, exists: true}\n", "without an action"),
        (
            "parser: a\nversion: 1\nabout: x\nsteps:\n  - date: {field: a, formats: soon}\n",
            ":5: `soon` is not a date format",
        ),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - set: {a: 1, a: 2}\n", "the key `a` occurs twice"),
        (
            "parser: a\nversion: 1\nabout: x\nsteps:\n  - when: {equals: 1}\n    set: {a: 1}\n",
            "a condition without `field`",
        ),
        ("parser: A B\nversion: 1\nabout: x\n", ":1: `A B` is not a parser name"),
        ("parser: a\nversion: 1\nabout: x\nselect: {contains: [x]}\n", "too short to select by"),
        ("parser: a\nabout: x\n", "missing field `version`"),
        (
            "parser: a\nversion: 1\nabout: x\nsteps:\n  - entries: {list: a, key: b, value: [], to: c}\n",
            ":5: entries needs the names of a list",
        ),
        (
            "parser: a\nversion: 1\nabout: x\nsteps:\n  - entries: {list: a, key: b, value: c, to: d.}\n",
            ":5: entries needs the names of a list",
        ),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - entries: {list: a, key: b, to: c}\n", "missing field `value`"),
        ("parser: a\nversion: 1\nabout: x\nsteps:\n  - leef: {prefix: my}\n", ":5: leef has no prefix"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.yml"), yaml).expect("written");
        let (_, diagnostics) = Parsers::load(&[dir.path().to_owned()]);
        let text = diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(diagnostics.len(), 1, "{yaml}\n{text}");
        assert!(text.contains("a.yml") && text.contains(expected), "{yaml}\n{text}");
    }
}

#[test]
fn a_users_parser_adds_to_the_built_in_ones_and_replaces_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("patterns.yml"), "TICKET: 'T-\\d+'\n").expect("written");
    std::fs::write(
        dir.path().join("shop.yml"),
        "parser: shop\nversion: 3\nabout: x\nselect: {programs: [shop]}\nsteps:\n  - grok: {match: ['order %{TICKET:shop.ticket} by %{WORD:user.name}']}\n",
    )
    .expect("written");
    std::fs::write(
        dir.path().join("su.yml"),
        "parser: su\nversion: 9\nabout: x\nselect: {programs: [su]}\nsteps: [{set: {a.b: 1}}]\n",
    )
    .expect("written");
    let (parsers, diagnostics) = Parsers::load(&[dir.path().to_owned()]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let source = source("test:1");
    let batch = derive(&parsers, &source, b"<13>Nov 21 04:11:52 web1 shop[7]: order T-42 by eve");
    assert_eq!(batch.event(0).get("shop.ticket"), Some(Value::Str("T-42")));
    assert_eq!(batch.event(0).parser().map(|id| &**id), Some("shop@3"));
    let batch = derive(&parsers, &source, b"<13>Nov 21 04:11:52 web1 su: anything");
    assert_eq!(batch.event(0).parser().map(|id| &**id), Some("su@9"));
    let (_, diagnostics) = Parsers::load(&[dir.path().join("absent")]);
    assert!(diagnostics[0].message.contains("cannot read the folder"), "{diagnostics:?}");
}

#[test]
fn the_configured_parser_is_tried_first() {
    let parsers = parsers();
    let line = br#"192.0.2.7 - - [21/Nov/2026:04:11:52 +0000] "GET / HTTP/1.1" 200 5 "-" "x""#;
    let mut configured = (*source("test:1")).clone();
    configured.parser = Some("nginx-access".into());
    let batch = derive(parsers, &Arc::new(configured), line);
    assert_eq!(batch.event(0).get("event.dataset"), Some(Value::Str("nginx.access")));
    let batch = derive(parsers, &source("test:1"), line);
    assert_eq!(batch.event(0).get("event.dataset"), Some(Value::Str("apache.access")));
}

#[test]
fn entries_are_made_of_lists_of_names_and_values() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(
        dir.path().join("list.yml"),
        "parser: list\nversion: 1\nabout: x\nselect: {json: [[marker]]}\nsteps:\n  - entries: {list: a.list, key: name, value: [value, flag, many], to: out}\n",
    )
    .expect("written");
    let (parsers, diagnostics) = Parsers::load(&[dir.path().to_owned()]);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    for (list, expected) in [
        (r#"{"list":[{"name":"x","value":"1"},{"name":"y","flag":true}]}"#, r#"out.x="1" out.y=true"#),
        // The order within an element is the writer's.
        (r#"{"list":[{"value":"1","name":"x"},{"flag":true,"name":"y"}]}"#, r#"out.x="1" out.y=true"#),
        // An element that lacks one of the two does not borrow it from its neighbour.
        (r#"{"list":[{"name":"x"},{"value":"2"},{"name":"z","value":3}]}"#, "out.z=3"),
        (r#"{"list":[{},{"name":"x","value":null},{"other":1}]}"#, ""),
        // The first value name that is there counts, with all its values.
        (
            r#"{"list":[{"name":"x","many":["a","b"]},{"many":[1],"name":"y","value":"v"}]}"#,
            r#"out.x="a" out.x="b" out.y="v""#,
        ),
        // A list in a list: each outer element begins anew.
        (r#"[{"list":[{"name":"x"}]},{"list":[{"value":"1"},{"name":"y","value":"2"}]}]"#, r#"out.y="2""#),
        (r#"{"list":[{"deep":[{"name":"no"}],"name":"x","value":"1"}]}"#, r#"out.x="1""#),
        // No list at all: one element.
        (r#"{"list":{"name":"x y","value":"1"}}"#, r#"out.x_y="1""#),
        (r#"{"list":[{"name":"  ","value":"1"},{"name":7,"value":"2"}]}"#, r#"out.7="2""#),
        (r#"{"listing":[{"name":"x","value":"1"}]}"#, ""),
    ] {
        let batch = derive(&parsers, &source("test:1"), format!(r#"{{"marker":1,"a":{list}}}"#).as_bytes());
        let event = batch.event(0);
        assert_eq!(event.parser().map(|id| &**id), Some("list@1"), "{list}");
        let got: Vec<String> = event
            .fields()
            .filter(|field| field.name.starts_with("out."))
            .map(|field| format!("{}={}", field.name, field.value.to_json()))
            .collect();
        assert_eq!(got.join(" "), expected, "{list}");
    }
}

#[test]
fn a_level_or_a_number_behind_a_date_is_no_host() {
    for (line, host) in [
        ("2026-11-21T04:11:52Z web1 foo[7]: hello", Some("web1")),
        ("2026-11-21T04:11:52Z 192.0.2.1 date=2026-11-21 time=04:11:52", Some("192.0.2.1")),
        ("2026-11-21T04:11:52Z fw1 %ASA-6-302010: 1 in use, 2 most used", Some("fw1")),
        ("2026-11-21T04:11:52Z 42 [Other] hello", None),
        ("2026-11-21T04:11:52Z INFO something happened", None),
        ("2026-11-21T04:11:52Z warn something happened", None),
        ("<13>2026-11-21T04:11:52Z web1 something happened", Some("web1")),
        ("Nov 21 04:11:52 web1 something happened", Some("web1")),
    ] {
        let batch = derive(parsers(), &source("test:1"), line.as_bytes());
        assert_eq!(batch.event(0).get("host.name"), host.map(Value::Str), "{line}");
    }
}

#[test]
fn a_line_that_names_many_sources_does_not_hide_from_its_own() {
    let line = "2026-11-21 04:11:52.123 UTC [811] eve@shop LOG:  statement: select 'devid=FG %ASA- ,TRAFFIC, firewall,info \
                [Note]  query:  [AF_INET] TCP_  ] unbound[  [kea-dhcp4. module=libcontainerd runtime=io.containerd. level=  LEEF: '";
    let batch = derive(parsers(), &source("test:1"), line.as_bytes());
    assert_eq!(batch.event(0).get("event.dataset"), Some(Value::Str("postgresql.log")));
}

#[test]
fn every_parser_has_a_sample_that_it_must_refuse() {
    // Those that claim whatever their program, channel or format has.
    let broad =
        ["windows", "zeek", "suricata", "cloudtrail", "sshd", "sudo", "su", "login", "cron", "systemd", "auditd"];
    let broad =
        [broad.as_slice(), &["kernel", "pam", "dpkg", "apt", "nginx-access", "nginx-error", "apache-access"]].concat();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/parsers");
    for entry in std::fs::read_dir(dir).expect("the parsers' folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let yaml: serde_json::Value = serde_norway::from_str(&text).expect("YAML");
        let Some(name) = yaml.get("parser").and_then(serde_json::Value::as_str) else { continue };
        let samples = yaml.get("samples").and_then(serde_json::Value::as_array).into_iter().flatten();
        let refused = samples.filter(|sample| sample.get("parser").is_some_and(|parser| parser != name)).count();
        assert!(refused > 0 || broad.contains(&name) || name == "apache-error", "{name} has no negative sample");
    }
}

#[test]
fn an_event_does_not_depend_on_the_events_before_it() {
    let parsers = parsers();
    let source = source("test:1");
    let lines: Vec<String> = samples();
    let alone: Vec<_> = lines.iter().map(|line| fields(&derive(parsers, &source, line.as_bytes()))).collect();
    let mut batch = BatchBuilder::new(source.clone());
    for (seq, line) in lines.iter().enumerate().rev() {
        let received: Time = "2026-11-21T04:11:52Z".parse().expect("a time");
        parsers.derive(&source, seq as u64, received, line.as_bytes(), &mut batch);
    }
    let batch = batch.finish();
    for (event, alone) in batch.events().zip(alone.iter().rev()) {
        let together: Vec<_> =
            event.fields().map(|field| (field.name.to_owned(), format!("{:?}", field.value))).collect();
        assert_eq!(&together, alone);
    }
}

/// The raw lines of all built-in samples.
pub fn samples() -> Vec<String> {
    static SAMPLES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(read_samples);
    SAMPLES.clone()
}

fn read_samples() -> Vec<String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/parsers");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the parsers' folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let yaml: serde_json::Value = serde_norway::from_str(&text).expect("YAML");
        let samples = yaml.get("samples").and_then(serde_json::Value::as_array).into_iter().flatten();
        lines.extend(samples.filter_map(|sample| Some(sample.get("raw")?.as_str()?.to_owned())));
    }
    lines
}

/// JSON flattened the slow way.
fn flatten(prefix: &str, value: &serde_json::Value, out: &mut Vec<(String, serde_json::Value)>) {
    use serde_json::Value as Json;
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            flatten(&name, value, out);
        }),
        Json::Array(list) => list.iter().for_each(|value| flatten(prefix, value, out)),
        scalar => out.push((prefix.to_owned(), scalar.clone())),
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Json::from),
        ".*".prop_map(Json::from),
        "[a-z\"\\\\\u{1}-\u{20}\u{1f600}]{0,20}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("z[a-z\"\\\\é]{0,6}", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn json_is_flattened_as_serde_json_reads_it(map in prop::collection::btree_map("z[a-z\"é]{0,6}", json(), 1..6), pretty: bool) {
        let value = serde_json::Value::Object(map.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
        let mut expected = Vec::new();
        flatten("", &value, &mut expected);
        let batch = derive(parsers(), &source("test:1"), text.as_bytes());
        let event = batch.event(0);
        prop_assert!(event.parser().is_some(), "{}", text);
        let got: Vec<_> = event
            .fields()
            .filter(|field| field.name != "event.kind")
            .map(|field| (field.name.to_owned(), field.value.to_json()))
            .collect();
        // Whole numbers beyond 64 signed bits are kept as their digits.
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, value)| match value.as_u64() {
                Some(big) if i64::try_from(big).is_err() => (name, big.to_string().into()),
                _ => (name, value),
            })
            .collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn what_serde_json_refuses_is_not_taken_for_json(text in "\\{\"z\":[\\[\\]{}0-9eE+.,:\"a-f\\\\u-]{0,12}\\}") {
        let valid = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let batch = derive(parsers(), &source("test:1"), text.as_bytes());
        // A lone surrogate and a number beyond f64 are the two things that serde_json refuses and we repair.
        let repaired = text.contains("\\u") || text.contains(['e', 'E']);
        prop_assert!(batch.event(0).parser().is_some() == valid || repaired, "{}", text);
    }
}
