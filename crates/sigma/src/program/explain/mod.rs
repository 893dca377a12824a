//! Why a rule matches an event, or why it does not.
//!
//! The rule is taken apart as its author wrote it, and every value of it becomes checks of a program of its own. These
//! are put to the event by a [`View`], as any program does that looks at an event more closely: what is told here and
//! what is found there cannot differ in how a value is compared.

mod display;
mod told;

use std::{collections::HashMap, sync::Arc};

use vedette_event::{Event, RuleRef};

pub use self::told::{
    Condition, Detection, Explanation, Feed, Field, Group, Item, Line, Members, Operand, Origin, Selection, Term,
    Value, Witness,
};
use super::{
    CheckId, Program, SlotId,
    compile::Compiler,
    truths::Truths,
    view::{Held, View},
};
use crate::{
    check::{Check, Test, Tree},
    mapping::Mapping,
    rule::{self, Meant, Modifier, Placeholders, Refused, Rule},
    yaml::{Problem, Scalar},
};

/// Longest value that is told.
const MAX_VALUE_BYTES: usize = 256;
/// Most values of one field, and most values that a placeholder stands for.
const MAX_VALUES: usize = 16;
/// Most values that are told of all placeholders together.
const MAX_TOLD: usize = 10_000;
/// Most names that are told where a field is missing.
const MAX_SIMILAR: usize = 8;

/// A rule, ready to be explained.
///
/// ```
/// use vedette_event::{BatchBuilder, Source, SourceId, Time, Value};
/// use vedette_sigma::{Explainer, Mapping, load_str};
///
/// let loaded = load_str("r.yml", r"
/// title: Downloads by curl
/// logsource: {product: linux, category: process_creation}
/// detection:
///   selection: {Image|endswith: /curl}
///   condition: selection
/// ");
/// let explainer = Explainer::new(&loaded.rules[0], &Mapping::builtin()).unwrap();
///
/// let mut batch = BatchBuilder::new(Source::new(SourceId(1), "test:1", "test"));
/// batch.begin(0, Time::from_secs(1), b"...");
/// batch.push("process.executable", Value::Str("/usr/bin/wget"));
/// let explanation = explainer.explain(batch.finish().event(0));
/// assert!(!explanation.matched);
/// assert!(explanation.to_string().contains("process.executable is /usr/bin/wget"));
/// ```
#[derive(Debug)]
pub struct Explainer {
    rule: RuleRef,
    file: Arc<str>,
    line: u32,
    logsource: String,
    mapped: bool,
    feeds: Vec<(String, Vec<Asked>)>,
    detections: Vec<Asking>,
    /// The fields that all these read.
    fields: Vec<(String, SlotId)>,
    /// The checks of all items; it has no rules.
    program: Program,
}

/// A detection whose selections are ready to be asked.
#[derive(Debug)]
struct Asking {
    filter: Option<Arc<str>>,
    detection: Arc<rule::Detection>,
    selections: Vec<Asked>,
}

#[derive(Debug)]
enum Asked {
    All(Vec<AskedItem>),
    Any(Vec<Asked>),
}

#[derive(Debug)]
struct AskedItem {
    item: rule::Item,
    operands: Vec<AskedField>,
    truth: Tree<CheckId>,
}

#[derive(Debug)]
struct AskedField {
    /// None is the whole event.
    field: Option<usize>,
    values: Vec<AskedValue>,
}

#[derive(Debug)]
struct AskedValue {
    truth: Tree<CheckId>,
    stands_for: Vec<String>,
    more: usize,
    /// The field that `fieldref` names.
    other: Option<usize>,
}

impl Explainer {
    /// Takes a rule apart.
    ///
    /// # Errors
    /// Its placeholders have no values in the mapping.
    pub fn new(rule: &Rule, mapping: &Mapping) -> Result<Explainer, Refused> {
        Self::read(rule, mapping).map_err(|problem| Refused::of(rule, problem.place, problem.reason))
    }

    fn read(rule: &Rule, mapping: &Mapping) -> Result<Explainer, Problem> {
        let view = mapping.view(&rule.logsource);
        let (own, mapped) = (|field: &str| vec![field.into()], |field: &str| view.names(field));
        let placeholders = mapping.placeholders();
        let (compiler, fields, known, told) = Default::default();
        let mut asker = Asker { compiler, fields, known, placeholders, told, names: &own };
        let mut feeds = Vec::new();
        for (logsource, selections) in mapping.conditions(&rule.logsource) {
            let asked = selections.iter().map(|selection| asker.selection(selection)).collect::<Result<_, _>>()?;
            feeds.push((logsource, asked));
        }
        asker.names = &mapped;
        let mut detections = Vec::new();
        for part in &rule.parts {
            let selections = part.detection.selections.iter();
            let selections = selections.map(|(_, selection)| asker.selection(selection)).collect::<Result<_, _>>()?;
            detections.push(Asking { filter: part.filter.clone(), detection: part.detection.clone(), selections });
        }
        Ok(Explainer {
            rule: rule.reference.clone(),
            file: rule.file.clone(),
            line: rule.line,
            logsource: rule.logsource.to_string(),
            mapped: view.mapped,
            feeds,
            detections,
            fields: asker.fields,
            program: asker.compiler.finish(),
        })
    }

