//! Runs `conformance/sigma`; its README says what the files mean.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value as Json;
use vedette_event::{Batch, BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_sigma::{Correlations, Loaded, Mapping, Options, Program, Refused, load_str};

use crate::data;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<C> {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<C>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    name: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    detection: Option<Json>,
    rules: Option<String>,
    #[serde(default)]
    placeholders: BTreeMap<String, Vec<String>>,
    #[serde(default, rename = "match")]
    matching: Vec<Json>,
    #[serde(default)]
    titles: Vec<Vec<String>>,
    #[serde(default)]
    none: Vec<Json>,
    #[serde(default)]
    refuse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    name: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    rules: String,
    #[serde(default)]
    events: Vec<serde_json::Map<String, Json>>,
    #[serde(default)]
    expect: Vec<Expected>,
    lateness: Option<i64>,
    #[serde(default)]
    late: u64,
    #[serde(default)]
    singles: bool,
    #[serde(default)]
    refuse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
    at: i64,
    #[serde(default)]
    group: BTreeMap<String, Json>,
    events: Option<Vec<u64>>,
}

fn cases<C: serde::de::DeserializeOwned>(folder: &str) -> Vec<(String, C)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/sigma").join(folder);
    let mut all = Vec::new();
    for path in data::files(&root, ".yml").into_iter().filter(|path| path.parent() == Some(root.as_path())) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File<C> = serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        all.extend(file.cases.into_iter().map(|case| (name.clone(), case)));
    }
    assert!(!all.is_empty(), "{}", root.display());
    all
}

fn compile(rules: &str, placeholders: &BTreeMap<String, Vec<String>>) -> (Loaded, Program, Mapping, Vec<Refused>) {
    let mut mapping =
        Mapping::parse("m", "logsources: [{product: conformance, when: {event.dataset|exists: false}}]").unwrap();
    placeholders.iter().for_each(|(name, values)| mapping.placeholder(name, values.clone()));
    let loaded = load_str("case.yml", rules);
    let (program, mut refused) = Program::compile(loaded.rules.clone(), &mapping);
    refused.extend(loaded.refused.iter().cloned());
    (loaded, program, mapping, refused)
}

/// Adds an event to a batch: a map of fields, or a log line.
fn add(batch: &mut BatchBuilder, seq: u64, time: i64, event: &Json) {
    let original = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
    batch.begin(seq, Time::from_secs(time), original.as_bytes());
    for (name, value) in event.as_object().into_iter().flatten() {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let value = match value {
                Json::Null => Value::Null,
                Json::Bool(bool) => Value::Bool(*bool),
                Json::Number(number) => {
                    number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int)
                }
                Json::String(text) => Value::Str(text),
                other => panic!("{other} is no field's value"),
            };
            batch.push(name, value);
        }
    }
}

fn source(number: u64) -> BatchBuilder {
    BatchBuilder::new(Source::new(SourceId(number as u32), "test:1", "test"))
}

fn titles(program: &Program, event: &Json) -> Vec<String> {
    let mut batch = source(1);
    add(&mut batch, 0, 0, event);
    let mut findings = Vec::new();
    program.run(&batch.finish(), &mut findings);
    findings.into_iter().map(|finding| finding.rule.title.clone()).collect()
}

fn check(case: &Single) -> Result<(), String> {
    let rules = match (&case.detection, &case.rules) {
        (Some(detection), None) => {
            serde_json::json!({"title": "rule", "logsource": {"product": "conformance"}, "detection": detection})
                .to_string()
        }
        (None, Some(rules)) => rules.clone(),
        _ => return Err("either `detection` or `rules`".into()),
    };
    let (_, program, _, refused) = compile(&rules, &case.placeholders);
    let named = refused.iter().any(|refused| refused.title.as_deref() == Some("rule"));
    if case.refuse || !refused.is_empty() {
        let shown: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return if case.refuse && named { Ok(()) } else { Err(format!("refused: {shown:?}")) };
    }
    if case.matching.is_empty() && case.none.is_empty() {
        return Err("a case without events shows nothing".into());
    }
    for (number, event) in case.matching.iter().enumerate() {
        let mut found = titles(&program, event);
        if !found.iter().any(|title| title == "rule") {
            return Err(format!("does not match {event}"));
        }
        if let Some(want) = case.titles.get(number) {
            let mut want = want.clone();
            want.sort();
            found.sort();
            if want != found {
                return Err(format!("{found:?} match {event}"));
            }
        }
    }
    match case.none.iter().find(|event| titles(&program, event).iter().any(|title| title == "rule")) {
        Some(event) => Err(format!("matches {event}")),
        None => Ok(()),
    }
}

