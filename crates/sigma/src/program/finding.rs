//! What a match says: the fields that made it, and whom it is about.

use vedette_event::{Entity, Event, Finding, FindingId, Matched};

use super::{CheckId, Compiled, Program, view::View};
use crate::{
    check::{Test, Tree},
    pattern::Pattern,
};

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

pub(super) fn finding(program: &Program, rule: &Compiled, view: &View<'_, '_>) -> Finding {
    let event = view.event();
    let events = vec![event.id()];
    let mut matched = Vec::new();
    collect(program, &rule.condition, view, &mut matched);
    Finding {
        id: FindingId::of(&rule.reference.id, &events),
        rule: rule.reference.clone(),
        time: event.time(),
        events,
        entities: entities(event),
        matched,
    }
}

/// The fields of all true checks that count in the condition's favour.
fn collect(program: &Program, condition: &Tree<CheckId>, view: &View<'_, '_>, matched: &mut Vec<Matched>) {
    let holds = |tree: &Tree<CheckId>| tree.eval(&mut |check| view.truth(*check));
    match condition {
        Tree::Leaf(check) => {
            let check = &program.checks[*check as usize];
            let Some(held) = view.witness(check) else { return };
            let found = match (check.slot, &check.test) {
                (None, test) => Matched { field: String::new(), value: keyword(test) },
                (Some(_), _) => Matched { field: held.name.to_owned(), value: shortened(held.text()) },
            };
            if matched.len() < MAX_MATCHED && !matched.contains(&found) {
                matched.push(found);
            }
        }
        Tree::All(children) | Tree::Any(children) | Tree::AtLeast(_, children) => {
            children.iter().filter(|child| holds(child)).for_each(|child| collect(program, child, view, matched));
        }
        Tree::Not(_) => {}
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

fn entities(event: Event<'_>) -> Vec<Entity> {
    let mut entities: Vec<Entity> = Vec::new();
    for (kind, fields) in ENTITIES {
        let named = fields.iter().find(|field| event.get(field).is_some());
        for value in named.into_iter().flat_map(|field| event.all(field)) {
            let entity = Entity { kind: (*kind).to_owned(), value: shortened(&value.to_text()) };
            let says_something = !matches!(entity.value.as_str(), "" | "-");
            if says_something && entities.len() < MAX_ENTITIES && !entities.contains(&entity) {
                entities.push(entity);
            }
        }
    }
    entities
}
