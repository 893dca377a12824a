//! Messages: one notice, or several with counts and the worst first; and how templates and JSON see them.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use vedette_event::{Entity, Level, Time};

use crate::{About, Held, Notice, Subject, text::one_line};

/// Notices of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Stays the same however often it is tried.
    pub id: String,
    /// At least one, in the order in which they came.
    pub notices: Vec<Notice>,
    /// Why they come together or late.
    pub held: Option<Held>,
}

/// A message shows so many of its notices.
const MAX_SHOWN: usize = 20;
const MAX_RULES: usize = 10;

impl Message {
    /// The only notice, unless there are several.
    pub fn single(&self) -> Option<&Notice> {
        match self.notices.as_slice() {
            [notice] => Some(notice),
            _ => None,
        }
    }

    /// The highest level.
    pub fn level(&self) -> Level {
        self.notices.iter().map(Notice::level).max().unwrap_or_default()
    }

    /// The worst first: by level, then by findings, then the latest.
    fn by_weight(&self) -> Vec<&Notice> {
        let mut notices: Vec<&Notice> = self.notices.iter().collect();
        notices.sort_by_key(|notice| std::cmp::Reverse((notice.level(), notice.count, notice.time)));
        notices
    }
}

/// A notice as templates and JSON see it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    what: &'static str,
    time: String,
    about: &'static str,
    alert: i64,
    incident: i64,
    revision: u64,
    link: Option<String>,
    level: &'static str,
    rule: RuleView,
    rules: Vec<RuleNameView>,
    entity: EntityView,
    entities: Vec<EntityView>,
    sources: Vec<String>,
    count: u64,
    first: String,
    last: String,
    who: Option<String>,
    assignee: Option<String>,
    note: Option<String>,
    verdict: Option<&'static str>,
    merged_into: Option<i64>,
    test: bool,
}

