//! Steps that work on fields: dates, addresses, renaming, constants, tables.

use jiff::tz::TimeZone;

use super::{Assignments, Part, Table, Template, assign};
use crate::parse::{
    address::{self, Address},
    date::Format,
    draft::{Digits, Draft, Name, Slot, Span, Val},
    spec::{Literal, Type},
    vocabulary::{Sym, Vocabulary},
};

pub(super) fn add_literal(draft: &mut Draft, field: Sym, value: &Literal) {
    match value {
        Literal::Bool(bool) => draft.add(field, Val::Bool(*bool)),
        Literal::Int(int) => draft.add(field, Val::Int(*int)),
        Literal::Float(float) => draft.add(field, Val::Float(*float)),
        Literal::Text(text) => draft.add_text(field, text),
    }
}

/// Sources write "no value" as nothing, `-`, or `(null)`; that is not copied into ECS fields.
fn is_something(draft: &Draft, value: Val) -> bool {
    match value {
        Val::Null => false,
        Val::Str(span) => !matches!(draft.str(span), "" | "-" | "(null)"),
        _ => true,
    }
}

pub(super) fn date(draft: &mut Draft, field: Sym, formats: &[Format], zone: &TimeZone, keep: bool) {
    let Some(value) = draft.get(field) else { return };
    let Some(span) = draft.as_text(value) else { return };
    let received = draft.received;
    let found = formats.iter().find_map(|format| format.read(draft.str(span).trim(), received, zone));
    let Some(time) = found else { return };
    draft.time = Some(time);
    if !keep {
        draft.remove(field);
    }
}

pub(super) fn address(draft: &mut Draft, field: Sym, ip: Option<Sym>, port: Option<Sym>, domain: Option<Sym>) {
    let Some(span) = draft.text_of(field) else { return };
    let (host, at) = match address::parse(draft.str(span)) {
        Some(Address::Ip(address, at)) => (ip.map(|ip| (ip, address.to_string())), at),
        Some(Address::Name(name, at)) => (domain.map(|domain| (domain, name.to_owned())), at),
        None => return,
    };
    if let Some((sym, text)) = host {
        draft.set_text(sym, &text);
    }
    if let (Some(port), Some(at)) = (port, at) {
        draft.set(port, Val::Int(at.into()));
    }
}

/// Replaces every text value of a field.
fn map_text(draft: &mut Draft, field: Sym, map: impl Fn(&str) -> Option<String>) {
    let mut next = draft.position(field);
    while let Some(at) = next {
        next = draft.next_position(field, at);
        if let Val::Str(span) = draft.slots[at].value
            && let Some(text) = map(draft.str(span))
        {
            let span = draft.append(&text);
            draft.replace_at(at, Val::Str(span));
        }
    }
}

pub(super) fn lowercase(draft: &mut Draft, fields: &[Sym]) {
    for field in fields {
        map_text(draft, *field, |text| text.chars().any(char::is_uppercase).then(|| text.to_lowercase()));
    }
}

pub(super) fn basename(draft: &mut Draft, pairs: &[(Sym, Sym)]) {
    for (from, to) in pairs {
        let Some(span) = draft.text_of(*from) else { continue };
        let text = draft.str(span);
        let start = text.rfind(['\\', '/']).map_or(0, |at| at + 1);
        if start < text.len() && is_something(draft, Val::Str(span)) {
            draft.set(*to, Val::Str(span.part(start..span.len as usize)));
        }
    }
}

pub(super) fn rename(draft: &mut Draft, pairs: &[(Sym, Sym)]) {
    for (from, to) in pairs {
        if draft.get(*from).is_none() {
            continue;
        }
        draft.remove(*to);
        while let Some(at) = draft.position(*from) {
            draft.rename_at(at, Name::Sym(*to));
        }
    }
}

