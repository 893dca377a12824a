//! Routes: what goes where, and when.

use std::fmt;

use serde::{Deserialize, de::Error};
use vedette_event::Level;

use crate::{About, Happened};

/// What goes where. A notice takes the first route that fits, and goes on to later ones if that says `continue`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name, for people.
    pub name: String,
    /// Which alerts and incidents; without it all.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// What must have happened to them.
    #[serde(default = "usually")]
    pub on: Vec<Happened>,
    /// Names of channels.
    pub channels: Vec<String>,
    /// Whether later routes are asked too.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
    /// When it is quiet.
    #[serde(default)]
    pub quiet: Vec<Quiet>,
    /// Whether notices are gathered.
    pub digest: Option<Digest>,
}

fn usually() -> Vec<Happened> {
    vec![Happened::Opened, Happened::Grew, Happened::Closed, Happened::Reopened]
}

/// Which alerts and incidents. Every key that is given must fit; of a list, one of its entries. A `*` stands for any text, a `?` for one
/// character, `[a-z]` for one of these; case does not matter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Alerts or incidents; without it both.
    pub about: Option<About>,
    /// Of this level or above.
    pub level: Level,
    /// The rule's id or title; of an incident one of the rules of its findings.
    pub rule: Globs,
    /// One of its ATT&CK techniques: `T1110*`.
    pub techniques: Globs,
    /// One of its ATT&CK tactics: `credential-access`.
    pub tactics: Globs,
    /// One of its entities, as `kind:value`: `user:root`, `host:db-*`.
    pub entity: Globs,
    /// One of its sources: `syslog-tls:*`.
    pub source: Globs,
}

/// Patterns, one of which must fit; none fit everything.
#[derive(Clone, Debug, Default)]
pub struct Globs(Vec<glob::Pattern>);

impl Globs {
    /// True if one of them fits one of the texts, or if there are none.
    pub fn fit<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        const ANY_CASE: glob::MatchOptions = glob::MatchOptions {
            case_sensitive: false,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        self.0.is_empty() || texts.into_iter().any(|text| self.0.iter().any(|glob| glob.matches_with(text, ANY_CASE)))
    }
}

impl<'de> Deserialize<'de> for Globs {
    /// A list, or a single one.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> serde::de::Visitor<'de> for OneOrMore {
            type Value = Globs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern or a list of patterns")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Globs, E> {
                Ok(Globs(vec![pattern(text)?]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Globs, A::Error> {
                let mut globs = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    globs.push(pattern(&text)?);
                }
                Ok(Globs(globs))
            }
        }
        fn pattern<E: Error>(text: &str) -> Result<glob::Pattern, E> {
            // A run of stars makes matching slow and means the same as two.
            if text.matches('*').count() > 8 || text.len() > 512 {
                return Err(E::custom(format!("the pattern `{text}` is too long, or has more than 8 stars")));
            }
            glob::Pattern::new(text).map_err(|error| E::custom(format!("`{text}` is not a pattern: {}", error.msg)))
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// Hours without messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// An IANA name: `Europe/Berlin`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The days on which they begin; without it every day.
    #[serde(default = "every_day")]
    pub weekdays: Vec<Weekday>,
    /// When they begin.
    pub from: TimeOfDay,
    /// When they end, on the next day if that is not after `from`.
    pub to: TimeOfDay,
    /// Of this level or above, messages are sent all the same.
    #[serde(default = "critical")]
    pub breaks_through: Level,
    /// What becomes of the others.
    #[serde(default)]
    pub then: Then,
}

fn utc() -> String {
    "UTC".into()
}

fn every_day() -> Vec<Weekday> {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun]
}

fn critical() -> Level {
    Level::Critical
}

/// What becomes of notices in quiet hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// They wait for the end and come together.
    #[default]
    Hold,
    /// They are not sent, and counted.
    Drop,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// An hour and minute of the day: `"22:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(pub(crate) jiff::civil::Time);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = text.split_once(':').and_then(|(hour, minute)| {
            let number = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
            jiff::civil::Time::new(number(hour)?, number(minute)?, 0, 0).ok()
        });
        time.map(TimeOfDay)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a time of day, for example \"22:00\"")))
    }
}

/// Notices are gathered, and come as one message with counts and the worst first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// How long, from the first on.
    pub minutes: u32,
    /// Of this level or above, notices come at once and alone.
    #[serde(default = "critical")]
    pub breaks_through: Level,
}
