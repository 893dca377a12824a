//! From YAML to steps.

use std::{collections::HashMap, sync::Arc};

use regex::Regex;

use super::{
    Step,
    condition::{Compare, Conditions, OfField, OfItem, OfRule, OfValue, Quantity, State},
    transform,
};
use crate::{
    check::Tree,
    rule::{Logsource, read_condition},
    yaml::{Data, Node, Problem, Scalar},
};

/// Most steps of a pipeline, those within others counted too.
const MAX_STEPS: usize = 10_000;
/// Largest compiled regular expression.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// One file's pipeline.
pub(super) struct Pipeline {
    pub(super) priority: i64,
    pub(super) steps: Vec<Step>,
    pub(super) vars: HashMap<String, Vec<String>>,
    pub(super) vars_fingerprint: u64,
}

pub(super) fn pipeline(file: &Arc<str>, node: &Node) -> Result<Pipeline, Problem> {
    const KEYS: [&str; 5] = ["name", "priority", "vars", "transformations", "allowed_backends"];
    let Some(entries) = node.map() else {
        return Err(Problem::new(node.place, format!("a pipeline is a map, not {}", node.kind())));
    };
    let mut pipeline = Pipeline { priority: 0, steps: Vec::new(), vars: HashMap::new(), vars_fingerprint: 0 };
    for (key, value) in entries {
        match key.text.as_str() {
            "name" | "allowed_backends" => {}
            "priority" => match value.scalar() {
                Some(Scalar::Int(priority)) => pipeline.priority = *priority,
                _ => return Err(Problem::new(value.place, "`priority` is a whole number")),
            },
            "vars" => {
                pipeline.vars_fingerprint = value.whole_fingerprint();
                for (name, values) in entries_of(value, "vars")? {
                    pipeline.vars.insert(name.text.clone(), texts(values, &name.text)?);
                }
            }
            "transformations" => pipeline.steps = steps(file, value, &mut 0)?,
            "postprocessing" | "finalizers" => {
                let reason =
                    format!("`{}` is about the text of queries; rules are run here, not turned into text", key.text);
                return Err(Problem::new(key.place, reason));
            }
            other => {
                let reason = format!("unknown key `{other}`; there are: {}", KEYS.join(", "));
                return Err(Problem::new(key.place, reason));
            }
        }
    }
    Ok(pipeline)
}

pub(super) fn steps(file: &Arc<str>, node: &Node, count: &mut usize) -> Result<Vec<Step>, Problem> {
    let Data::List(nodes) = &node.data else {
        return Err(Problem::new(node.place, format!("{} where a list of transformations is expected", node.kind())));
    };
    *count += nodes.len();
    if *count > MAX_STEPS {
        return Err(Problem::new(node.place, format!("more than {MAX_STEPS} transformations")));
    }
    nodes.iter().map(|node| step(file, node, count)).collect()
}

fn step(file: &Arc<str>, node: &Node, count: &mut usize) -> Result<Step, Problem> {
    entries_of(node, "transformation")?;
    let when = Conditions {
        rule: conditions(node, "rule", of_rule)?,
        item: conditions(node, "detection_item", of_item)?,
        field: conditions(node, "field_name", of_field)?,
    };
    Ok(Step {
        file: file.clone(),
        line: node.place.line,
        id: node.get("id").and_then(Node::text),
        when,
        transformation: transform::read(file, node, count)?,
        fingerprint: node.whole_fingerprint(),
    })
}

/// Keys of a step that say when it is for something.
pub(super) fn is_condition_key(key: &str) -> bool {
    ["rule", "detection_item", "field_name"].iter().any(|kind| {
        key.strip_prefix(kind)
            .is_some_and(|rest| matches!(rest, "_conditions" | "_cond_op" | "_cond_expr" | "_cond_not"))
    })
}

