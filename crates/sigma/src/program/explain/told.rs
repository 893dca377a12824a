//! What is told: the rule as its author wrote it, with what was true of each part.

use std::sync::Arc;

use serde::Serialize;
use vedette_event::{EventId, RuleRef};

/// Why a rule matches an event, or why it does not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The rule.
    pub rule: RuleRef,
    /// Its file, as the user named it.
    pub file: Arc<str>,
    /// The line its document begins at.
    pub line: u32,
    /// The event.
    pub event: EventId,
    /// Whether the rule matches: whether the event is of its log source and all its detections hold.
    pub matched: bool,
    /// Whether the event is of the rule's log source.
    pub logsource: Origin,
    /// The rule's own detection, then those of its filters.
    pub detections: Vec<Detection>,
    /// The fields that all this reads, and what the event has there.
    pub fields: Vec<Field>,
}

/// A line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How far it is indented.
    pub depth: usize,
    /// Whether what it says is true of the event; none for a line that only says what the event has.
    pub passed: Option<bool>,
    /// What it says. It may hold whatever events hold.
    pub text: String,
}

/// What a log source asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// `product=windows category=process_creation`
    pub logsource: String,
    /// Whether the event is of it.
    pub passed: bool,
    /// False if no entry of the log source mapping feeds it; then it reads the dataset of its name.
    pub mapped: bool,
    /// Which events are of it: those that any of these is true of.
    pub feeds: Vec<Feed>,
}

/// An entry of the log source mapping, or two that must both hold. Its fields are the events' own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Feed {
    /// The log source of the entry.
    pub logsource: String,
    /// Whether all of `when` is true.
    pub passed: bool,
    /// What must hold.
    pub when: Vec<Group>,
}

/// Selections and their condition: a rule's own, or those of a filter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// The title of the filter that was put into the rule; none for the rule's own.
    pub filter: Option<Arc<str>>,
    /// Whether the condition is true.
    pub passed: bool,
    /// The condition as it is written; of several any is enough.
    pub written: Vec<String>,
    /// The condition as it was understood.
    pub condition: Condition,
    /// All selections, also those that the condition does not name.
    pub selections: Vec<Selection>,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Whether it is true.
    pub passed: bool,
    /// What it says.
    #[serde(flatten)]
    pub term: Term,
}

/// What a part of a condition says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// A selection, by its place among the detection's.
    Selection(usize),
    /// All of them.
    All(Vec<Condition>),
    /// Any of them.
    Any(Vec<Condition>),
    /// So many of them.
    AtLeast(usize, Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
}

/// A named search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// Its name in the condition.
    pub name: String,
    /// Whether it is true, and its parts.
    #[serde(flatten)]
    pub group: Group,
}

/// A selection, or a part of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Whether it is true.
    pub passed: bool,
    /// What it is made of.
    #[serde(flatten)]
    pub members: Members,
}

/// What a selection is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// A map: every item.
    All(Vec<Item>),
    /// A list: any of its elements.
    Any(Vec<Group>),
}

/// One line of a selection: `Image|endswith: \whoami.exe`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    /// Its line in the file; 0 where there is none.
    pub line: u32,
    /// The field with its modifiers: `Image|endswith`; only the modifiers where the whole event is searched.
    pub key: String,
    /// Whether it is true.
    pub passed: bool,
    /// Whether all values are wanted (`all`), rather than any.
    pub all: bool,
    /// Whether the values are not wanted (`neq`).
    pub negated: bool,
    /// The fields it may pass in: one, unless a pipeline gave it more.
    pub operands: Vec<Operand>,
}

/// A field under an item's values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operand {
    /// The field, by its place among the explanation's; none where the whole event is searched.
    pub field: Option<usize>,
    /// The item's values, in the order written.
    pub values: Vec<Value>,
}

/// A field as a rule calls it (or as events do, where a log source is told), and what the event has there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// The rule's name for it.
    pub name: String,
    /// Where events may have it; the first that has a value is read.
    pub names: Vec<String>,
    /// The one that was read; none if the event has none of them.
    pub read: Option<String>,
    /// Its first values, shortened; none is null.
    pub has: Vec<Option<String>>,
    /// How many values it has beside these.
    pub more: usize,
    /// Where the event has no such field: fields of it whose names end the same.
    pub similar: Vec<String>,
}

/// A value that an item compares with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Value {
    /// As it is written, shortened; none is null.
    pub written: Option<String>,
    /// Where it has placeholders: the first of the values it stands for.
    pub stands_for: Vec<String>,
    /// How many values it stands for beside these.
    pub more: usize,
    /// Whether the event has it.
    pub passed: bool,
    /// What of the event made it true; none where there is nothing to show, as of a field that is missing.
    pub witness: Option<Witness>,
    /// Under `fieldref`: the field that it names, by its place among the explanation's.
    pub other: Option<usize>,
}

/// A value of an event that passed a test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Witness {
    /// The event's field.
    pub field: String,
    /// Its value, shortened.
    pub value: String,
    /// What the value was compared with, modifiers and encodings done: a text with wildcards, or a regular expression.
    pub pattern: Option<String>,
}
