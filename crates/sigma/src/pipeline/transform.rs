//! What steps do.

use std::{collections::HashMap, sync::Arc};

use regex::Regex;

use super::{
    Step,
    condition::Facts,
    read::{self, Parameters, entries_of, texts},
    subject::{Attribute, Group, Part, Subject, opened},
};
use crate::{
    check::{Number, Tree},
    pattern::Pattern,
    rule::{Logsource, Modifier, placeholder, read_selection},
    yaml::{Data, Node, Place, Problem, Scalar},
};

/// Most values that one item may get.
const MAX_VALUES: usize = 10_000;
/// Longest value that a replacement may make.
const MAX_VALUE_BYTES: usize = 16 << 10;

/// A transformation with its parameters.
#[derive(Clone, Debug)]
pub(super) enum Transformation {
    FieldNames(Names),
    DropItem,
    AddCondition {
        conditions: Node,
        template: bool,
        negated: bool,
        name: Option<String>,
    },
    ChangeLogsource(Logsource),
    ReplaceString {
        regex: Regex,
        replacement: String,
        parts: bool,
        interpret: bool,
    },
    MapString(HashMap<String, Vec<String>>),
    SetValue(Scalar),
    ConvertType {
        number: bool,
    },
    Case(Case),
    CaseSensitive,
    ValuePlaceholders(Chosen),
    WildcardPlaceholders(Chosen),
    SetState(String, Scalar),
    SetAttribute(String, Scalar),
    RuleFailure(String),
    ItemFailure(String),
    Nest(Vec<Step>),
    /// About what backends show: nothing that decides a match.
    Nothing,
}

/// How fields are renamed.
#[derive(Clone, Debug)]
pub(super) enum Names {
    /// By their whole name; that of keywords is empty.
    Map(HashMap<String, Vec<String>>),
    Prefixes(Vec<(String, Vec<String>)>),
    Before(String),
    After(String),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    Lower,
    Upper,
    Snake,
}

/// Which placeholders are meant.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

impl Chosen {
    fn means(&self, name: &str) -> bool {
        let among = |names: &Vec<String>| names.iter().any(|known| known == name);
        self.include.as_ref().is_none_or(among) && !self.exclude.as_ref().is_some_and(among)
    }
}

pub(super) fn read(file: &Arc<str>, node: &Node, count: &mut usize) -> Result<Transformation, Problem> {
    let parameters = Parameters::of(node)?;
    let transformation = of(file, &parameters, count)?;
    parameters.finish()?;
    Ok(transformation)
}