/// The conditions of one kind: a list with an operator, or named ones with an expression.
fn conditions<T: Clone>(
    node: &Node,
    kind: &str,
    read: impl Fn(&Node, &Parameters<'_>) -> Result<Tree<T>, Problem>,
) -> Result<Option<Tree<T>>, Problem> {
    let part = |suffix: &str| node.get(&format!("{kind}_{suffix}"));
    let Some(list) = part("conditions") else { return Ok(None) };
    let one = |node: &Node| {
        let parameters = Parameters::of(node)?;
        let tree = read(node, &parameters)?;
        parameters.finish()?;
        Ok::<_, Problem>(tree)
    };
    let (names, trees): (Vec<&str>, Vec<Tree<T>>) = match &list.data {
        Data::List(nodes) => (Vec::new(), nodes.iter().map(one).collect::<Result<_, _>>()?),
        Data::Map(entries) => {
            let trees = entries.iter().map(|(_, node)| one(node)).collect::<Result<_, _>>()?;
            (entries.iter().map(|(key, _)| key.text.as_str()).collect(), trees)
        }
        Data::Scalar(_) => {
            return Err(Problem::new(
                list.place,
                format!("`{kind}_conditions` is a list, or a map of named conditions"),
            ));
        }
    };
    if trees.is_empty() {
        return Ok(None);
    }
    let tree = match (part("cond_expr"), part("cond_op")) {
        (Some(expression), Some(_)) => {
            let reason = format!("`{kind}_cond_expr` and `{kind}_cond_op` exclude each other");
            return Err(Problem::new(expression.place, reason));
        }
        (Some(expression), None) => {
            let text = expression.text().unwrap_or_default();
            let read = read_condition(&text, &names, expression.place)?;
            let mut used = vec![false; names.len()];
            read.each(&mut |at: &usize| used[*at] = true);
            if let Some(at) = used.iter().position(|used| !used) {
                let reason = format!("`{kind}_cond_expr` says nothing of the condition `{}`", names[at]);
                return Err(Problem::new(expression.place, reason));
            }
            substitute(&read, &trees)
        }
        (None, operator) => match operator.and_then(Node::text).as_deref() {
            None | Some("and") => Tree::all(trees),
            Some("or") => Tree::any(trees),
            Some(other) => {
                return Err(Problem::new(list.place, format!("`{kind}_cond_op` is `and` or `or`, not `{other}`")));
            }
        },
    };
    match part("cond_not").map(|node| (node.place, node.scalar())) {
        None | Some((_, Some(Scalar::Bool(false)))) => Ok(Some(tree)),
        Some((_, Some(Scalar::Bool(true)))) => Ok(Some(tree.not())),
        Some((place, _)) => Err(Problem::new(place, format!("`{kind}_cond_not` is true or false"))),
    }
}

fn substitute<T: Clone>(tree: &Tree<usize>, leaves: &[Tree<T>]) -> Tree<T> {
    let each = |children: &[Tree<usize>]| children.iter().map(|child| substitute(child, leaves)).collect();
    match tree {
        Tree::Leaf(at) => leaves[*at].clone(),
        Tree::All(children) => Tree::All(each(children)),
        Tree::Any(children) => Tree::Any(each(children)),
        Tree::AtLeast(least, children) => Tree::AtLeast(*least, each(children)),
        Tree::Not(child) => substitute(child, leaves).not(),
    }
}

/// The parameters of a condition or transformation; one that nobody asks for is refused.
pub(super) struct Parameters<'a> {
    node: &'a Node,
    pub(super) kind: String,
    asked: std::cell::RefCell<Vec<&'static str>>,
}

impl<'a> Parameters<'a> {
    pub(super) fn of(node: &'a Node) -> Result<Self, Problem> {
        entries_of(node, "condition")?;
        match node.get("type").and_then(Node::text) {
            Some(kind) => Ok(Parameters { node, kind, asked: vec!["type"].into() }),
            None => Err(Problem::new(node.place, "`type` is missing")),
        }
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(name);
        self.node.get(name)
    }

    pub(super) fn wrong(&self, reason: impl std::fmt::Display) -> Problem {
        Problem::new(self.node.place, format!("`{}`: {reason}", self.kind))
    }

