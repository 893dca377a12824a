//! What people are told: something happened to an alert or an incident.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use vedette_alert::{Alert, AlertId, Incident, IncidentDetail, IncidentId, IncidentState, Verdict};
use vedette_event::{Entity, Level, RuleRef, Time};

use crate::text::cut;

/// A text of a notice is cut at this many bytes.
const MAX_TEXT: usize = 1024;
/// A notice names at most this many entities, sources, rules, techniques and tactics.
const MAX_NAMED: usize = 16;

/// What happened to an alert or an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// It is new.
    Opened,
    /// It has come further since this was said last. An alert has ten times as many findings; an incident has a tactic or a
    /// level that it did not have, or names four times as many entities.
    Grew,
    /// Somebody is on it.
    Acknowledged,
    /// Somebody has judged it; or it is an incident that was merged into another one.
    Closed,
    /// The judgement was taken back.
    Reopened,
}

impl Happened {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Happened::Opened => "opened",
            Happened::Grew => "grew",
            Happened::Acknowledged => "acknowledged",
            Happened::Closed => "closed",
            Happened::Reopened => "reopened",
        }
    }

    /// True if it wants somebody afterwards.
    pub const fn raises(self) -> bool {
        matches!(self, Happened::Opened | Happened::Grew | Happened::Reopened)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An alert.
    Alert(AlertId),
    /// An incident.
    Incident(IncidentId),
}

impl Subject {
    /// Without the number.
    pub const fn about(self) -> About {
        match self {
            Subject::Alert(_) => About::Alert,
            Subject::Incident(_) => About::Incident,
        }
    }

    /// The number alone.
    pub const fn number(self) -> i64 {
        match self {
            Subject::Alert(AlertId(number)) | Subject::Incident(IncidentId(number)) => number,
        }
    }

    /// The alert's number, 0 if this is none.
    pub const fn alert(self) -> i64 {
        match self {
            Subject::Alert(AlertId(number)) => number,
            Subject::Incident(_) => 0,
        }
    }

    /// The incident's number, 0 if this is none.
    pub const fn incident(self) -> i64 {
        match self {
            Subject::Incident(IncidentId(number)) => number,
            Subject::Alert(_) => 0,
        }
    }

    /// The same for the same thing that happened to it: `which` tells apart what can happen several times.
    pub(crate) fn identity(self, opened: Time, what: Happened, which: i64) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for number in [self.number(), opened.micros(), which] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(what.as_str().as_bytes());
        // That of an alert is as it was before there were others: what was told stays told.
        if let Subject::Incident(_) = self {
            hasher.update(b" incident");
        }
        let mut identity = [0; 16];
        identity.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        identity
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.about(), self.number())
    }
}

/// What notices can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Alerts.
    Alert,
    /// Incidents.
    Incident,
}

