//! Processing pipelines, and rules that go through them.
//!
//! The input is a pipeline; behind a line `%%%` come rules. What is wrong points into the pipeline or the rules; every
//! rule that is read comes out, or is refused; the same twice.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use vedette_sigma::{Documents, Mapping, Pipelines, Program, load_str};

static MAPPING: LazyLock<Mapping> = LazyLock::new(Mapping::builtin);

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(data) else { return Corpus::Reject };
    let (pipeline, rules) = text.split_once("\n%%%\n").unwrap_or((text, include_str!("sigma_rules.yml")));
    let lines = |text: &str| text.matches(['\n', '\r']).count() as u32 + 2;
    let pipelines = match Pipelines::parse(&[("pipeline.yml", pipeline)]) {
        Ok(pipelines) => pipelines,
        Err(wrong) => {
            assert!(!wrong.is_empty() && wrong.iter().all(|wrong| wrong.line <= lines(pipeline)), "{wrong:?}");
            return Corpus::Keep;
        }
    };
    let plain = load_str("rules.yml", rules);
    let through = || {
        let mut documents = Documents::through(pipelines.clone());
        documents.text("rules.yml", rules);
        documents.link()
    };
    let loaded = through();
    let shown =
        |loaded: &vedette_sigma::Loaded| format!("{:?}", (&loaded.rules, &loaded.correlations, &loaded.refused));
    assert_eq!(shown(&through()), shown(&loaded));
    for refused in &loaded.refused {
        assert!(refused.line <= lines(rules), "{refused}");
    }
    assert!(loaded.rules.len() <= plain.rules.len());
    assert!(loaded.rules.len() + loaded.refused.len() >= plain.rules.len());
    let count = loaded.rules.len();
    let (program, refused) = Program::compile(loaded.rules, &MAPPING);
    assert_eq!(program.len() + refused.len(), count);
    Corpus::Keep
});
