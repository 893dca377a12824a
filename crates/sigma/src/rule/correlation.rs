//! Correlation rules: what several matches in a time span mean together.

use std::sync::Arc;

use vedette_event::RuleRef;

use super::{
    condition,
    document::{Head, at, head},
};
use crate::{
    check::Tree,
    yaml::{Data, Node, Place, Problem, Scalar},
};

/// Most rules of one correlation: the steps of `temporal` are a bit each.
const MAX_MEMBERS: usize = 64;
/// Most fields of `group-by`, and of a counted tuple.
const MAX_FIELDS: usize = 16;
/// Highest threshold of a count: a group keeps as many times.
const MAX_COUNT: f64 = 1_000_000.0;
/// Highest threshold of distinct values: a group keeps each.
const MAX_DISTINCT: f64 = 100_000.0;
/// Longest time span in seconds: ten years.
const MAX_SECONDS: i64 = 3650 * 86_400;

/// A correlation rule that was read and understood.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line its document begins at.
    pub line: u32,
    /// Id, title, level, author and ATT&CK references, as findings carry them.
    pub reference: RuleRef,
    /// What correlations may call it beside its id.
    pub name: Option<String>,
    /// `stable`, `test`, `experimental` …
    pub status: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// What else could look like it.
    pub false_positives: Vec<String>,
    /// Further reading.
    pub links: Vec<String>,
    /// All its tags.
    pub tags: Vec<String>,
    /// A number for what it asks; once it is linked, with what the rules ask that it is made of.
    pub fingerprint: u64,
    /// Whether the rules it is made of make findings of their own beside its.
    pub generate: bool,
    pub(crate) kind: Kind,
    pub(crate) members: Vec<Member>,
    pub(crate) group_by: Vec<String>,
    /// Microseconds.
    pub(crate) timespan: i64,
    pub(crate) aliases: Vec<Alias>,
    /// Pipelines leave it as it is: it names fields as events do.
    pub(crate) is_native: bool,
}

impl Correlation {
    /// The ids of the rules and correlations it is made of.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.id.as_str())
    }
}

/// A rule or correlation that another document names.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) place: Place,
    /// As it is named there: by id or name.
    pub(crate) name: String,
    /// Its id, once it is linked.
    pub(crate) id: String,
}

impl Member {
    pub(super) fn is(&self, id: &str, name: Option<&str>) -> bool {
        self.name == id || Some(self.name.as_str()) == name
    }
}

/// What a named rule was found to be: a place in the list of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resolved {
    Rule(usize),
    Correlation(usize),
}

/// One name for fields that rules call differently.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    /// For a member, by its number: what the field is called in its events.
    pub(crate) fields: Vec<(usize, String)>,
}

/// What is computed of the matches in a time span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    EventCount(Bounds),
    ValueCount {
        fields: Vec<String>,
        bounds: Bounds,
    },
    Sum {
        field: String,
        bounds: Bounds,
    },
    Average {
        field: String,
        bounds: Bounds,
    },
    Percentile {
        field: String,
        percent: f64,
        bounds: Bounds,
    },
    /// How many of the members were seen.
    Seen(Bounds),
    /// Which of the members were seen.
    Boolean(Tree<usize>),
    /// These members one after another, and none of those.
    Ordered {
        steps: Vec<usize>,
        never: Vec<usize>,
    },
}

/// A comparison with a number, or two: a range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds(Vec<(Op, f64)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

impl Bounds {
    pub(crate) fn hold(&self, value: f64) -> bool {
        self.0.iter().all(|(op, bound)| match op {
            Op::Greater => value > *bound,
            Op::GreaterOrEqual => value >= *bound,
            Op::Less => value < *bound,
            Op::LessOrEqual => value <= *bound,
            Op::Equal => value == *bound,
            Op::NotEqual => value != *bound,
        })
    }

    /// True if a greater value can only hold better.
    pub(crate) fn only_from_below(&self) -> bool {
        self.0.iter().all(|(op, _)| matches!(op, Op::Greater | Op::GreaterOrEqual))
    }

