//! The steps that a parser is made of, compiled.
//!
//! [`compile`] turns the YAML into [`Step`]s, [`run`](Step::run) applies them to a draft. One file per family.

mod compile;
mod condition;
mod text;
mod values;

pub(super) use compile::Compiler;
use condition::Condition;
use jiff::tz::TimeZone;
pub(crate) use values::lift;

use super::{
    auditd,
    draft::Draft,
    envelope,
    grok::Pattern,
    spec::{Literal, Type},
    vocabulary::{Sym, Vocabulary},
    windows,
};

/// What a step needs besides the draft.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub vocabulary: &'a Vocabulary,
    pub zone: &'a TimeZone,
    pub moves: &'a windows::Moves,
}

/// The record is not what the parser expects; it is offered to the next one.
#[derive(Debug)]
pub(crate) struct NotMine;

/// A field and the constants it gets.
pub(crate) type Assignments = Vec<(Sym, Vec<Literal>)>;

/// A step: an action, and perhaps a condition.
#[derive(Debug)]
pub(crate) struct Step {
    when: Option<Condition>,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Grok { field: Sym, patterns: Vec<(Pattern, Assignments)>, required: bool },
    KeyValue { field: Sym, prefix: Box<str>, pairs: Option<Box<str>>, separator: Box<str>, escapes: bool },
    Json { field: Sym, prefix: Box<str>, required: bool },
    Csv { field: Sym, separator: char, columns: Vec<Option<Sym>> },
    Cef { field: Sym, required: bool },
    Leef { field: Sym, required: bool },
    Entries { list: Box<str>, key: Box<str>, values: Vec<Box<str>>, to: Box<str> },
    Windows,
    Auditd,
    Date { field: Sym, formats: Vec<super::date::Format>, zone: Option<TimeZone>, keep: bool },
    Address { field: Sym, ip: Option<Sym>, port: Option<Sym>, domain: Option<Sym> },
    Lowercase(Vec<Sym>),
    Basename(Vec<(Sym, Sym)>),
    Rename(Vec<(Sym, Sym)>),
    Copy(Vec<(Sym, Vec<Sym>)>),
    Set(Assignments),
    Default(Assignments),
    Compose(Vec<(Sym, Template)>),
    Remove(Vec<Sym>),
    Lookup(Table),
    Convert(Vec<(Sym, Type)>),
    Split { field: Sym, separator: Box<str>, into: Option<Sym>, to: Vec<Sym> },
    Prefix(Template),
    Lift(Vec<Box<str>>),
    Require(Condition),
    Steps(Vec<Step>),
}

/// A lookup table.
#[derive(Debug)]
struct Table {
    field: Sym,
    rows: hashbrown::HashMap<Box<str>, Assignments>,
    default: Option<Assignments>,
    ignore_case: bool,
}

/// Text with fields in braces.
#[derive(Debug)]
struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Field(Sym),
}

impl Step {
    /// Applies the step.
    pub fn run(&self, draft: &mut Draft, context: Context<'_>) -> Result<(), NotMine> {
        if let Some(when) = &self.when
            && !when.holds(draft)
        {
            return Ok(());
        }
        match &self.action {
            Action::Grok { field, patterns, required } => text::grok(draft, *field, patterns, *required)?,
            Action::KeyValue { field, prefix, pairs, separator, escapes } => {
                text::key_value(draft, context.vocabulary, *field, prefix, pairs.as_deref(), separator, *escapes);
            }
            Action::Json { field, prefix, required } => {
                let done = draft.text_of(*field).is_some_and(|span| draft.flatten(span, context.vocabulary, prefix));
                if !done && *required {
                    return Err(NotMine);
                }
            }
            Action::Csv { field, separator, columns } => text::csv(draft, *field, *separator, columns)?,
            Action::Cef { field, required } => {
                let done =
                    draft.text_of(*field).is_some_and(|span| envelope::cef::read(draft, context.vocabulary, span));
                if !done && *required {
                    return Err(NotMine);
                }
            }
            Action::Leef { field, required } => {
                let done =
                    draft.text_of(*field).is_some_and(|span| envelope::leef::read(draft, context.vocabulary, span));
                if !done && *required {
                    return Err(NotMine);
                }
            }
            Action::Entries { list, key, values, to } => {
                values::entries(draft, context.vocabulary, list, key, values, to);
            }
            Action::Windows => windows::normalise(draft, context.vocabulary, context.moves)?,
            Action::Auditd => auditd::normalise(draft, context.vocabulary)?,
            Action::Date { field, formats, zone, keep } => {
                values::date(draft, *field, formats, zone.as_ref().unwrap_or(context.zone), *keep);
            }
            Action::Address { field, ip, port, domain } => values::address(draft, *field, *ip, *port, *domain),
            Action::Lowercase(fields) => values::lowercase(draft, fields),
            Action::Basename(pairs) => values::basename(draft, pairs),
            Action::Rename(pairs) => values::rename(draft, pairs),
            Action::Copy(pairs) => values::copy(draft, pairs),
            Action::Set(assignments) => assign(draft, assignments),
            Action::Default(assignments) => values::default(draft, assignments),
            Action::Compose(pairs) => values::compose(draft, pairs),
            Action::Remove(fields) => fields.iter().for_each(|field| draft.remove(*field)),
            Action::Lookup(table) => values::lookup(draft, table),
            Action::Convert(pairs) => values::convert(draft, pairs),
            Action::Split { field, separator, into, to } => values::split(draft, *field, separator, *into, to),
            Action::Prefix(template) => values::prefix(draft, context.vocabulary, template),
            Action::Lift(names) => {
                for name in names {
                    lift(draft, context.vocabulary, name);
                }
            }
            Action::Require(condition) if !condition.holds(draft) => return Err(NotMine),
            Action::Require(_) => {}
            Action::Steps(steps) => steps.iter().try_for_each(|step| step.run(draft, context))?,
        }
        Ok(())
    }
}

/// Gives every field its constants, instead of what it had.
pub(crate) fn assign(draft: &mut Draft, assignments: &Assignments) {
    for (field, values) in assignments {
        draft.remove(*field);
        values.iter().for_each(|value| values::add_literal(draft, *field, value));
    }
}