#[derive(Clone, Debug, Serialize)]
struct RuleView {
    id: String,
    title: String,
    author: Option<String>,
    techniques: Vec<String>,
    tactics: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct RuleNameView {
    id: String,
    title: String,
    level: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct EntityView {
    kind: String,
    value: String,
}

impl View {
    /// With values as they are; what writes them must escape them.
    pub fn exact(notice: &Notice, console: Option<&str>) -> View {
        View::with(notice, console, str::to_owned, |time| time.to_string())
    }

    /// With values of one visible line each.
    pub fn clean(notice: &Notice, console: Option<&str>) -> View {
        View::with(notice, console, one_line, seconds)
    }

    fn with(notice: &Notice, console: Option<&str>, text: fn(&str) -> String, time: fn(Time) -> String) -> View {
        let list = |list: &[String]| list.iter().map(|one| text(one)).collect();
        let entity = |entity: &Entity| EntityView { kind: text(&entity.kind), value: text(&entity.value) };
        View {
            what: notice.what.as_str(),
            time: time(notice.time),
            about: notice.subject.about().as_str(),
            alert: notice.subject.alert(),
            incident: notice.subject.incident(),
            revision: notice.revision,
            link: link(notice, console),
            level: notice.level().as_str(),
            rule: RuleView {
                id: text(&notice.rule.id),
                title: text(&notice.rule.title),
                author: notice.rule.author.as_deref().map(text),
                techniques: list(&notice.rule.techniques),
                tactics: list(&notice.rule.tactics),
            },
            rules: notice
                .rules
                .iter()
                .map(|rule| RuleNameView { id: text(&rule.id), title: text(&rule.title), level: rule.level.as_str() })
                .collect(),
            entity: entity(&notice.entity),
            entities: notice.entities.iter().map(entity).collect(),
            sources: list(&notice.sources),
            count: notice.count,
            first: time(notice.first),
            last: time(notice.last),
            who: notice.who.as_deref().map(text),
            assignee: notice.assignee.as_deref().map(text),
            note: notice.note.as_deref().map(text),
            verdict: notice.verdict.map(vedette_alert::Verdict::as_str),
            merged_into: notice.merged_into.map(|into| into.0),
            test: notice.is_test(),
        }
    }
}

/// For people: RFC 3339 in UTC, to the second.
fn seconds(time: Time) -> String {
    Time::from_secs(time.secs()).to_string().replace(".000000Z", "Z")
}

/// Where people can see what a notice is about.
pub(crate) fn link(notice: &Notice, console: Option<&str>) -> Option<String> {
    let console = console?.trim_end_matches('/');
    Some(match notice.is_test() {
        true => console.to_owned(),
        false => format!("{console}/{}s/{}", notice.subject.about(), notice.subject.number()),
    })
}

/// Where people can see what a message is about: of several notices, the list of alerts, or that of incidents if it is
/// about nothing else.
pub(crate) fn link_of(message: &Message, console: Option<&str>) -> Option<String> {
    if let Some(notice) = message.single() {
        return link(notice, console);
    }
    let has_alerts = message.notices.iter().any(|notice| notice.subject.about() == About::Alert);
    let list = if has_alerts { About::Alert } else { About::Incident };
    console.map(|console| format!("{}/{list}s", console.trim_end_matches('/')))
}

/// Several notices as templates and JSON see them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DigestView {
    total: usize,
    alerts: usize,
    incidents: usize,
    level: &'static str,
    why: Option<&'static str>,
    from: String,
    to: String,
    by_level: Vec<LevelCount>,
    by_rule: Vec<RuleCount>,
    worst: Vec<View>,
    more: usize,
    link: Option<String>,
    /// In words, for people.
    of: String,
}

#[derive(Clone, Debug, Serialize)]
struct LevelCount {
    level: &'static str,
    count: usize,
}

#[derive(Clone, Debug, Serialize)]
struct RuleCount {
    title: String,
    level: &'static str,
    count: usize,
}

impl DigestView {
    /// Of a message, with every value as `view` shows it.
    pub fn of(message: &Message, console: Option<&str>, view: fn(&Notice, Option<&str>) -> View) -> DigestView {
        let weighed = message.by_weight();
        let times = || message.notices.iter().map(|notice| notice.time);
        let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
        let mut rules: BTreeMap<&str, (usize, &Notice)> = BTreeMap::new();
        for notice in &weighed {
            *levels.entry(notice.level()).or_default() += 1;
            rules.entry(&notice.rule.id).or_insert((0, notice)).0 += 1;
        }
        let mut rules: Vec<(usize, &Notice)> = rules.into_values().collect();
        rules.sort_by_key(|(count, notice)| std::cmp::Reverse((notice.level(), *count)));
        let subjects: HashSet<Subject> = message.notices.iter().map(|notice| notice.subject).collect();
        let incidents = subjects.iter().filter(|subject| subject.about() == About::Incident).count();
        let alerts = subjects.len() - incidents;
        DigestView {
            total: message.notices.len(),
            alerts,
            incidents,
            level: message.level().as_str(),
            why: message.held.map(Held::as_str),
            from: seconds(times().min().unwrap_or(Time::MIN)),
            to: seconds(times().max().unwrap_or(Time::MIN)),
            by_level: levels.iter().rev().map(|(level, &count)| LevelCount { level: level.as_str(), count }).collect(),
            by_rule: rules
                .iter()
                .take(MAX_RULES)
                .map(|(count, notice)| RuleCount {
                    title: view(notice, None).rule.title,
                    level: notice.level().as_str(),
                    count: *count,
                })
                .collect(),
            worst: weighed.iter().take(MAX_SHOWN).map(|notice| view(notice, console)).collect(),
            more: weighed.len().saturating_sub(MAX_SHOWN),
            link: link_of(message, console),
            of: counted(alerts, incidents),
        }
    }
}

/// How many of each, in words.
fn counted(alerts: usize, incidents: usize) -> String {
    let of = |count: usize, about: About| format!("{count} {about}{}", if count == 1 { "" } else { "s" });
    match (alerts, incidents) {
        (_, 0) => of(alerts, About::Alert),
        (0, _) => of(incidents, About::Incident),
        _ => format!("{} and {}", of(alerts, About::Alert), of(incidents, About::Incident)),
    }
}
