//! A `<rule>` as it is written, read into what can be asked of it.

use std::{cell::Cell, collections::HashMap, sync::Arc};

use super::{pattern::Syntax, xml::Element};

/// Longest name of a variable.
const MAX_NAME: usize = 64;
/// Longest text of an element once its variables are replaced.
const MAX_TEXT: usize = 64 << 10;
/// Most bytes that the variables of one file put into its texts.
pub(super) const MAX_EXPANSION: usize = 16 << 20;
/// Every element of a rule file, so that an end tag can be told from text.
pub(super) const ELEMENTS: &[&str] = &[
    "action",
    "category",
    "check_diff",
    "data",
    "decoded_as",
    "description",
    "different_field",
    "dstgeoip",
    "dstip",
    "dstport",
    "extra_data",
    "field",
    "group",
    "hostname",
    "id",
    "if_fts",
    "if_group",
    "if_level",
    "if_matched_group",
    "if_matched_sid",
    "if_sid",
    "info",
    "list",
    "location",
    "match",
    "mitre",
    "not_same_field",
    "options",
    "program_name",
    "protocol",
    "regex",
    "rule",
    "same_field",
    "srcgeoip",
    "srcip",
    "srcport",
    "status",
    "system_name",
    "time",
    "url",
    "user",
    "var",
    "weekday",
];

/// A rule as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) file: Arc<str>,
    pub(super) line: u32,
    pub(super) id: u32,
    pub(super) level: u8,
    pub(super) description: String,
    /// Its own groups and those of the `<group>` it stands in.
    pub(super) groups: Vec<String>,
    pub(super) if_sid: Vec<u32>,
    pub(super) if_group: Option<String>,
    pub(super) if_level: Option<u8>,
    pub(super) matched_sid: Vec<u32>,
    pub(super) matched_group: Option<String>,
    pub(super) frequency: Option<u32>,
    pub(super) timeframe: Option<u32>,
    pub(super) decoded_as: Option<String>,
    pub(super) category: Option<String>,
    pub(super) tests: Vec<Test>,
    /// Fields that are the same in all events of a correlation.
    pub(super) same: Vec<String>,
    pub(super) different: Vec<String>,
    pub(super) global_frequency: bool,
    pub(super) noalert: bool,
    pub(super) overwrite: bool,
    pub(super) techniques: Vec<String>,
    pub(super) links: Vec<String>,
    pub(super) cves: Vec<String>,
    pub(super) infos: Vec<String>,
    /// What the report says of it.
    pub(super) notes: Vec<String>,
    /// Why it cannot be converted, and the line of that.
    pub(super) refused: Option<(u32, String)>,
    /// True if it is read only for the sake of others.
    pub(super) parent_only: bool,
}

impl Rule {
    /// True if it is about several events.
    pub(super) fn is_composite(&self) -> bool {
        self.frequency.is_some() || !self.matched_sid.is_empty() || self.matched_group.is_some()
    }

    pub(super) fn has_parents(&self) -> bool {
        !self.if_sid.is_empty() || self.if_group.is_some() || self.if_level.is_some()
    }

    /// True if it makes alerts.
    pub(super) fn alerts(&self) -> bool {
        self.level > 0 && !self.noalert
    }
}

/// One question to an event.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) line: u32,
    pub(super) negate: bool,
    pub(super) what: What,
}

