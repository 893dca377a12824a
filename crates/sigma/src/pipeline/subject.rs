//! A rule or correlation on its way through pipelines.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    check::Tree,
    pattern::Pattern,
    rule::{Condition, Correlation, Detection, Item, Kind, Logsource, Modifier, Rule, Selection, in_words},
    yaml::{Place, Problem, Scalar},
};

/// What pipelines see and change.
#[derive(Debug, Default)]
pub(super) struct Subject {
    pub(super) place: Place,
    pub(super) is_rule: bool,
    /// A rule's own; of a correlation those of its rules.
    pub(super) logsources: Vec<Logsource>,
    pub(super) selections: Vec<(String, Group)>,
    pub(super) condition: Option<Condition>,
    /// Fields of a correlation: what it groups by, what its aliases stand for, what it computes of.
    pub(super) fields: Vec<String>,
    pub(super) attributes: HashMap<String, Attribute>,
    pub(super) tags: Vec<String>,
    /// A number for what the steps say that were for this rule.
    pub(super) asked: Option<u64>,
    /// Ids of the steps that were for this rule.
    pub(super) applied: HashSet<String>,
    /// For each field, the ids of the steps that made its name.
    pub(super) field_steps: HashMap<String, BTreeSet<String>>,
    /// Names that a mapping knows.
    pub(super) state: HashMap<String, Scalar>,
}

/// What a rule says of itself.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    One(Scalar),
    Many(Vec<String>),
}

/// A selection whose items remember what was done to them.
#[derive(Clone, Debug)]
pub(super) enum Group {
    All(Vec<Part>),
    Any(Vec<Group>),
}

/// An item and the steps that changed it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) item: Item,
    pub(super) applied: BTreeSet<String>,
}

impl Group {
    pub(super) fn new(selection: &Selection) -> Group {
        match selection {
            Selection::All(items) => {
                let part = |item: &Item| Part { item: item.clone(), applied: BTreeSet::new() };
                Group::All(items.iter().map(part).collect())
            }
            Selection::Any(children) => Group::Any(children.iter().map(Group::new).collect()),
        }
    }

    fn selection(self) -> Selection {
        match self {
            Group::All(parts) => Selection::All(parts.into_iter().map(|part| part.item).collect()),
            Group::Any(children) => Selection::Any(children.into_iter().map(Group::selection).collect()),
        }
    }

    pub(super) fn any(&self, holds: &impl Fn(&Part) -> bool) -> bool {
        match self {
            Group::All(parts) => parts.iter().any(holds),
            Group::Any(children) => children.iter().any(|child| child.any(holds)),
        }
    }

    /// Calls `change` with every item; those for which it returns false are taken out, and what is then empty.
    pub(super) fn change(
        &mut self,
        change: &mut impl FnMut(&mut Part) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        match self {
            Group::All(parts) => {
                let mut kept = Vec::with_capacity(parts.len());
                for mut part in std::mem::take(parts) {
                    if change(&mut part)? {
                        kept.push(part);
                    }
                }
                *parts = kept;
            }
            Group::Any(children) => {
                children.iter_mut().try_for_each(|child| child.change(change))?;
                children.retain(|child| !child.is_empty());
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Group::All(parts) => parts.is_empty(),
            Group::Any(children) => children.is_empty(),
        }
    }
}

impl Part {
    /// The values as texts with their wildcards, as pySigma shows them; none for what is no text.
    pub(super) fn texts(&self) -> impl Iterator<Item = Option<String>> + '_ {
        let is_text = self.is_text();
        let (before, after) = self.open();
        self.item.values.iter().map(move |(_, value)| match value {
            Scalar::Text(text) if is_text => Some(Pattern::parse(text).open(before, after).to_string()),
            _ => None,
        })
    }

    /// True if its values are texts with wildcards, rather than expressions, networks or numbers to compare with.
    pub(super) fn is_text(&self) -> bool {
        let text = |modifier: &Modifier| {
            matches!(
                modifier,
                Modifier::All
                    | Modifier::Neq
                    | Modifier::Cased
                    | Modifier::Expand
                    | Modifier::StartsWith
                    | Modifier::EndsWith
                    | Modifier::Contains
            )
        };
        self.item.modifiers.iter().all(text)
    }