    /// The least whole number from 1 on that holds, for bounds only from below.
    pub(crate) fn least(&self) -> usize {
        let least = self.0.iter().map(|(op, bound)| match op {
            Op::Greater => bound.floor() + 1.0,
            _ => bound.ceil(),
        });
        least.fold(1.0, f64::max) as usize
    }

    /// The highest number that is compared with: beyond it nothing changes.
    pub(crate) fn highest(&self) -> f64 {
        self.0.iter().map(|(_, bound)| *bound).fold(0.0, f64::max)
    }

    /// Whether a whole number from 1 to `most` holds, or one beyond all bounds.
    fn possible(&self, most: Option<usize>) -> bool {
        let highest = self.highest().min(2.0 * MAX_COUNT) as usize + 1;
        (1..=most.unwrap_or(highest).min(highest)).any(|count| self.hold(count as f64))
    }
}

pub(super) fn read(file: &Arc<str>, node: &Node) -> Result<Correlation, Problem> {
    let Head { reference, name, status, description, false_positives, links, tags, fingerprint } = head(node)?;
    let Some(part) = node.get("correlation") else {
        return Err(Problem::new(node.place, "`correlation` is missing"));
    };
    let Some(entries) = part.map() else {
        return Err(Problem::new(part.place, format!("`correlation` has {} where a map is expected", part.kind())));
    };
    const KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
    if let Some((key, _)) = entries.iter().find(|(key, _)| !KEYS.contains(&key.text.as_str())) {
        let reason = format!("unknown key `{}` in `correlation`; there are: {}", key.text, KEYS.join(", "));
        return Err(Problem::new(key.place, reason));
    }
    let (kind, members) = kind(part)?;
    let group_by = match part.get("group-by") {
        None => Vec::new(),
        Some(node) => fields(node, "group-by")?,
    };
    let aliases = aliases(part, &members)?;
    check_aliases(part, &aliases, &group_by, &kind, &members)?;
    Ok(Correlation {
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
        generate: generate(node)? | generate(part)?,
        kind,
        members,
        group_by,
        timespan: timespan(part)?,
        aliases,
        is_native: false,
    })
}

/// Reads a list of rules' ids or names.
pub(super) fn members(node: &Node) -> Result<Vec<Member>, Problem> {
    let mut members: Vec<Member> = Vec::new();
    for node in node.one_or_many() {
        let Some(name) = node.text().filter(|name| !name.is_empty()) else {
            return Err(Problem::new(node.place, format!("{} where a rule's id or name is expected", node.kind())));
        };
        if members.iter().any(|known| known.name == name) {
            return Err(Problem::new(node.place, format!("`{name}` is named twice")));
        }
        members.push(Member { place: node.place, id: name.clone(), name });
    }
    if members.is_empty() {
        return Err(Problem::new(node.place, "`rules` names no rule"));
    }
    Ok(members)
}