pub(super) fn copy(draft: &mut Draft, pairs: &[(Sym, Vec<Sym>)]) {
    for (from, targets) in pairs {
        let Some(first) = draft.get(*from) else { continue };
        let is_single = draft.count(*from) == 1;
        for to in targets {
            if is_single {
                if is_something(draft, first) {
                    draft.set(*to, first);
                }
                continue;
            }
            let values: Vec<Val> = draft.positions(*from).map(|at| draft.slots[at].value).collect();
            draft.remove(*to);
            for value in values {
                if is_something(draft, value) {
                    draft.add(*to, value);
                }
            }
        }
    }
}

pub(super) fn default(draft: &mut Draft, assignments: &Assignments) {
    for (field, values) in assignments {
        if !draft.get(*field).is_some_and(|value| is_something(draft, value)) {
            draft.remove(*field);
            values.iter().for_each(|value| add_literal(draft, *field, value));
        }
    }
}

/// The template's text; `None` if a field of it is absent.
fn fill(draft: &mut Draft, template: &Template) -> Option<String> {
    let mut text = String::new();
    for part in &template.0 {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Field(field) => {
                let value = draft.get(*field).filter(|value| is_something(draft, *value))?;
                let span = draft.as_text(value)?;
                text.push_str(draft.str(span));
            }
        }
        if text.len() > crate::parse::draft::MAX_TEXT {
            draft.limits.text = true;
            return None;
        }
    }
    Some(text)
}

pub(super) fn compose(draft: &mut Draft, pairs: &[(Sym, Template)]) {
    for (to, template) in pairs {
        if let Some(text) = fill(draft, template) {
            draft.set_text(*to, &text);
        }
    }
}

pub(super) fn prefix(draft: &mut Draft, vocabulary: &Vocabulary, template: &Template) {
    let Some(mut prefix) = fill(draft, template) else { return };
    prefix.push('.');
    for at in 0..draft.slots.len() {
        if !draft.slots[at].own || draft.slots[at].name == Name::Gone {
            continue;
        }
        let name = draft.prefixed(at, &prefix, vocabulary);
        draft.rename_at(at, name);
        // The list's name grows with the field's.
        let element = &mut draft.slots[at].element;
        if *element > 0 {
            *element = element.saturating_add(prefix.len() as u16);
        }
    }
}

/// Takes the record's own fields below a name out of it: `a.b` becomes `b`. Whether there were any.
pub(crate) fn lift(draft: &mut Draft, vocabulary: &Vocabulary, name: &str) -> bool {
    let mut found = false;
    for at in 0..draft.slots.len() {
        if !draft.slots[at].own {
            continue;
        }
        let Some(inner) = draft
            .name_at(at, vocabulary)
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('.'))
            .filter(|inner| !inner.is_empty())
            .map(str::to_owned)
        else {
            continue;
        };
        found = true;
        let inner = draft.name(vocabulary, &[&inner]);
        draft.rename_at(at, inner);
        // The list's name shrinks with the field's.
        let element = &mut draft.slots[at].element;
        *element = element.saturating_sub(name.len() as u16 + 1);
    }
    found
}

/// The elements of a JSON list, each a name and a value, as fields.
pub(super) fn entries(
    draft: &mut Draft,
    vocabulary: &Vocabulary,
    list: &str,
    key: &str,
    values: &[Box<str>],
    to: &str,
) {
    let mut name: Option<Span> = None;
    let mut found: Vec<(usize, Val)> = Vec::new();
    for at in 0..draft.slots.len() {
        let Slot { value, element, .. } = draft.slots[at];
        let inside = draft.name_at(at, vocabulary).strip_prefix(list).and_then(|rest| rest.strip_prefix('.'));
        let Some(inside) = inside else { continue };
        let is_key = inside == key;
        let place = values.iter().position(|value| **value == *inside);
        if (1..=list.len()).contains(&usize::from(element)) {
            entry(draft, vocabulary, to, name.take(), &mut found);
        }
        if is_key && name.is_none() {
            name = draft.as_text(value);
        }
        if let Some(place) = place
            && value != Val::Null
        {
            found.push((place, value));
        }
    }
    entry(draft, vocabulary, to, name, &mut found);
}

