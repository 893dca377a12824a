//! When all files are read: filters go into rules, correlations find the rules they name.

use std::collections::HashMap;

use super::{Correlation, Documents, Refused, Rule, correlation::Resolved};
use crate::yaml::combined;

/// Longest chain of correlations over correlations.
const MAX_CHAIN: usize = 32;

/// What was found: every document is in one of the lists, but filters, which are in the rules they name.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Rules that were understood.
    pub rules: Vec<Rule>,
    /// Correlations that were understood, each after those it is made of.
    pub correlations: Vec<Correlation>,
    /// Documents and files that were not.
    pub refused: Vec<Refused>,
}

impl Documents {
    /// Puts filters into the rules they name and resolves what correlations are made of; in which file or order
    /// any of them stood does not matter. Refused are filters and correlations over rules that are not there,
    /// and correlations over themselves.
    pub fn link(self) -> Loaded {
        let Documents { mut rules, correlations, mut filters, mut refused, pipelines, .. } = self;
        // One order, whatever the order of the files, because a rule lists its filters.
        filters.sort_by(|a, b| (&a.title, &a.file, a.line).cmp(&(&b.title, &b.file, b.line)));
        for filter in &filters {
            filter.apply(&mut rules, &mut refused);
        }
        if let Some(pipelines) = &pipelines {
            pipelines.rules(&mut rules, &mut refused);
        }
        let mut correlations = resolve(&rules, correlations, &mut refused);
        if let Some(pipelines) = &pipelines {
            pipelines.correlations(&mut correlations, &rules, &mut refused);
        }
        Loaded { rules, correlations, refused }
    }
}

/// Where a correlation stands on its way.
#[derive(Clone, PartialEq)]
enum State {
    Unseen,
    Open,
    Done(usize),
    Refused,
}

fn resolve(rules: &[Rule], correlations: Vec<Correlation>, refused: &mut Vec<Refused>) -> Vec<Correlation> {
    let mut names: HashMap<&str, Vec<Resolved>> = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        let mut add = |name| names.entry(name).or_default().push(Resolved::Rule(at));
        add(rule.reference.id.as_str());
        rule.name.as_deref().filter(|name| *name != rule.reference.id).into_iter().for_each(add);
    }
    for (at, correlation) in correlations.iter().enumerate() {
        let mut add = |name| names.entry(name).or_default().push(Resolved::Correlation(at));
        add(correlation.reference.id.as_str());
        correlation.name.as_deref().filter(|name| *name != correlation.reference.id).into_iter().for_each(add);
    }
    let mut linker =
        Linker { rules, all: &correlations, names, states: vec![State::Unseen; correlations.len()], done: Vec::new() };
    for at in 0..correlations.len() {
        linker.visit(at, &mut Vec::new(), refused);
    }
    linker.done
}

struct Linker<'a> {
    rules: &'a [Rule],
    all: &'a [Correlation],
    names: HashMap<&'a str, Vec<Resolved>>,
    states: Vec<State>,
    done: Vec<Correlation>,
}

impl Linker<'_> {
    /// Links a correlation after those it is made of. `path` are those that are on the way.
    fn visit(&mut self, at: usize, path: &mut Vec<usize>, refused: &mut Vec<Refused>) {
        if self.states[at] != State::Unseen {
            return;
        }
        self.states[at] = State::Open;
        path.push(at);
        let linked = self.linked(at, path, refused);
        path.pop();
        match linked {
            Ok(correlation) => {
                self.states[at] = State::Done(self.done.len());
                self.done.push(correlation);
            }
            Err(refusal) => {
                self.states[at] = State::Refused;
                refused.push(refusal);
            }
        }
    }

    fn linked(&mut self, at: usize, path: &mut Vec<usize>, refused: &mut Vec<Refused>) -> Result<Correlation, Refused> {
        let mut correlation = self.all[at].clone();
        let mut ids: Vec<String> = Vec::new();
        for number in 0..correlation.members.len() {
            let member = &correlation.members[number];
            let wrong = |reason| Refused::named(&correlation.file, &correlation.reference, member.place, reason);
            let found = self.names.get(member.name.as_str()).map_or(&[][..], Vec::as_slice);
            let target = match found {
                [] => return Err(wrong(format!("no loaded rule has the id or name `{}`", member.name))),
                [one] => *one,
                _ => return Err(wrong(format!("{} loaded rules have the name `{}`", found.len(), member.name))),
            };
            if let Resolved::Correlation(inner) = target {
                if path.contains(&inner) {
                    return Err(wrong(format!("it is a correlation over itself, by way of `{}`", member.name)));
                }
                if path.len() >= MAX_CHAIN {
                    return Err(wrong(format!("a chain of more than {MAX_CHAIN} correlations")));
                }
                self.visit(inner, path, refused);
                if self.states[inner] == State::Refused {
                    return Err(wrong(format!("correlation `{}` is refused itself", member.name)));
                }
            }
            let id = match target {
                Resolved::Rule(at) => self.rules[at].reference.id.clone(),
                Resolved::Correlation(at) => self.all[at].reference.id.clone(),
            };
            if ids.contains(&id) {
                return Err(wrong(format!("`{}` is named twice", member.name)));
            }
            ids.push(id);
            let asked = match (target, &self.states) {
                (Resolved::Rule(at), _) => self.rules[at].fingerprint,
                (Resolved::Correlation(at), states) => match states[at] {
                    State::Done(place) => self.done[place].fingerprint,
                    _ => self.all[at].fingerprint,
                },
            };
            correlation.fingerprint = combined(correlation.fingerprint, asked);
        }
        for (member, id) in correlation.members.iter_mut().zip(ids) {
            member.id = id;
        }
        Ok(correlation)
    }
}
