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
    let head =
        [("winlog.channel", Value::Str("Microsoft-Windows-Sysmon/Operational")), ("event.code", Value::Str("1"))];
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
    check(
        RULE,
        &batch,
        r"
Who Am I (r1) matches event 3-7
✓ log source product=windows category=process_creation
  ✓ an alternative
    ✓ winlog.channel: Microsoft-Windows-Sysmon/Operational
      winlog.channel is Microsoft-Windows-Sysmon/Operational
    ✓ event.code: 1
      event.code is 1
✓ condition: selection and parent and not 1 of filter_*
  ✓ selection
    ✓ Image|endswith: \whoami.exe, \id.exe
      winlog.event_data.Image is C:\Windows\System32\WHOAMI.EXE, which matches *\whoami.exe
  ✓ parent
    ✓ ParentImage|contains|all: cmd, temp
      winlog.event_data.ParentImage is C:\Temp\cmd.exe, which matches *cmd*
      winlog.event_data.ParentImage is C:\Temp\cmd.exe, which matches *temp*
    ✓ User: null
      the event has no User, which would be winlog.event_data.User or winlog.event_data.SubjectUserName or user.name
  ✓ not (filter_admin or filter_tool)
✓ filter Not in the lab: not lab
  ✓ not lab
",
    );
}

#[test]
fn a_failure_shows_what_the_event_had_instead() {
    let batch = sysmon(&[
        ("winlog.event_data.Image", Value::Str(r"C:\Windows\System32\whoami.exe")),
        ("winlog.event_data.ParentImage", Value::Str(r"C:\Windows\cmd.exe")),
        ("winlog.event_data.User", Value::Str("ADM_KIM")),
        ("winlog.computer_name", Value::Str("lab1")),
    ]);
    check(
        RULE,
        &batch,
        r"
Who Am I (r1) does not match event 3-7
✓ log source product=windows category=process_creation
  ✓ an alternative
    ✓ winlog.channel: Microsoft-Windows-Sysmon/Operational
      winlog.channel is Microsoft-Windows-Sysmon/Operational
    ✓ event.code: 1
      event.code is 1
✗ condition: selection and parent and not 1 of filter_*
  ✓ selection
  ✗ parent
    ✗ ParentImage|contains|all: cmd, temp
      missing: temp
      winlog.event_data.ParentImage is C:\Windows\cmd.exe
    ✗ User: null
      winlog.event_data.User is ADM_KIM
  ✗ not
    ✓ any of
      ✓ filter_admin
        ✓ User|startswith: adm_
          winlog.event_data.User is ADM_KIM, which matches adm_*
      ✗ filter_tool
✗ filter Not in the lab: not lab
  ✗ not lab
    ✓ Computer: lab1
      winlog.computer_name is lab1
",
    );
}

#[test]
fn a_log_source_that_the_event_is_not_of() {
    let batch = event(&[
        ("winlog.channel", Value::Str("Security")),
        ("event.code", Value::Int(4624)),
        ("process.parent.Image", Value::Str("a")),
    ]);
    check(
        RULE,
        &batch,
        r"
Who Am I (r1) does not match event 3-7
✗ log source product=windows category=process_creation
  ✗ an alternative
    ✗ winlog.channel: Microsoft-Windows-Sysmon/Operational
      winlog.channel is Security
    ✗ event.code: 1
      event.code is 4624
  ✗ an alternative
    ✓ winlog.channel: Security
    ✗ event.code: 4688
      event.code is 4624
✗ condition: selection and parent and not 1 of filter_*
  ✗ selection
    ✗ Image|endswith: \whoami.exe, \id.exe
      the event has no Image, which would be process.executable or winlog.event_data.Image or winlog.event_data.NewProcessName; it has process.parent.Image
    ✗ OriginalFileName: whoami.exe
      the event has no OriginalFileName, which would be winlog.event_data.OriginalFileName or process.pe.original_file_name
  ✗ parent
    ✗ ParentImage|contains|all: cmd, temp
      the event has no ParentImage, which would be process.parent.executable or winlog.event_data.ParentImage or winlog.event_data.ParentProcessName
    ✓ User: null
  ✓ not (filter_admin or filter_tool)
✓ filter Not in the lab: not lab
  ✓ not lab
",
    );
    let unmapped = "title: t\nlogsource: {product: acme, service: 'a*b'}\ndetection: {s: {F: 1}, condition: s}";
    check(
        unmapped,
        &event(&[("event.dataset", Value::Str("acme.ab")), ("F", Value::Int(1))]),
        r"
t does not match event 3-7
✗ log source product=acme service=a*b
  no entry of the log source mapping feeds it, so that it reads the dataset of its name
  ✗ event.dataset: acme.a\*b
    event.dataset is acme.ab
✓ condition: s
  ✓ s
    ✓ F: 1
      F is 1
",
    );
    check(
        unmapped,
        &event(&[("event.dataset", Value::Str("acme.a*b")), ("F", Value::Int(1))]),
        r"
t matches event 3-7
✓ log source product=acme service=a*b
  no entry of the log source mapping feeds it, so that it reads the dataset of its name
  ✓ event.dataset: acme.a\*b
    event.dataset is acme.a*b
✓ condition: s
  ✓ s
    ✓ F: 1
      F is 1
",
    );
}

