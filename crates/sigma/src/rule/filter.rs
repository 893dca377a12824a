//! Filters: a condition that is put into many rules.

use std::sync::Arc;

use super::{
    Logsource, Part, Refused, Rule,
    correlation::{Member, members},
    document::{Head, at, detection, head, logsource},
};
use crate::yaml::{Node, Place, Problem, combined};

/// Most values of one filter.
const MAX_VALUES: usize = 10_000;
/// Most values that one filter may add to all rules together.
const MAX_ADDED: usize = 5_000_000;

/// A filter: its condition must hold, too, for the rules it names to match.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line its document begins at.
    pub line: u32,
    /// Its id; its title where it has none.
    pub id: String,
    /// Its title.
    pub title: Arc<str>,
    /// The rules it may be put into: those that read nothing beside this log.
    pub logsource: Logsource,
    fingerprint: u64,
    rules: Rules,
    part: Part,
    place: Place,
}

/// Which rules a filter names.
#[derive(Clone, Debug)]
enum Rules {
    /// Every rule of its log source.
    Any,
    These(Vec<Member>),
}

pub(super) fn read(file: &Arc<str>, node: &Node) -> Result<Filter, Problem> {
    let Head { reference, fingerprint, .. } = head(node)?;
    let Some(part) = node.get("filter") else { return Err(at(node, "filter", "`filter` is missing")) };
    let detection = detection(part, "filter", &["condition", "rules"])?;
    if detection.weight() > MAX_VALUES {
        return Err(Problem::new(part.place, format!("a filter over more than {MAX_VALUES} values")));
    }
    let Some(rules) = part.get("rules") else {
        return Err(Problem::new(part.place, "`rules` is missing: a list of ids or names, or `any`"));
    };
    let rules = match rules.text() {
        Some(text) if text.eq_ignore_ascii_case("any") => Rules::Any,
        _ => Rules::These(members(rules)?),
    };
    let title: Arc<str> = reference.title.into();
    Ok(Filter {
        file: file.clone(),
        line: node.place.line,
        id: reference.id,
        title: title.clone(),
        logsource: logsource(node)?,
        fingerprint,
        rules,
        part: Part::new(detection, Some(title))?,
        place: part.place,
    })
}

impl Filter {
    fn refused(&self, place: Place, reason: String) -> Refused {
        Refused {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            id: Some(self.id.clone()),
            title: Some(self.title.to_string()),
            reason,
        }
    }

    /// Puts it into the rules it names. What it names and cannot be put into is refused; the rest of it holds.
    pub(super) fn apply(&self, rules: &mut [Rule], refused: &mut Vec<Refused>) {
        let mut into = Vec::new();
        match &self.rules {
            Rules::Any => {
                into.extend((0..rules.len()).filter(|&at| self.logsource.covers(&rules[at].logsource)));
                if into.is_empty() {
                    refused.push(self.refused(self.place, format!("no loaded rule reads {}", self.logsource)));
                }
            }
            Rules::These(members) => {
                for member in members {
                    let found: Vec<usize> = (0..rules.len())
                        .filter(|&at| member.is(&rules[at].reference.id, rules[at].name.as_deref()))
                        .collect();
                    if found.is_empty() {
                        let reason = format!("no loaded rule has the id or name `{}`", member.name);
                        refused.push(self.refused(member.place, reason));
                    }
                    for at in found {
                        let rule = &rules[at];
                        if self.logsource.covers(&rule.logsource) {
                            into.push(at);
                        } else {
                            let reason = format!(
                                "rule `{}` reads {}, the filter is for {}",
                                member.name, rule.logsource, self.logsource
                            );
                            refused.push(self.refused(member.place, reason));
                        }
                    }
                }
                into.sort_unstable();
                into.dedup();
            }
        }
        if into.len().saturating_mul(self.part.detection.weight()) > MAX_ADDED {
            let reason = format!("it would add more than {MAX_ADDED} values to {} rules", into.len());
            return refused.push(self.refused(self.place, reason));
        }
        for at in into {
            rules[at].fingerprint = combined(rules[at].fingerprint, self.fingerprint);
            rules[at].filters.push(self.title.clone());
            rules[at].parts.push(self.part.clone());
        }
    }
}