fn kind(part: &Node) -> Result<(Kind, Vec<Member>), Problem> {
    let Some(name) = part.get("type").and_then(Node::text) else {
        return Err(at(part, "type", "`type` is missing"));
    };
    let temporal = matches!(name.as_str(), "temporal" | "temporal_ordered");
    let condition = part.get("condition");
    let expression = condition.filter(|_| temporal).and_then(|node| Some((node, node.text()?)));
    let members = match (part.get("rules"), &expression) {
        (Some(rules), _) => members(rules)?,
        (None, Some((node, text))) => named(node, text),
        (None, None) => return Err(Problem::new(part.place, "`rules` is missing")),
    };
    if members.len() > MAX_MEMBERS {
        return Err(at(part, "rules", format!("more than {MAX_MEMBERS} rules in one correlation")));
    }
    if temporal {
        let kind = match expression {
            Some((node, text)) => boolean(node, &text, &members, name == "temporal_ordered")?,
            None => seen(part, condition, members.len(), name == "temporal_ordered")?,
        };
        return Ok((kind, members));
    }
    let Some(condition) = condition else { return Err(Problem::new(part.place, "`condition` is missing")) };
    let counted = match name.as_str() {
        "event_count" => &[][..],
        "value_percentile" => &["field", "percentile"],
        "value_count" | "value_sum" | "value_avg" | "value_median" => &["field"],
        _ => {
            let reason = format!(
                "unknown type `{name}`; there are: event_count, value_count, temporal, temporal_ordered, value_sum, \
                 value_avg, value_percentile, value_median"
            );
            return Err(at(part, "type", reason));
        }
    };
    let whole = matches!(name.as_str(), "event_count" | "value_count");
    let bounds = bounds(condition, counted, &name, whole)?;
    let wrong = |reason: String| Problem::new(condition.place, reason);
    let most = if name == "value_count" { MAX_DISTINCT } else { MAX_COUNT };
    if whole && bounds.highest() > most {
        return Err(wrong(format!("a threshold above {most}")));
    }
    if whole && !bounds.possible(None) {
        return Err(wrong("it can never hold: a window begins with a match, so that its count is 1 at least".into()));
    }
    let field = || match condition.get("field") {
        Some(node) => fields(node, "field"),
        None => Err(Problem::new(condition.place, format!("`field` is missing: `{name}` counts the values of one"))),
    };
    let one = || {
        let mut all = field()?;
        match all.len() {
            1 => Ok(all.remove(0)),
            _ => Err(at(condition, "field", format!("`{name}` takes one field"))),
        }
    };
    let kind = match name.as_str() {
        "event_count" => Kind::EventCount(bounds),
        "value_count" => Kind::ValueCount { fields: field()?, bounds },
        "value_sum" => Kind::Sum { field: one()?, bounds },
        "value_avg" => Kind::Average { field: one()?, bounds },
        "value_median" => Kind::Percentile { field: one()?, percent: 50.0, bounds },
        _ => Kind::Percentile { field: one()?, percent: percentile(condition)?, bounds },
    };
    Ok((kind, members))
}

fn percentile(condition: &Node) -> Result<f64, Problem> {
    let Some(node) = condition.get("percentile") else {
        return Err(Problem::new(condition.place, "`percentile` is missing: which one, from 0 to 100"));
    };
    match number(node) {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(Problem::new(node.place, "`percentile` is a number from 0 to 100")),
    }
}

fn number(node: &Node) -> Option<f64> {
    match node.scalar()? {
        Scalar::Int(int) => Some(*int as f64),
        Scalar::Float(float) => Some(*float).filter(|float| float.is_finite()),
        _ => None,
    }
}

/// The condition as a map: `{gte: 10}`, `{gt: 100, lte: 200}`, with these further keys.
fn bounds(node: &Node, further: &[&str], kind: &str, whole: bool) -> Result<Bounds, Problem> {
    let Some(entries) = node.map() else {
        return Err(Problem::new(node.place, format!("`condition` of `{kind}` is a map, for example {{gte: 10}}")));
    };
    let mut bounds = Vec::new();
    for (key, value) in entries {
        let op = match key.text.as_str() {
            "gt" => Op::Greater,
            "gte" => Op::GreaterOrEqual,
            "lt" => Op::Less,
            "lte" => Op::LessOrEqual,
            "eq" => Op::Equal,
            "neq" => Op::NotEqual,
            other if further.contains(&other) => continue,
            other => {
                return Err(Problem::new(key.place, format!("unknown key `{other}` in `condition` of `{kind}`")));
            }
        };
        let number = number(value).filter(|number| !whole || (number.fract() == 0.0 && *number >= 0.0));
        let Some(number) = number else {
            let what = if whole { "a whole number from 0 on" } else { "a number" };
            return Err(Problem::new(value.place, format!("`{}` takes {what}", key.text)));
        };
        bounds.push((op, number));
    }
    match bounds.len() {
        0 => Err(Problem::new(node.place, "`condition` compares with nothing: gt, gte, lt, lte, eq or neq is missing")),
        1 | 2 => Ok(Bounds(bounds)),
        _ => Err(Problem::new(node.place, "`condition` takes one comparison, or two for a range")),
    }
}