    /// True if its values are texts that modifiers encode.
    pub(super) fn is_encoded(&self) -> bool {
        let encoded = |modifier: &Modifier| {
            matches!(
                modifier,
                Modifier::Windash
                    | Modifier::Base64
                    | Modifier::Base64Offset
                    | Modifier::Utf16
                    | Modifier::Utf16Le
                    | Modifier::Utf16Be
            )
        };
        self.item.modifiers.iter().any(encoded)
    }

    fn open(&self) -> (bool, bool) {
        let contains = self.item.has(Modifier::Contains);
        (contains || self.item.has(Modifier::EndsWith), contains || self.item.has(Modifier::StartsWith))
    }

    /// Writes the wildcards of `contains`, `startswith` and `endswith` into the values.
    pub(super) fn spell_out(&mut self) {
        let (before, after) = self.open();
        if !self.is_text() || !before && !after {
            return;
        }
        for (_, value) in &mut self.item.values {
            if *value != Scalar::Null {
                *value = Scalar::Text(opened(&value.to_text(), before, after));
            }
        }
        self.item
            .modifiers
            .retain(|modifier| !matches!(modifier, Modifier::StartsWith | Modifier::EndsWith | Modifier::Contains));
    }
}

/// A value with wildcards before and after it.
pub(super) fn opened(text: &str, before: bool, after: bool) -> String {
    let mut opened = String::from(if before && !text.starts_with('*') { "*" } else { "" });
    opened.push_str(text);
    if after {
        // A wildcard behind a single backslash would be a plain character.
        let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
        opened.push_str(if backslashes % 2 == 1 { "\\*" } else { "*" });
    }
    opened
}

impl Subject {
    /// A rule with its filters: one condition over the selections of all.
    pub(super) fn of_rule(rule: &Rule) -> Subject {
        let (mut selections, mut conditions) = (Vec::new(), Vec::new());
        for part in &rule.parts {
            let first = selections.len();
            conditions.push(part.detection.condition.map(&mut |at| first + at));
            let name = |own: &str| part.filter.as_ref().map_or(own.to_owned(), |filter| format!("{filter}: {own}"));
            selections.extend(part.detection.selections.iter().map(|(own, items)| (name(own), Group::new(items))));
        }
        let one = |text: &Option<String>| text.clone().map(|text| Attribute::One(Scalar::Text(text)));
        let text = |text: &str| Some(Attribute::One(Scalar::Text(text.to_owned())));
        let many = |texts: &[String]| Some(Attribute::Many(texts.to_vec()));
        Subject {
            place: Place { line: rule.line, column: 1 },
            is_rule: true,
            logsources: vec![rule.logsource.clone()],
            selections,
            condition: Some(Tree::all(conditions)),
            attributes: attributes([
                ("title", text(&rule.reference.title)),
                ("id", text(&rule.reference.id)),
                ("name", one(&rule.name)),
                ("status", one(&rule.status)),
                ("description", one(&rule.description)),
                ("author", one(&rule.reference.author)),
                ("level", text(rule.reference.level.as_str())),
                ("tags", many(&rule.tags)),
                ("references", many(&rule.links)),
                ("falsepositives", many(&rule.false_positives)),
            ]),
            tags: rule.tags.clone(),
            ..Subject::default()
        }
    }

    pub(super) fn of_correlation(correlation: &Correlation, logsources: Vec<Logsource>) -> Subject {
        let one = |text: &Option<String>| text.clone().map(|text| Attribute::One(Scalar::Text(text)));
        let text = |text: &str| Some(Attribute::One(Scalar::Text(text.to_owned())));
        let many = |texts: &[String]| Some(Attribute::Many(texts.to_vec()));
        let mut fields: Vec<String> = Vec::new();
        each_field(&mut correlation.clone(), &mut |field| fields.push(field.clone()));
        Subject {
            place: Place { line: correlation.line, column: 1 },
            logsources,
            fields,
            attributes: attributes([
                ("title", text(&correlation.reference.title)),
                ("id", text(&correlation.reference.id)),
                ("name", one(&correlation.name)),
                ("status", one(&correlation.status)),
                ("description", one(&correlation.description)),
                ("author", one(&correlation.reference.author)),
                ("level", text(correlation.reference.level.as_str())),
                ("tags", many(&correlation.tags)),
                ("references", many(&correlation.links)),
                ("falsepositives", many(&correlation.false_positives)),
            ]),
            tags: correlation.tags.clone(),
            ..Subject::default()
        }
    }

