//! From the draft into the batch: ECS types, one value where a core column holds one.

use std::fmt::Write;

use vedette_event::{BatchBuilder, Time, Value, ecs::Kind};

use super::{
    address,
    date::Format,
    draft::{Digits, Draft, Name, Val},
    vocabulary::Vocabulary,
};

/// Values that a core column cannot hold (a second value, text where a number must be) go below this name.
pub(crate) const MISFIT: &str = "vedette.misfit.";

/// Adds the draft's fields to the current event. `trusted` sources may name `vedette.*` fields themselves.
pub(crate) fn emit(draft: &mut Draft, vocabulary: &Vocabulary, trusted: bool, batch: &mut BatchBuilder) {
    let known = vocabulary.known;
    stamp(draft, vocabulary);
    let mut filled = 0_u64;
    let mut buffer = String::new();
    for slot in &draft.slots {
        let value = value(draft, slot.value);
        let (name, core) = match slot.name {
            Name::Gone => continue,
            Name::Text(span) => (draft.str(span), None),
            Name::Sym(sym) if sym == known.timestamp && draft.time.is_some() => continue,
            // The original is the record itself; a sender's copy of it stays there.
            Name::Sym(sym) if sym == known.original => continue,
            Name::Sym(sym) if sym == known.timestamp => {
                batch.push("vedette.misfit.@timestamp", value);
                continue;
            }
            Name::Sym(sym) => (vocabulary.name(sym), vocabulary.core(sym)),
        };
        let Some(core) = core else {
            if slot.own && !trusted && name.starts_with("vedette.") {
                misfit(batch, &mut buffer, name, value);
            } else {
                batch.push(name, value);
            }
            continue;
        };
        if matches!(value, Value::Null | Value::Str("")) {
            continue;
        }
        let bit = 1 << core.index;
        if core.kind != Kind::Keywords && filled & bit != 0 {
            if batch.get(name) != Some(value) {
                misfit(batch, &mut buffer, name, value);
            }
            continue;
        }
        buffer.clear();
        match coerce(core.kind, value, &mut buffer) {
            Some(value) => {
                filled |= bit;
                batch.push(name, value);
            }
            None => misfit(batch, &mut buffer, name, value),
        }
    }
    let limits = draft.limits;
    for (hit, what) in
        [(limits.fields, "fields"), (limits.depth, "depth"), (limits.name, "name"), (limits.text, "text")]
    {
        if hit {
            batch.push(vocabulary.name(known.limits), Value::Str(what));
        }
    }
    if let Some(time) = draft.time {
        batch.time(time);
    }
}

fn value(draft: &Draft, value: Val) -> Value<'_> {
    match value {
        Val::Null => Value::Null,
        Val::Bool(bool) => Value::Bool(bool),
        Val::Int(int) => Value::Int(int),
        Val::Float(float) => Value::Float(float),
        Val::Str(span) => Value::Str(draft.str(span)),
    }
}

fn misfit(batch: &mut BatchBuilder, buffer: &mut String, name: &str, value: Value<'_>) {
    buffer.clear();
    buffer.push_str(MISFIT);
    buffer.push_str(name);
    batch.push(buffer, value);
}

/// An `@timestamp` that the record itself carries is its time, unless a step said better.
fn stamp(draft: &mut Draft, vocabulary: &Vocabulary) {
    if draft.time.is_some() {
        return;
    }
    draft.time = match draft.get(vocabulary.known.timestamp) {
        Some(Val::Str(span)) => Format::Iso.read(draft.str(span), draft.received, &jiff::tz::TimeZone::UTC),
        // Elasticsearch's epoch_millis.
        Some(Val::Int(millis)) => millis.checked_mul(1000).map(Time::from_micros),
        _ => None,
    };
}

/// The value in the column's type.
fn coerce<'a>(kind: Kind, value: Value<'a>, buffer: &'a mut String) -> Option<Value<'a>> {
    Some(match (kind, value) {
        (Kind::Keyword | Kind::Keywords, Value::Str(_)) | (Kind::Long, Value::Int(_)) => value,
        (Kind::Keyword | Kind::Keywords, Value::Int(int)) => {
            buffer.push_str(Digits::of(int).as_str());
            Value::Str(buffer)
        }
        (Kind::Keyword | Kind::Keywords, other) => {
            buffer.push_str(&other.to_text());
            Value::Str(buffer)
        }
        (Kind::Long, Value::Str(text)) => Value::Int(integer(text)?),
        (Kind::Long, Value::Float(float)) if float.fract() == 0.0 && float.abs() < 9e15 => Value::Int(float as i64),
        (Kind::Ip, Value::Str(text)) => {
            let ip = address::ip(text)?;
            if ip.is_ipv4() && !text.contains(':') {
                // There is only one way to write it.
                return Some(value);
            }
            write!(buffer, "{ip}").expect("writing to a string");
            Value::Str(buffer)
        }
        _ => return None,
    })
}

/// A whole number, decimal or (as Windows writes process ids) hexadecimal with `0x`.
pub(crate) fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => i64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}
