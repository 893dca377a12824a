//! Rules go through the converter and what comes out through the engine: each construct once as it matches, and once
//! as it does not.
#![allow(clippy::unwrap_used)]

mod constructs;
mod reports;
mod several;

use vedette_convert::wazuh::{Conversion, Input, convert};
use vedette_event::{BatchBuilder, Finding, Source, SourceId, Time, Value};
use vedette_sigma::{Correlations, Documents, Loaded, Mapping, Options, Program};

/// An event: fields and values; `raw` is the record itself, `at` its time in seconds.
pub type Event<'a> = &'a [(&'a str, &'a str)];

/// Rules as the body of a group.
pub fn group(rules: &str) -> String {
    format!("<group name=\"local,test,\">\n{rules}\n</group>")
}

/// Converts one file; everything that it makes must load.
pub fn converted(text: &str, lists: &[(&str, &str)]) -> Conversion {
    let conversion = convert(&Input { files: &[("rules.xml", text)], lists, ..Input::default() });
    load(&conversion);
    conversion
}

/// What the engine makes of it: all of it.
pub fn load(conversion: &Conversion) -> Loaded {
    let mut documents = Documents::default();
    for file in &conversion.files {
        documents.text(&file.name, &file.text);
    }
    let shown = || conversion.files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("\n---\n");
    assert!(documents.refused.is_empty(), "{:?}\n{}", documents.refused, shown());
    let loaded = documents.link();
    assert!(loaded.refused.is_empty(), "{:?}\n{}", loaded.refused, shown());
    loaded
}

/// The findings of these events, of rules and of correlations, in the order of their times.
pub fn findings(conversion: &Conversion, events: &[Event<'_>]) -> Vec<Finding> {
    let loaded = load(conversion);
    let mapping = Mapping::builtin();
    let (program, refused) = Program::compile(loaded.rules, &mapping);
    assert!(refused.is_empty(), "{refused:?}");
    let (mut correlations, refused) =
        Correlations::compile(loaded.correlations, &program, &mapping, Options::default());
    assert!(refused.is_empty(), "{refused:?}");
    let mut all = Vec::new();
    for (seq, event) in events.iter().enumerate() {
        let known = |name: &str| event.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
        let time = Time::from_secs(known("at").map_or(1_795_233_112, |at| at.parse().unwrap()));
        batch.begin(seq as u64, time, known("raw").or(known("message")).unwrap_or("{}").as_bytes());
        for (name, value) in event.iter().filter(|(name, _)| !["at", "raw"].contains(name)) {
            batch.push(name, Value::Str(value));
        }
        let batch = batch.finish();
        let mut found = Vec::new();
        program.run(&batch, &mut found);
        for finding in &found {
            if let Some(hit) = correlations.hit(finding, batch.event(0)) {
                correlations.push(hit);
            }
        }
        all.extend(found.into_iter().filter(|finding| !correlations.is_silent(&finding.rule.id)));
    }
    correlations.finish(&mut all);
    all
}

/// Whether the rules of `text` find something in each of these events.
pub fn check(text: &str, lists: &[(&str, &str)], cases: &[(Event<'_>, bool)]) {
    let conversion = converted(&group(text), lists);
    for (event, want) in cases {
        let found = findings(&conversion, &[event]);
        let shown = || conversion.files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("\n---\n");
        assert_eq!(!found.is_empty(), *want, "{event:?}\n{}\n{conversion}", shown());
    }
}