    pub(super) fn node(&self, name: &'static str) -> Result<&'a Node, Problem> {
        self.get(name).ok_or_else(|| self.wrong(format!("`{name}` is missing")))
    }

    pub(super) fn optional(&self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(node) => match node.scalar() {
                Some(Scalar::Null) => Ok(None),
                Some(scalar) => Ok(Some(scalar.to_text())),
                None => Err(Problem::new(node.place, format!("`{name}` has {} where text is expected", node.kind()))),
            },
        }
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, Problem> {
        self.optional(name)?.ok_or_else(|| self.wrong(format!("`{name}` is missing")))
    }

    pub(super) fn scalar(&self, name: &'static str) -> Result<Scalar, Problem> {
        let node = self.node(name)?;
        let wrong = || Problem::new(node.place, format!("`{name}` has {} where a value is expected", node.kind()));
        node.scalar().cloned().ok_or_else(wrong)
    }

    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<String>, Problem> {
        texts(self.node(name)?, name)
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Problem> {
        match self.get(name).map(|node| (node.place, node.scalar())) {
            None => Ok(false),
            Some((_, Some(Scalar::Bool(flag)))) => Ok(*flag),
            Some((place, _)) => Err(Problem::new(place, format!("`{name}` is true or false"))),
        }
    }

    pub(super) fn regex(&self, name: &'static str) -> Result<Regex, Problem> {
        let node = self.node(name)?;
        regex(node, &node.text().unwrap_or_default())
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        let asked = self.asked.borrow();
        let further = |key: &str| key == "id" || is_condition_key(key);
        let unknown = self
            .node
            .map()
            .unwrap_or_default()
            .iter()
            .find(|(key, _)| !asked.contains(&key.text.as_str()) && !further(&key.text));
        match unknown {
            Some((key, _)) => {
                Err(Problem::new(key.place, format!("unknown parameter `{}` of `{}`", key.text, self.kind)))
            }
            None => Ok(()),
        }
    }
}

pub(super) fn regex(node: &Node, text: &str) -> Result<Regex, Problem> {
    let built = regex::RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).nest_limit(64).build();
    built.map_err(|error| {
        let text = error.to_string();
        let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("invalid").trim();
        Problem::new(node.place, format!("regular expression: {}", line.strip_prefix("error: ").unwrap_or(line)))
    })
}

pub(super) fn entries_of<'a>(node: &'a Node, what: &str) -> Result<&'a [(crate::yaml::Key, Node)], Problem> {
    node.map().ok_or_else(|| Problem::new(node.place, format!("`{what}` has {} where a map is expected", node.kind())))
}

pub(super) fn texts(node: &Node, what: &str) -> Result<Vec<String>, Problem> {
    let text = |node: &Node| match node.scalar() {
        Some(scalar) => Ok(scalar.to_text()),
        None => Err(Problem::new(node.place, format!("`{what}` has {} where text is expected", node.kind()))),
    };
    node.one_or_many().iter().map(text).collect()
}

fn compare(parameters: &Parameters<'_>, lists: bool) -> Result<Compare, Problem> {
    let name = parameters.optional("op")?.unwrap_or_else(|| "eq".into());
    let compare = Compare::named(&name).filter(|compare| lists || !matches!(compare, Compare::In | Compare::NotIn));
    compare.ok_or_else(|| parameters.wrong(format!("unknown operator `{name}`")))
}

fn state(parameters: &Parameters<'_>) -> Result<State, Problem> {
    Ok(State { key: parameters.text("key")?, compare: compare(parameters, false)?, value: parameters.scalar("val")? })
}

