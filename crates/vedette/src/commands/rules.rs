//! `vedette rules check` and `vedette rules test`; `vedette rules hunt` is in [`rules_hunt`], `vedette rules import` in
//! [`rules_import`], `vedette rules why` in [`rules_why`].

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use serde_json::{Map, Value, json};
use vedette_event::{BatchBuilder, Derive, Source, SourceId, Time};
use vedette_intake::parse::Parsers;
use vedette_sigma::{Documents, Expect, Loaded, Mapping, Options, RuleTest};

use crate::{
    Outcome, Usage,
    cli::{Format, RulesArgs, RulesCommand},
    commands::{detect::files_below, rules_coverage, rules_hunt, rules_import, rules_why},
    node::{
        content, rules,
        ruleset::{Ruleset, mapping},
    },
    output::Printer,
};

/// Runs the command.
pub fn run(args: RulesArgs) -> anyhow::Result<Outcome> {
    match args.command {
        RulesCommand::Check { rules, pipelines, placeholders, output } => {
            check(&rules, &pipelines, placeholders.as_deref(), output)
        }
        RulesCommand::Coverage { data, navigator, output } => rules_coverage::run(&data, navigator.as_deref(), output),
        RulesCommand::Hunt(args) => rules_hunt::run(args),
        RulesCommand::Import { from } => rules_import::run(from),
        RulesCommand::Test { paths, output } => test(&paths, output),
        RulesCommand::Why(args) => rules_why::run(args),
    }
}

/// The rules at these paths, taken through these pipelines; the built-in ones if there are none.
pub fn load(paths: &[PathBuf], pipelines: &[PathBuf]) -> anyhow::Result<Loaded> {
    match (paths, pipelines) {
        ([], []) => return Ok(content::rules().link()),
        ([], _) => return Err(Usage("`--pipeline` is for rules of your own: say where they are".into()).into()),
        _ => {}
    }
    if let Some(missing) = paths.iter().chain(pipelines).find(|path| !path.exists()) {
        return Err(Usage(format!("nothing at {}: no such file or folder", missing.display())).into());
    }
    if pipelines.is_empty() {
        return Ok(vedette_sigma::load(paths));
    }
    let mut documents = Documents::through(rules::pipelines(pipelines)?);
    paths.iter().for_each(|path| documents.path(path));
    Ok(documents.link())
}

fn check(
    paths: &[PathBuf],
    pipelines: &[PathBuf],
    placeholders: Option<&Path>,
    output: Format,
) -> anyhow::Result<Outcome> {
    let mapping = mapping(placeholders)?;
    let loaded = load(paths, pipelines)?;
    let rules = loaded.rules.iter().map(|rule| (rule.file.clone(), rule.line, rule.reference.clone()));
    let correlations = loaded.correlations.iter().map(|one| (one.file.clone(), one.line, one.reference.clone()));
    let understood: Vec<_> = rules.chain(correlations).collect();
    let (_, refused) = Ruleset::compile(loaded, &mapping);
    let late: HashSet<(&str, u32)> = refused.iter().map(|refused| (&*refused.file, refused.line)).collect();
    let refused_ids: HashSet<&str> = refused.iter().filter_map(|refused| refused.id.as_deref()).collect();
    let mut printer = Printer::new(output, &["status", "file", "line", "title", "reason"])?;
    // People want to read what is wrong; scripts get every rule.
    let mut loaded = 0;
    for (file, line, rule) in &understood {
        let id = rule.id.as_str();
        if late.contains(&(&**file, *line)) || refused_ids.contains(id) {
            continue;
        }
        loaded += 1;
        if output != Format::Table {
            printer.row(&row(file, *line, id, &rule.title, "loaded", ""))?;
        }
    }
    for refused in &refused {
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        let (id, title) = (known(&refused.id), known(&refused.title));
        printer.row(&row(&refused.file, refused.line, &id, &title, "refused", &refused.reason))?;
    }
    printer.finish()?;
    eprintln!("{loaded} of {} rules loaded, {} refused", loaded + refused.len(), refused.len());
    Ok(if refused.is_empty() { Outcome::Fine } else { Outcome::Findings })
}