fn of(file: &Arc<str>, parameters: &Parameters<'_>, count: &mut usize) -> Result<Transformation, Problem> {
    let names = |name: &'static str| -> Result<Vec<(String, Vec<String>)>, Problem> {
        let entries = entries_of(parameters.node(name)?, name)?;
        entries.iter().map(|(key, values)| Ok((key.text.clone(), texts(values, &key.text)?))).collect()
    };
    let chosen = || {
        let list = |name| parameters.get(name).map(|node| texts(node, name)).transpose();
        let chosen = Chosen { include: list("include")?, exclude: list("exclude")? };
        match (&chosen.include, &chosen.exclude) {
            (Some(_), Some(_)) => Err(parameters.wrong("`include` and `exclude` exclude each other")),
            _ => Ok(chosen),
        }
    };
    Ok(match parameters.kind.as_str() {
        "field_name_mapping" => Transformation::FieldNames(Names::Map(names("mapping")?.into_iter().collect())),
        "field_name_prefix_mapping" => Transformation::FieldNames(Names::Prefixes(names("mapping")?)),
        "field_name_prefix" => Transformation::FieldNames(Names::Before(parameters.text("prefix")?)),
        "field_name_suffix" => Transformation::FieldNames(Names::After(parameters.text("suffix")?)),
        "drop_detection_item" => Transformation::DropItem,
        "add_condition" => {
            let conditions = parameters.node("conditions")?;
            read_selection(conditions)?;
            Transformation::AddCondition {
                conditions: conditions.clone(),
                template: parameters.flag("template")?,
                negated: parameters.flag("negated")?,
                name: parameters.optional("name")?,
            }
        }
        "change_logsource" => Transformation::ChangeLogsource(read::logsource(parameters)?),
        "replace_string" => Transformation::ReplaceString {
            regex: parameters.regex("regex")?,
            replacement: replacement(&parameters.text("replacement")?),
            parts: parameters.flag("skip_special")?,
            interpret: parameters.flag("interpret_special")?,
        },
        "map_string" => Transformation::MapString(names("mapping")?.into_iter().collect()),
        "set_value" => {
            let value = parameters.scalar("value")?;
            Transformation::SetValue(match parameters.optional("force_type")?.as_deref() {
                None => value,
                Some("str") => Scalar::Text(value.to_text()),
                Some("num") => number(&value).ok_or_else(|| parameters.wrong("the value is no number"))?,
                Some(other) => {
                    return Err(parameters.wrong(format!("`force_type` is `str` or `num`, not `{other}`")));
                }
            })
        }
        "convert_type" => match parameters.text("target_type")?.as_str() {
            "str" => Transformation::ConvertType { number: false },
            "num" => Transformation::ConvertType { number: true },
            other => return Err(parameters.wrong(format!("`target_type` is `str` or `num`, not `{other}`"))),
        },
        "case" => Transformation::Case(match parameters.optional("method")?.as_deref() {
            None | Some("lower") => Case::Lower,
            Some("upper") => Case::Upper,
            Some("snake_case") => Case::Snake,
            Some(other) => return Err(parameters.wrong(format!("unknown method `{other}`"))),
        }),
        // Texts are compared without regard to case here, unless they are to be `cased`.
        "regex" => match parameters.optional("method")?.as_deref() {
            None | Some("ignore_case_brackets" | "ignore_case_flag") => Transformation::Nothing,
            Some("plain") => Transformation::CaseSensitive,
            Some(other) => return Err(parameters.wrong(format!("unknown method `{other}`"))),
        },
        "value_placeholders" => Transformation::ValuePlaceholders(chosen()?),
        "wildcard_placeholders" => Transformation::WildcardPlaceholders(chosen()?),
        "set_state" => Transformation::SetState(parameters.text("key")?, parameters.scalar("val")?),
        "set_custom_attribute" => {
            Transformation::SetAttribute(parameters.text("attribute")?, parameters.scalar("value")?)
        }
        "rule_failure" => Transformation::RuleFailure(parameters.text("message")?),
        "detection_item_failure" => Transformation::ItemFailure(parameters.text("message")?),
        "nest" => Transformation::Nest(read::steps(file, parameters.node("items")?, count)?),
        // The list of fields that a rule wants to be shown.
        "add_field" | "remove_field" => parameters.node("field").map(|_| Transformation::Nothing)?,
        "set_field" => parameters.node("fields").map(|_| Transformation::Nothing)?,
        "query_expression_placeholders" => {
            return Err(parameters.wrong("there are no queries here that an expression could be put into"));
        }
        "field_name_transform" => return Err(parameters.wrong("a function in Python cannot be read from YAML")),
        "hashes_fields" | "strict_field_mapping_failure" => return Err(parameters.wrong("is not supported")),
        _ => return Err(parameters.wrong("there is no such transformation")),
    })
}

/// Python's `\1` and `\g<name>` as `${1}` and `${name}`.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '$']) {
        out.push_str(&rest[..at]);
        let special = &rest[at..];
        let digits = special[1..].chars().take_while(char::is_ascii_digit).take(2).count();
        if let Some(after) = special.strip_prefix('$') {
            out.push_str("$$");
            rest = after;
        } else if digits > 0 {
            out.push_str(&format!("${{{}}}", &special[1..=digits]));
            rest = &special[1 + digits..];
        } else if let Some((name, after)) = special.strip_prefix("\\g<").and_then(|named| named.split_once('>')) {
            out.push_str(&format!("${{{name}}}"));
            rest = after;
        } else if let Some(after) = special.strip_prefix("\\\\") {
            out.push('\\');
            rest = after;
        } else {
            out.push('\\');
            rest = &special[1..];
        }
    }
    out.push_str(rest);
    out
}

fn number(value: &Scalar) -> Option<Scalar> {
    Some(match value {
        Scalar::Int(_) | Scalar::Float(_) => value.clone(),
        Scalar::Text(text) => match Number::parse(text)? {
            Number::Int(int) => Scalar::Int(int),
            Number::Float(float) => Scalar::Float(float),
        },
        Scalar::Null | Scalar::Bool(_) => return None,
    })
}

