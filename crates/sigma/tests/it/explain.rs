//! What explanations say, word by word.

use serde_json::json;
use vedette_event::{Batch, BatchBuilder, Source, SourceId, Time, Value};
use vedette_sigma::{Documents, Explainer, Explanation, Mapping, Pipelines, load_str};

const RULE: &str = r"
title: Who Am I
id: r1
logsource: {product: windows, category: process_creation}
detection:
  selection:
    - Image|endswith:
        - \whoami.exe
        - \id.exe
    - OriginalFileName: whoami.exe
  parent:
    ParentImage|contains|all: [cmd, temp]
    User: null
  filter_admin:
    User|startswith: adm_
  filter_tool:
    CommandLine|contains: /inventory
  condition: selection and parent and not 1 of filter_*
---
title: Not in the lab
logsource: {product: windows}
filter:
  rules: [r1]
  lab: {Computer: lab1}
  condition: not lab
";

fn event(fields: &[(&str, Value<'_>)]) -> Batch {
    let mut batch = BatchBuilder::new(Source::new(SourceId(3), "test:1", "test"));
    batch.begin(7, Time::from_secs(1), b"plain line of text");
    fields.iter().for_each(|(name, value)| batch.push(name, *value));
    batch.finish()
}

fn sysmon<'a>(fields: &[(&'a str, Value<'a>)]) -> Batch {
    let head = [
        ("winlog.channel", Value::Str("Microsoft-Windows-Sysmon/Operational")),
        ("event.code", Value::Str("1")),
    ];
    event(&[&head, fields].concat())
}

fn explain(rules: &str, mapping: &Mapping, batch: &Batch) -> Explanation {
    let loaded = load_str("rules.yml", rules);
    assert_eq!(loaded.refused, []);
    Explainer::new(&loaded.rules[0], mapping).unwrap().explain(batch.event(0))
}

fn check(rules: &str, batch: &Batch, want: &str) {
    let explanation = explain(rules, &Mapping::builtin(), batch);
    assert_eq!(explanation.to_string().trim_end(), want.trim(), "\n{explanation}");
}

#[test]
fn a_match_shows_what_made_it() {
    let batch = sysmon(&[
        ("winlog.event_data.Image", Value::Str(r"C:\Windows\System32\WHOAMI.EXE")),
        ("winlog.event_data.ParentImage", Value::Str(r"C:\Temp\cmd.exe")),
    ]);
    check(RULE, &batch, "");
}
