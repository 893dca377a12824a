//! Wazuh 4 rules, converted into Sigma.
//!
//! [`xml`] reads the files, [`rule`] what is in a rule, [`pattern`] its expressions. [`chain`] follows a rule's parents
//! and makes one condition of all of them; [`write`] makes Sigma documents of that. What cannot be carried over is in
//! the [`report`].
//!
//! * A rule that makes alerts becomes a Sigma rule for each log that its chains of parents read; rules of level 0 are
//!   only parents. A parent that makes alerts makes them here beside its children, not instead of them.
//! * A rule of level 0 whose parents make alerts is an exception; it becomes a Sigma filter of those.
//! * A rule with `frequency` becomes a correlation over rules of its own, in the same file.
//!
//! Sources: Wazuh 4's documentation of rules, regular expressions and CDB lists.

mod chain;
mod condition;
mod list;
mod names;
mod pattern;
mod report;
mod rule;
mod time;
mod write;
mod xml;

use std::{collections::HashMap, sync::Arc};

pub use self::report::{Conversion, Counts, File, Line, Outcome};
#[doc(hidden)]
pub use self::xml::probe;
use self::{
    chain::Ruleset,
    rule::{Rule, Variables},
    xml::Element,
};

/// Most rules of one conversion.
const MAX_RULES: usize = 50_000;

/// What is converted: names and texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input<'a> {
    /// Rule files to convert.
    pub files: &'a [(&'a str, &'a str)],
    /// Rule files that are only read for the parents of those, such as Wazuh's own ruleset.
    pub parents: &'a [(&'a str, &'a str)],
    /// CDB lists in their text form, found by their path or file name.
    pub lists: &'a [(&'a str, &'a str)],
}

/// Converts rules. Each rule of `files` is in the report; so is each file that is no rule file.
pub fn convert(input: &Input<'_>) -> Conversion {
    let mut conversion = Conversion::default();
    let mut rules: Vec<Rule> = Vec::new();
    let mut by_id: HashMap<u32, usize> = HashMap::new();
    // Wazuh reads its own rules first, so that local ones can overwrite them.
    let files = input.parents.iter().map(|file| (file, true)).chain(input.files.iter().map(|file| (file, false)));
    for ((name, text), parent_only) in files {
        let file: Arc<str> = Arc::from(*name);
        let (found, wrong) = read_file(&file, text);
        for (line, reason) in wrong {
            conversion.report.push(Line::refused(&file, line, None, "", reason));
        }
        for mut rule in found {
            rule.parent_only = parent_only;
            match by_id.get(&rule.id) {
                Some(&at) if rule.overwrite => overwrite(&mut rules[at], rule),
                Some(&at) => {
                    let before = &rules[at];
                    let reason = format!("its id is already taken by {}:{}", before.file, before.line);
                    let line = Line::refused(&file, rule.line, Some(rule.id), &rule.description, reason);
                    conversion.report.push(line);
                }
                None if rules.len() == MAX_RULES => {
                    let reason = format!("more than {MAX_RULES} rules");
                    conversion.report.push(Line::refused(&file, rule.line, Some(rule.id), &rule.description, reason));
                }
                None => {
                    by_id.insert(rule.id, rules.len());
                    rules.push(rule);
                }
            }
        }
    }
    let ruleset = Ruleset::new(rules, input.lists);
    write::rules(&ruleset, &mut conversion);
    conversion
}

/// A rule in the place of one with its id. As in Wazuh, the parents of the first stay.
fn overwrite(before: &mut Rule, mut rule: Rule) {
    let linked = rule.has_parents() || rule.is_composite() && !before.is_composite();
    if linked && (rule.if_sid != before.if_sid || rule.if_group != before.if_group || rule.if_level != before.if_level)
    {
        rule.notes.push("an overwriting rule keeps the parents of the rule before; its own are left out".into());
    }
    rule.if_sid.clone_from(&before.if_sid);
    rule.if_group.clone_from(&before.if_group);
    rule.if_level = before.if_level;
    rule.matched_sid.clone_from(&before.matched_sid);
    rule.matched_group.clone_from(&before.matched_group);
    *before = rule;
}

/// The rules of a file and what is wrong with the rest of it.
fn read_file(file: &Arc<str>, text: &str) -> (Vec<Rule>, Vec<(u32, String)>) {
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    let top = match xml::read(text) {
        Ok(top) => top,
        Err((line, reason)) => return (rules, vec![(line, reason)]),
    };
    let mut variables = Variables::default();
    for element in top.iter().filter(|element| element.name == "var") {
        match element.attribute("name").map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => {
                let value = rule::expand(element.text.trim(), &variables);
                variables.values.insert(name.to_owned(), value);
            }
            None => wrong.push((element.line, "`<var>` has no name".into())),
        }
    }
    for element in top.iter().filter(|element| element.name != "var") {
        if element.name == "group" {
            group(file, element, &variables, &mut rules, &mut wrong);
        } else {
            wrong.push((element.line, format!("`<{}>` where a group of rules is expected", element.name)));
        }
    }
    if variables.exhausted() {
        let reason = format!("its variables make more than {} bytes of text", rule::MAX_EXPANSION);
        return (Vec::new(), vec![(0, reason)]);
    }
    (rules, wrong)
}

fn group(
    file: &Arc<str>,
    element: &Element,
    variables: &Variables,
    rules: &mut Vec<Rule>,
    wrong: &mut Vec<(u32, String)>,
) {
    let names = rule::expand(element.attribute("name").unwrap_or(""), variables);
    let names: Vec<String> =
        names.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    for child in &element.children {
        if child.name != "rule" {
            wrong.push((child.line, format!("`<{}>` where a rule is expected", child.name)));
            continue;
        }
        match rule::read(file, child, &names, variables) {
            Ok(rule) => rules.push(rule),
            Err(refused) => wrong.push(refused),
        }
    }
}