const FORMS: &str = r"
title: All forms
id: r2
logsource: {product: acme}
detection:
  words: [secret, '*plain*of']
  code: {Code|base64offset|contains: 'http://'}
  number: {Count|gte: 5, Size|lt: 10}
  same: {From|fieldref|startswith: To}
  network: {Address|cidr: 10.0.0.0/8}
  there: {Gone|exists: true}
  not_it: {Name|neq: [root, kim]}
  place: {Host|expand: '%Servers%.example'}
  unused: {F: 1}
  condition: (words or code) and 2 of (number) or not (same or network) and 1 of *
";

#[test]
fn every_form_is_told() {
    let mut mapping = Mapping::default();
    mapping.placeholder("Servers", vec!["a".into(), "b*".into()]);
    let rule = FORMS.replace("2 of (number) or not (same or network) and 1 of *", "not 2 of *e* and all of *_it");
    let batch = event(&[
        ("event.dataset", Value::Str("acme")),
        ("Code", Value::Str("xx aHR0cDovL2V2aWw= yy")),
        ("Count", Value::Int(7)),
        ("Size", Value::Null),
        ("From", Value::Str("KIM@example")),
        ("To", Value::Str("kim")),
        ("Address", Value::Str("192.0.2.1")),
        ("Address", Value::Str("10.1.2.3")),
        ("Name", Value::Str("Root")),
        ("Host", Value::Str("b7.example")),
        ("a.gone", Value::Str("x\u{1b}[31m")),
    ]);
    let explanation = explain(&rule, &mapping, &batch);
    assert_eq!(
        explanation.to_string().trim_end(),
        r"
All forms (r2) does not match event 3-7
✓ log source product=acme
  no entry of the log source mapping feeds it, so that it reads the dataset of its name
  ✓ event.dataset: acme
    event.dataset is acme
✗ condition: (words or code) and not 2 of *e* and all of *_it
  ✓ (words or code)
  ✗ not
    ✓ at least 2 of
      ✓ code
        ✓ Code|base64offset|contains: http://
          Code is xx aHR0cDovL2V2aWw= yy, which matches *ahr0cdovl*
      ✗ number
      ✓ same
        ✓ From|fieldref|startswith: To
          From is KIM@example
          To is kim
      ✓ network
        ✓ Address|cidr: 10.0.0.0/8
          Address is 10.1.2.3
      ✗ there
      ✓ place
        ✓ Host|expand: %Servers%.example
          %Servers%.example stands for a.example, b*.example
          Host is b7.example, which matches b*.example
      ✗ unused
  ✗ not_it
    ✗ Name|neq: root, kim
      Name is Root
"
        .trim(),
        "\n{explanation}"
    );
    // What does not decide is not shown, but told.
    let selections: Vec<(&str, bool)> = explanation.detections[0]
        .selections
        .iter()
        .map(|selection| (selection.name.as_str(), selection.group.passed))
        .collect();
    let want = [
        ("words", true),
        ("code", true),
        ("number", false),
        ("same", true),
        ("network", true),
        ("there", false),
        ("not_it", false),
        ("place", true),
        ("unused", false),
    ];
    assert_eq!(selections, want);
    let told = serde_json::to_value(&explanation).unwrap();
    let detection = &told["detections"][0];
    assert_eq!(
        detection["selections"][7]["all"][0]["operands"][0]["values"][0],
        json!({
            "written": "%Servers%.example", "stands_for": ["a.example", "b*.example"], "more": 0, "passed": true,
            "witness": {"field": "Host", "value": "b7.example", "pattern": "b*.example"}, "other": null,
        })
    );
    let field = detection["selections"][4]["all"][0]["operands"][0]["field"].as_u64().unwrap() as usize;
    assert_eq!(
        told["fields"][field],
        json!({
            "name": "Address", "names": ["Address"], "read": "Address", "has": ["192.0.2.1", "10.1.2.3"], "more": 0,
            "similar": [],
        })
    );
    let gone = told["fields"].as_array().unwrap().iter().find(|field| field["name"] == "Gone").unwrap();
    assert_eq!(gone["similar"], json!(["a.gone"]));
    assert_eq!(detection["condition"]["passed"], json!(false));
    assert_eq!(told["event"], json!("3-7"));
}