pub(super) fn run(step: &Step, subject: &mut Subject, vars: &HashMap<String, Vec<String>>) -> Result<(), Problem> {
    match &step.transformation {
        Transformation::Nothing => {}
        Transformation::FieldNames(names) => rename(step, names, subject)?,
        Transformation::DropItem => items(step, subject, |_| Ok(Outcome::Dropped))?,
        Transformation::AddCondition { conditions, template, negated, name } => {
            add_condition(step, subject, conditions, *template, *negated, name.as_deref())?;
        }
        Transformation::ChangeLogsource(logsource) if subject.is_rule => {
            subject.logsources = vec![logsource.clone()];
        }
        Transformation::ChangeLogsource(_) => {}
        Transformation::ReplaceString { regex, replacement, parts, interpret } => {
            values(step, subject, |value| {
                let text = match value {
                    Scalar::Text(text) => text.clone(),
                    Scalar::Int(_) | Scalar::Float(_) => value.to_text(),
                    Scalar::Null | Scalar::Bool(_) => return Ok(None),
                };
                let new = replaced(&text, regex, replacement, *parts, *interpret);
                match new {
                    Some(new) if new.len() > MAX_VALUE_BYTES => {
                        Err(format!("a value longer than {MAX_VALUE_BYTES} bytes"))
                    }
                    Some(new) => Ok(Some(vec![Scalar::Text(new)])),
                    None => Ok(None),
                }
            })?;
        }
        Transformation::MapString(mapping) => values(step, subject, |value| {
            let Scalar::Text(text) = value else { return Ok(None) };
            let mapped = mapping.get(&Pattern::parse(text).to_string());
            Ok(mapped.map(|texts| texts.iter().cloned().map(Scalar::Text).collect()))
        })?,
        Transformation::SetValue(value) => items(step, subject, |part| {
            let place = part.item.place;
            part.item.modifiers.retain(|modifier| matches!(modifier, Modifier::All | Modifier::Neq | Modifier::Cased));
            part.item.values = vec![(place, value.clone())];
            Ok(Outcome::Changed)
        })?,
        Transformation::ConvertType { number: to_number } => values(step, subject, |value| match (to_number, value) {
            (_, Scalar::Null) | (false, Scalar::Text(_)) => Ok(None),
            (false, other) => Ok(Some(vec![Scalar::Text(other.to_text())])),
            (true, other) => match number(other) {
                Some(number) => Ok(Some(vec![number])),
                None => Err(format!("`{}` is no number", other.to_text())),
            },
        })?,
        Transformation::Case(case) => values(step, subject, |value| {
            let Scalar::Text(text) = value else { return Ok(None) };
            Ok(Some(vec![Scalar::Text(match case {
                Case::Lower => text.to_lowercase(),
                Case::Upper => text.to_uppercase(),
                Case::Snake => snake(text),
            })]))
        })?,
        Transformation::CaseSensitive => items(step, subject, |part| {
            if part.is_text() && !part.item.has(Modifier::Cased) {
                part.item.modifiers.push(Modifier::Cased);
                return Ok(Outcome::Changed);
            }
            Ok(Outcome::Same)
        })?,
        Transformation::ValuePlaceholders(chosen) => placeholders(step, subject, chosen, |name| {
            vars.get(name).map(Vec::as_slice).ok_or_else(|| format!("placeholder `{name}` has no values in `vars`"))
        })?,
        Transformation::WildcardPlaceholders(chosen) => {
            let any = ["*".to_owned()];
            placeholders(step, subject, chosen, |_| Ok(&any))?;
        }
        Transformation::SetState(key, value) => {
            subject.state.insert(key.clone(), value.clone());
        }
        Transformation::SetAttribute(name, value) => {
            subject.attributes.insert(name.clone(), Attribute::One(value.clone()));
        }
        Transformation::RuleFailure(message) => return Err(step.refuses(subject.place, message)),
        Transformation::ItemFailure(message) => {
            items(step, subject, |part| Err(step.refuses(part.item.place, message)))?
        }
        Transformation::Nest(steps) => {
            for inner in steps {
                inner.run(subject, vars)?;
            }
        }
    }
    Ok(())
}