    /// Whether the rule matches an event, and why.
    pub fn explain(&self, event: Event<'_>) -> Explanation {
        let mut truths = Truths::default();
        truths.begin(self.program.checks.len());
        let teller = Teller { program: &self.program, view: View::new(&self.program, event, &truths) };
        let feeds: Vec<Feed> = self
            .feeds
            .iter()
            .map(|(logsource, when)| {
                let when: Vec<Group> = when.iter().map(|asked| teller.group(asked)).collect();
                Feed { logsource: logsource.clone(), passed: when.iter().all(|group| group.passed), when }
            })
            .collect();
        let logsource = Origin {
            logsource: self.logsource.clone(),
            passed: feeds.iter().any(|feed| feed.passed),
            mapped: self.mapped,
            feeds,
        };
        let detections: Vec<Detection> = self.detections.iter().map(|asking| teller.detection(asking)).collect();
        Explanation {
            rule: self.rule.clone(),
            file: self.file.clone(),
            line: self.line,
            event: event.id(),
            matched: logsource.passed && detections.iter().all(|detection| detection.passed),
            logsource,
            detections,
            fields: teller.fields(&self.fields),
        }
    }
}

/// Makes checks of selections.
struct Asker<'a> {
    compiler: Compiler,
    fields: Vec<(String, SlotId)>,
    /// Their places.
    known: HashMap<(String, SlotId), usize>,
    placeholders: &'a Placeholders,
    /// How many values were told that placeholders stand for.
    told: usize,
    /// Where events have a field.
    names: &'a dyn Fn(&str) -> Vec<Box<str>>,
}

impl Asker<'_> {
    fn selection(&mut self, selection: &rule::Selection) -> Result<Asked, Problem> {
        Ok(match selection {
            rule::Selection::All(items) => {
                Asked::All(items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?)
            }
            rule::Selection::Any(children) => {
                Asked::Any(children.iter().map(|child| self.selection(child)).collect::<Result<_, _>>()?)
            }
        })
    }

    fn item(&mut self, item: &rule::Item) -> Result<AskedItem, Problem> {
        let meant = item.meant(self.placeholders)?;
        let mut operands = Vec::new();
        for field in item.fields() {
            let values = meant.iter().map(|value| self.value(item, field.map(AsRef::as_ref), value)).collect();
            let field = field.map(|field| self.field(field));
            operands.push(AskedField { field, values });
        }
        let truths = operands.iter().map(|field| field.values.iter().map(|value| value.truth.clone()).collect());
        let truth = item.combine(truths.collect());
        Ok(AskedItem { item: item.clone(), operands, truth })
    }

    fn value(&mut self, item: &rule::Item, field: Option<&str>, value: &Meant) -> AskedValue {
        let mut other = None;
        let checks = value.tests.map(&mut |test| {
            if let Test::Field { other: named, .. } = test {
                other = Some(self.field(named));
            }
            Check { field: field.map(Into::into), test: test.clone() }
        });
        let truth = self.compiler.condition(&checks, &mut |field| (self.names)(field));
        let values: &[Scalar] = if item.has(Modifier::Expand) { &value.values } else { &[] };
        let few = values.len().min(MAX_VALUES).min(MAX_TOLD.saturating_sub(self.told));
        self.told += few;
        let stands_for = values[..few].iter().map(|value| shortened(&value.to_text())).collect();
        AskedValue { truth, stands_for, more: values.len() - few, other }
    }

    fn field(&mut self, name: &str) -> usize {
        let slot = self.compiler.slot((self.names)(name));
        let known = self.known.entry((name.to_owned(), slot));
        *known.or_insert_with(|| {
            self.fields.push((name.to_owned(), slot));
            self.fields.len() - 1
        })
    }
}

/// Asks an event.
struct Teller<'p, 'b> {
    program: &'p Program,
    view: View<'p, 'b>,
}

impl Teller<'_, '_> {
    fn holds(&self, truth: &Tree<CheckId>) -> bool {
        truth.eval(&mut |check| self.view.truth(*check))
    }

    fn detection(&self, asking: &Asking) -> Detection {
        let rule::Detection { selections, condition, written } = &*asking.detection;
        let groups = asking.selections.iter().map(|asked| self.group(asked));
        let selections: Vec<Selection> =
            selections.iter().zip(groups).map(|((name, _), group)| Selection { name: name.clone(), group }).collect();
        let condition = term(condition, &selections);
        let written = written.iter().map(|text| text.to_string()).collect();
        Detection { filter: asking.filter.clone(), passed: condition.passed, written, condition, selections }
    }