/// `temporal` without an expression: how many of the rules were seen; all, if nothing is said.
fn seen(part: &Node, condition: Option<&Node>, members: usize, ordered: bool) -> Result<Kind, Problem> {
    let bounds = match condition {
        Some(node) => bounds(node, &[], "temporal", true)?,
        None => Bounds(vec![(Op::GreaterOrEqual, members as f64)]),
    };
    if !bounds.possible(Some(members)) {
        let reason = format!("it can never hold: from 1 to {members} of its {members} rules are seen");
        return Err(at(part, "condition", reason));
    }
    if !ordered {
        return Ok(Kind::Seen(bounds));
    }
    let all_only = bounds.hold(members as f64) && !(1..members).any(|count| bounds.hold(count as f64));
    match all_only {
        true => Ok(Kind::Ordered { steps: (0..members).collect(), never: Vec::new() }),
        false => Err(at(
            part,
            "condition",
            format!("an order is only defined for all {members} rules; leave `condition` out or ask for {members}"),
        )),
    }
}

/// The words of an expression that are no operators.
fn operands(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    words.filter(|word| !matches!(word.to_ascii_lowercase().as_str(), "" | "and" | "or" | "not"))
}

/// The rules that an expression names, where no list does.
fn named(node: &Node, text: &str) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for name in operands(text) {
        if !members.iter().any(|known| known.name == name) {
            members.push(Member { place: node.place, name: name.to_owned(), id: name.to_owned() });
        }
    }
    members
}

fn boolean(node: &Node, text: &str, members: &[Member], ordered: bool) -> Result<Kind, Problem> {
    let wrong = |reason: String| Problem::new(node.place, format!("condition: {reason}"));
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    if let Some(word) = operands(text).find(|word| !names.contains(word)) {
        return Err(wrong(format!("`{word}` is not one of its rules: {}", names.join(", "))));
    }
    if let Some(name) = names.iter().find(|name| !operands(text).any(|word| word == **name)) {
        return Err(wrong(format!("says nothing of the rule `{name}`")));
    }
    let tree = condition::read(text, &names, node.place)?;
    if tree.eval(&mut |_| false) {
        return Err(wrong("holds where nothing was seen; a window begins with a match of a rule without `not`".into()));
    }
    if !ordered {
        return Ok(Kind::Boolean(tree));
    }
    let (mut steps, mut never) = (Vec::new(), Vec::new());
    conjuncts(&tree, &mut steps, &mut never)
        .ok_or_else(|| wrong("an order is only defined for rules joined with `and`, and rules with `not`".into()))?;
    // The order is that of the list.
    steps.sort_unstable();
    steps.dedup();
    if let Some(both) = never.iter().find(|rule| steps.contains(rule)) {
        return Err(wrong(format!("can never hold: it wants `{}` and does not", names[*both])));
    }
    Ok(Kind::Ordered { steps, never })
}