/// What became of an item.
enum Outcome {
    Same,
    Changed,
    Dropped,
}

/// Calls `change` with every item that the step is for.
fn items(
    step: &Step,
    subject: &mut Subject,
    mut change: impl FnMut(&mut Part) -> Result<Outcome, Problem>,
) -> Result<(), Problem> {
    let facts = Facts { state: &subject.state, field_steps: &subject.field_steps };
    for (_, group) in &mut subject.selections {
        group.change(&mut |part| {
            if !step.when.item(part, &facts) {
                return Ok(true);
            }
            match change(part)? {
                Outcome::Same => {}
                Outcome::Changed => part.applied.extend(step.id.clone()),
                Outcome::Dropped => return Ok(false),
            }
            Ok(true)
        })?;
    }
    Ok(())
}

/// Calls `change` with every value that is a text or a number, wildcards of modifiers written out.
fn values(
    step: &Step,
    subject: &mut Subject,
    change: impl Fn(&Scalar) -> Result<Option<Vec<Scalar>>, String>,
) -> Result<(), Problem> {
    items(step, subject, |part| {
        if part.is_encoded() {
            return Err(step.refuses(
                part.item.place,
                "values that `windash`, `base64` or `utf16` change cannot be changed before",
            ));
        }
        if !part.is_text() {
            return Ok(Outcome::Same);
        }
        let mut spelt = part.clone();
        spelt.spell_out();
        let mut changed = false;
        let mut new: Vec<(Place, Scalar)> = Vec::new();
        for (place, value) in &spelt.item.values {
            match change(value).map_err(|reason| step.refuses(*place, reason))? {
                None => new.push((*place, value.clone())),
                Some(values) => {
                    changed = true;
                    new.extend(values.into_iter().map(|value| (*place, value)));
                }
            }
            if new.len() > MAX_VALUES {
                return Err(step.refuses(*place, format!("more than {MAX_VALUES} values")));
            }
        }
        if !changed {
            return Ok(Outcome::Same);
        }
        // An item without values is none.
        if new.is_empty() {
            return Ok(Outcome::Dropped);
        }
        spelt.item.values = new;
        *part = spelt;
        Ok(Outcome::Changed)
    })
}