/// `Brute force at 10: 0 1 {"User":"eve"}`
fn line(rule: &str, at: i64, events: Option<Vec<u64>>, group: &BTreeMap<String, Json>) -> String {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let group: Vec<String> = group.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    let mut events = events;
    events.iter_mut().for_each(|events| events.sort_unstable());
    let events = events.map_or("any".to_owned(), |events| format!("{events:?}"));
    format!("{rule} at {at}: {events} {}", group.join(" "))
}

fn check_several(case: &Several) -> Result<(), String> {
    let (loaded, program, mapping, mut refused) = compile(&case.rules, &BTreeMap::new());
    let mut options = Options { skew: i64::MAX, ..Options::default() };
    if let Some(lateness) = case.lateness {
        options.lateness = lateness * 1_000_000;
    }
    let (mut correlations, late) = Correlations::compile(loaded.correlations, &program, &mapping, options);
    refused.extend(late);
    if case.refuse || !refused.is_empty() {
        let shown: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return if case.refuse && !refused.is_empty() { Ok(()) } else { Err(format!("refused: {shown:?}")) };
    }
    let mut found = Vec::new();
    let mut now = i64::MIN;
    for (number, event) in case.events.iter().enumerate() {
        let mut fields = event.clone();
        let at = fields.remove("at").and_then(|at| at.as_i64()).ok_or("an event without `at`")?;
        let from = fields.remove("source").and_then(|source| source.as_u64()).unwrap_or(1);
        let mut batch = source(from);
        add(&mut batch, number as u64, at, &Json::Object(fields));
        take(&program, &mut correlations, &batch.finish(), &mut found);
        now = now.max(at);
        correlations.observe(SourceId(from as u32), Time::from_secs(at));
        correlations.advance(Time::from_secs(now), &mut found);
    }
    correlations.finish(&mut found);
    let late: u64 = correlations.reports().map(|report| report.counts.late).max().unwrap_or(0);
    if late != case.late {
        return Err(format!("{late} late"));
    }
    let is_single = |finding: &Finding| program.rules().any(|(rule, _)| *rule == *finding.rule);
    found.retain(|finding| case.singles || !is_single(finding));
    let known = |rule: &str| case.expect.iter().any(|expected| expected.rule == rule && expected.events.is_some());
    let mut got: Vec<String> = found
        .iter()
        .map(|finding| {
            let group = finding.matched.iter().map(|matched| (matched.field.clone(), matched.value.clone().into()));
            let group = if is_single(finding) { BTreeMap::new() } else { group.collect() };
            let events = known(&finding.rule.title).then(|| finding.events.iter().map(|event| event.seq).collect());
            line(&finding.rule.title, finding.time.secs(), events, &group)
        })
        .collect();
    let mut want: Vec<String> =
        case.expect.iter().map(|want| line(&want.rule, want.at, want.events.clone(), &want.group)).collect();
    got.sort();
    want.sort();
    if got == want { Ok(()) } else { Err(format!("found {got:#?}\n  instead of {want:#?}")) }
}

/// One batch's findings, as a node takes them.
fn take(program: &Program, correlations: &mut Correlations, batch: &Batch, out: &mut Vec<Finding>) {
    let mut found = Vec::new();
    program.run(batch, &mut found);
    for finding in &found {
        if let Some(hit) = correlations.hit(finding, batch.event(0)) {
            correlations.push(hit);
        }
    }
    found.retain(|finding| !correlations.is_silent(&finding.rule.id));
    out.extend(found);
}

fn report(kind: &str, results: Vec<(String, Result<(), String>)>) {
    let mut names: Vec<&String> = results.iter().map(|(name, _)| name).collect();
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two cases have one name"));
    let wrong: Vec<String> =
        results.iter().filter_map(|(name, result)| Some(format!("{name}: {}", result.as_ref().err()?))).collect();
    println!("{} of {} cases of {kind} pass", results.len() - wrong.len(), results.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn single_events() {
    let results =
        cases("").into_iter().map(|(file, case): (_, Single)| (format!("{file}: {}", case.name), check(&case)));
    report("single events", results.collect());
}

#[test]
fn correlations() {
    let cases = cases("correlations").into_iter();
    let results = cases.map(|(file, case): (_, Several)| (format!("{file}: {}", case.name), check_several(&case)));
    report("correlations", results.collect());
}