impl About {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            About::Alert => "alert",
            About::Incident => "incident",
        }
    }

    /// The one of that number.
    pub const fn numbered(self, number: i64) -> Subject {
        match self {
            About::Alert => Subject::Alert(AlertId(number)),
            About::Incident => Subject::Incident(IncidentId(number)),
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<About> {
        [About::Alert, About::Incident].into_iter().find(|about| about.as_str() == name)
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened to an alert or an incident, with what people want to know of it.
///
/// Its JSON is what the queue keeps: notices that older versions wrote must go on to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub what: Happened,
    /// When it happened (the clock of who recorded it).
    pub time: Time,
    /// What it happened to; in JSON the key `alert` or `incident`.
    #[serde(flatten)]
    pub subject: Subject,
    /// The revision that this was read from: of the alert, or of the incident.
    pub revision: u64,
    /// When it was opened; tells apart alerts of the same number in a file that was made anew.
    pub opened: Time,
    /// The alert's rule. An incident has the findings of several; what is said of one rule is said of them together: id and
    /// title are [`INCIDENT`](Self::INCIDENT)'s, the level is the worst, techniques and tactics are those of all.
    pub rule: RuleRef,
    /// The rules of an incident's findings, the worst first; an alert has the one above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleName>,
    /// The entity it is about: that of the alert, or the one whose points opened the incident.
    pub entity: Entity,
    /// The entities that its findings name, that one first.
    pub entities: Vec<Entity>,
    /// The sources of its events, where they are known.
    pub sources: Vec<String>,
    /// Number of findings.
    pub count: u64,
    /// Event time of the earliest finding.
    pub first: Time,
    /// Event time of the latest finding.
    pub last: Time,
    /// Who did it, if a person did.
    pub who: Option<String>,
    /// Whose it is.
    #[serde(default)]
    pub assignee: Option<String>,
    /// The latest note on it.
    pub note: Option<String>,
    /// The verdict, if it was closed.
    pub verdict: Option<Verdict>,
    /// The incident that this one has become part of, if that is how it was closed.
    #[serde(default)]
    pub merged_into: Option<IncidentId>,
}

/// A rule of an incident's findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Level,
}

impl Notice {
    /// Id and title in the place of a rule's, where the notice is about an incident.
    pub const INCIDENT: (&'static str, &'static str) = ("incident", "Incident");

    /// What happened to an alert, at a time. Long texts are cut.
    pub fn of(alert: &Alert, what: Happened, time: Time) -> Notice {
        Notice {
            what,
            time,
            subject: Subject::Alert(alert.id),
            revision: alert.revision,
            opened: alert.opened,
            rule: alert.rule.clone(),
            rules: Vec::new(),
            entity: alert.entity.clone(),
            entities: alert.entities.clone(),
            sources: Vec::new(),
            count: alert.count,
            first: alert.first,
            last: alert.last,
            who: None,
            assignee: alert.assignee.clone(),
            note: alert.note.clone(),
            verdict: alert.state.verdict(),
            merged_into: None,
        }
        .bounded()
    }

    /// What happened to an incident, at a time. Long texts are cut. Of one that was merged, `contents` is the incident that has
    /// all that was in it; else it is the incident itself.
    pub fn of_incident(incident: &Incident, contents: &IncidentDetail, what: Happened, time: Time) -> Notice {
        let Incident { entities, tactics, findings, first, last, .. } = &contents.incident;
        let others = entities.iter().filter(|entity| **entity != incident.entity);
        let mut techniques: Vec<String> =
            contents.timeline.iter().flat_map(|step| step.rule.techniques.iter().cloned()).collect();
        techniques.sort();
        techniques.dedup();
        let (verdict, merged_into) = match (what, incident.state) {
            (Happened::Closed, IncidentState::Closed(verdict)) => (Some(verdict), None),
            (Happened::Closed, IncidentState::Merged(into)) => (None, Some(into)),
            _ => (None, None),
        };
        let note = contents.history.iter().rev().find(|change| change.what == "noted");
        Notice {
            what,
            time,
            subject: Subject::Incident(incident.id),
            revision: incident.revision,
            opened: incident.opened,
            rule: RuleRef {
                id: Notice::INCIDENT.0.into(),
                title: Notice::INCIDENT.1.into(),
                level: incident.level,
                author: None,
                techniques,
                tactics: tactics.iter().map(|tactic| (*tactic).to_owned()).collect(),
            },
            rules: rules(contents),
            entity: incident.entity.clone(),
            entities: std::iter::once(&incident.entity).chain(others).cloned().collect(),
            sources: Vec::new(),
            count: *findings,
            first: *first,
            last: *last,
            who: None,
            assignee: incident.assignee.clone(),
            note: note.and_then(|change| change.detail.clone()),
            verdict,
            merged_into,
        }
        .bounded()
    }

    /// What a test of a channel says.
    pub(crate) fn test(what: Happened, now: Time) -> Notice {
        Notice {
            what,
            time: now,
            subject: Subject::Alert(AlertId(0)),
            revision: 0,
            opened: now,
            rule: RuleRef {
                id: "vedette-test".into(),
                title: "Vedette test notification".into(),
                level: Level::Informational,
                author: None,
                techniques: Vec::new(),
                tactics: Vec::new(),
            },
            rules: Vec::new(),
            entity: Entity { kind: "host".into(), value: "vedette".into() },
            entities: Vec::new(),
            sources: Vec::new(),
            count: 1,
            first: now,
            last: now,
            who: None,
            assignee: None,
            note: Some("Somebody pressed the test button. Nothing happened.".into()),
            verdict: (what == Happened::Closed).then_some(Verdict::Benign),
            merged_into: None,
        }
    }

    /// True for what a test of a channel says.
    pub fn is_test(&self) -> bool {
        self.subject.number() == 0
    }

    /// The level of its rule; the worst of an incident's findings.
    pub fn level(&self) -> Level {
        self.rule.level
    }

    /// In a few words what it is about: an alert's rule, or an incident's number and entity.
    pub fn title(&self) -> String {
        match self.subject {
            Subject::Alert(_) => self.rule.title.clone(),
            Subject::Incident(id) => {
                format!("{} {id}: {} {}", Notice::INCIDENT.1, self.entity.kind, self.entity.value)
            }
        }
    }

    /// The same for a notice of the same thing, whenever it is made: what is not offered twice.
    pub(crate) fn identity(&self) -> [u8; 16] {
        let which = match (self.what, self.subject) {
            (Happened::Opened, _) => 0,
            (Happened::Grew, Subject::Alert(_)) => i64::from(decade(self.count)),
            (Happened::Grew, Subject::Incident(_)) => {
                i64::from(reach(self.rule.tactics.len(), self.level(), self.entities.len()))
            }
            (Happened::Acknowledged | Happened::Closed | Happened::Reopened, _) => self.time.micros(),
        };
        self.subject.identity(self.opened, self.what, which)
    }

    /// With texts and lists of bounded length.
    pub(crate) fn bounded(mut self) -> Notice {
        let short = |text: &mut String| cut(text, MAX_TEXT);
        short(&mut self.rule.id);
        short(&mut self.rule.title);
        self.rule.author.as_mut().into_iter().for_each(short);
        for list in [&mut self.rule.techniques, &mut self.rule.tactics, &mut self.sources] {
            list.truncate(MAX_NAMED);
            list.iter_mut().for_each(short);
        }
        self.rules.truncate(MAX_NAMED);
        for rule in &mut self.rules {
            short(&mut rule.id);
            short(&mut rule.title);
        }
        self.entities.truncate(MAX_NAMED);
        for entity in self.entities.iter_mut().chain([&mut self.entity]) {
            short(&mut entity.kind);
            short(&mut entity.value);
        }
        for text in [&mut self.who, &mut self.assignee, &mut self.note] {
            text.as_mut().into_iter().for_each(short);
        }
        self
    }
}

/// The rules of an incident's findings, each once: the worst first, then the one with the most findings.
fn rules(contents: &IncidentDetail) -> Vec<RuleName> {
    let mut rules: BTreeMap<&str, (Level, u64, &str)> = BTreeMap::new();
    for step in &contents.timeline {
        let rule = &step.rule;
        let (level, findings, _) = rules.entry(&rule.id).or_insert((rule.level, 0, &rule.title));
        *level = rule.level.max(*level);
        *findings += step.findings;
    }
    let mut rules: Vec<_> = rules.into_iter().collect();
    rules.sort_by_key(|(_, (level, findings, _))| Reverse((*level, *findings)));
    let name =
        |(id, (level, _, title)): (&str, (Level, u64, &str))| RuleName { id: id.into(), title: title.into(), level };
    rules.into_iter().map(name).collect()
}

/// How many digits a count of findings has, less one: 9 findings are in decade 0, 10 in decade 1.
pub(crate) fn decade(count: u64) -> u32 {
    count.checked_ilog10().unwrap_or(0)
}

/// How far an incident has come: one more with every tactic, with every worse level, and when four times as many entities are
/// named (4, 16). Of lists that are cut, as they are in a notice, it is the same.
pub(crate) fn reach(tactics: usize, level: Level, entities: usize) -> u32 {
    let fours = entities.min(MAX_NAMED).checked_ilog(4).unwrap_or(0);
    tactics.min(MAX_NAMED) as u32 + level as u32 + fours
}