    fn group(&self, asked: &Asked) -> Group {
        match asked {
            Asked::All(items) => {
                let items: Vec<Item> = items.iter().map(|item| self.item(item)).collect();
                Group { passed: items.iter().all(|item| item.passed), members: Members::All(items) }
            }
            Asked::Any(children) => {
                let groups: Vec<Group> = children.iter().map(|child| self.group(child)).collect();
                Group { passed: groups.iter().any(|group| group.passed), members: Members::Any(groups) }
            }
        }
    }

    fn item(&self, asked: &AskedItem) -> Item {
        let item = &asked.item;
        let operand = |operand: &AskedField| Operand {
            field: operand.field,
            values: operand.values.iter().zip(&item.values).map(|(value, (_, raw))| self.value(value, raw)).collect(),
        };
        Item {
            line: item.place.line,
            key: item.key(item.field.as_deref()),
            passed: self.holds(&asked.truth),
            all: item.has(Modifier::All),
            negated: item.has(Modifier::Neq),
            operands: asked.operands.iter().map(operand).collect(),
        }
    }

    fn value(&self, asked: &AskedValue, written: &Scalar) -> Value {
        let passed = self.holds(&asked.truth);
        Value {
            written: (*written != Scalar::Null).then(|| shortened(&written.to_text())),
            stands_for: asked.stands_for.clone(),
            more: asked.more,
            passed,
            witness: if passed { self.witness(&asked.truth) } else { None },
            other: asked.other,
        }
    }

    /// The first value of the event that makes one of the tests true.
    fn witness(&self, truth: &Tree<CheckId>) -> Option<Witness> {
        match truth {
            Tree::Leaf(check) => {
                let check = &self.program.checks[*check as usize];
                let held = self.view.witness(check)?;
                let pattern = match &check.test {
                    Test::Text { pattern, .. } => Some(pattern.to_string()),
                    Test::Regex(expression) => Some(expression.0.as_str().to_owned()),
                    _ => None,
                };
                let pattern = pattern.map(|pattern| shortened(&pattern));
                Some(Witness { field: held.name.to_owned(), value: shown(held).unwrap_or_default(), pattern })
            }
            Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => {
                children.iter().find_map(|child| self.witness(child))
            }
            Tree::Not(_) => None,
        }
    }

    fn fields(&self, fields: &[(String, SlotId)]) -> Vec<Field> {
        // By what stands behind the last dot.
        let mut ends: HashMap<String, Vec<&str>> = HashMap::new();
        for field in self.view.event().fields() {
            let names = ends.entry(end(field.name)).or_default();
            if names.len() < MAX_SIMILAR && !names.contains(&field.name) {
                names.push(field.name);
            }
        }
        fields.iter().map(|(name, slot)| self.field(name, *slot, &ends)).collect()
    }

    fn field(&self, name: &str, slot: SlotId, ends: &HashMap<String, Vec<&str>>) -> Field {
        let names: Vec<String> = self.program.slots[slot as usize].names.iter().map(|name| name.to_string()).collect();
        let mut values = self.view.values(slot).peekable();
        let read = values.peek().map(|held| held.name.to_owned());
        let has = values.by_ref().take(MAX_VALUES).map(shown).collect();
        let more = values.count();
        let mut similar: Vec<String> = Vec::new();
        if read.is_none() {
            let wanted = names.iter().map(String::as_str).chain([name]).map(end);
            for known in wanted.filter_map(|end| ends.get(&end)).flatten() {
                if similar.len() < MAX_SIMILAR && !similar.iter().any(|other| other == known) {
                    similar.push((*known).to_owned());
                }
            }
        }
        Field { name: name.to_owned(), names, read, has, more, similar }
    }
}

/// What stands behind the last dot of a field's name, in one case.
fn end(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_lowercase()
}

/// A condition over selections whose truth is known.
fn term(condition: &rule::Condition, selections: &[Selection]) -> Condition {
    let each = |children: &[rule::Condition]| children.iter().map(|child| term(child, selections)).collect();
    Condition {
        passed: condition.eval(&mut |at| selections[*at].group.passed),
        term: match condition {
            Tree::Leaf(at) => Term::Selection(*at),
            Tree::All(children) => Term::All(each(children)),
            Tree::Any(children) => Term::Any(each(children)),
            Tree::AtLeast(least, children) => Term::AtLeast(*least, each(children)),
            Tree::Not(child) => Term::Not(Box::new(term(child, selections))),
        },
    }
}

/// A value of the event; none if it is null.
fn shown(held: &Held<'_>) -> Option<String> {
    (!held.is_null()).then(|| shortened(held.text()))
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_VALUE_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_VALUE_BYTES)])
}