/// The terms of a conjunction, with and without `not`; none if it is none.
fn conjuncts(tree: &Tree<usize>, steps: &mut Vec<usize>, never: &mut Vec<usize>) -> Option<()> {
    match tree {
        Tree::Leaf(member) => steps.push(*member),
        Tree::All(children) => children.iter().try_for_each(|child| conjuncts(child, steps, never))?,
        Tree::Not(child) => match &**child {
            Tree::Leaf(member) => never.push(*member),
            Tree::Not(inner) => conjuncts(inner, steps, never)?,
            Tree::Any(children) => {
                children.iter().try_for_each(|child| conjuncts(&child.clone().not(), steps, never))?;
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(())
}

fn fields(node: &Node, key: &str) -> Result<Vec<String>, Problem> {
    let mut fields: Vec<String> = Vec::new();
    for node in node.one_or_many() {
        let Some(field) = node.text().filter(|field| !field.is_empty()) else {
            return Err(Problem::new(node.place, format!("`{key}` has {} where a field is expected", node.kind())));
        };
        if fields.contains(&field) {
            return Err(Problem::new(node.place, format!("`{key}` names `{field}` twice")));
        }
        fields.push(field);
    }
    match fields.len() {
        0 => Err(Problem::new(node.place, format!("`{key}` names no field"))),
        1..=MAX_FIELDS => Ok(fields),
        _ => Err(Problem::new(node.place, format!("`{key}` names more than {MAX_FIELDS} fields"))),
    }
}

fn timespan(part: &Node) -> Result<i64, Problem> {
    let Some(node) = part.get("timespan") else { return Err(Problem::new(part.place, "`timespan` is missing")) };
    let text = node.text().unwrap_or_default();
    let wrong = || {
        let reason = format!("`{text}` is not a time span: a number and one of s, m, h, d, w, M, for example 90m");
        Problem::new(node.place, reason)
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        // A twelfth of a Gregorian year, as pySigma has it.
        'M' => 2_629_746,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    match count.checked_mul(seconds) {
        Some(0) => Err(Problem::new(node.place, "a time span of nothing")),
        Some(seconds) if seconds <= MAX_SECONDS => Ok(seconds * 1_000_000),
        _ => Err(Problem::new(node.place, "a time span of more than ten years")),
    }
}

fn generate(node: &Node) -> Result<bool, Problem> {
    match node.get("generate").map(|value| (value.place, value.scalar())) {
        None | Some((_, Some(Scalar::Null))) => Ok(false),
        Some((_, Some(Scalar::Bool(generate)))) => Ok(*generate),
        Some((place, _)) => Err(Problem::new(place, "`generate` takes true or false")),
    }
}

fn aliases(part: &Node, members: &[Member]) -> Result<Vec<Alias>, Problem> {
    let Some(node) = part.get("aliases") else { return Ok(Vec::new()) };
    let map = |node: &Node, what: &str| match &node.data {
        Data::Map(entries) => Ok(entries.clone()),
        _ => Err(Problem::new(node.place, format!("`{what}` has {} where a map is expected", node.kind()))),
    };
    let mut aliases = Vec::new();
    for (name, node) in map(node, "aliases")? {
        let mut fields = Vec::new();
        for (rule, field) in map(&node, &name.text)? {
            let Some(member) = members.iter().position(|member| member.name == rule.text) else {
                let reason = format!("`{}` is not one of its rules, as `rules` names them", rule.text);
                return Err(Problem::new(rule.place, reason));
            };
            let Some(text) = field.text().filter(|text| !text.is_empty()) else {
                return Err(Problem::new(field.place, format!("{} where a field is expected", field.kind())));
            };
            fields.push((member, text));
        }
        aliases.push(Alias { name: name.text.clone(), fields });
    }
    Ok(aliases)
}

/// An alias must be used, and say for every rule what it is called there.
fn check_aliases(
    part: &Node,
    aliases: &[Alias],
    group_by: &[String],
    kind: &Kind,
    members: &[Member],
) -> Result<(), Problem> {
    let counted = match kind {
        Kind::ValueCount { fields, .. } => fields.as_slice(),
        Kind::Sum { field, .. } | Kind::Average { field, .. } | Kind::Percentile { field, .. } => {
            std::slice::from_ref(field)
        }
        _ => &[],
    };
    for alias in aliases {
        if !group_by.contains(&alias.name) && !counted.contains(&alias.name) {
            let reason = format!("nothing is grouped by or computed of the alias `{}`", alias.name);
            return Err(at(part, "aliases", reason));
        }
        let missing = (0..members.len()).find(|member| !alias.fields.iter().any(|(known, _)| known == member));
        if let Some(member) = missing {
            let reason = format!("the alias `{}` has no field for the rule `{}`", alias.name, members[member].name);
            return Err(at(part, "aliases", reason));
        }
    }
    Ok(())
}