/// One element: its values become fields of its name.
fn entry(draft: &mut Draft, vocabulary: &Vocabulary, to: &str, name: Option<Span>, found: &mut Vec<(usize, Val)>) {
    let first = found.iter().map(|(place, _)| *place).min();
    if let (Some(name), Some(first)) = (name, first) {
        // A name that people can type into a query.
        let name = draft.str(name).trim().replace(char::is_whitespace, "_");
        if !name.is_empty() {
            let name = draft.name(vocabulary, &[to, ".", &name]);
            found.iter().filter(|(place, _)| *place == first).for_each(|(_, value)| draft.push(name, *value, false));
        }
    }
    found.clear();
}

pub(super) fn lookup(draft: &mut Draft, table: &Table) {
    let found = match draft.get(table.field) {
        None | Some(Val::Null) => return,
        Some(Val::Int(int)) => table.rows.get(Digits::of(int).as_str()),
        Some(Val::Str(span)) if table.ignore_case => table.rows.get(draft.str(span).to_lowercase().as_str()),
        Some(Val::Str(span)) => table.rows.get(draft.str(span)),
        Some(other) => {
            let span = draft.as_text(other).unwrap_or_default();
            table.rows.get(draft.str(span))
        }
    };
    if let Some(row) = found.or(table.default.as_ref()) {
        assign(draft, row);
    }
}

pub(super) fn convert(draft: &mut Draft, pairs: &[(Sym, Type)]) {
    for (field, kind) in pairs {
        let mut next = draft.position(*field);
        while let Some(at) = next {
            next = draft.next_position(*field, at);
            let value = draft.slots[at].value;
            let converted = match (kind, value) {
                (Type::Text, Val::Str(_)) | (_, Val::Null) => None,
                (Type::Text, other) => draft.as_text(other).map(Val::Str),
                (Type::Int, Val::Str(span)) => crate::parse::emit::integer(draft.str(span)).map(Val::Int),
                (Type::Int, Val::Float(float)) if float.abs() < 9e15 => Some(Val::Int(float as i64)),
                (Type::Int, Val::Bool(bool)) => Some(Val::Int(bool.into())),
                (Type::Float, Val::Str(span)) => {
                    draft.str(span).parse().ok().filter(|float: &f64| float.is_finite()).map(Val::Float)
                }
                (Type::Float, Val::Int(int)) => Some(Val::Float(int as f64)),
                (Type::Bool, Val::Str(span)) => match draft.str(span).to_ascii_lowercase().as_str() {
                    "true" | "yes" | "1" | "on" => Some(Val::Bool(true)),
                    "false" | "no" | "0" | "off" => Some(Val::Bool(false)),
                    _ => None,
                },
                (Type::Bool, Val::Int(int @ (0 | 1))) => Some(Val::Bool(int == 1)),
                _ => None,
            };
            if let Some(value) = converted {
                draft.replace_at(at, value);
            }
        }
    }
}

pub(super) fn split(draft: &mut Draft, field: Sym, separator: &str, into: Option<Sym>, to: &[Sym]) {
    let Some(span) = draft.text_of(field) else { return };
    let text = draft.str(span);
    let bound = if into.is_some() { 1024 } else { to.len() };
    let parts: Vec<std::ops::Range<usize>> = text
        .splitn(bound, separator)
        .map(|part| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            start..start + part.len()
        })
        .collect();
    if let Some(into) = into {
        draft.remove(into);
        for part in parts {
            if !part.is_empty() {
                draft.add(into, Val::Str(span.part(part)));
            }
        }
    } else if parts.len() > 1 {
        for (to, part) in to.iter().zip(parts) {
            draft.set(*to, Val::Str(span.part(part)));
        }
    }
}
