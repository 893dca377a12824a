//! Wazuh's rule files and lists, converted.
//!
//! The input is a rule file; behind a line `%%%` comes a list. Every rule of the file is in the report once, and points
//! into the file; all that is made loads and compiles; the same input makes the same files.

#![no_main]

use std::{collections::HashMap, sync::LazyLock};

use libfuzzer_sys::{Corpus, fuzz_target};
use vedette_convert::wazuh::{Input, Outcome, convert, probe};
use vedette_sigma::{Correlations, Documents, Mapping, Options, Program};

static MAPPING: LazyLock<Mapping> = LazyLock::new(Mapping::builtin);

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let (rules, list) = text.split_once("\n%%%\n").unwrap_or((text, ""));
    let lines = rules.matches('\n').count() as u32 + 1;
    if let Err((line, reason)) = probe(rules) {
        assert!(line <= lines, "{line}: {reason}");
    }
    let input = Input { files: &[("rules.xml", rules)], lists: &[("list", list)], ..Input::default() };
    let conversion = convert(&input);
    assert_eq!(convert(&input).files, conversion.files);
    let mut converted = 0;
    let mut seen: HashMap<u32, usize> = HashMap::new();
    for line in &conversion.report {
        assert!(line.line <= lines, "{line}");
        assert_eq!(
            line.outcome == Outcome::Converted || line.outcome == Outcome::Parent,
            line.notes.is_empty(),
            "{line}"
        );
        converted += usize::from(matches!(line.outcome, Outcome::Converted | Outcome::Remarked));
        if line.outcome != Outcome::Refused {
            *seen.entry(line.id.expect("it was read")).or_default() += 1;
        }
    }
    assert!(seen.values().all(|count| *count == 1));
    assert_eq!(converted, conversion.files.len());
    let mut documents = Documents::default();
    for file in &conversion.files {
        documents.text(&file.name, &file.text);
    }
    let loaded = documents.link();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let (program, refused) = Program::compile(loaded.rules, &MAPPING);
    assert!(refused.is_empty(), "{refused:?}");
    let (_, refused) = Correlations::compile(loaded.correlations, &program, &MAPPING, Options::default());
    assert!(refused.is_empty(), "{refused:?}");
    Corpus::Keep
});