#[test]
fn without_values_for_placeholders_there_is_nothing_to_explain() {
    let loaded = load_str("rules.yml", FORMS.split("\n  condition").next().unwrap().to_owned().as_str());
    assert_eq!(loaded.rules.len(), 0, "{:?}", loaded.refused);
    let rule = FORMS.replace("2 of (number) or not (same or network) and 1 of *", "place");
    let refused = Explainer::new(&load_str("rules.yml", &rule).rules[0], &Mapping::default()).unwrap_err();
    assert_eq!(refused.line, 13);
    assert!(refused.reason.starts_with("placeholder `%Servers%` has no values"), "{refused}");
}

#[test]
fn what_a_pipeline_changed_is_told_as_it_is_then() {
    let pipelines = "
name: p
transformations:
  - {type: field_name_mapping, mapping: {Image: [process.executable, process.name], Computer: host.name}}
";
    let mut documents = Documents::through(Pipelines::parse(&[("p.yml", pipelines)]).unwrap());
    documents.text("rules.yml", RULE);
    let loaded = documents.link();
    assert_eq!(loaded.refused, []);
    let batch = sysmon(&[("process.name", Value::Str("id.exe")), ("host.name", Value::Str("lab1"))]);
    let explanation = Explainer::new(&loaded.rules[0], &Mapping::builtin()).unwrap().explain(batch.event(0));
    assert_eq!(explanation.to_string().trim_end(), r"
Who Am I (r1) does not match event 3-7
✓ log source product=windows category=process_creation
  ✓ an alternative
    ✓ winlog.channel: Microsoft-Windows-Sysmon/Operational
      winlog.channel is Microsoft-Windows-Sysmon/Operational
    ✓ event.code: 1
      event.code is 1
✗ condition: (selection and parent and not (filter_admin or filter_tool)) and not Not in the lab: lab
  ✗ all of
    ✗ selection
      ✗ process.executable|endswith: \whoami.exe, \id.exe
        the event has no process.executable, which would be winlog.event_data.process.executable or winlog.user_data.process.executable or process.executable
        process.name is id.exe
      ✗ OriginalFileName: whoami.exe
        the event has no OriginalFileName, which would be winlog.event_data.OriginalFileName or process.pe.original_file_name
    ✗ parent
      ✗ ParentImage|contains|all: cmd, temp
        the event has no ParentImage, which would be process.parent.executable or winlog.event_data.ParentImage or winlog.event_data.ParentProcessName
      ✓ User: null
    ✓ not (filter_admin or filter_tool)
  ✗ not Not in the lab: lab
    ✓ host.name: lab1
      host.name is lab1
".trim(), "\n{explanation}");
}

/// However much a rule and an event say, what is told of it is bounded.
#[test]
fn much_is_cut() {
    let values: String = (0..5_000).map(|number| format!("    - v{number}{}\n", "x".repeat(300))).collect();
    let rule = format!("title: t\nlogsource: {{product: acme}}\ndetection:\n  s:\n   F:\n{values}  condition: s");
    let long = "ä".repeat(1_000);
    let mut fields = vec![("event.dataset", Value::Str("acme"))];
    fields.extend((0..1_000).map(|_| ("F", Value::Str(&long))));
    let explanation = explain(&rule, &Mapping::default(), &event(&fields));
    let field = explanation.fields.iter().find(|field| field.name == "F").unwrap();
    assert_eq!((field.has.len(), field.more), (16, 984));
    assert!(field.has.iter().flatten().all(|value| value.len() <= 256 + '…'.len_utf8()));
    let text = explanation.to_string();
    assert!(text.len() < 8_000 && text.contains("… and 4992 more"), "{}", text.len());
}
