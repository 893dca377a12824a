//! What detection says.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{EventId, Time};

/// A finding's name, derived from its content, so that the same finding never comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId([u8; 16]);

impl FindingId {
    /// The id of a rule's finding over some events: the first 128 bits of BLAKE3 over the rule's id and the
    /// event ids.
    pub fn of(rule: &str, events: &[EventId]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(rule.len() as u64).to_le_bytes());
        hasher.update(rule.as_bytes());
        for event in events {
            hasher.update(&event.source.0.to_le_bytes());
            hasher.update(&event.seq.to_le_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        FindingId(id)
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for FindingId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a finding id of 32 hexadecimal digits");
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut id = [0; 16];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(FindingId(id))
    }
}

impl Serialize for FindingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How bad it is: Sigma's five levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Context only.
    #[default]
    Informational,
    /// Notable, rarely an incident.
    Low,
    /// Worth a look.
    Medium,
    /// Likely an incident.
    High,
    /// Act now.
    Critical,
}

impl Level {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "informational" => Level::Informational,
            "low" => Level::Low,
            "medium" => Level::Medium,
            "high" => Level::High,
            "critical" => Level::Critical,
            _ => return Err(format!("`{text}` is not a level: informational, low, medium, high or critical")),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which rule, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's id (Sigma: UUID), or its title where it has none.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Level,
    /// Its author, kept because the rule's licence (DRL 1.1) asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// ATT&CK techniques, upper case: `T1110`, `T1059.001`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// ATT&CK tactics as Sigma writes them: `credential-access`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tactics: Vec<String>,
}

/// Whom a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// `host`, `user`, `ip`, `process`, `file`, `domain`.
    pub kind: String,
    /// Its name.
    pub value: String,
}

/// A field that made a rule match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// The event's field name; empty for a keyword, which was found anywhere in the event.
    pub field: String,
    /// Its value, or the keyword.
    pub value: String,
}

/// A rule or behaviour saw something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from the content; see [`FindingId::of`].
    pub id: FindingId,
    /// The rule, which all its findings share.
    pub rule: Arc<RuleRef>,
    /// Event time of the last event that belongs to it.
    pub time: Time,
    /// The events.
    pub events: Vec<EventId>,
    /// Whom it is about, most telling first.
    pub entities: Vec<Entity>,
    /// Which fields matched.
    pub matched: Vec<Matched>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceId;

    #[test]
    fn ids_come_from_content() {
        let event = |seq| EventId { source: SourceId(1), seq };
        let id = FindingId::of("rule", &[event(1)]);
        assert_eq!(id, FindingId::of("rule", &[event(1)]));
        assert_ne!(id, FindingId::of("rule", &[event(2)]));
        assert_ne!(id, FindingId::of("rule2", &[event(1)]));
        assert_eq!(id.to_string().parse::<FindingId>().unwrap(), id);
        assert!("zz".parse::<FindingId>().is_err());
    }
}
