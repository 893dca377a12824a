//! What a match says.

use std::{fmt, str::FromStr};

use vedette_event::{Entity, Event, Finding, FindingId, Level, Matched, RuleRef, Time};

use crate::{Indicator, Kind, Known};

/// What the rule ids of indicators begin with; the feed's name follows.
pub const RULE_PREFIX: &str = "indicator:";

/// Longest text of a finding.
const MAX_TEXT: usize = 1 << 10;
/// Most fields in which one observable is shown, most feeds, and most entities.
const MAX_FIELDS: usize = 8;
const MAX_FEEDS: usize = 16;
const MAX_ENTITIES: usize = 16;

/// Whom events are about, most telling first: kind, and the fields that name one. The same as for Sigma's findings, so that both join one alert's
/// entity.
const ENTITIES: &[(&str, &[&str])] = &[
    ("host", &["host.name", "winlog.computer_name", "observer.name"]),
    ("user", &["user.name", "user.target.name", "user.id"]),
    ("ip", &["source.ip"]),
    ("ip", &["destination.ip"]),
    ("process", &["process.executable", "process.name"]),
    ("file", &["file.path"]),
    ("domain", &["dns.question.name", "destination.domain", "url.domain"]),
];

/// An observable that an event has.
pub(super) struct Seen<'a> {
    pub(super) known: Known<'a>,
    /// Fields and what stood there.
    fields: Vec<Matched>,
    /// The ports beside it, one for each time it was found.
    ports: Vec<Option<u16>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(known: Known<'a>, field: &str, value: &str, port: Option<u16>) -> Self {
        let mut seen = Seen { known, fields: Vec::new(), ports: Vec::new() };
        seen.again(field, value, port);
        seen
    }

    pub(super) fn again(&mut self, field: &str, value: &str, port: Option<u16>) {
        let matched = Matched { field: field.to_owned(), value: shortened(value) };
        if self.fields.len() < MAX_FIELDS && !self.fields.contains(&matched) {
            self.fields.push(matched);
        }
        if self.ports.len() < MAX_FIELDS && !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }
}

/// The level of an indicator's findings: its own, or by its confidence: `high` from 80 on, `medium` from 50, `low` from 20, else `informational`.
pub fn level_of(indicator: &Indicator) -> Level {
    indicator.level.unwrap_or(match indicator.confidence {
        80.. => Level::High,
        50..80 => Level::Medium,
        20..50 => Level::Low,
        _ => Level::Informational,
    })
}

pub(super) fn finding(event: Event<'_>, seen: Seen<'_>) -> Option<Finding> {
    let Seen { known, fields, ports } = seen;
    let time = event.time();
    let mut holding: Vec<Indicator> = Vec::new();
    for port in ports {
        holding.extend(known.holding(time, port).filter(|indicator| !holding.contains(indicator)).collect::<Vec<_>>());
    }
    // The surest first; the feed's name decides between equals, so that the order of loading does not.
    holding.sort_by(|a, b| {
        b.confidence.cmp(&a.confidence).then_with(|| a.feed.cmp(&b.feed)).then_with(|| a.reference.cmp(&b.reference))
    });
    let surest = holding.first()?;
    let observable = known.observable();
    let kind = observable.kind();
    let mut feeds: Vec<&str> = Vec::new();
    for indicator in &holding {
        if feeds.len() < MAX_FEEDS && !feeds.contains(&&*indicator.feed) {
            feeds.push(&indicator.feed);
        }
    }
    let name = holding.iter().map(|indicator| indicator.name.as_str()).find(|name| !name.is_empty());
    let about = name.map_or(String::new(), |name| format!(": {name}"));
    let level = holding.iter().map(level_of).max().unwrap_or_default();

    let mut matched = fields;
    let mut say = |field: &str, value: &str| matched.push(Matched { field: field.to_owned(), value: shortened(value) });
    say(KIND_FIELD, kind.as_str());
    say(NAME_FIELD, &observable.to_string());
    say("threat.indicator.type", kind.ecs_type(observable.is_v6()));
    say("threat.indicator.confidence", &surest.confidence.to_string());
    feeds.iter().for_each(|feed| say("threat.feed.name", feed));
    let mut references: Vec<&str> = holding.iter().map(|indicator| indicator.reference.as_str()).collect();
    references.dedup();
    references.iter().filter(|reference| !reference.is_empty()).take(MAX_FEEDS).for_each(|reference| {
        say("threat.indicator.reference", reference);
    });
    if let Some(name) = name {
        say("threat.indicator.description", name);
    }
    let labels = || holding.iter().flat_map(|indicator| &indicator.labels);
    for label in labels().take(MAX_FEEDS) {
        match label.strip_prefix("tlp:") {
            Some(colour) => say("threat.indicator.marking.tlp", &colour.to_ascii_uppercase()),
            None => say("threat.indicator.labels", label),
        }
    }
    let mut techniques: Vec<String> = labels().filter_map(|label| technique(label)).collect();
    let mut tactics: Vec<String> =
        labels().filter_map(|label| label.strip_prefix("mitre-attack:")).map(shortened).collect();
    for list in [&mut techniques, &mut tactics] {
        list.sort();
        list.dedup();
        list.truncate(MAX_FEEDS);
    }
    let events = vec![event.id()];
    Some(Finding {
        // Of the observable alone: another feed that learns of it later makes no second finding.
        id: FindingId::of(&format!("{RULE_PREFIX}{kind}:{observable}"), &events),
        rule: RuleRef {
            id: format!("{RULE_PREFIX}{}", surest.feed),
            title: shortened(&format!("{} known to {}{about}", titled(kind), feeds.join(", "))),
            level,
            author: None,
            techniques,
            tactics,
        }
        .into(),
        time,
        events,
        entities: entities(event),
        matched,
    })
}

