//! Rules and the correlations over them, ready to run.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use vedette_event::{Batch, Diagnostic, Finding, RuleRef};
use vedette_sigma::{Correlation, Correlations, Loaded, Mapping, Options, Program, Refused};

/// A program and the correlations over its rules.
pub struct Ruleset {
    /// Finds in a batch what rules match.
    pub program: Program,
    correlations: Vec<Correlation>,
    silent: HashSet<String>,
    fingerprints: BTreeMap<String, u64>,
    mapping: Arc<Mapping>,
}

impl Ruleset {
    /// Compiles rules; what is refused then joins what was refused before.
    pub fn compile(loaded: Loaded, mapping: &Arc<Mapping>) -> (Ruleset, Vec<Refused>) {
        let Loaded { rules, mut correlations, mut refused } = loaded;
        let of_rules = rules.iter().map(|rule| (rule.reference.id.clone(), rule.fingerprint));
        let of_correlations = correlations.iter().map(|one| (one.reference.id.clone(), one.fingerprint));
        let fingerprints = of_rules.chain(of_correlations).collect();
        let (program, late) = Program::compile(rules, mapping);
        refused.extend(late);
        let (compiled, late) = Correlations::compile(correlations.clone(), &program, mapping, Options::default());
        let running: HashSet<&str> = compiled.reports().map(|report| report.rule.id.as_str()).collect();
        correlations.retain(|correlation| running.contains(correlation.reference.id.as_str()));
        refused.extend(late);
        let parts = correlations.iter().flat_map(Correlation::members);
        let silent = parts.filter(|part| compiled.is_silent(part)).map(ToOwned::to_owned).collect();
        (Ruleset { program, correlations, silent, fingerprints, mapping: mapping.clone() }, refused)
    }

    /// The correlations, each after those it is made of.
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// Every rule and correlation in force.
    pub fn references(&self) -> impl Iterator<Item = &RuleRef> {
        let correlations = self.correlations.iter().map(|correlation| &correlation.reference);
        self.program.rules().map(|(rule, _)| rule).chain(correlations)
    }

    /// For each rule and correlation, by id, a number for what it asks; a correlation also asks what its rules ask.
    pub fn fingerprints(&self) -> &BTreeMap<String, u64> {
        &self.fingerprints
    }

    /// Number of rules and correlations.
    pub fn len(&self) -> usize {
        self.program.len() + self.correlations.len()
    }

    /// True for a rule or correlation, by its id, whose findings are only for the correlations over it.
    pub fn is_silent(&self, rule: &str) -> bool {
        self.silent.contains(rule)
    }

    /// To be run over a whole history.
    pub fn whole(self) -> Whole {
        Whole { correlations: self.correlate(Options::default().whole()), rules: self }
    }

    /// The correlations, having seen nothing yet.
    pub fn correlate(&self, options: Options) -> Correlations {
        // What is refused was left out when the set was made.
        Correlations::compile(self.correlations.clone(), &self.program, &self.mapping, options).0
    }
}

/// Rules over a history that is looked at when it is whole, in whatever order it comes.
pub struct Whole {
    rules: Ruleset,
    correlations: Correlations,
}

impl Whole {
    /// Adds what single events of a batch come to.
    pub fn take(&mut self, batch: &Batch, found: &mut Vec<Finding>) {
        self.rules.program.run(batch, found);
        self.correlations.receive(batch, found, 0);
        found.retain(|finding| !self.rules.is_silent(&finding.rule.id));
        // Nothing is late here; settling only keeps what waits within its bytes.
        if let Some(last) = batch.events().last() {
            self.correlations.settle(last.received().plus_micros(1_000_000), found);
        }
    }

    /// Adds what everything comes to together.
    pub fn finish(&mut self, found: &mut Vec<Finding>) {
        self.correlations.finish(found);
    }

    /// The correlations that had too little memory to see all of it.
    pub fn degraded(&self) -> impl Iterator<Item = &RuleRef> {
        let degraded = self.correlations.reports().filter(|report| report.counts.is_degraded());
        degraded.map(|report| report.rule)
    }
}

/// The built-in mapping with the user's value table for `expand`: YAML, `name: [value, …]`.
///
/// # Errors
/// The table cannot be read, or is not of that form.
pub fn mapping(placeholders: Option<&Path>) -> anyhow::Result<Arc<Mapping>> {
    let mut mapping = Mapping::builtin();
    let Some(path) = placeholders else { return Ok(Arc::new(mapping)) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: BTreeMap<String, Vec<String>> = serde_norway::from_str(&text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line() as u32, at.column() as u32));
        Diagnostic::new(path.display().to_string(), line, column, error.to_string())
            .hint("a value table is YAML of the form `name: [value, …]`")
    })?;
    for (name, values) in table {
        mapping.placeholder(&name, values);
    }
    Ok(Arc::new(mapping))
}
