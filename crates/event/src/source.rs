//! Where records come from, and what an event is called.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A source's number within one data folder, given by the spool on first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub u32);

/// One stream of records with its own gapless sequence: a peer of a receiver, a file, an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its number within the data folder.
    pub id: SourceId,
    /// `<receiver>:<instance>`, for example `syslog-udp:192.0.2.7`, `file:/var/log/auth.log`,
    /// `journald:local`, `bulk:192.0.2.9`, `import:<job>`, `vedette:self`.
    pub name: Arc<str>,
    /// The kind of receiver: the part of the name before the colon.
    pub receiver: Arc<str>,
    /// The parser that the configuration names for it; otherwise parsers are chosen by content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parser: Option<Arc<str>>,
}

impl Source {
    /// A source without a configured parser.
    pub fn new(id: SourceId, name: &str, receiver: &str) -> Arc<Self> {
        Arc::new(Source { id, name: name.into(), receiver: receiver.into(), parser: None })
    }
}

/// An event's name within one data folder: its source and its sequence number there.
/// Written `<source>-<seq>`, for example `3-1042`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The source.
    pub source: SourceId,
    /// Sequence number within the source, from 0, without gaps.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.source.0, self.seq)
    }
}

/// The text is not an event id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an event id of the form <source>-<sequence>, for example 3-1042")]
pub struct ParseEventIdError(String);

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (source, seq) = text.split_once('-')?;
            Some(EventId { source: SourceId(source.parse().ok()?), seq: seq.parse().ok()? })
        };
        parse().ok_or_else(|| ParseEventIdError(text.to_owned()))
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
