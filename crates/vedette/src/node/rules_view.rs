//! The rules as the server sees them: what is loaded, and what people write.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{self, Read},
    path::Path,
    sync::PoisonError,
};

use vedette_event::{Batch, Diagnostic, Event, Finding, RuleRef, Time};
use vedette_server::{
    CheckedRules, Disabled, Explained, ExplainedLine, FileName, LoadedCorrelation, LoadedRule, Logsource, RefusedRule,
    RulesOf, RulesView, SaveError, Trial,
};
use vedette_sigma::{Correlation, Documents, Explainer, Explanation, Loaded, Refused, explain};

use super::{
    content,
    correlator::Report,
    rules::{About, DISABLED, Rules},
    ruleset::{Ruleset, Whole},
};

const BUILTIN: &str = "builtin:";
/// What is not saved yet has no file.
const OF_THE_TEXT: &str = "";
/// As much of a rule file is shown; the rules of a larger one are not loaded.
const MAX_FILE_BYTES: u64 = 2 << 20;

impl RulesView for Rules {
    fn loaded(&self) -> Vec<LoadedRule> {
        let (rules, abouts) = self.described();
        let disabled = self.disabled();
        let disabled = disabled.iter().map(|(rule, disabled)| (rule, Some(disabled)));
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let correlations: HashMap<&str, LoadedCorrelation> =
            rules.correlations().iter().map(|one| (one.reference.id.as_str(), correlation(one, &reports))).collect();
        let seen = |id: &str| self.seen(&rules, &abouts, id);
        let loaded = rules.references().map(|rule| (rule, None)).chain(disabled).filter_map(|(rule, disabled)| {
            let about = abouts.get(&rule.id)?;
            let logsource = about.logsource.clone();
            Some(LoadedRule {
                rule: rule.clone(),
                file: about.file.to_string(),
                status: about.status.clone(),
                description: about.description.clone(),
                false_positives: about.false_positives.clone(),
                references: about.links.clone(),
                logsource: Logsource {
                    product: logsource.product,
                    category: logsource.category,
                    service: logsource.service,
                },
                correlation: correlations.get(rule.id.as_str()).cloned(),
                silent: rules.is_silent(&rule.id),
                builtin: about.file.starts_with(BUILTIN),
                own_file: self.own.name_of(Path::new(&*about.file)),
                replaces: about.replaces.as_ref().map(ToString::to_string),
                disabled: disabled.cloned(),
                tried: self.tried(&rule.id),
                source_seen: seen(&rule.id),
            })
        });
        loaded.collect()
    }

    fn refused(&self) -> Vec<RefusedRule> {
        let refused = Rules::refused(self);
        let refused = refused.iter().map(|refused| RefusedRule {
            file: refused.file.to_string(),
            line: refused.line,
            id: refused.id.clone(),
            title: refused.title.clone(),
            reason: refused.reason.clone(),
        });
        refused.collect()
    }

    fn text(&self, id: &str) -> Option<String> {
        let (_, abouts) = self.described();
        let file = &abouts.get(id)?.file;
        if let Some(name) = file.strip_prefix(BUILTIN) {
            return content::FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        }
        let mut text = String::new();
        let read = File::open(&**file).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
        read.inspect_err(|error| tracing::warn!(%file, %error, "the file of a loaded rule cannot be read")).ok()?;
        Some(text)
    }

    fn check(&self, text: &str) -> CheckedRules {
        let (loaded, own) = self.on_trial(text);
        let (rules, refused) = Ruleset::compile(loaded, &self.mapping);
        CheckedRules {
            rules: rules.references().filter(|rule| own.contains(&rule.id)).cloned().collect(),
            diagnostics: refused.iter().map(diagnostic).collect(),
            trial: Box::new(rules.whole()),
        }
    }

    fn why(&self, rules: &RulesOf, event: &Event<'_>) -> Result<Vec<Explained>, Vec<Diagnostic>> {
        let loaded = match rules {
            RulesOf::Id(id) => self.only(&HashSet::from([id.clone()])),
            RulesOf::Text(text) => self.on_trial(text).0,
        };
        let mut wrong: Vec<Diagnostic> = match rules {
            RulesOf::Id(_) => Vec::new(),
            RulesOf::Text(_) => loaded.refused.iter().map(diagnostic).collect(),
        };
        let mut explained = Vec::new();
        for rule in &loaded.rules {
            match Explainer::new(rule, &self.mapping) {
                Ok(explainer) => explained.push(told(&explainer.explain(*event))),
                Err(refused) => wrong.push(diagnostic(&refused)),
            }
        }
        if wrong.is_empty() && !explained.is_empty() { Ok(explained) } else { Err(wrong) }
    }

    fn save(&self, name: &FileName, text: &str) -> Result<Vec<RuleRef>, SaveError> {
        let disabled = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = self.check(text);
        let mut wrong = checked.diagnostics;
        wrong.extend(self.taken(name, &checked.rules));
        if !wrong.is_empty() {
            return Err(SaveError::Refused(wrong));
        }
        self.own.write(name, text).map_err(|error| failed(name, &error))?;
        self.reload(&disabled);
        Ok(checked.rules)
    }

    fn remove(&self, name: &FileName) -> Result<bool, SaveError> {
        let disabled = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.own.remove(name).map_err(|error| failed(name, &error))?;
        self.reload(&disabled);
        Ok(removed)
    }

