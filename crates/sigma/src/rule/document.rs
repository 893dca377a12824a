//! From a YAML document to a [`Rule`], a [`Correlation`] or a [`Filter`].

use std::sync::Arc;

use vedette_event::{Level, RuleRef};

use super::{
    Correlation, Detection, Filter, Logsource, Part, Refused, Rule, condition, correlation, filter,
    item::read_selection,
};
use crate::{
    check::Tree,
    yaml::{Node, Problem, Scalar},
};

/// Most selections of one rule.
const MAX_SELECTIONS: usize = 1_000;
/// Most checks of one rule, selections counted as often as the condition names them.
const MAX_CHECKS: usize = 200_000;

/// What a document is.
pub(super) enum Document {
    Rule(Rule),
    Correlation(Correlation),
    Filter(Filter),
}

/// Reads a document, or refuses it with all the names that can be read from it.
pub(super) fn read(file: &Arc<str>, node: &Node) -> Result<Document, Refused> {
    document(file, node).map_err(|problem| {
        let named = |key| node.get(key).and_then(Node::text);
        Refused {
            file: file.clone(),
            line: problem.place.line,
            column: problem.place.column,
            id: named("id"),
            title: named("title"),
            reason: problem.reason,
        }
    })
}

fn document(file: &Arc<str>, node: &Node) -> Result<Document, Problem> {
    if node.map().is_none() {
        return Err(Problem::new(node.place, format!("a rule is a map, not {}", node.kind())));
    }
    let kinds: Vec<&str> =
        ["detection", "correlation", "filter"].into_iter().filter(|kind| node.get(kind).is_some()).collect();
    if let [first, second, ..] = kinds.as_slice() {
        return Err(at(node, second, format!("a document is one thing; this one has `{first}` and `{second}`")));
    }
    if let Some(taxonomy) = node.get("taxonomy")
        && taxonomy.text().as_deref() != Some("sigma")
    {
        return Err(Problem::new(taxonomy.place, "a taxonomy other than `sigma` has no field mapping"));
    }
    if let Some(version) = node.get("sigma-version")
        && !version.text().is_some_and(|text| matches!(text.split('.').next(), Some("1" | "2")))
    {
        return Err(Problem::new(version.place, "only Sigma versions 1 and 2 are supported"));
    }
    match kinds.first() {
        Some(&"correlation") => correlation::read(file, node).map(Document::Correlation),
        Some(&"filter") => filter::read(file, node).map(Document::Filter),
        _ => rule(file, node).map(Document::Rule),
    }
}

/// What every document may say of itself.
pub(super) struct Head {
    pub(super) reference: RuleRef,
    pub(super) name: Option<String>,
    pub(super) status: Option<String>,
    pub(super) description: Option<String>,
    pub(super) false_positives: Vec<String>,
    pub(super) links: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) fingerprint: u64,
}

/// What a document asks; the rest is what it says of itself.
const ASKS: [&str; 4] = ["logsource", "detection", "correlation", "filter"];

pub(super) fn head(node: &Node) -> Result<Head, Problem> {
    let title = required_text(node, "title")?;
    let id = optional_text(node, "id")?.unwrap_or_else(|| title.clone());
    let level = match optional_text(node, "level")? {
        Some(level) => level.to_lowercase().parse().map_err(|reason: String| at(node, "level", reason))?,
        None => Level::Medium,
    };
    let tags = texts(node, "tags")?;
    Ok(Head {
        reference: RuleRef {
            id,
            title,
            level,
            author: optional_text(node, "author")?,
            techniques: techniques(&tags),
            tactics: tactics(&tags),
        },
        name: optional_text(node, "name")?.filter(|name| !name.is_empty()),
        status: optional_text(node, "status")?,
        description: optional_text(node, "description")?,
        false_positives: texts(node, "falsepositives")?,
        links: texts(node, "references")?,
        tags,
        fingerprint: node.fingerprint(&ASKS),
    })
}

fn rule(file: &Arc<str>, node: &Node) -> Result<Rule, Problem> {
    let Head { reference, name, status, description, false_positives, links, tags, fingerprint } = head(node)?;
    let Some(part) = node.get("detection") else {
        return Err(Problem::new(node.place, "`detection` is missing"));
    };
    let detection = detection(part, "detection", &["condition"])?;
    let own = Part::new(detection, None)?;
    Ok(Rule {
        file: file.clone(),
        line: node.place.line,
        reference,
        name,
        status,
        description,
        false_positives,
        links,
        tags,
        fingerprint,
        filters: Vec::new(),
        logsource: logsource(node)?,
        is_native: false,
        parts: vec![own],
    })
}

pub(super) fn at(node: &Node, key: &str, reason: impl Into<String>) -> Problem {
    Problem::new(node.get(key).map_or(node.place, |value| value.place), reason)
}

fn required_text(node: &Node, key: &str) -> Result<String, Problem> {
    match optional_text(node, key)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(at(node, key, format!("`{key}` is missing"))),
    }
}

fn optional_text(node: &Node, key: &str) -> Result<Option<String>, Problem> {
    match node.get(key) {
        None => Ok(None),
        Some(value) => match value.scalar() {
            Some(Scalar::Null) => Ok(None),
            Some(scalar) => Ok(Some(scalar.to_text())),
            None => Err(Problem::new(value.place, format!("`{key}` has {} where text is expected", value.kind()))),
        },
    }
}

