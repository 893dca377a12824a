//! Processing pipelines of pySigma, for rules of people who bring theirs.
//!
//! [`read`] makes steps of YAML, [`condition`] says for which rules, items and fields a step is, [`transform`] what it
//! does to a [`subject`]: a rule as it is written, with what was done to it so far. What cannot be done is refused: a
//! pipeline when it is read, with file, line and reason; a rule when a step says so, or cannot change it.
//!
//! As in pySigma, the steps of several pipelines are one list, in the order of their priorities; each rule goes
//! through it with a state of its own. Filters are in the rules by then.

mod condition;
mod read;
mod subject;
mod transform;

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use vedette_event::Diagnostic;

use self::{condition::Conditions, subject::Subject, transform::Transformation};
use crate::{
    rule::{Correlation, Part, Refused, Rule},
    yaml::{self, Problem, combined},
};

/// Largest pipeline file.
const MAX_FILE_BYTES: u64 = 2 << 20;

/// Pipelines, joined: what rules go through before they are compiled.
///
/// ```
/// use vedette_sigma::{Documents, Pipelines};
///
/// let pipelines = Pipelines::parse(&[("own.yml", r"
/// name: own names
/// priority: 20
/// transformations:
///   - id: names
///     type: field_name_mapping
///     mapping: {CommandLine: process.command_line}
///     rule_conditions:
///       - {type: logsource, product: windows}
/// ")]).unwrap();
/// let mut documents = Documents::through(pipelines);
/// documents.text("r.yml", "title: t\nlogsource: {product: windows}\ndetection: {s: {CommandLine: a}, condition: s}");
/// assert!(documents.link().refused.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pipelines {
    steps: Vec<Step>,
    vars: HashMap<String, Vec<String>>,
    /// A number for what the variables are.
    vars_fingerprint: u64,
}

/// One item of a pipeline.
#[derive(Clone, Debug)]
struct Step {
    file: Arc<str>,
    line: u32,
    id: Option<String>,
    when: Conditions,
    transformation: Transformation,
    /// A number for what it says.
    fingerprint: u64,
}

impl Pipelines {
    /// Reads pipelines from texts; those of the lowest priority come first, those of the same in the order given.
    pub fn parse(files: &[(&str, &str)]) -> Result<Pipelines, Vec<Diagnostic>> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for (file, text) in files {
            for document in yaml::documents(text) {
                match document.and_then(|node| read::pipeline(&Arc::from(*file), &node)) {
                    Ok(pipeline) => all.push(pipeline),
                    Err(Problem { place, reason }) => {
                        wrong.push(Diagnostic::new(*file, place.line, place.column, reason));
                    }
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        all.sort_by_key(|pipeline| pipeline.priority);
        let mut joined = Pipelines::default();
        for pipeline in all {
            joined.steps.extend(pipeline.steps);
            joined.vars.extend(pipeline.vars);
            joined.vars_fingerprint = combined(joined.vars_fingerprint, pipeline.vars_fingerprint);
        }
        Ok(joined)
    }

    /// Reads pipelines from files.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Pipelines, Vec<Diagnostic>> {
        let mut texts = Vec::new();
        for path in paths.iter().map(AsRef::as_ref) {
            let name = path.to_string_lossy().into_owned();
            let wrong = |reason: String| vec![Diagnostic::new(name.clone(), 0, 0, reason)];
            if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_FILE_BYTES) {
                return Err(wrong(format!("larger than {MAX_FILE_BYTES} bytes")));
            }
            let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            texts.push((name, text));
        }
        let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Pipelines::parse(&texts)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Takes every rule through the steps, but for native ones; those that a step refuses are taken out.
    pub(crate) fn rules(&self, rules: &mut Vec<Rule>, refused: &mut Vec<Refused>) {
        rules.retain_mut(|rule| match self.rule(rule) {
            Ok(()) => true,
            Err(problem) => {
                refused.push(Refused::of(rule, problem.place, problem.reason));
                false
            }
        });
    }

    fn rule(&self, rule: &mut Rule) -> Result<(), Problem> {
        if rule.is_native {
            return Ok(());
        }
        let mut subject = Subject::of_rule(rule);
        self.run(&mut subject)?;
        rule.fingerprint = self.fingerprint(rule.fingerprint, &subject);
        rule.logsource = subject.logsources.swap_remove(0);
        rule.parts = vec![Part::new(subject.into_detection()?, None)?];
        Ok(())
    }

    /// Takes correlations through the steps, when their rules have been.
    pub(crate) fn correlations(&self, correlations: &mut Vec<Correlation>, rules: &[Rule], refused: &mut Vec<Refused>) {
        let mut logsources = HashMap::new();
        for rule in rules {
            logsources.insert(rule.reference.id.clone(), vec![rule.logsource.clone()]);
        }
        let mut gone: Vec<String> = Vec::new();
        correlations.retain_mut(|correlation| {
            let known = correlation.members().filter_map(|member| logsources.get(member)).flatten().cloned().collect();
            let mut subject = Subject::of_correlation(correlation, known);
            let lost = correlation.members.iter().find(|member| gone.contains(&member.id));
            let done = match lost {
                Some(member) => {
                    Err(Problem::new(member.place, format!("correlation `{}` is refused itself", member.name)))
                }
                None if correlation.is_native => Ok(()),
                None => self.run(&mut subject).and_then(|()| {
                    correlation.fingerprint = self.fingerprint(correlation.fingerprint, &subject);
                    subject.give_fields(correlation)
                }),
            };
            logsources.insert(correlation.reference.id.clone(), subject.logsources);
            if let Err(problem) = &done {
                gone.push(correlation.reference.id.clone());
                let reason = problem.reason.clone();
                refused.push(Refused::named(&correlation.file, &correlation.reference, problem.place, reason));
            }
            done.is_ok()
        });
    }

    /// What a rule or correlation asks when the steps that were for it have changed it.
    fn fingerprint(&self, before: u64, subject: &Subject) -> u64 {
        match subject.asked {
            None => before,
            Some(asked) => combined(before, combined(asked, self.vars_fingerprint)),
        }
    }

    fn run(&self, subject: &mut Subject) -> Result<(), Problem> {
        for step in &self.steps {
            step.run(subject, &self.vars)?;
        }
        Ok(())
    }
}

impl Step {
    fn run(&self, subject: &mut Subject, vars: &HashMap<String, Vec<String>>) -> Result<(), Problem> {
        if !self.when.rule(subject) {
            return Ok(());
        }
        transform::run(self, subject, vars)?;
        subject.asked = Some(combined(subject.asked.unwrap_or_default(), self.fingerprint));
        if let Some(id) = &self.id {
            subject.applied.insert(id.clone());
        }
        Ok(())
    }

    /// A refusal by this step, at a place of the rule.
    fn refuses(&self, place: yaml::Place, reason: impl std::fmt::Display) -> Problem {
        Problem::new(place, format!("{}:{}: {reason}", self.file, self.line))
    }
}
