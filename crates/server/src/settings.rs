//! The seam to settings: what is configured, and what can be changed here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vedette_event::Diagnostic;

/// What is configured, and what can be changed while Vedette runs.
pub trait SettingsView: Send + Sync {
    /// How long events are kept now, and on how much disk.
    fn retention(&self) -> Retention;

    /// Keeps events so from now on, also after a restart. May block.
    ///
    /// # Errors
    /// It is refused, or cannot be kept.
    fn set_retention(&self, retention: &Retention) -> Result<(), SettingsError>;

    /// A section as it is in force, without the secrets that stand in it.
    fn section(&self, section: Section) -> SectionText;

    /// What is wrong with a text for a section, without putting it into force.
    fn check_section(&self, section: Section, text: &str) -> Vec<Diagnostic>;

    /// Puts a text for a section into force, at once and also after a restart; without one, what the configuration file
    /// says. May block.
    ///
    /// # Errors
    /// It is refused, or cannot be kept; then what was in force before is.
    fn set_section(&self, section: Section, text: Option<&str>) -> Result<(), SettingsError>;

    /// Where records come in.
    fn receivers(&self) -> Vec<Receiver>;

    /// The configuration file; none if there is none.
    fn config_file(&self) -> Option<String>;
}

/// A section of the configuration that can be changed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Who is told of alerts.
    Notifications,
    /// Where records come in.
    Receivers,
}

/// A section as it is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SectionText {
    /// YAML; empty if everything is as by default.
    pub text: String,
    /// It was changed here, and goes before the configuration file.
    pub is_changed: bool,
}

/// How long events are kept, and on how much disk. What is older than `max_age_days` goes; then the oldest goes until
/// `max_bytes` are enough or, without it, until `max_disk_percent` of the disk are in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days that events are kept.
    pub max_age_days: u32,
    /// Bytes that events may take; if there is none, `max_disk_percent` counts.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Share of the disk, in percent, that may be filled.
    pub max_disk_percent: u8,
}

/// A receiver that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Receiver {
    /// `syslog-udp`, `syslog-tcp`, `syslog-tls`, `http`, ..
    pub kind: String,
    /// Its address.
    pub address: String,
    /// It speaks TLS.
    pub tls: bool,
}

/// Why a setting was not changed.
#[derive(Clone, Debug)]
pub enum SettingsError {
    /// It makes no sense.
    Refused(String),
    /// A text is wrong.
    Wrong(Vec<Diagnostic>),
    /// The disk.
    Failed(String),
}
