//! The ECS 9 core: the fields that the store keeps as typed columns.
//!
//! Every other field is kept too, but derived again from the original bytes when a reader asks for it.
//! Source: Elastic Common Schema 9.x, `generated/csv/fields.csv`; names and types are ECS's.

/// The type of a core column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text compared as a whole.
    Keyword,
    /// Several texts (ECS: "Normalization: array").
    Keywords,
    /// A whole number.
    Long,
    /// An IPv4 or IPv6 address, kept as text in its canonical form.
    Ip,
}

/// A core column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its ECS name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// The name of the event's own time, which every event has (the receive time where it has none of its own).
pub const TIMESTAMP: &str = "@timestamp";
/// The original bytes as text, as readers and `-o json` name them.
pub const ORIGINAL: &str = "event.original";
/// The human-readable line: derived, never stored beside the original.
pub const MESSAGE: &str = "message";

macro_rules! columns {
    ($($name:literal $kind:ident),* $(,)?) => {
        /// The core columns in the order in which segments keep them.
        pub const CORE: &[Column] = &[$(Column { name: $name, kind: Kind::$kind }),*];
    };
}

columns! {
    "event.kind" Keyword,
    "event.category" Keywords,
    "event.type" Keywords,
    "event.action" Keyword,
    "event.outcome" Keyword,
    "event.code" Keyword,
    "event.dataset" Keyword,
    "event.module" Keyword,
    "event.provider" Keyword,
    "event.severity" Long,
    "log.level" Keyword,
    "host.name" Keyword,
    "observer.name" Keyword,
    "user.name" Keyword,
    "user.id" Keyword,
    "user.domain" Keyword,
    "user.target.name" Keyword,
    "source.ip" Ip,
    "source.port" Long,
    "source.bytes" Long,
    "destination.ip" Ip,
    "destination.port" Long,
    "destination.domain" Keyword,
    "destination.bytes" Long,
    "network.transport" Keyword,
    "network.protocol" Keyword,
    "process.name" Keyword,
    "process.pid" Long,
    "process.executable" Keyword,
    "process.command_line" Keyword,
    "process.parent.pid" Long,
    "process.parent.name" Keyword,
    "process.parent.executable" Keyword,
    "process.parent.command_line" Keyword,
    "process.hash.sha256" Keyword,
    "file.path" Keyword,
    "file.name" Keyword,
    "file.hash.sha256" Keyword,
    "registry.path" Keyword,
    "service.name" Keyword,
    "dns.question.name" Keyword,
    "tls.client.server_name" Keyword,
    "url.domain" Keyword,
    "url.path" Keyword,
    "url.original" Keyword,
    "http.request.method" Keyword,
    "http.response.status_code" Long,
    "user_agent.original" Keyword,
    "cloud.account.id" Keyword,
    "cloud.region" Keyword,
    "rule.id" Keyword,
    "rule.name" Keyword,
    "rule.level" Keyword,
    "threat.technique.id" Keywords,
}

/// The core column of that name.
pub fn core(name: &str) -> Option<Column> {
    CORE.iter().copied().find(|column| column.name == name)
}