impl Test {
    /// Bytes of its expression.
    pub(super) fn len(&self) -> usize {
        match &self.what {
            What::Log(_, text) | What::Field(_, _, text) => text.len(),
            What::Address(_, addresses) => addresses.len() * 16,
            // A list is read anew each time.
            What::List { .. } => 1 << 16,
            What::Time(_) | What::Size(_) => 0,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The log's text.
    Log(Syntax, String),
    /// A static or dynamic field.
    Field(String, Syntax, String),
    /// An address: any of these.
    Address(String, Vec<String>),
    /// A field is a key of a list, as `lookup` says; the value is like the expression.
    List {
        field: String,
        lookup: String,
        list: String,
        check: Option<(Syntax, String)>,
    },
    Time(String),
    /// The event is at least so long.
    Size(u32),
}

/// Variables of a file, and how many bytes more they may put into texts.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub(super) values: HashMap<String, String>,
    spent: Cell<usize>,
}

impl Variables {
    /// True if texts grew by more than a file may make them; what was read is of no use then.
    pub(super) fn exhausted(&self) -> bool {
        self.spent.get() > MAX_EXPANSION
    }
}

/// The names that `same_…` and `different_…` have without a field.
fn correlated(name: &str) -> Option<String> {
    Some(
        match name {
            "source_ip" => "srcip",
            "src_port" => "srcport",
            "dst_port" => "dstport",
            "srcip" | "dstip" | "srcport" | "dstport" | "srcuser" | "user" | "dstuser" | "location" | "protocol"
            | "action" | "url" | "data" | "extra_data" | "status" | "system_name" | "id" | "srcgeoip" | "dstgeoip"
            | "agent" => name,
            _ => return None,
        }
        .to_owned(),
    )
}

/// Reads a rule of a group; `Err` is a rule without a usable id.
pub(super) fn read(
    file: &Arc<str>,
    element: &Element,
    groups: &[String],
    variables: &Variables,
) -> Result<Rule, (u32, String)> {
    let attribute = |name: &str| element.attribute(name).map(|value| expand(value.trim(), variables));
    let number = |name: &str, most: u32| match attribute(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err((element.line, format!("`{name}` is a number up to {most}, not `{text}`"))),
        },
    };
    let Some(id) = number("id", 999_999)? else { return Err((element.line, "the rule has no `id`".into())) };
    let mut rule = Rule { file: file.clone(), line: element.line, id, groups: groups.to_vec(), ..Rule::default() };
    let mut read_attributes = || -> Result<(), (u32, String)> {
        rule.overwrite = attribute("overwrite").is_some_and(|value| value == "yes");
        let level = number("level", 16)?;
        if level.is_none() {
            return Err((element.line, "the rule has no `level`".into()));
        }
        rule.level = level.unwrap_or(0) as u8;
        rule.frequency = number("frequency", 9_999)?.filter(|frequency| *frequency > 0);
        rule.timeframe = number("timeframe", 99_999)?;
        rule.noalert = attribute("noalert").is_some_and(|value| value != "0" && value != "no");
        if let Some(ignore) = number("ignore", 999_999)?.filter(|seconds| *seconds > 0) {
            rule.notes.push(format!("`ignore=\"{ignore}\"` is left out: Sigma has no silence after a finding"));
        }
        if let Some(size) = number("maxsize", 99_999)?.filter(|size| *size > 0) {
            rule.tests.push(Test { line: element.line, negate: false, what: What::Size(size) });
        }
        const KNOWN: [&str; 8] = ["id", "level", "frequency", "timeframe", "ignore", "maxsize", "noalert", "overwrite"];
        match element.attributes.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            Some((name, _)) => Err((element.line, format!("unknown attribute `{name}` of `<rule>`"))),
            None => Ok(()),
        }
    };
    if let Err(wrong) = read_attributes() {
        rule.refused = Some(wrong);
    }
    for (child, text) in joined(element, variables) {
        if let Err(reason) = part(&mut rule, child, text) {
            rule.refused.get_or_insert((child.line, reason));
        }
    }
    rule.description = rule.description.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(rule)
}