    fn disable(&self, id: &str, disabled: Disabled) -> Result<bool, SaveError> {
        let mut now = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.described().1.contains_key(id) {
            return Ok(false);
        }
        let mut then = now.clone();
        then.insert(id.to_owned(), disabled);
        self.write_disabled(&mut now, then).map_err(|error| SaveError::Failed(format!("{DISABLED}: {error}")))?;
        Ok(true)
    }

    fn enable(&self, id: &str) -> Result<bool, SaveError> {
        let mut now = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut then = now.clone();
        if then.remove(id).is_none() {
            return Ok(false);
        }
        self.write_disabled(&mut now, then).map_err(|error| SaveError::Failed(format!("{DISABLED}: {error}")))?;
        Ok(true)
    }
}

impl Trial for Whole {
    fn take(&mut self, batch: &Batch, found: &mut Vec<Finding>) {
        Whole::take(self, batch, found);
    }

    fn end(&mut self, found: &mut Vec<Finding>) {
        self.finish(found);
    }
}

impl Rules {
    /// When an event that a rule reads was last received; of a correlation, that of the rule whose log source was seen longest
    /// ago.
    fn seen(&self, rules: &Ruleset, abouts: &HashMap<String, About>, id: &str) -> Option<Time> {
        match rules.correlations().iter().find(|one| one.reference.id == id) {
            None => self.logsources.last(&abouts.get(id)?.logsource),
            Some(correlation) => {
                let members: Option<Vec<Time>> =
                    correlation.members().map(|member| self.seen(rules, abouts, member)).collect();
                members?.into_iter().min()
            }
        }
    }

    /// The rules of a text, with those of others that its correlations are made of; and the ids of its own.
    pub fn on_trial(&self, text: &str) -> (Loaded, HashSet<String>) {
        let mut documents = Documents::through(self.pipelines());
        documents.text(OF_THE_TEXT, text);
        let rules = documents.rules.iter().map(|rule| &rule.reference);
        let correlations = documents.correlations.iter().map(|correlation| &correlation.reference);
        let own: HashSet<String> = rules.chain(correlations).map(|reference| reference.id.clone()).collect();
        if documents.correlations.is_empty() && documents.filters.is_empty() {
            return (documents.link(), own);
        }
        documents.extend(self.documents(), |_, _| {});
        let mut loaded = with_members(documents.link(), &own);
        loaded.refused.retain(|refused| &*refused.file == OF_THE_TEXT);
        (loaded, own)
    }

    /// These of the rules as they are written now, by id, with those that their correlations are made of.
    pub(super) fn only(&self, ids: &HashSet<String>) -> Loaded {
        with_members(self.documents().link(), ids)
    }

    /// The ids of `rules` that another of the data folder's own files has.
    fn taken(&self, name: &FileName, rules: &[RuleRef]) -> Vec<Diagnostic> {
        let own = self.own.path(name);
        let others = self.own.folder().map_or_else(Loaded::default, |folder| vedette_sigma::load(&[folder])).rules;
        let taken = others.iter().filter(|other| *other.file != *own.to_string_lossy());
        let taken = taken.filter(|other| rules.iter().any(|rule| rule.id == other.reference.id)).map(|other| {
            let file = other.file.rsplit('/').next().unwrap_or_default();
            let message = format!("the id `{}` is already taken by {file}", other.reference.id);
            Diagnostic::new("", 0, 0, message).hint("give it an id of its own, or save it under that name")
        });
        taken.collect()
    }
}

/// Only these, with those that their correlations are made of.
fn with_members(mut loaded: Loaded, ids: &HashSet<String>) -> Loaded {
    let mut wanted = ids.clone();
    // Each stands after those it is made of.
    for correlation in loaded.correlations.iter().rev() {
        if wanted.contains(&correlation.reference.id) {
            wanted.extend(correlation.members().map(ToOwned::to_owned));
        }
    }
    loaded.rules.retain(|rule| wanted.contains(&rule.reference.id));
    loaded.correlations.retain(|correlation| wanted.contains(&correlation.reference.id));
    loaded
}

fn told(explanation: &Explanation) -> Explained {
    let line = |line: explain::Line| ExplainedLine { depth: line.depth, passed: line.passed, text: line.text };
    Explained {
        rule: explanation.rule.clone(),
        matched: explanation.matched,
        lines: explanation.lines().into_iter().map(line).collect(),
        detail: serde_json::to_value(explanation).unwrap_or_default(),
    }
}

fn correlation(correlation: &Correlation, reports: &BTreeMap<String, Report>) -> LoadedCorrelation {
    let Report { groups, counts } = reports.get(&correlation.reference.id).copied().unwrap_or_default();
    LoadedCorrelation {
        rules: correlation.members().map(ToOwned::to_owned).collect(),
        groups: groups as u64,
        late: counts.late,
        ahead: counts.ahead,
        unusable: counts.unusable,
        evicted: counts.evicted,
        hurried: counts.hurried,
        cut: counts.cut,
    }
}

pub(super) fn diagnostic(refused: &Refused) -> Diagnostic {
    let diagnostic = Diagnostic::new("", refused.line, refused.column, refused.reason.clone());
    let named = refused.title.as_ref().or(refused.id.as_ref());
    match named {
        Some(name) => diagnostic.hint(format!("in the rule `{name}`")),
        None => diagnostic,
    }
}

fn failed(name: &FileName, error: &io::Error) -> SaveError {
    SaveError::Failed(format!("{}: {error}", name.yml()))
}