fn of_rule(_: &Node, parameters: &Parameters<'_>) -> Result<Tree<OfRule>, Problem> {
    const ATTRIBUTES: [&str; 10] =
        ["title", "id", "name", "status", "description", "author", "level", "tags", "references", "falsepositives"];
    const NOT_KEPT: [&str; 6] = ["date", "modified", "license", "fields", "taxonomy", "related"];
    Ok(Tree::Leaf(match parameters.kind.as_str() {
        "logsource" => OfRule::Logsource(logsource(parameters)?),
        "contains_field" => OfRule::ContainsField(parameters.text("field")?),
        "contains_detection_item" => OfRule::ContainsItem(parameters.text("field")?, parameters.scalar("value")?),
        "processing_item_applied" => OfRule::Applied(parameters.text("processing_item_id")?),
        "processing_state" => OfRule::State(state(parameters)?),
        "is_sigma_rule" => OfRule::IsRule,
        "is_sigma_correlation_rule" => OfRule::IsCorrelation,
        "rule_attribute" => {
            let name = parameters.text("attribute")?;
            if NOT_KEPT.contains(&name.as_str()) {
                let reason =
                    format!("the attribute `{name}` of rules is not kept; there are: {}", ATTRIBUTES.join(", "));
                return Err(parameters.wrong(reason));
            }
            OfRule::Attribute(name, compare(parameters, true)?, parameters.scalar("value")?)
        }
        "tag" => OfRule::Tag(parameters.text("tag")?),
        other => return Err(parameters.wrong(format!("there is no rule condition `{other}`"))),
    }))
}

fn of_item(_: &Node, parameters: &Parameters<'_>) -> Result<Tree<OfItem>, Problem> {
    let quantity = || match parameters.text("cond")?.as_str() {
        "any" => Ok(Quantity::Any),
        "all" => Ok(Quantity::All),
        other => Err(parameters.wrong(format!("`cond` is `any` or `all`, not `{other}`"))),
    };
    Ok(Tree::Leaf(match parameters.kind.as_str() {
        "match_string" => {
            let asked = OfValue::Matches { regex: parameters.regex("pattern")?, negate: parameters.flag("negate")? };
            OfItem::Values(quantity()?, asked)
        }
        "match_value" => OfItem::Values(quantity()?, OfValue::Is(parameters.scalar("value")?)),
        "contains_wildcard" => OfItem::Values(quantity()?, OfValue::HasWildcard),
        "is_null" => OfItem::Values(quantity()?, OfValue::IsNull),
        "processing_item_applied" => OfItem::Applied(parameters.text("processing_item_id")?),
        "processing_state" => OfItem::State(state(parameters)?),
        other => return Err(parameters.wrong(format!("there is no detection item condition `{other}`"))),
    }))
}

fn of_field(node: &Node, parameters: &Parameters<'_>) -> Result<Tree<OfField>, Problem> {
    let named = || {
        let fields = parameters.texts("fields")?;
        let patterns = match parameters.optional("mode")?.as_deref() {
            None | Some("plain") => return Ok(OfField::Named(fields)),
            Some("re") => fields.iter().map(|text| regex(node, text)).collect::<Result<_, _>>()?,
            Some(other) => return Err(parameters.wrong(format!("`mode` is `plain` or `re`, not `{other}`"))),
        };
        Ok(OfField::Like(patterns))
    };
    Ok(match parameters.kind.as_str() {
        "include_fields" => Tree::Leaf(named()?),
        "exclude_fields" => Tree::Leaf(named()?).not(),
        "processing_item_applied" => Tree::Leaf(OfField::Applied(parameters.text("processing_item_id")?)),
        "processing_state" => Tree::Leaf(OfField::State(state(parameters)?)),
        other => return Err(parameters.wrong(format!("there is no field name condition `{other}`"))),
    })
}

pub(super) fn logsource(parameters: &Parameters<'_>) -> Result<Logsource, Problem> {
    let part = |name| Ok::<_, Problem>(parameters.optional(name)?.map(|text| text.to_lowercase()));
    let logsource = Logsource { product: part("product")?, category: part("category")?, service: part("service")? };
    if logsource == Logsource::default() {
        return Err(parameters.wrong("it names no product, category or service"));
    }
    Ok(logsource)
}