fn row(file: &str, line: u32, id: &str, title: &str, status: &str, reason: &str) -> Map<String, Value> {
    let value = json!({"file": file, "line": line, "id": id, "title": title, "status": status, "reason": reason});
    match value {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

fn test(paths: &[PathBuf], output: Format) -> anyhow::Result<Outcome> {
    let mut report = Report {
        printer: Printer::new(output, &["status", "file", "line", "name", "reason"])?,
        passed: 0,
        failed: 0,
        verbose: output != Format::Table,
    };
    let builtin = Parsers::builtin();
    if paths.is_empty() {
        test_parsers(&builtin, &mut report)?;
        for (name, text) in content::FILES.iter().filter(|(name, _)| content::is_test(name)) {
            let rule = name.replace(".test.yml", ".yml");
            let rules = content::FILES.iter().find(|(other, _)| *other == rule).map(|(_, text)| *text);
            test_rule(&format!("builtin:{name}"), text, &format!("builtin:{rule}"), rules, &builtin, &mut report)?;
        }
    } else {
        test_paths(paths, &builtin, &mut report)?;
    }
    let Report { printer, passed, failed, .. } = report;
    printer.finish()?;
    eprintln!("{passed} tests passed, {failed} failed");
    Ok(if failed == 0 { Outcome::Fine } else { Outcome::Findings })
}

fn test_paths(paths: &[PathBuf], builtin: &Parsers, report: &mut Report) -> anyhow::Result<()> {
    let mut parsers = BTreeSet::new();
    for file in files_below(paths)? {
        let name = file.display().to_string();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(_) if !name.ends_with(".yml") => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        };
        if let Some(stem) = name.strip_suffix(".test.yml") {
            let rule = format!("{stem}.yml");
            let rules = std::fs::read_to_string(&rule).ok();
            test_rule(&name, &text, &rule, rules.as_deref(), builtin, report)?;
        } else if let Some(folder) = file.parent().filter(|_| name.ends_with(".yml") && is_parser(&text)) {
            parsers.insert(folder.to_owned());
        }
    }
    if !parsers.is_empty() {
        let (parsers, refused) = Parsers::load(&parsers.into_iter().collect::<Vec<_>>());
        for diagnostic in refused {
            report.add(&diagnostic.file, diagnostic.line, "loads", Err(diagnostic.message.clone()))?;
        }
        test_parsers(&parsers, report)?;
    }
    Ok(())
}

/// A parser file names its parser at the top; a rule file has no such key.
fn is_parser(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("parser:"))
}

fn test_parsers(parsers: &Parsers, report: &mut Report) -> anyhow::Result<()> {
    for sample in parsers.test() {
        let name = format!("{} sample {}", sample.parser, sample.number);
        let outcome = if sample.passed() { Ok(()) } else { Err(sample.failures.join("; ")) };
        report.add(&sample.file, sample.line, &name, outcome)?;
    }
    Ok(())
}

/// Runs the tests of one rule file: records go through the real parsers.
fn test_rule(
    name: &str,
    tests: &str,
    rule_name: &str,
    rule: Option<&str>,
    parsers: &Parsers,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Some(rule) = rule else {
        return report.add(name, 1, "has a rule", Err(format!("there is no rule file {rule_name}")));
    };
    let (rules, refused) = Ruleset::compile(vedette_sigma::load_str(rule_name, rule), &Arc::new(Mapping::builtin()));
    for refused in &refused {
        report.add(&refused.file, refused.line, "loads", Err(refused.reason.clone()))?;
    }
    let tests = match vedette_sigma::tests_str(name, tests) {
        Ok(tests) => tests,
        Err(diagnostic) => return report.add(name, diagnostic.line, "loads", Err(diagnostic.message)),
    };
    for test in &tests {
        report.add(name, test.line, &test.name, run_test(test, &rules, parsers))?;
    }
    Ok(())
}

/// The tests of a file with correlations are about those; the rules they are made of are only their parts there.
fn run_test(test: &RuleTest, rules: &Ruleset, parsers: &Parsers) -> Result<(), String> {
    let name = test.source.as_str();
    let source = Source::new(SourceId(1), name, name.split(':').next().unwrap_or(name));
    let mut batch = BatchBuilder::new(source.clone());
    // A fixed receive time: dates without a year are then the same every day.
    let received = Time::from_secs(1_795_000_000);
    for (seq, record) in test.records.iter().enumerate() {
        parsers.derive(&source, seq as u64, received, record, &mut batch);
    }
    let batch = batch.finish();
    let mut findings = Vec::new();
    rules.program.run(&batch, &mut findings);
    if !rules.correlations().is_empty() {
        let mut correlations = rules.correlate(Options::default().whole());
        correlations.receive(&batch, &findings, 0);
        findings.clear();
        correlations.finish(&mut findings);
    }
    match (test.expect, findings.is_empty()) {
        (Expect::Match, true) => {
            let event = batch.events().last().map(|event| Value::Object(event.to_json()).to_string());
            Err(format!("expected a match; the event was {}", event.unwrap_or_default()))
        }
        (Expect::None, false) => Err(format!("expected no match, but it matched on {:?}", findings[0].matched)),
        _ => Ok(()),
    }
}

struct Report {
    printer: Printer,
    passed: usize,
    failed: usize,
    verbose: bool,
}

impl Report {
    fn add(&mut self, file: &str, line: u32, name: &str, outcome: Result<(), String>) -> anyhow::Result<()> {
        let (status, reason) = match outcome {
            Ok(()) => ("passed", String::new()),
            Err(reason) => ("failed", reason),
        };
        if status == "passed" {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        if self.verbose || status == "failed" {
            let row = json!({"status": status, "file": file, "line": line, "name": name, "reason": reason});
            if let Value::Object(row) = row {
                self.printer.row(&row)?;
            }
        }
        Ok(())
    }
}