fn texts(node: &Node, key: &str) -> Result<Vec<String>, Problem> {
    let Some(value) = node.get(key) else { return Ok(Vec::new()) };
    let text = |node: &Node| match node.scalar() {
        Some(scalar) => Ok(scalar.to_text()),
        None => Err(Problem::new(node.place, format!("`{key}` has {} where text is expected", node.kind()))),
    };
    let texts: Vec<String> = value.one_or_many().iter().map(text).collect::<Result<_, _>>()?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

/// `attack.t1059.001` → `T1059.001`
fn techniques(tags: &[String]) -> Vec<String> {
    let ids = tags.iter().filter_map(|tag| attack(tag)).filter(|name| is_attack_id(name, 't'));
    ids.map(|name| name.to_uppercase()).collect()
}

/// `attack.credential_access` → `credential-access`
fn tactics(tags: &[String]) -> Vec<String> {
    let names = tags.iter().filter_map(|tag| attack(tag));
    let tactics = names.filter(|name| !['t', 'g', 's', 'c', 'm'].into_iter().any(|kind| is_attack_id(name, kind)));
    tactics.filter(|name| !name.starts_with("ta0")).map(|name| name.replace('_', "-")).collect()
}

fn attack(tag: &str) -> Option<String> {
    tag.to_lowercase().strip_prefix("attack.").map(str::to_owned)
}

/// `t1059`, `t1059.001`, `g0007`
fn is_attack_id(name: &str, kind: char) -> bool {
    name.strip_prefix(kind).is_some_and(|digits| {
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

pub(super) fn logsource(node: &Node) -> Result<Logsource, Problem> {
    let Some(source) = node.get("logsource") else {
        return Err(Problem::new(node.place, "`logsource` is missing"));
    };
    read_logsource(source, &["definition"])
}

/// Reads a logsource, which may have these further keys.
pub(crate) fn read_logsource(node: &Node, further: &[&str]) -> Result<Logsource, Problem> {
    let Some(entries) = node.map() else {
        return Err(Problem::new(node.place, format!("`logsource` has {} where a map is expected", node.kind())));
    };
    // A key that narrows the log in a way we do not understand must not be passed over.
    if let Some((key, _)) = entries.iter().find(|(key, _)| {
        !["product", "category", "service"].contains(&key.text.as_str()) && !further.contains(&key.text.as_str())
    }) {
        return Err(Problem::new(key.place, format!("unknown key `{}` in `logsource`", key.text)));
    }
    let part = |key| optional_text(node, key).map(|text| text.map(|text| text.to_lowercase()));
    let logsource = Logsource { product: part("product")?, category: part("category")?, service: part("service")? };
    if logsource == Logsource::default() {
        return Err(Problem::new(node.place, "`logsource` names no product, category or service"));
    }
    Ok(logsource)
}

/// Reads selections and their condition; `keys` are those of the map that name no selection.
pub(super) fn detection(part: &Node, what: &str, keys: &[&str]) -> Result<Detection, Problem> {
    let Some(entries) = part.map() else {
        return Err(Problem::new(part.place, format!("`{what}` has {} where a map is expected", part.kind())));
    };
    if let Some(timeframe) = part.get("timeframe") {
        return Err(Problem::new(timeframe.place, "`timeframe` is not supported; write a correlation rule"));
    }
    let Some(conditions) = part.get("condition") else {
        return Err(Problem::new(part.place, "`condition` is missing"));
    };
    let mut selections = Vec::new();
    for (key, value) in entries.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
        selections.push((key.text.clone(), read_selection(value)?));
    }
    if selections.len() > MAX_SELECTIONS {
        return Err(Problem::new(part.place, format!("more than {MAX_SELECTIONS} selections")));
    }
    let names: Vec<&str> = selections.iter().map(|(name, _)| name.as_str()).collect();
    let (mut alternatives, mut written) = (Vec::new(), Vec::new());
    for node in conditions.one_or_many() {
        let Some(text) = node.text() else {
            return Err(Problem::new(node.place, format!("`condition` has {} where text is expected", node.kind())));
        };
        alternatives.push(condition::read(&text, &names, node.place)?);
        written.push(text.into());
    }
    if alternatives.is_empty() {
        return Err(Problem::new(conditions.place, "`condition` is empty"));
    }
    let detection = Detection { selections, condition: Tree::any(alternatives), written };
    if detection.weight() > MAX_CHECKS {
        return Err(Problem::new(conditions.place, format!("a condition over more than {MAX_CHECKS} values")));
    }
    Ok(detection)
}

impl Detection {
    /// How many values the condition is over, selections counted as often as it names them.
    pub(super) fn weight(&self) -> usize {
        let values =
            |(_, selection): &(String, super::Selection)| selection.items().map(|item| item.values.len()).sum();
        weight(&self.condition, &self.selections.iter().map(values).collect::<Vec<_>>())
    }
}

fn weight(condition: &Tree<usize>, sizes: &[usize]) -> usize {
    match condition {
        Tree::Leaf(selection) => sizes[*selection],
        Tree::Not(child) => weight(child, sizes),
        Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => {
            children.iter().map(|child| weight(child, sizes)).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_techniques_and_tactics() {
        let tags = [
            "attack.t1059.001",
            "attack.credential_access",
            "attack.g0007",
            "cve.2021-1",
            "attack.s0002",
            "attack.command-and-control",
        ]
        .map(String::from);
        assert_eq!(techniques(&tags), ["T1059.001"]);
        assert_eq!(tactics(&tags), ["credential-access", "command-and-control"]);
    }
}
