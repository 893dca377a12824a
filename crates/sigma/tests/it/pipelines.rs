//! Runs `conformance/sigma/pipelines`; the README of `conformance/sigma` says what the files mean.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;
use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
use vedette_sigma::{Correlations, Documents, Mapping, Options, Pipelines, Program};

use crate::{correlations::SECOND, data};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    pipelines: Vec<String>,
    detection: Option<Json>,
    rules: Option<String>,
    #[serde(default, rename = "match")]
    matching: Vec<serde_json::Map<String, Json>>,
    #[serde(default)]
    none: Vec<serde_json::Map<String, Json>>,
    refuse: Option<String>,
    invalid: Option<String>,
}

fn mapping() -> Mapping {
    Mapping::parse("m", "logsources: [{product: conformance, when: {event.dataset|exists: false}}]").unwrap()
}

fn pipelines(texts: &[String]) -> Result<Pipelines, String> {
    let names: Vec<String> = (0..texts.len()).map(|at| format!("p{at}.yml")).collect();
    let files: Vec<(&str, &str)> = names.iter().zip(texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Pipelines::parse(&files).map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn matches(program: &Program, event: &serde_json::Map<String, Json>) -> bool {
    let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
    batch.begin(0, Time::from_secs(0), Json::Object(event.clone()).to_string().as_bytes());
    for (name, value) in event {
        batch.push(name, value.as_i64().map_or_else(|| Value::Str(value.as_str().unwrap()), Value::Int));
    }
    let mut findings = Vec::new();
    program.run(&batch.finish(), &mut findings);
    findings.iter().any(|finding| finding.rule.title == "rule")
}

fn check(case: &Case) -> Result<(), String> {
    let pipelines = match (pipelines(&case.pipelines), &case.invalid) {
        (Ok(pipelines), None) => pipelines,
        (Ok(_), Some(_)) => return Err("the pipeline was read".into()),
        (Err(wrong), Some(want)) => return if wrong.contains(want) { Ok(()) } else { Err(wrong) },
        (Err(wrong), None) => return Err(wrong),
    };
    let rules = match (&case.detection, &case.rules) {
        (Some(detection), _) => {
            serde_json::json!({"title": "rule", "logsource": {"product": "conformance"}, "detection": detection})
                .to_string()
        }
        (None, Some(rules)) => rules.clone(),
        (None, None) => return Err("either `detection` or `rules`".into()),
    };
    let mut documents = Documents::through(pipelines);
    documents.text("case.yml", &rules);
    let loaded = documents.link();
    let (program, mut refused) = Program::compile(loaded.rules, &mapping());
    refused.extend(loaded.refused);
    let shown = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    match &case.refuse {
        Some(want) if shown.contains(want) && shown.starts_with("case.yml:1:") && program.is_empty() => return Ok(()),
        _ if refused.is_empty() && case.refuse.is_none() => {}
        _ => return Err(format!("refused: {shown:?}")),
    }
    for (events, want) in [(&case.matching, true), (&case.none, false)] {
        for event in events {
            if matches(&program, event) != want {
                return Err(format!("{event:?} should {}match", if want { "" } else { "not " }));
            }
        }
    }
    Ok(())
}

#[test]
fn pipelines_do_what_the_cases_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sigma/pipelines");
    let mut failed = Vec::new();
    let mut count = 0;
    for path in data::files(&root, ".yml") {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let cases: File = serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in cases.cases {
            count += 1;
            if let Err(why) = check(&case) {
                failed.push(format!("{file}: {}: {why}", case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count > 60, "{count} cases");
}

const RULES: &str = "
title: A
name: a
id: id-a
logsource: {product: conformance}
detection: {s: {k: a}, condition: s}
---
title: many
correlation: {type: value_count, rules: [a], group-by: [User], timespan: 1m, condition: {field: Ip, gte: 2}}
";

/// The findings' titles and the groups that they name.
fn many(pipeline: &str, field: &str, value: &str) -> (Vec<String>, Vec<String>) {
    let mut documents = Documents::through(pipelines(&[pipeline.to_owned()]).unwrap());
    documents.text("case.yml", RULES);
    let loaded = documents.link();
    let mut refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
    let (program, wrong) = Program::compile(loaded.rules, &mapping());
    refused.extend(wrong.iter().map(ToString::to_string));
    let (mut correlations, wrong) =
        Correlations::compile(loaded.correlations, &program, &mapping(), Options::default());
    refused.extend(wrong.iter().map(ToString::to_string));
    let mut found = Vec::new();
    for at in 0..2 {
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        batch.begin(at, Time::from_micros(at as i64 * SECOND), b"{}");
        batch.push("k.x", Value::Str("a"));
        batch.push(field, Value::Str("bob"));
        batch.push(value, Value::Int(at as i64));
        let batch = batch.finish();
        let mut findings = Vec::new();
        program.run(&batch, &mut findings);
        for finding in &findings {
            if let Some(hit) = correlations.hit(finding, batch.event(0)) {
                correlations.push(hit);
            }
        }
    }
    correlations.finish(&mut found);
    (found.iter().map(|finding| finding.rule.title.clone()).collect(), refused)
}

#[test]
fn correlations_go_through_pipelines_too() {
    let mapped = "transformations: [{type: field_name_mapping, mapping: {k: k.x, User: user.name, Ip: source.ip}}]";
    assert_eq!(many(mapped, "user.name", "source.ip"), (vec!["many".to_owned()], vec![]));
    assert_eq!(many(mapped, "User", "Ip"), (vec![], vec![]));
    // A log source is that of the rules it is made of.
    let conditional = "transformations:
  - {type: field_name_mapping, mapping: {k: k.x}}
  - type: field_name_mapping
    mapping: {User: user.name}
    rule_conditions: [{type: is_sigma_correlation_rule}, {type: logsource, product: conformance}]";
    assert_eq!(many(conditional, "user.name", "Ip").0, ["many"]);
    let (found, refused) = many("transformations: [{type: field_name_mapping, mapping: {User: [a, b]}}]", "User", "Ip");
    assert!(
        found.is_empty() && refused[0].contains("`User` is one field to a correlation, and becomes 2"),
        "{refused:?}"
    );
    let failing = "transformations: [{type: rule_failure, message: no, rule_conditions: [{type: is_sigma_rule}]}]";
    let (_, refused) = many(failing, "User", "Ip");
    assert_eq!(refused.len(), 2);
    assert!(refused[1].contains("no loaded rule has the id or name `a`"), "{refused:?}");
}

#[test]
fn hostile_pipelines_are_bounded() {
    // Each step doubles the names of the field.
    let step = "{type: field_name_mapping, mapping: {F: [F, F]}}";
    let doubling = format!("transformations: [{}]", [step; 64].join(", "));
    let mut documents = Documents::through(pipelines(&[doubling]).unwrap());
    documents.text("r.yml", "title: t\nlogsource: {product: conformance}\ndetection: {s: {F: a}, condition: s}");
    let loaded = documents.link();
    assert!(loaded.refused[0].reason.contains("more than 10000 fields"), "{:?}", loaded.refused);
    let step = "{type: replace_string, regex: a, replacement: aaaaaaaaaa}";
    let growing = format!("transformations: [{}]", [step; 64].join(", "));
    let mut documents = Documents::through(pipelines(&[growing]).unwrap());
    documents.text("r.yml", "title: t\nlogsource: {product: conformance}\ndetection: {s: {F: a}, condition: s}");
    assert!(documents.link().refused[0].reason.contains("a value longer than"), "bounded");
    let steps = format!("transformations: [{}]", vec!["{type: set_state, key: a, val: b}"; 10_001].join(", "));
    assert!(pipelines(&[steps]).unwrap_err().contains("more than 10000 transformations"));
}

#[test]
fn native_documents_stay_as_they_are() {
    let rule = |id: &str| {
        format!("title: rule\nid: {id}\nlogsource: {{product: conformance}}\ndetection: {{s: {{a: x}}, condition: s}}")
    };
    let over = |id: &str| {
        format!(
            "title: c\ncorrelation: {{type: event_count, rules: [{id}], group-by: [a], timespan: 1m, condition: {{gte: 2}}}}"
        )
    };
    let linked = |pipeline: &str| {
        let mut native = Documents::native();
        native.text("native.yml", &rule("native"));
        let mut documents = Documents::through(pipelines(&[pipeline.to_owned()]).unwrap());
        documents.text(
            "own.yml",
            &format!("{}\n---\n{}\n---\n{}", rule("own"), over("own"), over("native").replace("title: c", "title: d")),
        );
        documents.extend(native, |_, _| {});
        let loaded = documents.link();
        assert_eq!(loaded.refused, []);
        loaded
    };
    let asked = |pipeline: &str| {
        let loaded = linked(pipeline);
        let rules = loaded.rules.iter().map(|rule| (rule.reference.id.clone(), rule.fingerprint));
        let correlations = loaded.correlations.iter().map(|one| (one.reference.title.clone(), one.fingerprint));
        rules.chain(correlations).collect::<std::collections::BTreeMap<_, _>>()
    };
    let none = asked("transformations: []");
    let named = |name: &str| format!("transformations: [{{type: field_name_mapping, mapping: {{a: {name}}}}}]");
    let (b, c) = (asked(&named("b")), asked(&named("c")));
    // A correlation's own field goes through the pipelines too, unless it is native itself.
    let same = |x: &std::collections::BTreeMap<String, u64>, y: &std::collections::BTreeMap<String, u64>| {
        x.iter().filter(|(id, asks)| y[*id] == **asks).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(same(&none, &b), ["native"]);
    assert_eq!(same(&b, &c), ["native"]);
    assert_eq!(same(&b, &asked(&named("b"))).len(), 4);
    assert_eq!(same(&none, &asked("transformations: [{type: field_name_mapping, mapping: {a: b}, rule_conditions: [{type: logsource, product: q}]}]")).len(), 4);
    let (program, refused) = Program::compile(linked(&named("b")).rules, &mapping());
    assert_eq!(refused, []);
    for (field, found) in [("a", "native"), ("b", "own")] {
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        batch.begin(0, Time::from_secs(0), b"r");
        batch.push(field, Value::Str("x"));
        let mut findings = Vec::new();
        program.run(&batch.finish(), &mut findings);
        let ids: Vec<&str> = findings.iter().map(|finding| finding.rule.id.as_str()).collect();
        assert_eq!(ids, [found], "{field}");
    }
}
