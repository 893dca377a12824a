//! What people are told: something happened to an alert.

use std::fmt;

use serde::{Deserialize, Serialize};
use vedette_alert::{Alert, AlertId, Verdict};
use vedette_event::{Entity, Level, RuleRef, Time};

use crate::text::cut;

/// A text of a notice is cut at this many bytes.
const MAX_TEXT: usize = 1024;
/// A notice names at most this many entities and sources.
const MAX_NAMED: usize = 16;

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// It is new.
    Opened,
    /// It has ten times as many findings as when this was said last.
    Grew,
    /// Somebody is on it.
    Acknowledged,
    /// Somebody has judged it.
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

    /// True if the alert wants somebody afterwards.
    pub const fn raises(self) -> bool {
        matches!(self, Happened::Opened | Happened::Grew | Happened::Reopened)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened to an alert, with what people want to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub what: Happened,
    /// When it happened (the clock of who recorded it).
    pub time: Time,
    /// The alert.
    pub alert: AlertId,
    /// The alert's revision that this was read from.
    pub revision: u64,
    /// When the alert was opened; tells apart alerts of the same number in a file that was made anew.
    pub opened: Time,
    /// The rule.
    pub rule: RuleRef,
    /// The entity it is about.
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
    /// The latest note on the alert.
    pub note: Option<String>,
    /// The verdict, if it was closed.
    pub verdict: Option<Verdict>,
}

impl Notice {
    /// What happened to an alert, at a time. Long texts are cut.
    pub fn of(alert: &Alert, what: Happened, time: Time) -> Notice {
        Notice {
            what,
            time,
            alert: alert.id,
            revision: alert.revision,
            opened: alert.opened,
            rule: alert.rule.clone(),
            entity: alert.entity.clone(),
            entities: alert.entities.clone(),
            sources: Vec::new(),
            count: alert.count,
            first: alert.first,
            last: alert.last,
            who: None,
            note: alert.note.clone(),
            verdict: alert.state.verdict(),
        }
        .bounded()
    }

    /// What a test of a channel says.
    pub(crate) fn test(what: Happened, now: Time) -> Notice {
        Notice {
            what,
            time: now,
            alert: AlertId(0),
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
            entity: Entity { kind: "host".into(), value: "vedette".into() },
            entities: Vec::new(),
            sources: Vec::new(),
            count: 1,
            first: now,
            last: now,
            who: None,
            note: Some("Somebody pressed the test button. Nothing happened.".into()),
            verdict: (what == Happened::Closed).then_some(Verdict::Benign),
        }
    }

    /// True for what a test of a channel says.
    pub fn is_test(&self) -> bool {
        self.alert.0 == 0
    }

    /// The level of its rule.
    pub fn level(&self) -> Level {
        self.rule.level
    }

    /// The same for a notice of the same thing, whenever it is made: what is not offered twice.
    pub(crate) fn identity(&self) -> [u8; 16] {
        let which = match self.what {
            Happened::Opened => 0,
            Happened::Grew => i64::from(self.decade()),
            Happened::Acknowledged | Happened::Closed | Happened::Reopened => self.time.micros(),
        };
        let mut hasher = blake3::Hasher::new();
        for number in [self.alert.0, self.opened.micros(), which] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(self.what.as_str().as_bytes());
        let mut identity = [0; 16];
        identity.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        identity
    }

    /// How many digits its count has, less one: 9 findings are in decade 0, 10 in decade 1.
    pub(crate) fn decade(&self) -> u32 {
        decade(self.count)
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
        self.entities.truncate(MAX_NAMED);
        for entity in self.entities.iter_mut().chain([&mut self.entity]) {
            short(&mut entity.kind);
            short(&mut entity.value);
        }
        self.who.as_mut().into_iter().for_each(short);
        self.note.as_mut().into_iter().for_each(short);
        self
    }
}

/// The decade of a count of findings.
pub(crate) fn decade(count: u64) -> u32 {
    count.checked_ilog10().unwrap_or(0)
}