/// The fields in which a finding says what was sighted.
const KIND_FIELD: &str = "threat.indicator.kind";
const NAME_FIELD: &str = "threat.indicator.name";

/// What a finding of ours says was sighted; to be counted for each observable. A finding that comes again has the same id and is no new sighting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The observable's kind.
    pub kind: Kind,
    /// The observable, in its normal form.
    pub value: String,
    /// Every feed that knows it.
    pub feeds: Vec<String>,
    /// The references that it has there.
    pub references: Vec<String>,
    /// When it was seen.
    pub time: Time,
}

impl Sighting {
    /// Of a finding; none if it is not about an indicator.
    pub fn of(finding: &Finding) -> Option<Sighting> {
        finding.rule.id.strip_prefix(RULE_PREFIX)?;
        let all = |field: &'static str| {
            finding.matched.iter().filter(move |matched| matched.field == field).map(|matched| matched.value.clone())
        };
        Some(Sighting {
            kind: Kind::from_str(&all(KIND_FIELD).next()?).ok()?,
            value: all(NAME_FIELD).next()?,
            feeds: all("threat.feed.name").collect(),
            references: all("threat.indicator.reference").collect(),
            time: finding.time,
        })
    }
}

impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.kind, self.value, self.time)
    }
}

fn titled(kind: Kind) -> &'static str {
    match kind {
        Kind::Address => "Address",
        Kind::Network => "Network",
        Kind::Domain => "Domain",
        Kind::Url => "URL",
        Kind::Md5 | Kind::Sha1 | Kind::Sha256 | Kind::Sha512 => "File",
        Kind::Mail => "Mail address",
    }
}

/// The ATT&CK technique that a label names: `misp-galaxy:mitre-attack-pattern="Phishing - T1566"`, `attack.t1566.001`, `T1566`.
fn technique(label: &str) -> Option<String> {
    let is_one = |word: &&str| {
        let mut parts = word.split('.');
        let digits = |part: Option<&str>, count: usize| {
            part.is_some_and(|part| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let first = parts.next().and_then(|first| first.strip_prefix(['T', 't']));
        let (sub, rest) = (parts.next(), parts.next());
        digits(first, 4) && (sub.is_none() || digits(sub, 3)) && rest.is_none()
    };
    let plain = label.strip_prefix("attack.").unwrap_or(label);
    plain.split([' ', '"', '=', ':']).find(is_one).map(str::to_ascii_uppercase)
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_techniques() {
        for (label, want) in [
            ("misp-galaxy:mitre-attack-pattern=\"Phishing - T1566\"", Some("T1566")),
            ("attack.t1566.001", Some("T1566.001")),
            ("T1059", Some("T1059")),
            ("t10", None),
            ("T1059.1", None),
            ("T1059.001.2", None),
            ("tlp:amber", None),
        ] {
            assert_eq!(technique(label).as_deref(), want, "{label}");
        }
    }
}
