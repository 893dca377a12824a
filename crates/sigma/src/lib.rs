//! Sigma rules: parsed, compiled, matched.
//!
//! [`load`] reads rules and refuses by name what it does not understand; [`Program::compile`] makes them ready for
//! the field names of a [`Mapping`]; [`Program::run`] matches a batch of events and says what it found.
//!
//! ```
//! use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
//! use vedette_sigma::{Mapping, Program, load_str};
//!
//! let loaded = load_str("whoami.yml", r"
//! title: Who Am I
//! id: 0a2f4d0e-55d5-4b6f-9d0b-5a1f3d2f6f3e
//! level: low
//! tags: [attack.discovery, attack.t1033]
//! logsource: {product: windows, category: process_creation}
//! detection:
//!   selection:
//!     Image|endswith: '\whoami.exe'
//!   filter:
//!     ParentImage|contains: '\inventory\'
//!   condition: selection and not filter
//! ");
//! assert!(loaded.refused.is_empty());
//! let (program, refused) = Program::compile(loaded.rules, &Mapping::builtin());
//! assert!(refused.is_empty());
//!
//! let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
//! batch.begin(0, Time::from_secs(1), b"{...}");
//! batch.push("winlog.channel", Value::Str("Microsoft-Windows-Sysmon/Operational"));
//! batch.push("event.code", Value::Str("1"));
//! batch.push("winlog.event_data.Image", Value::Str(r"C:\Windows\System32\WHOAMI.EXE"));
//! batch.push("host.name", Value::Str("ws1"));
//!
//! let mut findings = Vec::new();
//! program.run(&batch.finish(), &mut findings);
//! assert_eq!(findings[0].rule.title, "Who Am I");
//! assert_eq!(findings[0].rule.techniques, ["T1033"]);
//! assert_eq!(findings[0].matched[0].field, "winlog.event_data.Image");
//! assert_eq!(findings[0].entities[0].value, "ws1");
//! ```
//!
//! [`Correlations`] find what several matches mean together, in event time.
//! [`Explainer`] says why a rule matches an event, or which part of it failed and what the event had instead.
//!
//! Specification: Sigma 2.1.0 (2025-08-02): rules, modifiers, filters, correlations; see `docs/sigma.md`.
//! What it leaves open is settled so: a field of several values passes a test if any of them does; `neq` is the
//! negation of the item, so it holds where the field is missing; keywords are found anywhere in any value, and in
//! the original line where the event is no JSON object; `*` alone needs a value that is not null; a rule without a
//! level is `medium`, one without an id is known by its title.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
mod cidr;
mod correlation;
mod fold;
mod instant;
mod mapping;
mod pattern;
mod pipeline;
mod program;
mod rule;
mod rule_tests;
mod yaml;

pub use correlation::{Correlations, Counts, Hit, Options, Report, RestoreError, Restored};
pub use mapping::Mapping;
pub use pipeline::Pipelines;
pub use program::{
    Effort, Program,
    explain::{self, Explainer, Explanation},
    sieve::{Cell, Class, Sieve, Wanted},
};
pub use rule::{Correlation, Documents, Filter, Loaded, Logsource, Refused, Rule, load, load_str};
pub use rule_tests::{Expect, RuleTest, test_file, tests, tests_str};