/// The elements with their texts. Wazuh joins the texts of elements that are given again, so that a long expression
/// can be split; fields, addresses and lists stay on their own.
fn joined<'a>(element: &'a Element, variables: &Variables) -> Vec<(&'a Element, String)> {
    const JOINED: [&str; 16] = [
        "match",
        "regex",
        "url",
        "id",
        "user",
        "status",
        "hostname",
        "program_name",
        "data",
        "extra_data",
        "action",
        "location",
        "srcport",
        "dstport",
        "system_name",
        "protocol",
    ];
    let mut all: Vec<(&Element, String)> = Vec::new();
    for child in &element.children {
        let text = expand(&child.text, variables);
        let same = |known: &Element| {
            known.name == child.name
                && known.attribute("type") == child.attribute("type")
                && known.attribute("negate") == child.attribute("negate")
        };
        match all.iter_mut().find(|(known, _)| JOINED.contains(&child.name.as_str()) && same(known)) {
            Some((_, known)) if known.len() + text.len() <= MAX_TEXT => known.push_str(&text),
            _ => all.push((child, text)),
        }
    }
    all
}

fn part(rule: &mut Rule, element: &Element, text: String) -> Result<(), String> {
    let name = element.name.as_str();
    let trimmed = text.trim();
    let negate = match element.attribute("negate") {
        None | Some("no" | "0") => false,
        Some("yes" | "1") => true,
        Some(other) => return Err(format!("`negate` is yes or no, not `{other}`")),
    };
    let syntax = |default: Syntax| match element.attribute("type") {
        None => Ok(default),
        Some(name) => Syntax::named(name).ok_or_else(|| format!("unknown type `{name}`")),
    };
    let test = |what: What| Test { line: element.line, negate, what };
    let list = |text: &str| -> Vec<String> {
        let words = text.split([',', ' ', '\n', '\t', '\r']);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let ids = |text: &str| -> Result<Vec<u32>, String> {
        let ids = list(text).into_iter().map(|id| id.parse().map_err(|_| format!("`{id}` is no rule id")));
        ids.collect()
    };
    match name {
        "match" => rule.tests.push(test(What::Log(syntax(Syntax::OsMatch)?, text))),
        "regex" => rule.tests.push(test(What::Log(syntax(Syntax::OsRegex)?, text))),
        "field" => {
            let Some(field) = element.attribute("name").filter(|field| !field.is_empty()) else {
                return Err("`<field>` has no name".into());
            };
            rule.tests.push(test(What::Field(field.to_owned(), syntax(Syntax::OsRegex)?, text)));
        }
        "action" => rule.tests.push(test(What::Field(name.into(), syntax(Syntax::Plain)?, text))),
        "url" | "id" | "user" | "status" | "hostname" | "program_name" | "data" | "extra_data" | "location"
        | "srcport" | "dstport" | "system_name" | "protocol" | "srcgeoip" | "dstgeoip" => {
            rule.tests.push(test(What::Field(name.into(), syntax(Syntax::OsMatch)?, text)));
        }
        "srcip" | "dstip" => {
            let (negate, address) = match trimmed.strip_prefix('!') {
                Some(rest) => (!negate, rest),
                None => (negate, trimmed),
            };
            let known = rule.tests.iter_mut().find_map(|test| match &mut test.what {
                What::Address(field, addresses) if field == name => Some((test.negate, addresses)),
                _ => None,
            });
            match known {
                Some((known, _)) if known != negate => return Err(format!("`<{name}>` with and without `!`")),
                Some((_, addresses)) => addresses.push(address.to_owned()),
                None => {
                    let what = What::Address(name.into(), vec![address.to_owned()]);
                    rule.tests.push(Test { line: element.line, negate, what });
                }
            }
        }
        "list" => {
            let Some(field) = element.attribute("field") else { return Err("`<list>` names no field".into()) };
            let lookup = element.attribute("lookup").unwrap_or("match_key").to_owned();
            let check = element.attribute("check_value").map(|value| (Syntax::OsRegex, value.to_owned()));
            rule.tests.push(test(What::List { field: field.to_owned(), lookup, list: trimmed.to_owned(), check }));
        }
        "time" => rule.tests.push(test(What::Time(trimmed.to_owned()))),
        "weekday" => return Err("`<weekday>`: Sigma has no modifier for the day of the week".into()),
        "decoded_as" if negate => return Err("`<decoded_as negate=\"yes\">`: a log source cannot be all others".into()),
        "decoded_as" => rule.decoded_as = Some(trimmed.to_owned()),
        "category" => rule.category = Some(trimmed.to_owned()),
        "if_sid" => rule.if_sid.extend(ids(trimmed)?),
        "if_group" => rule.if_group = Some(trimmed.trim_end_matches(',').to_owned()),
        "if_level" => rule.if_level = Some(trimmed.parse().map_err(|_| format!("`{trimmed}` is no level"))?),
        "if_matched_sid" => rule.matched_sid.extend(ids(trimmed)?),
        "if_matched_group" => rule.matched_group = Some(trimmed.trim_end_matches(',').to_owned()),
        "if_matched_level" => return Err("`<if_matched_level>` has no counterpart".into()),
        "check_diff" => return Err("`<check_diff>`: Sigma does not compare an event with the one before".into()),
        "if_fts" => return Err("`<if_fts>`: Sigma does not know what was seen before".into()),
        "same_field" => rule.same.push(trimmed.to_owned()),
        "different_field" | "not_same_field" => rule.different.push(trimmed.to_owned()),
        "global_frequency" => rule.global_frequency = true,
        "description" => {
            rule.description.push(' ');
            rule.description.push_str(&text);
        }
        "group" => rule
            .groups
            .extend(list(trimmed).into_iter().filter(|group| !rule.groups.contains(group)).collect::<Vec<_>>()),
        "mitre" => {
            for child in &element.children {
                match child.name.as_str() {
                    "id" => rule.techniques.push(child.text.trim().to_owned()),
                    other => rule.notes.push(format!("`<{other}>` in `<mitre>` is left out")),
                }
            }
        }
        "info" => match element.attribute("type").unwrap_or("text") {
            "link" => rule.links.push(trimmed.to_owned()),
            "cve" => rule.cves.push(trimmed.to_owned()),
            _ => rule.infos.push(trimmed.to_owned()),
        },
        "options" => rule.notes.push(format!("option `{trimmed}` is left out: it is about Wazuh's own alerts")),
        "var" => return Err("`<var>` inside a rule".into()),
        _ => {
            let (different, field) = match name.strip_prefix("same_") {
                Some(field) => (false, correlated(field)),
                None => {
                    let field = name.strip_prefix("different_").or_else(|| name.strip_prefix("not_same_"));
                    (true, field.and_then(correlated))
                }
            };
            match field {
                Some(field) if different => rule.different.push(field),
                Some(field) => rule.same.push(field),
                None => return Err(format!("unknown element `<{name}>`")),
            }
        }
    }
    Ok(())
}

/// Replaces `$NAME` by the value of a variable of the file; the longest name that fits.
pub(super) fn expand(text: &str, variables: &Variables) -> String {
    if variables.values.is_empty() || !text.contains('$') {
        return text.to_owned();
    }
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let word = after.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(after.len());
        let longest = word.min(MAX_NAME);
        match (1..=longest).rev().find_map(|end| Some((end, variables.values.get(&after[..end])?))) {
            Some((end, value)) => {
                variables.spent.set(variables.spent.get().saturating_add(value.len()));
                // A file that goes beyond is refused as a whole.
                if !variables.exhausted() {
                    expanded.push_str(value);
                }
                rest = &after[end..];
            }
            None => {
                expanded.push('$');
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_by_their_longest_name() {
        let values = [("BAD", "x"), ("BAD_WORDS", "error|failed"), ("n", "7")].map(|(k, v)| (k.into(), v.into()));
        let variables = Variables { values: values.into(), ..Variables::default() };
        for (text, want) in [
            ("$BAD_WORDS", "error|failed"),
            ("^$BAD|$BAD_WORD$", "^x|x_WORD$"),
            ("cost$", "cost$"),
            ("$other $n", "$other 7"),
        ] {
            assert_eq!(expand(text, &variables), want, "{text}");
        }
    }
}