    /// The detection as it is now. Selections that were emptied are gone from the condition.
    pub(super) fn into_detection(self) -> Result<Detection, Problem> {
        let empty: Vec<bool> = self.selections.iter().map(|(_, group)| group.is_empty()).collect();
        let condition = self.condition.and_then(|condition| without(&condition, &empty));
        let Some(condition) = condition else {
            return Err(Problem::new(self.place, "its pipelines leave nothing of its condition"));
        };
        let selections: Vec<(String, Selection)> =
            self.selections.into_iter().map(|(name, group)| (name, group.selection())).collect();
        let names: Vec<&str> = selections.iter().map(|(name, _)| name.as_str()).collect();
        let written = vec![in_words(&condition, &names).into()];
        Ok(Detection { selections, condition, written })
    }

    /// Puts the fields back into the correlation that they are of.
    pub(super) fn give_fields(&mut self, correlation: &mut Correlation) -> Result<(), Problem> {
        let mut fields = std::mem::take(&mut self.fields).into_iter();
        each_field(correlation, &mut |field| {
            if let Some(new) = fields.next() {
                *field = new;
            }
        });
        let mut seen = HashSet::new();
        match correlation.group_by.iter().find(|field| !seen.insert(field.as_str())) {
            Some(field) => Err(Problem::new(self.place, format!("its pipelines make two fields of it `{field}`"))),
            None => Ok(()),
        }
    }
}

fn attributes<const N: usize>(known: [(&str, Option<Attribute>); N]) -> HashMap<String, Attribute> {
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Calls `change` with every field of a correlation that is one of events: no alias.
fn each_field(correlation: &mut Correlation, change: &mut impl FnMut(&mut String)) {
    let aliases: Vec<String> = correlation.aliases.iter().map(|alias| alias.name.clone()).collect();
    for alias in &mut correlation.aliases {
        alias.fields.iter_mut().for_each(|(_, field)| change(field));
    }
    correlation.group_by.iter_mut().filter(|field| !aliases.contains(field)).for_each(&mut *change);
    let computed = match &mut correlation.kind {
        Kind::ValueCount { fields, .. } => fields.as_mut_slice(),
        Kind::Sum { field, .. } | Kind::Average { field, .. } | Kind::Percentile { field, .. } => {
            std::slice::from_mut(field)
        }
        Kind::EventCount(_) | Kind::Seen(_) | Kind::Boolean(_) | Kind::Ordered { .. } => &mut [],
    };
    computed.iter_mut().filter(|field| !aliases.contains(field)).for_each(change);
}

/// The condition without some selections; none if nothing is left.
fn without(condition: &Condition, empty: &[bool]) -> Option<Condition> {
    let each = |children: &[Condition]| -> Vec<Condition> {
        children.iter().filter_map(|child| without(child, empty)).collect()
    };
    let some = |children: Vec<Condition>| (!children.is_empty()).then_some(children);
    match condition {
        Tree::Leaf(at) => (!empty[*at]).then_some(Tree::Leaf(*at)),
        Tree::Not(child) => without(child, empty).map(Tree::not),
        Tree::All(children) => some(each(children)).map(Tree::all),
        Tree::Any(children) => some(each(children)).map(Tree::any),
        Tree::AtLeast(least, children) => {
            some(each(children)).map(|children| Tree::AtLeast((*least).min(children.len()), children))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_written_out_as_they_meant() {
        for (text, before, after, want) in [
            ("a", true, true, "*a*"),
            ("*a", true, false, "*a"),
            (r"C:\", false, true, r"C:\\*"),
            (r"C:\\", false, true, r"C:\\*"),
            (r"\x", true, false, r"*\x"),
        ] {
            assert_eq!(opened(text, before, after), want, "{text}");
            let pattern = Pattern::parse(text).open(before, after);
            assert_eq!(Pattern::parse(&opened(text, before, after)), pattern, "{text}");
        }
    }

    #[test]
    fn emptied_selections_leave_the_condition() {
        let leaf = Tree::Leaf;
        let all = Tree::All(vec![leaf(0), leaf(1).not()]);
        assert_eq!(without(&all, &[false, true]), Some(leaf(0)));
        assert_eq!(without(&all, &[true, false]), Some(leaf(1).not()));
        assert_eq!(without(&all, &[true, true]), None);
        let two = Tree::AtLeast(2, vec![leaf(0), leaf(1)]);
        assert_eq!(without(&two, &[false, true]), Some(Tree::AtLeast(1, vec![leaf(0)])));
    }
}
