//! What a match says: the fields that made it, and whom it is about.

use vedette_event::{Entity, Event, Finding, FindingId, Matched, ecs};

use super::{Compiled, Program, evidence::Evidence, names::Numbers};
use crate::{check::Test, pattern::Pattern};

/// Longest matched value; a script or a payload is shown in the event itself.
const MAX_VALUE_BYTES: usize = 4 << 10;
/// Most matched fields and most entities of one finding.
const MAX_MATCHED: usize = 32;
const MAX_ENTITIES: usize = 16;

/// Whom events are about, most telling first: kind, and the fields that name one.
const ENTITIES: &[(&str, &[&str])] = &[
    ("host", &["host.name", "winlog.computer_name", "observer.name"]),
    ("user", &["user.name", "user.target.name", "user.id"]),
    ("ip", &["source.ip"]),
    ("ip", &["destination.ip"]),
    ("process", &["process.executable", "process.name"]),
    ("file", &["file.path"]),
    ("domain", &["dns.question.name", "destination.domain", "url.domain"]),
];

/// The fields that name them. They are the first whose names a program numbers.
pub(super) fn entity_fields() -> impl Iterator<Item = &'static str> {
    ENTITIES.iter().flat_map(|(_, fields)| *fields).copied()
}

/// The finding of a rule that matches an event, for these values.
pub(super) fn finding(
    program: &Program,
    rule: &Compiled,
    event: Event<'_>,
    evidence: &[Evidence],
    entities: Vec<Entity>,
) -> Finding {
    let events = vec![event.id()];
    let mut matched: Vec<Matched> = Vec::new();
    for evidence in evidence {
        let found = told(program, event, *evidence);
        if matched.len() < MAX_MATCHED && !matched.contains(&found) {
            matched.push(found);
        }
    }
    Finding {
        id: FindingId::of(&rule.reference.id, &events),
        rule: rule.reference.clone(),
        time: event.time(),
        events,
        entities,
        matched,
    }
}

fn told(program: &Program, event: Event<'_>, evidence: Evidence) -> Matched {
    match evidence {
        Evidence::Field(place) => {
            let field = event.field_at(place as usize);
            Matched { field: field.name.to_owned(), value: shortened(&field.value.to_text()) }
        }
        Evidence::Time => Matched { field: ecs::TIMESTAMP.to_owned(), value: event.time().to_string() },
        Evidence::Original => {
            Matched { field: ecs::ORIGINAL.to_owned(), value: shortened(&String::from_utf8_lossy(event.raw())) }
        }
        Evidence::Keyword(check) => {
            Matched { field: String::new(), value: keyword(&program.checks[check as usize].test) }
        }
    }
}

fn keyword(test: &Test) -> String {
    let text = match test {
        Test::Text { pattern, .. } => Pattern::to_string(pattern).trim_matches('*').to_owned(),
        Test::Regex(expression) => expression.0.as_str().to_owned(),
        _ => String::new(),
    };
    shortened(&text)
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_VALUE_BYTES {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_VALUE_BYTES)])
}

/// Whom an event is about.
pub(super) fn entities(event: Event<'_>, numbers: &Numbers) -> Vec<Entity> {
    let place = |(place, (name, _))| (numbers.of(name), place);
    let mut named: Vec<(u32, usize)> = event.outline().enumerate().map(place).collect();
    named.retain(|(number, _)| (*number as usize) < entity_fields().count());
    named.sort_unstable();
    let mut entities: Vec<Entity> = Vec::new();
    let mut number = 0;
    for (kind, fields) in ENTITIES {
        let numbers = number..number + fields.len() as u32;
        number = numbers.end;
        let of_kind = named.iter().skip_while(|(number, _)| *number < numbers.start);
        let best = of_kind.clone().map(|(number, _)| *number).next().filter(|number| *number < numbers.end);
        for (_, place) in of_kind.take_while(|(number, _)| Some(*number) == best) {
            let entity = Entity { kind: (*kind).to_owned(), value: shortened(&event.value_at(*place).to_text()) };
            let says_something = !matches!(entity.value.as_str(), "" | "-");
            if says_something && entities.len() < MAX_ENTITIES && !entities.contains(&entity) {
                entities.push(entity);
            }
        }
    }
    entities
}