/// The text with its replacements, as a Sigma value; none if nothing was replaced.
fn replaced(text: &str, regex: &Regex, replacement: &str, parts: bool, interpret: bool) -> Option<String> {
    // Backslashes stand for themselves, unless a wildcard follows.
    let escaped = |text: &str, wildcards: bool| {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let before_wildcard = matches!(chars.peek(), Some('*' | '?'));
            match c {
                '\\' if wildcards && before_wildcard => out.push('\\'),
                '\\' => out.push_str("\\\\"),
                '*' | '?' if !wildcards => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        out
    };
    let pattern = Pattern::parse(text);
    if !parts {
        let plain = pattern.to_string();
        return regex.is_match(&plain).then(|| escaped(&regex.replace_all(&plain, replacement), true));
    }
    let mut changed = false;
    let out: String = pattern
        .parts()
        .map(|(part, wildcard)| match wildcard {
            true => part.to_owned(),
            false if regex.is_match(part) => {
                changed = true;
                escaped(&regex.replace_all(part, replacement), interpret)
            }
            false => escaped(part, false),
        })
        .collect();
    changed.then_some(out)
}

/// `ParentImage` → `parent_image`
fn snake(text: &str) -> String {
    let mut out = String::new();
    let mut lower = false;
    for c in text.chars() {
        if c.is_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}

fn placeholders<'a>(
    step: &Step,
    subject: &mut Subject,
    chosen: &Chosen,
    values: impl Fn(&str) -> Result<&'a [String], String>,
) -> Result<(), Problem> {
    items(step, subject, |part| {
        if !part.item.has(Modifier::Expand) {
            return Ok(Outcome::Same);
        }
        let mut new: Vec<(Place, Scalar)> = Vec::new();
        let (mut changed, mut left) = (false, false);
        for (place, value) in &part.item.values {
            let wrong = |reason: String| step.refuses(*place, reason);
            let Scalar::Text(text) = value else {
                new.push((*place, value.clone()));
                continue;
            };
            let mut done = vec![String::new()];
            let mut rest = text.as_str();
            while let Some((before, name, after)) = placeholder(rest) {
                let own = [format!("%{name}%")];
                let values = match chosen.means(name) {
                    true => values(name).map_err(wrong)?,
                    false => &own,
                };
                changed |= chosen.means(name);
                left |= !chosen.means(name);
                if done.len() * values.len() + new.len() > MAX_VALUES {
                    return Err(wrong(format!("more than {MAX_VALUES} values")));
                }
                done = done
                    .iter()
                    .flat_map(|text| values.iter().map(move |value| format!("{text}{before}{value}")))
                    .collect();
                rest = after;
            }
            new.extend(done.into_iter().map(|text| (*place, Scalar::Text(text + rest))));
        }
        if !changed {
            return Ok(Outcome::Same);
        }
        part.item.values = new;
        if !left {
            part.item.modifiers.retain(|modifier| *modifier != Modifier::Expand);
        }
        Ok(Outcome::Changed)
    })
}

impl Names {
    /// The new names of a field; none if it keeps its own. That of keywords is empty.
    fn of(&self, field: &str) -> Option<Vec<String>> {
        match self {
            Names::Map(map) => map.get(field).cloned(),
            _ if field.is_empty() => None,
            Names::Prefixes(prefixes) => prefixes.iter().find_map(|(prefix, new)| {
                let rest = field.strip_prefix(prefix.as_str())?;
                Some(new.iter().map(|new| format!("{new}{rest}")).collect())
            }),
            Names::Before(prefix) => Some(vec![format!("{prefix}{field}")]),
            Names::After(suffix) => Some(vec![format!("{field}{suffix}")]),
        }
    }
}

fn rename(step: &Step, names: &Names, subject: &mut Subject) -> Result<(), Problem> {
    let facts = Facts { state: &subject.state, field_steps: &subject.field_steps };
    let mut renamed: Vec<(String, Vec<String>)> = Vec::new();
    let mut new_names = |field: Option<&str>| -> Option<Vec<String>> {
        let new = names.of(field.unwrap_or("")).filter(|_| step.when.field(field, &facts))?;
        renamed.push((field.unwrap_or("").to_owned(), new.clone()));
        Some(new)
    };
    let mut fields = Vec::new();
    for field in &subject.fields {
        match new_names(Some(field)).unwrap_or_else(|| vec![field.clone()]).as_slice() {
            [new] => fields.push(new.clone()),
            other => {
                let reason = format!("`{field}` is one field to a correlation, and becomes {}", other.len());
                return Err(step.refuses(subject.place, reason));
            }
        }
    }
    subject.fields = fields;
    for (_, group) in &mut subject.selections {
        group.change(&mut |part| {
            if !step.when.item(part, &facts) {
                return Ok(true);
            }
            let mut changed = false;
            if part.item.has(Modifier::FieldRef) {
                let values = std::mem::take(&mut part.item.values);
                for (place, value) in values {
                    match new_names(Some(&value.to_text())) {
                        Some(new) => {
                            changed = true;
                            part.item.values.extend(new.into_iter().map(|name| (place, Scalar::Text(name))));
                        }
                        None => part.item.values.push((place, value)),
                    }
                }
            }
            let own: Vec<Option<Box<str>>> = std::iter::once(part.item.field.take())
                .chain(std::mem::take(&mut part.item.also).into_iter().map(Some))
                .collect();
            let keywords = own == [None];
            let mut all: Vec<Option<Box<str>>> = Vec::new();
            let mut mapped = false;
            for field in own {
                match new_names(field.as_deref()) {
                    Some(new) => {
                        mapped = true;
                        all.extend(new.into_iter().map(|name| Some(name.into())));
                    }
                    None => all.push(field),
                }
            }
            // A field that is mapped to nothing takes its item with it.
            if all.is_empty() || part.item.values.is_empty() {
                return Ok(false);
            }
            if all.len() > MAX_VALUES {
                return Err(step.refuses(part.item.place, format!("more than {MAX_VALUES} fields")));
            }
            if keywords && mapped {
                // A keyword is found anywhere in a value.
                part.spell_out();
                if part.is_text() {
                    for (_, value) in &mut part.item.values {
                        *value = Scalar::Text(opened(&value.to_text(), true, true));
                    }
                }
            }
            part.item.field = all.remove(0);
            part.item.also = all.into_iter().flatten().collect();
            if changed || mapped {
                part.applied.extend(step.id.clone());
            }
            Ok(true)
        })?;
    }
    if let Some(id) = &step.id {
        for (old, new) in renamed {
            let mut steps = subject.field_steps.get(&old).cloned().unwrap_or_default();
            steps.insert(id.clone());
            for name in new {
                subject.field_steps.entry(name).or_default().extend(steps.iter().cloned());
            }
        }
    }
    Ok(())
}

fn add_condition(
    step: &Step,
    subject: &mut Subject,
    conditions: &Node,
    template: bool,
    negated: bool,
    name: Option<&str>,
) -> Result<(), Problem> {
    let Some(condition) = subject.condition.take() else { return Ok(()) };
    let logsource = subject.logsources.first().cloned().unwrap_or_default();
    let filled = if template { fill(conditions, &logsource) } else { conditions.clone() };
    // What is wrong in it was refused when the pipeline was read.
    let selection = read_selection(&filled).map_err(|problem| step.refuses(subject.place, problem.reason))?;
    let mut group = Group::new(&selection);
    if let Some(id) = &step.id {
        group.change(&mut |part| {
            part.applied.insert(id.clone());
            Ok(true)
        })?;
    }
    // A problem in it points at the rule, as any other of the rule.
    let place = subject.place;
    group.change(&mut |part| {
        part.item.place = place;
        part.item.values.iter_mut().for_each(|(own, _)| *own = place);
        Ok(true)
    })?;
    let at = match name.and_then(|name| subject.selections.iter().position(|(known, _)| known == name)) {
        Some(_) => {
            return Err(step.refuses(place, format!("the rule has a selection `{}` already", name.unwrap_or(""))));
        }
        None => subject.selections.len(),
    };
    subject.selections.push((name.unwrap_or("_pipeline").to_owned(), group));
    let added = if negated { Tree::Leaf(at).not() } else { Tree::Leaf(at) };
    subject.condition = Some(Tree::All(vec![added, condition]));
    Ok(())
}

/// `$product`, `$category` and `$service` (also in braces) by the rule's own.
fn fill(node: &Node, logsource: &Logsource) -> Node {
    let parts = [("product", &logsource.product), ("category", &logsource.category), ("service", &logsource.service)];
    let data = match &node.data {
        Data::Scalar(Scalar::Text(text)) => {
            let filled = parts.iter().fold(text.clone(), |text, (name, value)| {
                let value = value.as_deref().unwrap_or("None");
                text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
            });
            Data::Scalar(Scalar::Text(filled))
        }
        Data::Scalar(scalar) => Data::Scalar(scalar.clone()),
        Data::List(nodes) => Data::List(nodes.iter().map(|node| fill(node, logsource)).collect()),
        Data::Map(entries) => {
            Data::Map(entries.iter().map(|(key, value)| (key.clone(), fill(value, logsource))).collect())
        }
    };
    Node { place: node.place, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_pythons() {
        for (text, want) in
            [(r"\1-\g<name>", "${1}-${name}"), (r"\\x", r"\x"), ("$5", "$$5"), (r"a\.b", r"a\.b"), (r"\12", "${12}")]
        {
            assert_eq!(replacement(text), want, "{text}");
        }
    }

    #[test]
    fn strings_are_replaced_as_a_whole_or_between_wildcards() {
        let regex = |text| Regex::new(text).unwrap();
        for (text, pattern, new, parts, interpret, want) in [
            (r"*\foo", r"^\*\\", "/", false, false, Some("/foo")),
            ("a*b", r"\*", "", false, false, Some("ab")),
            (r"C:\x\y", r"\\x", r"\z", false, false, Some(r"C:\\z\\y")),
            ("a*b", "a", "c*", true, false, Some(r"c\**b")),
            ("a*b", "a", "c*", true, true, Some("c**b")),
            ("a*b", "x", "y", true, false, None),
            ("abc", "x", "y", false, false, None),
        ] {
            let got = replaced(text, &regex(pattern), new, parts, interpret);
            assert_eq!(got.as_deref(), want, "{text} {pattern}");
        }
        assert_eq!(snake("ParentImage"), "parent_image");
    }
}
