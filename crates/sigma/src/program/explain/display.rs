//! An explanation for people: what decided, in full; of the rest a line.

use std::fmt::{self, Display, Formatter, Write};

use super::told::{
    Condition, Detection, Explanation, Feed, Field, Group, Item, Line, Members, Operand, Origin, Term, Value, Witness,
};

/// Most values, and most entries of the log source mapping, that are listed.
const MAX_LISTED: usize = 8;
/// Longest condition that is shown on one line.
const MAX_WORDS: usize = 256;

impl Explanation {
    /// What decided, in full; of the rest a line. It begins with the verdict.
    pub fn lines(&self) -> Vec<Line> {
        let verdict = if self.matched { "matches" } else { "does not match" };
        let mut page = Page { fields: &self.fields, lines: Vec::new() };
        let name = match self.rule.title == self.rule.id {
            true => self.rule.title.clone(),
            false => format!("{} ({})", self.rule.title, self.rule.id),
        };
        page.line(0, format_args!("{name} {verdict} event {}", self.event));
        page.origin(&self.logsource);
        self.detections.iter().for_each(|detection| page.detection(detection));
        page.lines
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Line { depth, passed, text } in self.lines() {
            let mark = match passed {
                Some(true) => "✓ ",
                Some(false) => "✗ ",
                None => "",
            };
            write!(f, "{:1$}{mark}", "", 2 * depth)?;
            // Control characters of hostile log lines must not reach the terminal.
            text.chars().try_for_each(|c| f.write_char(if c.is_control() { '\u{fffd}' } else { c }))?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

struct Page<'a> {
    fields: &'a [Field],
    lines: Vec<Line>,
}

impl Page<'_> {
    fn line(&mut self, depth: usize, text: impl Display) {
        self.lines.push(Line { depth, passed: None, text: text.to_string() });
    }

    fn marked(&mut self, depth: usize, passed: bool, text: impl Display) {
        self.lines.push(Line { depth, passed: Some(passed), text: text.to_string() });
    }

    fn origin(&mut self, origin: &Origin) {
        let Origin { logsource, passed, mapped, feeds } = origin;
        self.marked(0, *passed, format_args!("log source {logsource}"));
        if !mapped {
            self.line(1, "no entry of the log source mapping feeds it, so that it reads the dataset of its name");
        }
        let decisive = feeds.iter().filter(|feed| feed.passed == *passed);
        for Feed { logsource: entry, passed, when } in decisive.clone().take(MAX_LISTED) {
            let alone = entry == logsource;
            if !alone {
                self.marked(1, *passed, entry);
            }
            for group in when.iter().filter(|group| group.passed == *passed) {
                self.group(group, if alone { 1 } else { 2 });
            }
        }
        match decisive.count().saturating_sub(MAX_LISTED) {
            0 => {}
            more => self.marked(1, *passed, format_args!("and {more} more")),
        }
    }

    fn detection(&mut self, detection: &Detection) {
        let Detection { filter, passed, written, condition, .. } = detection;
        let what = filter.as_ref().map_or("condition".to_owned(), |filter| format!("filter {filter}"));
        self.marked(0, *passed, format_args!("{what}: {}", cut(&written.join(", or "))));
        match &condition.term {
            Term::All(children) => children.iter().for_each(|child| {
                let told = child.passed == *passed;
                self.condition(child, detection, told, 1)
            }),
            _ => self.condition(condition, detection, true, 1),
        }
    }

    /// A part of the condition; `told` if it decides.
    fn condition(&mut self, condition: &Condition, detection: &Detection, told: bool, depth: usize) {
        let Condition { passed, term } = condition;
        let all = || cut(&words(term, detection));
        match term {
            _ if !told => self.marked(depth, *passed, all()),
            Term::Selection(at) => {
                self.marked(depth, *passed, all());
                self.group(&detection.selections[*at].group, depth + 1)
            }
            // What is absent, as was wanted, has nothing to show.
            Term::Not(_) if *passed => self.marked(depth, *passed, all()),
            Term::Not(child) => match &child.term {
                Term::Selection(at) => {
                    self.marked(depth, *passed, all());
                    self.group(&detection.selections[*at].group, depth + 1)
                }
                _ => {
                    self.marked(depth, *passed, "not");
                    self.condition(child, detection, true, depth + 1)
                }
            },
            Term::All(children) => self.children("all of", children, *passed, detection, depth),
            Term::Any(children) => self.children("any of", children, *passed, detection, depth),
            Term::AtLeast(least, children) => {
                self.children(&format!("at least {least} of"), children, *passed, detection, depth)
            }
        }
    }

    fn children(&mut self, what: &str, children: &[Condition], passed: bool, detection: &Detection, depth: usize) {
        self.marked(depth, passed, what);
        children.iter().for_each(|child| self.condition(child, detection, child.passed == passed, depth + 1))
    }

    /// What decides a selection.
    fn group(&mut self, group: &Group, depth: usize) {
        match &group.members {
            Members::All(items) => items.iter().for_each(|item| self.item(item, item.passed == group.passed, depth)),
            Members::Any(groups) => {
                for child in groups.iter().filter(|child| child.passed == group.passed) {
                    let one = matches!(&child.members, Members::All(items) if items.len() == 1) || groups.len() == 1;
                    if !one {
                        self.marked(depth, child.passed, "an alternative");
                    }
                    self.group(child, if one { depth } else { depth + 1 });
                }
            }
        }
    }

    fn item(&mut self, item: &Item, told: bool, depth: usize) {
        let values = item.operands.first().map_or(&[][..], |operand| &operand.values);
        let key = if item.key.is_empty() { "anywhere" } else { &item.key };
        self.marked(depth, item.passed, format_args!("{key}: {}", list(values.iter(), written)));
        if !told {
            return;
        }
        for value in values.iter().filter(|value| !value.stands_for.is_empty()).take(MAX_LISTED) {
            let more = if value.more > 0 { format!(" and {} more", value.more) } else { String::new() };
            let stands_for = value.stands_for.join(", ");
            self.line(depth + 1, format_args!("{} stands for {stands_for}{more}", written(value)));
        }
        let found = item.passed != item.negated;
        for operand in &item.operands {
            match found {
                true => self.found(operand, item.all, depth + 1),
                false => self.missed(operand, item.all, depth + 1),
            }
        }
    }

    /// Which values made an item true.
    fn found(&mut self, operand: &Operand, all: bool, depth: usize) {
        let passed = operand.values.iter().filter(|value| value.passed);
        for value in passed.take(if all { MAX_LISTED } else { 1 }) {
            match &value.witness {
                Some(witness) => {
                    let Witness { field, value, pattern } = witness;
                    match pattern.as_ref().filter(|pattern| !pattern.eq_ignore_ascii_case(value)) {
                        Some(pattern) => self.line(depth, format_args!("{field} is {value}, which matches {pattern}")),
                        None => self.line(depth, format_args!("{field} is {value}")),
                    }
                }
                None => self.had(operand, depth),
            }
            self.other(value, depth);
        }
    }

    /// What the event had instead.
    fn missed(&mut self, operand: &Operand, all: bool, depth: usize) {
        if all && operand.values.iter().any(|value| value.passed) {
            let failed = operand.values.iter().filter(|value| !value.passed);
            self.line(depth, format_args!("missing: {}", list(failed, written)));
        }
        self.had(operand, depth);
        operand.values.iter().take(MAX_LISTED).for_each(|value| self.other(value, depth))
    }

    fn other(&mut self, value: &Value, depth: usize) {
        if let Some(other) = value.other {
            self.field(&self.fields[other], depth);
        }
    }

    fn had(&mut self, operand: &Operand, depth: usize) {
        match operand.field {
            Some(field) => self.field(&self.fields[field], depth),
            None => self.line(depth, "in no value of the event"),
        }
    }

    fn field(&mut self, field: &Field, depth: usize) {
        let Field { name, names, read, has, more, similar } = field;
        if let Some(read) = read {
            let values = list(has.iter(), |value| value.as_deref().unwrap_or("null").to_owned());
            let more = if *more > 0 { format!(" and {more} more") } else { String::new() };
            return self.line(depth, format_args!("{read} is {values}{more}"));
        }
        let mut text = format!("the event has no {name}");
        if !matches!(names.as_slice(), [only] if only == name) {
            text.push_str(&format!(", which would be {}", names.join(" or ")));
        }
        if !similar.is_empty() {
            text.push_str(&format!("; it has {}", similar.join(", ")));
        }
        self.line(depth, text)
    }
}

fn written(value: &Value) -> String {
    value.written.clone().unwrap_or_else(|| "null".to_owned())
}

/// The first of them, and how many more there are.
fn list<T>(mut all: impl Iterator<Item = T>, shown: impl Fn(T) -> String) -> String {
    let texts: Vec<String> = all.by_ref().take(MAX_LISTED).map(shown).collect();
    match all.count() {
        0 => texts.join(", "),
        more => format!("{} … and {more} more", texts.join(", ")),
    }
}

/// A condition on one line.
fn words(term: &Term, detection: &Detection) -> String {
    let each = |children: &[Condition], glue: &str| {
        let words: Vec<String> = children.iter().map(|child| words(&child.term, detection)).collect();
        format!("({})", words.join(glue))
    };
    match term {
        Term::Selection(at) => detection.selections[*at].name.clone(),
        Term::All(children) => each(children, " and "),
        Term::Any(children) => each(children, " or "),
        Term::AtLeast(least, children) => format!("{least} of {}", each(children, ", ")),
        Term::Not(child) => format!("not {}", words(&child.term, detection)),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_WORDS {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_WORDS)])
}
