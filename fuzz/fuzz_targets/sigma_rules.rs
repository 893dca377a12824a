//! Sigma rules (and log source mappings), compiled and run.
//!
//! The input is YAML; behind a line `%%%` come events, see `vedette_fuzz::batch`. Every rule is either loaded or
//! refused; refusals point into the text; a program finds for each rule what that rule finds alone (the shared
//! prefilter takes nothing away and adds nothing), in order, and the same when run twice.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use vedette_event::{Batch, Finding};
use vedette_sigma::{Mapping, Program, load_str};

static MAPPING: LazyLock<Mapping> = LazyLock::new(Mapping::builtin);
static EVENTS: LazyLock<Batch> = LazyLock::new(|| vedette_fuzz::batch(include_str!("sigma_events.txt")));

fn findings(program: &Program, batch: &Batch) -> Vec<Finding> {
    let mut found = Vec::new();
    program.run(batch, &mut found);
    found
}

fn check(text: &str, mapping: &Mapping, batches: &[&Batch]) {
    let loaded = load_str("fuzz.yml", text);
    // To YAML a lone CR ends a line too; the end of the text is on a line behind the last.
    let lines = text.matches(['\n', '\r']).count() as u32 + 2;
    for refused in &loaded.refused {
        assert!(refused.line <= lines, "{refused} in {lines} lines");
    }
    let count = loaded.rules.len();
    let (program, refused) = Program::compile(loaded.rules.clone(), mapping);
    assert_eq!(program.len() + refused.len(), count);
    let compiled = program.rules().map(|(rule, _)| rule.id.clone()).collect::<Vec<_>>();
    for batch in batches {
        let together = findings(&program, batch);
        assert_eq!(findings(&program, batch), together);
        let place = |finding: &Finding| {
            let rule = compiled.iter().position(|id| *id == finding.rule.id).expect("the rule was compiled");
            (finding.events[0].seq, rule)
        };
        assert!(together.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])));
        if count < 2 || count > 16 {
            continue;
        }
        let mut alone = Vec::new();
        for rule in &loaded.rules {
            let (program, _) = Program::compile(vec![rule.clone()], mapping);
            alone.extend(findings(&program, batch));
        }
        alone.sort_by_key(place);
        assert_eq!(alone, together);
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let (rules, events) = text.split_once("\n%%%\n").unwrap_or((text, ""));
    let own = vedette_fuzz::batch(events);
    check(rules, &MAPPING, &[&EVENTS, &own]);
    if let Ok(mapping) = Mapping::parse("fuzz.yml", rules) {
        check(include_str!("sigma_rules.yml"), &mapping, &[&EVENTS, &own]);
    }
    Corpus::Keep
});
